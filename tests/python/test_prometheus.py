"""A real Prometheus beside what it scrapes: the server, the exporter, the rules and the dashboard of docs/."""

from __future__ import annotations

from pathlib import Path

from session_buddy.realtime.metrics_exporter import PrometheusExporter
from support.prometheus import Prometheus, Relay
from support.reverse_proxy import free_port

TEXT = "text/plain;version=0.0.4"


def job(*ports: int, **settings: object) -> dict[str, object]:
    """A scrape job of the loopback."""
    targets = [f"127.0.0.1:{port}" for port in ports]
    return {"job_name": "session-buddy", "static_configs": [{"targets": targets}], **settings}


# ---- The exporter of Python programs


def test_prometheus_stores_what_the_exporter_was_told_from_both_formats(tmp_path: Path) -> None:
    name = 'a "hostile" \\ name, ü'
    with (
        PrometheusExporter(port=0) as exporter,
        Relay(exporter.port) as preferred,
        Relay(exporter.port, TEXT) as text,
        Prometheus(tmp_path / "prometheus", [job(preferred.port, text.port)]) as prometheus,
    ):
        exporter.record_invocation(name, "tests", duration_seconds=0.7)
        exporter.record_invocation(name, "tests", duration_seconds=0.7, completed=False)
        exporter.update_completion_rate(name, 0.5)
        exporter.record_anomaly("performance_drop", name)
        exporter.update_active_sessions(3)
        for relay, media_type in ((preferred, "application/openmetrics-text"), (text, "text/plain")):
            target = f'instance="127.0.0.1:{relay.port}"'
            prometheus.until(f"sum(skill_invocations_total{{{target}}})", 2)
            ((labels, _),) = prometheus.query(f'skill_invocations_total{{{target}, completed="true"}}')
            assert (labels["skill_name"], labels["workflow_phase"]) == (name, "tests")
            prometheus.until(f"skill_completion_rate{{{target}}}", 0.5)
            prometheus.until(f"active_sessions_total{{{target}}}", 3)
            prometheus.until(f"anomalies_detected_total{{{target}}}", 1)
            prometheus.until(f"sum(skill_duration_seconds_bucket{{{target}}} > 0)", 8)
            prometheus.until(f"skill_duration_seconds_sum{{{target}}}", 0.7)
            assert {each.split(";")[0] for each in relay.types} == {media_type}
        names = {str(series["__name__"]) for series in prometheus.get("series", **{"match[]": '{job="session-buddy"}'})}
        assert not [each for each in names if each.endswith("_created")]


def test_the_exporters_counters_do_not_go_back_where_it_is_stopped_meanwhile(tmp_path: Path) -> None:
    exporter = PrometheusExporter(free_port())
    exporter.start()
    exporter.record_invocation("a")
    with Prometheus(tmp_path / "prometheus", [job(exporter.port)]) as prometheus:
        prometheus.until("skill_invocations_total", 1)
        exporter.stop()
        prometheus.until("up", 0)
        exporter.record_invocation("a")
        with exporter:
            prometheus.until("skill_invocations_total", 2)
            assert prometheus.value("resets(skill_invocations_total[5m])") == 0
