"""PrometheusExporter: scrapes of it, read by the parsers of prometheus_client."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from session_buddy.realtime import metrics_exporter
from session_buddy.realtime.metrics_exporter import PrometheusExporter
from support.processes import DEADLINE, wait_until

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PARSERS: Mapping[str, Callable[[str], Iterator[Metric]]] = {TEXT: parse_text, OPENMETRICS: parse_openmetrics}

Labels = tuple[str, ...]
Samples = dict[tuple[str, Labels], float]

BUCKETS = ["0.1", "0.5", "1.0", "2.0", "5.0", "10.0", "30.0", "60.0", "300.0", "+Inf"]

DURATION = "duration_seconds must be a number of seconds from 0 to 100000000"


@pytest.fixture
def exporter() -> Iterator[PrometheusExporter]:
    """A running exporter on a free port."""
    with PrometheusExporter(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def shared_exporter() -> Iterator[PrometheusExporter]:
    """An exporter shared by tests that do not change it."""
    with PrometheusExporter(port=0) as running:
        yield running


def scrape(exporter: PrometheusExporter, accept: str = TEXT) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{exporter.port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        expected = "application/openmetrics-text" if accept == OPENMETRICS else "text/plain"
        assert answer.headers.get_content_type() == expected
        text: str = answer.read().decode()
    return text


def families(exporter: PrometheusExporter, accept: str = TEXT) -> dict[str, Metric]:
    return {family.name: family for family in PARSERS[accept](scrape(exporter, accept))}


def samples(exporter: PrometheusExporter, accept: str = TEXT) -> Samples:
    """Values by name and by the values of the labels, in the order of the labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(exporter, accept).values()
        for sample in family.samples
    }


# ---- Metrics


@pytest.mark.parametrize("accept", PARSERS)
def test_a_scrape_gives_names_labels_and_buckets_of_the_server(exporter: PrometheusExporter, accept: str) -> None:
    exporter.record_invocation("pytest-run", "tests", True, 0.7)
    exporter.record_invocation("pytest-run", "tests", completed=False, duration_seconds=0.7)
    exporter.record_invocation("pytest-run")
    exporter.update_completion_rate("pytest-run", 0.75)
    exporter.record_anomaly("performance_drop", "pytest-run")
    exporter.update_active_sessions(3)
    found = families(exporter, accept)
    assert {name: family.type for name, family in found.items()} == {
        "skill_invocations": "counter",
        "skill_duration_seconds": "histogram",
        "skill_completion_rate": "gauge",
        "active_sessions_total": "gauge",
        "anomalies_detected": "counter",
    }
    labels = {name: {tuple(sorted(sample.labels)) for sample in family.samples} for name, family in found.items()}
    assert labels == {
        "skill_invocations": {("completed", "skill_name", "workflow_phase")},
        "skill_duration_seconds": {("le", "skill_name", "workflow_phase"), ("skill_name", "workflow_phase")},
        "skill_completion_rate": {("skill_name",)},
        "active_sessions_total": {()},
        "anomalies_detected": {("anomaly_type", "skill_name")},
    }
    assert samples(exporter, accept) == {
        ("skill_invocations_total", ("true", "pytest-run", "tests")): 1,
        ("skill_invocations_total", ("false", "pytest-run", "tests")): 1,
        ("skill_invocations_total", ("true", "pytest-run", "none")): 1,
        ("skill_invocations_total", ("false", "pytest-run", "none")): 0,
        **{
            ("skill_duration_seconds_bucket", (bound, "pytest-run", "tests")): float(BUCKETS.index(bound) >= 2)
            for bound in BUCKETS
        },
        ("skill_duration_seconds_count", ("pytest-run", "tests")): 1,
        ("skill_duration_seconds_sum", ("pytest-run", "tests")): 0.7,
        ("skill_completion_rate", ("pytest-run",)): 0.75,
        ("active_sessions_total", ()): 3,
        ("anomalies_detected_total", ("performance_drop", "pytest-run")): 1,
    }


@pytest.mark.parametrize("accept", PARSERS)
def test_an_exporter_without_invocations_has_no_series_of_skills(exporter: PrometheusExporter, accept: str) -> None:
    assert samples(exporter, accept) == {("active_sessions_total", ()): 0}


@pytest.mark.parametrize(
    ("seconds", "first"), [(0, "0.1"), (0.1, "0.1"), (0.1001, "0.5"), (300, "300.0"), (301, "+Inf")]
)
def test_a_duration_counts_in_its_bucket_and_all_larger_ones(
    exporter: PrometheusExporter, seconds: float, first: str
) -> None:
    exporter.record_invocation("a", duration_seconds=seconds)
    found = samples(exporter)
    filled = [bound for bound in BUCKETS if found["skill_duration_seconds_bucket", (bound, "a", "none")] == 1]
    assert filled == BUCKETS[BUCKETS.index(first) :]


def test_an_empty_phase_is_no_phase(exporter: PrometheusExporter) -> None:
    exporter.record_invocation("a", "none")
    exporter.record_invocation("a", None)
    assert samples(exporter)["skill_invocations_total", ("true", "a", "none")] == 2


def test_each_skill_has_its_own_phases_up_to_the_limit(exporter: PrometheusExporter) -> None:
    for number in range(11):
        exporter.record_invocation("a", f"phase-{number}")
    exporter.record_invocation("b", "phase-10")
    found = samples(exporter)
    assert found["skill_invocations_total", ("true", "a", "other")] == 1
    assert found["skill_invocations_total", ("true", "b", "phase-10")] == 1


def test_a_query_for_one_metric_gives_that_one(exporter: PrometheusExporter) -> None:
    exporter.record_invocation("a", duration_seconds=1)
    url = f"http://127.0.0.1:{exporter.port}/metrics?name[]=skill_invocations_total"
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        assert [family.name for family in parse_text(answer.read().decode())] == ["skill_invocations"]


HOSTILE = [
    'quoted "name"',
    "back\\slash\\n",
    '{le="1"} 5 # EOF',
    "a,b=c",
    "日本語 ✓",
    "\u2028line\u2029separators",
    "'; DROP TABLE x; --",
    " ",
    "é" * 128,
    "../../etc/passwd",
    "None",
]


@pytest.mark.parametrize("accept", PARSERS)
def test_any_name_is_exported_unchanged(exporter: PrometheusExporter, accept: str) -> None:
    for name in HOSTILE:
        exporter.record_invocation(name, name, duration_seconds=1)
        exporter.update_completion_rate(name, 1)
        exporter.record_anomaly(name, name)
    found = samples(exporter, accept)
    for name in HOSTILE:
        assert found["skill_invocations_total", ("true", name, name)] == 1
        assert found["skill_duration_seconds_count", (name, name)] == 1
        assert found["skill_completion_rate", (name,)] == 1
        assert found["anomalies_detected_total", (name, name)] == 1


# ---- Limits


def test_skills_beyond_the_limit_are_summed_as_other() -> None:
    with PrometheusExporter(port=0, max_skills=2) as exporter:
        for name in ("a", "other", "b", "c", "d", "a"):
            exporter.record_invocation(name, duration_seconds=1)
        for name in ("a", "c", "other"):
            exporter.update_completion_rate(name, 0.5)
        exporter.record_anomaly("pattern_shift", "d")
        found = samples(exporter)
    invocations = {labels[1]: value for (_, labels), value in found.items() if labels[:1] == ("true",)}
    assert invocations == {"a": 2, "b": 1, "other": 3}
    assert found["skill_duration_seconds_count", ("other", "none")] == 3
    assert [labels for name, labels in found if name == "skill_completion_rate"] == [("a",)]
    assert found["anomalies_detected_total", ("pattern_shift", "other")] == 1


def test_unbounded_names_make_a_bounded_number_of_series(exporter: PrometheusExporter) -> None:
    for number in range(1000):
        exporter.record_invocation(f"skill-{number}", "tests")
        exporter.record_invocation("skill-0", f"phase-{number}")
        exporter.record_invocation("skill-0")
        exporter.record_anomaly(f"type-{number}", "skill-0")
    found = samples(exporter)
    values = {
        (name, position): {labels[position] for metric, labels in found if metric == name}
        for name, position in (
            ("skill_invocations_total", 1),
            ("skill_invocations_total", 2),
            ("anomalies_detected_total", 0),
        )
    }
    # The named ones and "other"; for phases also "none".
    assert [len(each) for each in values.values()] == [201, 12, 21]
    assert all("other" in each for each in values.values())
    total = sum(value for (name, _), value in found.items() if name == "skill_invocations_total")
    assert total == 3000


def test_threads_lose_no_invocation(exporter: PrometheusExporter) -> None:
    threads, times = 8, 500
    ready = threading.Barrier(threads)

    def work(number: int) -> None:
        ready.wait(DEADLINE)
        for turn in range(times):
            exporter.record_invocation(f"skill-{turn % 5}", f"phase-{number % 2}", turn % 2 == 0, 0.5)
            if turn % 100 == 0:
                samples(exporter, OPENMETRICS)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, number) for number in range(threads)]:
            future.result(DEADLINE)
    found = samples(exporter)
    totals = {
        metric: sum(value for (name, _), value in found.items() if name == metric)
        for metric in ("skill_invocations_total", "skill_duration_seconds_count", "skill_duration_seconds_sum")
    }
    assert totals == {
        "skill_invocations_total": threads * times,
        "skill_duration_seconds_count": threads * times / 2,  # the completed ones
        "skill_duration_seconds_sum": threads * times / 4,
    }


# ---- Starting and stopping


def test_exporters_in_one_process_are_independent(exporter: PrometheusExporter) -> None:
    with PrometheusExporter(port=0) as second:
        exporter.record_invocation("a")
        second.record_invocation("b")
        assert {labels[1] for name, labels in samples(exporter) if name == "skill_invocations_total"} == {"a"}
        assert {labels[1] for name, labels in samples(second) if name == "skill_invocations_total"} == {"b"}


def test_a_port_in_use_is_an_immediate_error(exporter: PrometheusExporter) -> None:
    second = PrometheusExporter(port=exporter.port)
    with pytest.raises(OSError, match="in use") as caught:
        second.start()
    assert caught.value.errno == errno.EADDRINUSE
    assert not second.running
    exporter.stop()
    with second:
        assert samples(second)


def test_an_unknown_host_is_an_immediate_error() -> None:
    with pytest.raises(OSError, match=r"not known|failure|No address"):
        PrometheusExporter(port=0, host="no-such-host.invalid").start()


def test_counters_continue_after_a_restart() -> None:
    exporter = PrometheusExporter(port=0)
    exporter.record_invocation("a")
    assert (exporter.running, exporter.port) == (False, 0)
    for expected in (1, 2):
        with exporter:
            assert exporter.running
            assert exporter.port > 0
            assert samples(exporter)["skill_invocations_total", ("true", "a", "none")] == expected
            exporter.record_invocation("a")
    exporter.stop()


def test_a_second_start_is_rejected_and_the_first_continues(exporter: PrometheusExporter) -> None:
    with pytest.raises(RuntimeError, match="already running; stop it first"):
        exporter.start()
    assert samples(exporter)


def test_a_stop_frees_the_port_though_a_client_is_silent() -> None:
    exporter = PrometheusExporter(port=0)
    exporter.start()
    port = exporter.port
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE):
        samples(exporter)  # answered, although the other client is silent
        exporter.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)


def test_silent_and_vanishing_clients_leave_no_thread_and_no_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics_exporter._Handler, "timeout", 0.1)
    before = threading.active_count()
    with PrometheusExporter(port=0) as exporter:
        with socket.create_connection(("127.0.0.1", exporter.port), timeout=DEADLINE) as silent:
            assert silent.recv(1) == b""
        vanishing = socket.create_connection(("127.0.0.1", exporter.port), timeout=DEADLINE)
        vanishing.sendall(b"GET /metrics HTTP/1.1\r\n")
        vanishing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        vanishing.close()
        assert samples(exporter)
        wait_until(lambda: threading.active_count() <= before + 1, "only the thread of the server is left")
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_loopback_only_by_default(exporter: PrometheusExporter) -> None:
    # Every address of 127.0.0.0/8 is local, and it listens only on the first.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", exporter.port), timeout=DEADLINE)
    with PrometheusExporter(port=0, host="127.0.0.2") as second:
        socket.create_connection(("127.0.0.2", second.port), timeout=DEADLINE).close()


def test_a_fork_can_stop_its_copy_and_leaves_its_parents(exporter: PrometheusExporter) -> None:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            exporter.stop()
            status = 0
        finally:
            os._exit(status)
    _, code = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(code) == 0
    assert samples(exporter)


# ---- Misuse


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"port": -1}, ValueError, "port must be from 0 to 65535, not -1"),
        ({"port": 65536}, ValueError, "port must be from 0 to 65535"),
        ({"port": "9090"}, TypeError, "port must be an int, not str"),
        ({"port": True}, TypeError, "port must be an int, not bool"),
        ({"host": None}, TypeError, "host must be a str, not NoneType"),
        ({"host": ""}, ValueError, "host must be an address or a name"),
        ({"max_skills": 0}, ValueError, "max_skills must be from 1 to 10000, not 0"),
        ({"max_skills": 1.5}, TypeError, "max_skills must be an int, not float"),
    ],
)
def test_an_invalid_argument_of_an_exporter_is_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PrometheusExporter(**arguments)


@pytest.mark.parametrize(
    ("method", "arguments", "error", "message"),
    [
        ("record_invocation", [""], ValueError, "skill_name must be 1 to 256 bytes"),
        ("record_invocation", ["a\nb"], ValueError, "skill_name must be 1 to 256 bytes"),
        ("record_invocation", ["é" * 129], ValueError, "skill_name must be 1 to 256 bytes"),
        ("record_invocation", ["\ud800"], ValueError, "skill_name must be 1 to 256 bytes"),
        ("record_invocation", [None], TypeError, "skill_name must be a str, not NoneType"),
        ("record_invocation", ["a", "b\0"], ValueError, "workflow_phase must be 1 to 256 bytes"),
        ("record_invocation", ["a", 5], TypeError, "workflow_phase must be a str, not int"),
        ("record_invocation", ["a", None, "yes"], TypeError, "completed must be a bool, not str"),
        ("record_invocation", ["a", None, True, -1], ValueError, DURATION),
        ("record_invocation", ["a", None, True, float("nan")], ValueError, DURATION),
        ("record_invocation", ["a", None, True, float("inf")], ValueError, DURATION),
        ("record_invocation", ["a", None, True, 10**400], ValueError, DURATION),
        ("record_invocation", ["a", None, True, 10**5000], ValueError, DURATION),
        ("record_invocation", ["a", None, True, "1"], TypeError, "duration_seconds must be a number, not str"),
        ("update_completion_rate", ["a", 1.01], ValueError, "rate must be from 0 to 1, not 1.01; 95 % is 0.95"),
        ("update_completion_rate", ["a", -0.1], ValueError, "rate must be from 0 to 1"),
        ("update_completion_rate", ["a", float("nan")], ValueError, "rate must be from 0 to 1"),
        ("update_completion_rate", ["a", True], TypeError, "rate must be a number, not bool"),
        ("update_completion_rate", ["", 1], ValueError, "skill_name must be 1 to 256 bytes"),
        ("record_anomaly", ["", "a"], ValueError, "anomaly_type must be 1 to 256 bytes"),
        ("record_anomaly", ["pattern_shift", "\x7f"], ValueError, "skill_name must be 1 to 256 bytes"),
        ("update_active_sessions", [-1], ValueError, "count must be from 0"),
        ("update_active_sessions", [1.5], TypeError, "count must be an int, not float"),
    ],
)
def test_invalid_values_are_rejected_and_not_counted(
    shared_exporter: PrometheusExporter, method: str, arguments: list[Any], error: type[Exception], message: str
) -> None:
    before = scrape(shared_exporter)
    with pytest.raises(error, match=message):
        getattr(shared_exporter, method)(*arguments)
    assert scrape(shared_exporter) == before
