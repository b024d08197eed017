"""A real Prometheus that scrapes the server and the exporter, with the rules and the dashboard of docs/."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from websockets.sync.client import connect

from conftest import isolate_environment
from session_buddy.realtime.metrics_exporter import PrometheusExporter
from session_buddy.storage.skills_storage import SkillsStorage
from support import tools
from support.certificates import Certificates
from support.histories import fill, invocations, worsening
from support.paths import ROOT
from support.processes import DEADLINE, Server, wait_until
from support.prometheus import Labels, Prometheus, Relay
from support.reverse_proxy import free_port
from support.tokens import READER, SCRAPER, write_secret

MONITORING = ROOT / "docs" / "monitoring"
CONFIG = MONITORING / "prometheus.yml"
RULES = MONITORING / "session-buddy.rules.yml"
RULE_TESTS = MONITORING / "session-buddy.rules.test.yml"
DASHBOARD = ROOT / "docs" / "grafana" / "session-buddy.json"

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PARSERS = {TEXT: parse_text, OPENMETRICS: parse_openmetrics}
WRITE_PAUSE = 0.05  # seconds between two invocations that are stored while Prometheus scrapes

# The values of Grafana's variables; a rate needs two scrapes in its range.
VARIABLES = {"$__rate_interval": "10s", "$__range": "1m", "$instance": ".*", "$skill_name": ".*"}


def job(*ports: int, **settings: object) -> dict[str, object]:
    """A scrape job for a target on loopback."""
    targets = [f"127.0.0.1:{port}" for port in ports]
    return {"job_name": "session-buddy", "static_configs": [{"targets": targets}], **settings}


def metrics_of(port: int, accept: str = TEXT) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        text: str = answer.read().decode()
    return text


def promtool(*arguments: str, text: str | None = None) -> tuple[int, str]:
    """The exit status and the output of promtool."""
    done = subprocess.run(
        [tools.promtool(), *arguments], input=text, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    return done.returncode, done.stdout + done.stderr


def alerts() -> dict[str, dict[str, Any]]:
    """The rules of docs/monitoring by the names of their alerts."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard that have queries."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def dashboard_queries() -> dict[str, str]:
    """The queries of the panels, as Grafana sends them, by title and letter."""
    queries = {}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            queries[f"{panel['title']}: {target['refId']}"] = expression
    return queries


def without_threshold(expression: str) -> str:
    """An alert's expression that has a result whether or not it fires: comparisons return 0 or 1.

    A rule for programs without a server has one for a server, too.
    """
    expression = re.sub(r" unless on \(instance\) session_buddy_build_info\{[^}]*\}", "", expression)
    return re.sub(r"(?<= )([<>]=?|[!=]=)(?= )", r"\1 bool", expression)


def metric_names(expression: str) -> set[str]:
    """The metrics in an expression."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\boffset \w+", "", bare)
    names = set(re.findall(r"\b[a-zA-Z_][\w:]*\b(?!\s*\()", bare))
    return names - {"and", "or", "unless", "bool", "sum", "min", "max", "by"}


# ---- The server


@dataclass
class Watched:
    """A server whose metrics change all the time, and the Prometheus that scrapes it."""

    server: Server
    prometheus: Prometheus


def keep_writing(db_path: Path, done: threading.Event) -> None:
    with SkillsStorage(db_path) as storage:
        number = 0
        while not done.wait(WRITE_PAUSE):
            number += 1
            storage.store_invocation(
                ("pytest-run", 'a "hostile" \\ name, ü')[number % 2],
                session_id="live",
                completed=number % 5 > 0,
                duration_seconds=0.2 * (number % 7),
                workflow_phase=("tests", None)[number % 3 == 0],
            )


def keep_reading(url: str, done: threading.Event) -> None:
    with connect(url) as connection:
        while not done.is_set():
            connection.recv(timeout=DEADLINE)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """It has a deviation with an alert, and a client; an invocation is stored every 50 ms."""
    folder = tmp_path_factory.mktemp("watched")
    db_path = folder / "skills.db"
    fill(db_path, worsening("mypy"))
    with pytest.MonkeyPatch.context() as patch:
        isolate_environment(folder, patch)
        with (
            Server(db_path) as server,
            Prometheus(folder / "prometheus", [job(server.port)], [RULES]) as prometheus,
        ):
            done = threading.Event()
            threads = [
                threading.Thread(target=keep_writing, args=(db_path, done)),
                threading.Thread(target=keep_reading, args=(server.url, done)),
            ]
            for thread in threads:
                thread.start()
            try:
                yield Watched(server, prometheus)
            finally:
                done.set()
                for thread in threads:
                    thread.join(DEADLINE)


@pytest.mark.parametrize("query", dashboard_queries())
def test_every_query_of_the_dashboard_has_an_answer(watched: Watched, query: str) -> None:
    expression = dashboard_queries()[query]
    # Comparing a value with itself drops NaN, such as the quantile of an empty histogram.
    watched.prometheus.until(f"({expression}) == ({expression})")


@pytest.mark.parametrize("name", alerts())
def test_every_alert_is_about_series_that_are_there(watched: Watched, name: str) -> None:
    watched.prometheus.until(without_threshold(alerts()[name]["expr"]))


def test_every_variable_of_the_dashboard_has_values(watched: Watched) -> None:
    watched.prometheus.until("count(count by (skill_name) (skill_invocations_total))", 3)
    found = {}
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert match
            series = match[1].replace("$instance", ".*")
            found[variable["name"]] = set(watched.prometheus.get(f"label/{match[2]}/values", **{"match[]": series}))
    assert found == {
        "instance": {f"127.0.0.1:{watched.server.port}"},
        "skill_name": {"mypy", "pytest-run", 'a "hostile" \\ name, ü'},
    }


def test_the_server_emits_every_metric_of_dashboard_and_rules(watched: Watched) -> None:
    watched.prometheus.until("anomalies_detected_total > 0")
    emitted = {sample.name for family in parse_text(metrics_of(watched.server.port)) for sample in family.samples}
    expressions = [*dashboard_queries().values(), *(rule["expr"] for rule in alerts().values())]
    named = set().union(*map(metric_names, expressions))
    assert {"up", "skill_invocations_total", "skill_duration_seconds_bucket"} <= named
    assert named - emitted == {"up"}


def test_promtool_finds_nothing_in_the_metrics_but_a_name_of_the_contract(watched: Watched) -> None:
    watched.prometheus.until("anomalies_detected_total > 0")
    _, said = promtool("check", "metrics", text=metrics_of(watched.server.port))
    assert said.splitlines() == ['active_sessions_total non-counter metrics should not have "_total" suffix']


def test_a_healthy_server_raises_no_alert_but_for_its_skills(watched: Watched) -> None:
    watched.prometheus.until("anomalies_detected_total > 0")
    # One is pending until the first scrape.
    watched.prometheus.until('absent(ALERTS{alertname=~"SessionBuddy.+"})')


def all_counters(prometheus: Prometheus) -> list[tuple[Labels, float]]:
    return prometheus.query('{__name__=~"skill_invocations_total|skill_duration_seconds_.+|anomalies_detected_total"}')


def test_prometheus_stores_the_same_from_both_formats(filled_db: Path, tmp_path: Path) -> None:
    with (
        Server(filled_db) as server,
        Relay(server.port) as preferred,
        Relay(server.port, TEXT) as text,
        Prometheus(tmp_path / "prometheus", [job(preferred.port, text.port)]) as prometheus,
    ):
        prometheus.until('sum by (instance) (skill_invocations_total{skill_name="pytest-run"})', 8)
        assert prometheus.until("count(up == 1)", 2)
        found: dict[str, set[tuple[tuple[str, str], ...]]] = {}
        values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        for labels, value in prometheus.query('{job="session-buddy", __name__=~"skill_.+|session_buddy_.+"}'):
            instance = labels.pop("instance")
            # Numbers are written 1 or 1.0, which are different label values.
            if "le" in labels:
                labels["le"] = str(float(labels["le"]))
            key = tuple(sorted(labels.items()))
            found.setdefault(instance, set()).add(key)
            if labels["__name__"].startswith("skill_"):
                values.setdefault(instance, {})[key] = value
        assert len({frozenset(keys) for keys in found.values()}) == 1
        first, second = values.values()
        assert first == second
        assert {each.split(";")[0] for each in preferred.types} == {"application/openmetrics-text"}
        assert {each.split(";")[0] for each in text.types} == {"text/plain"}


def test_prometheus_is_accepted_with_a_token_and_rejected_without(filled_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{SCRAPER} metrics\n{READER} read\n")
    secret = write_secret(tmp_path / "token", f"{SCRAPER}\n")
    with Server(filled_db, "--auth-token-file", str(tokens)) as server:
        jobs = [
            {**job(server.port, authorization={"credentials_file": str(secret)}), "job_name": "file"},
            {**job(server.port, bearer_token=READER), "job_name": "reader"},
            {**job(server.port, authorization={"credentials": "wrong"}), "job_name": "wrong"},
            {**job(server.port), "job_name": "none"},
        ]
        with Prometheus(tmp_path / "prometheus", jobs) as prometheus:
            prometheus.until('up{job=~"file|reader"}', 1)
            prometheus.until('count(up{job=~"wrong|none"} == 0)', 2)
            reasons = {target["labels"]["job"]: target["lastError"] for target in prometheus.targets()}
            assert "401" in reasons["none"]
            assert "401" in reasons["wrong"]
            prometheus.until('sum(skill_invocations_total{job="file"})', 10)


def test_prometheus_scrapes_over_tls(filled_db: Path, tmp_path: Path, certificates: Certificates) -> None:
    settings = {"scheme": "https", "tls_config": {"ca_file": str(certificates.authority_file)}}
    with (
        Server(filled_db, *certificates.options) as server,
        Prometheus(tmp_path / "prometheus", [job(server.port, **settings)]) as prometheus,
    ):
        prometheus.until("sum(skill_invocations_total)", 10)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_counters_do_not_go_back_over_a_restart(filled_db: Path, tmp_path: Path, how: signal.Signals) -> None:
    port = free_port()
    fill(filled_db, invocations("ruff-check", 60), invocations("ruff-check", 20, completed=0))
    with Prometheus(tmp_path / "prometheus", [job(port)]) as prometheus:
        with Server(filled_db, port=port) as server:
            prometheus.until("sum(skill_invocations_total)", 90)
            prometheus.until("sum(anomalies_detected_total)", 1)
            before = all_counters(prometheus)
            server.stop(how)
        prometheus.until("up", 0)
        fill(filled_db, invocations("mypy", 5))
        with Server(filled_db, port=port):
            prometheus.until("sum(skill_invocations_total)", 95)
            after = {tuple(sorted(labels.items())): value for labels, value in all_counters(prometheus)}
            assert all(after[tuple(sorted(labels.items()))] >= value for labels, value in before)
            for name in ("skill_invocations_total", "skill_duration_seconds_count", "anomalies_detected_total"):
                assert {value for _, value in prometheus.query(f"resets({name}[5m])")} == {0}


def test_alerts_come_up_for_a_lost_database_and_a_lost_server(filled_db: Path, tmp_path: Path) -> None:
    with Server(filled_db) as server, Prometheus(tmp_path / "prometheus", [job(server.port)], [RULES]) as prometheus:
        prometheus.until("up", 1)
        prometheus.until("absent(ALERTS)")
        filled_db.rename(tmp_path / "away.db")
        prometheus.until('ALERTS{alertname="SessionBuddyDatabaseUnreadable", alertstate="pending"}')
        (tmp_path / "away.db").rename(filled_db)
        prometheus.until("session_buddy_database_readable", 1)
        server.stop(signal.SIGKILL)
        prometheus.until('ALERTS{alertname="SessionBuddyDown", alertstate="pending"}')


# ---- The files


def test_promtool_passes_config_rules_and_their_tests() -> None:
    for arguments in (
        ("check", "config", str(CONFIG)),
        ("check", "rules", "--lint=all", "--lint-fatal", str(RULES)),
        ("test", "rules", str(RULE_TESTS)),
    ):
        status, said = promtool(*arguments)
        assert status == 0, said


def test_promtool_passes_what_the_config_has_as_comments(tmp_path: Path) -> None:
    text = re.sub(r"^( *)# ((?: *- |  )*[a-z_]+:.*|  *- .+)$", r"\1\2", CONFIG.read_text(encoding="utf-8"), flags=re.M)
    for name in ("session-buddy-token", "session-buddy-ca.pem"):
        (tmp_path / name).write_text("")
    text = text.replace("/etc/prometheus", str(tmp_path)).replace("session-buddy.rules.yml", str(RULES))
    file = tmp_path / "prometheus.yml"
    file.write_text(text, encoding="utf-8")
    config = yaml.safe_load(text)
    (scraped,) = config["scrape_configs"]
    assert scraped["authorization"]
    assert scraped["tls_config"]
    assert config["alerting"]
    status, said = promtool("check", "config", str(file))
    assert status == 0, said


@pytest.mark.parametrize("name", alerts())
def test_every_alert_says_what_to_do_and_is_tested_to_fire_and_to_be_silent(name: str) -> None:
    rule = alerts()[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert all(rule["annotations"][key] for key in ("summary", "description", "action"))
    assert f"| `{name}` |" in (ROOT / "docs" / "how-to" / "prometheus.md").read_text(encoding="utf-8")
    cases = [
        bool(case.get("exp_alerts"))
        for test in yaml.safe_load(RULE_TESTS.read_text(encoding="utf-8"))["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == name
    ]
    assert set(cases) == {True, False}


def test_the_dashboard_is_complete_and_does_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    everything = dashboard["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    cells = [
        (x, y)
        for panel in everything
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        # The variable, not the data source of one Grafana.
        assert {panel["datasource"]["uid"], *(each["datasource"]["uid"] for each in panel["targets"])} == {
            "${datasource}"
        }
    used = set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(everything)))
    assert used == {variable["name"] for variable in dashboard["templating"]["list"]}


# ---- The exporter of Python programs


def test_prometheus_stores_the_metrics_of_the_exporter_from_both_formats(tmp_path: Path) -> None:
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


def skill_samples(port: int, accept: str) -> dict[tuple[str, tuple[tuple[str, object], ...]], float]:
    """Samples of skills and sessions, summed over `outcome`, which the exporter does not have.

    The exporter exports a type of anomaly only after the first one.
    """
    samples: dict[tuple[str, tuple[tuple[str, object], ...]], float] = defaultdict(float)
    for family in PARSERS[accept](metrics_of(port, accept)):
        if family.name.startswith(("session_buddy_", "process_")):
            continue
        for sample in family.samples:
            if sample.value or family.name != "anomalies_detected":
                labels = {k: float(v) if k == "le" else v for k, v in sample.labels.items() if k != "outcome"}
                samples[sample.name, tuple(sorted(labels.items()))] += sample.value
    return samples


@pytest.mark.parametrize("accept", PARSERS)
def test_the_exporter_and_a_server_agree_on_the_same_invocations(db_path: Path, accept: str) -> None:
    names = ("pytest-run", "mypy", 'a "hostile" \\ name, ü')
    ended: dict[str, list[bool]] = {name: [] for name in names}
    exporter = PrometheusExporter(port=0)
    with SkillsStorage(db_path) as storage:
        for number in range(200):
            name = names[number % 3]
            phase = None if number % 2 else f"phase-{number % 28}"  # more than there are series for
            ending = {
                "completed": number % 4 > 0 and (name != "mypy" or number < 150),
                "duration_seconds": (None, number / 8, number * 4.0)[number % 5 % 3],
            }
            ended[name].append(bool(ending["completed"]))
            storage.store_invocation(name, session_id=f"session-{number % 5}", workflow_phase=phase, **ending)
            exporter.record_invocation(name, phase, **ending)
    for name, outcomes in ended.items():
        exporter.update_completion_rate(name, sum(outcomes) / len(outcomes))
    exporter.update_active_sessions(5)
    with Server(db_path) as server, exporter:
        wait_until(
            lambda: bool(re.search(r'performance_drop"[^}]*} [1-9]', metrics_of(server.port))), "the drop is found"
        )
        expected = skill_samples(server.port, accept)
        with closing(sqlite3.connect(db_path)) as connection:
            for anomaly in connection.execute("SELECT anomaly_type, skill_name FROM skill_anomalies"):
                exporter.record_anomaly(*anomaly)
        assert skill_samples(exporter.port, accept) == expected
    assert len(expected) > 300


def test_the_exporters_counters_do_not_go_back_where_it_is_stopped_meanwhile(tmp_path: Path) -> None:
    exporter = PrometheusExporter(free_port())
    exporter.start()
    exporter.record_invocation("a")
    with Prometheus(tmp_path / "prometheus", [job(exporter.port)]) as prometheus:
        prometheus.until("sum(skill_invocations_total)", 1)
        exporter.stop()
        prometheus.until("up", 0)
        exporter.record_invocation("a")
        with exporter:
            prometheus.until("sum(skill_invocations_total)", 2)
            assert prometheus.value("sum(resets(skill_invocations_total[5m]))") == 0
