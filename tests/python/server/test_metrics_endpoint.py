"""`GET /metrics` of a real server, read by the parsers of prometheus_client and checked by promtool."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support import tools
from support.histories import fill, invocations, worsening
from support.ingestion import INVOCATIONS, invocation, send
from support.paths import ROOT
from support.processes import DEADLINE, Server, wait_until
from support.raw_client import RawClient, upgrade_request
from support.schemas import Client
from support.tokens import READER, SCRAPER, write_secret

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# As Prometheus 2.42 sends it.
PROMETHEUS_ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
BUCKETS = ["0.1", "0.5", "1.0", "2.0", "5.0", "10.0", "30.0", "60.0", "300.0", "+Inf"]

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def get(
    server: Server, method: str = "GET", path: str = "/metrics", **headers: str
) -> tuple[int, str, http.client.HTTPResponse]:
    """One request on a new connection; underscores in header names stand for hyphens."""
    connection = http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)
    with closing(connection):
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return answer.status, body.decode("utf-8"), answer


def families(server: Server) -> dict[str, Metric]:
    """All families of the OpenMetrics response, by name."""
    status, text, _ = get(server, Accept="application/openmetrics-text")
    assert status == 200, text
    return {family.name: family for family in parse_openmetrics(text)}


def samples_of(parsed: Iterator[Metric]) -> Samples:
    """Every sample; bucket bounds as numbers, because the formats write them differently."""
    found: Samples = {}
    for family in parsed:
        for sample in family.samples:
            labels = {key: str(float(value)) if key == "le" else value for key, value in sample.labels.items()}
            key = (sample.name, tuple(sorted(labels.items())))
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def scrape(server: Server) -> Samples:
    status, text, _ = get(server, Accept="application/openmetrics-text")
    assert status == 200, text
    return samples_of(parse_openmetrics(text))


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def runs(samples: Samples) -> dict[tuple[str, str, str], float]:
    """skill_invocations_total by skill, phase and outcome, without the zeros."""
    return {
        (labels["skill_name"], labels["workflow_phase"], labels["completed"]): count
        for (name, pairs), count in samples.items()
        if name == "skill_invocations_total" and (labels := dict(pairs)) and count > 0
    }


def execute(path: Path, sql: str, *rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path, timeout=DEADLINE)) as database, database:
        return [database.execute(sql, row) for row in rows][-1].fetchall() if rows else database.execute(sql).fetchall()


def insert(path: Path, *rows: tuple[str, str | None, bool, float | None]) -> None:
    """Rows of now: skill, phase, completed, duration."""
    now = datetime.now(timezone.utc).isoformat()
    execute(
        path,
        "INSERT INTO skill_invocation (skill_name, workflow_phase, completed, duration_seconds, invoked_at, session_id)"
        " VALUES (?, ?, ?, ?, ?, 's')",
        *[(*row, now) for row in rows],
    )


def in_table(path: Path) -> dict[tuple[str, str, str], float]:
    """The expected counters when every row is counted."""
    return {
        (skill, phase, "true" if completed else "false"): count
        for skill, phase, completed, count in execute(
            path,
            "SELECT skill_name, coalesce(nullif(workflow_phase, ''), 'none'), completed != 0, count(*)"
            " FROM skill_invocation GROUP BY 1, 2, 3",
        )
    }


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    path = tmp_path / "skills.db"
    fill(path, invocations("pytest-run", 8, completed=6), invocations("ruff-check", 3, duration=0.05))
    return path


def test_both_formats_are_parsed_by_other_libraries_and_agree(db_path: Path) -> None:
    with Server(db_path, interval="1h") as server:  # so that nothing changes between the scrapes
        _, text, _ = get(server, Accept="text/plain")
        _, openmetrics, _ = get(server, Accept="application/openmetrics-text")
    assert openmetrics.endswith("\n# EOF\n")
    by_text = samples_of(parse_text(text))
    by_openmetrics = samples_of(parse_openmetrics(openmetrics))
    assert set(by_text) == set(by_openmetrics)
    for key, found in by_text.items():
        if key[0].startswith(("skill_", "active_", "anomalies_")):
            assert found == pytest.approx(by_openmetrics[key], rel=1e-14), key


def test_skills_are_counted_with_their_durations_and_rates(db_path: Path) -> None:
    insert(db_path, ("pytest-run", "verification", True, 300.1), ("pytest-run", "verification", False, 5.0))
    with Server(db_path) as server:
        samples = scrape(server)
        found = families(server)
    assert runs(samples) == {
        ("pytest-run", "none", "true"): 6,
        ("pytest-run", "none", "false"): 2,
        ("pytest-run", "verification", "true"): 1,
        ("pytest-run", "verification", "false"): 1,
        ("ruff-check", "none", "true"): 3,
    }
    assert value(samples, "skill_completion_rate", skill_name="pytest-run") == pytest.approx(0.7)
    assert value(samples, "skill_completion_rate", skill_name="ruff-check") == 1.0
    assert value(samples, "active_sessions_total") == 2
    durations = found["skill_duration_seconds"]
    assert durations.unit == "seconds"
    of_run = [sample for sample in durations.samples if sample.labels["workflow_phase"] == "verification"]
    assert [sample.labels["le"] for sample in of_run if sample.name.endswith("_bucket")] == BUCKETS
    assert [sample.value for sample in of_run if sample.name.endswith("_bucket")] == [0] * 9 + [1]
    labels = {"skill_name": "pytest-run", "workflow_phase": "none"}
    assert value(samples, "skill_duration_seconds_count", **labels) == 6, "failed invocations are not counted"
    assert value(samples, "skill_duration_seconds_sum", **labels) == pytest.approx(6 * 5.2)


def test_names_that_need_escaping_come_back_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    names = [
        'quote " and "" more',
        "back\\slash\\\\ \\n \\",
        "{a=\"b\",c='d'} 1 2",
        "# TYPE x counter",
        "\u202eright to left\u202c \u0627\u0644\u0633\u0644\u0627\u0645",
        "emoji \U0001f9ea\u200d\U0001f52c",
        "e\u0301 and \xe9",
        "x" * 256,
        "\u20ac" * 85,
        " blanks ",
        "le",
    ]
    fill(path, *[invocations(name, 2, completed=1) for name in names])
    insert(path, *[("phases", name, True, 1.0) for name in names[:8]])
    with Server(path) as server:
        _, text, _ = get(server)
        samples = scrape(server)
    expected = {(name, "none", outcome): 1.0 for name in names for outcome in ("true", "false")}
    expected |= {("phases", name, "true"): 1.0 for name in names[:8]}
    assert runs(samples) == expected
    assert runs(samples_of(parse_text(text))) == expected


def test_counters_continue_after_a_restart_and_after_a_kill(db_path: Path) -> None:
    """Rows are written continuously; no scrape may show less than the one before, and the last one shows all rows."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            insert(db_path, *[(f"skill{number % 7}", ["setup", None][number % 2], number % 3 > 0, 0.2)] * 3)

    writer = threading.Thread(target=write)
    before: Samples = {}
    written_totals = ("skill_invocations_total", "skill_duration_seconds_count", "skill_duration_seconds_bucket")
    with contextlib.ExitStack() as stack:
        stack.callback(writer.join)
        stack.callback(stop.set)
        writer.start()
        for round_number in range(6):
            with Server(db_path, interval="20ms") as server:
                for _ in range(15):
                    now = scrape(server)
                    for key, count in before.items():
                        assert now.get(key, -1) >= count, f"{key} went back in round {round_number}"
                    before = {key: count for key, count in now.items() if key[0] in written_totals}
                server.stop(signal.SIGKILL if round_number % 2 else signal.SIGTERM)
    with Server(db_path) as server:
        assert runs(scrape(server)) == in_table(db_path)


def test_counters_outlive_pruned_rows(db_path: Path) -> None:
    old = datetime.now(timezone.utc) - timedelta(days=100)
    fill(db_path, invocations("pytest-run", 40, completed=30, newest=old))
    everything = in_table(db_path)
    command = [shutil.which("session-buddy") or "session-buddy", "prune", "--keep", "90d", "--db-path", str(db_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_table(db_path) != everything, "nothing was pruned"
    with Server(db_path) as server:
        assert runs(scrape(server)) == everything


def test_anomalies_are_counted_as_the_table_has_them(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    now = datetime.now(timezone.utc)
    fill(path, invocations("flaky", 60, newest=now - timedelta(hours=3)), invocations("flaky", 30, completed=0))
    with Server(path, interval="50ms") as server:
        wait_until(lambda: bool(execute(path, "SELECT 1 FROM skill_anomalies")), "an anomaly")
        rows = execute(path, "SELECT anomaly_type, count(*) FROM skill_anomalies GROUP BY 1")
        assert ("performance_drop", 1) in rows

        def shown() -> list[float | None]:
            samples = scrape(server)
            return [
                value(samples, "anomalies_detected_total", anomaly_type=kind, skill_name="flaky") for kind, _ in rows
            ]

        wait_until(lambda: shown() == [count for _, count in rows], "the counters agree with the table")


def test_skills_beyond_the_limit_are_summed_as_other(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, *[invocations(f"skill{number}", 2, completed=1) for number in range(5)], invocations("other", 1))
    with Server(path, "--metrics-max-skills", "3") as server:
        samples = scrape(server)
        assert {skill for skill, _, _ in runs(samples)} == {"skill0", "skill1", "skill2", "other"}
        assert runs(samples)["other", "none", "true"] == 3
        assert runs(samples)["other", "none", "false"] == 2
        assert value(samples, "skill_completion_rate", skill_name="other") == pytest.approx(0.6)
        insert(path, ("skill0", None, True, None), ("new", None, True, None))
        wait_until(lambda: sum(runs(scrape(server)).values()) == 13, "the new rows are counted")
        assert runs(scrape(server))["skill0", "none", "true"] == 2
        assert runs(scrape(server))["other", "none", "true"] == 4


def test_phases_beyond_the_limit_are_summed_as_other(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, invocations("a", 1))
    insert(path, *[("a", f"phase{number}", True, None) for number in range(15)], ("a", "two\nlines", True, None))
    with Server(path) as server:
        found = runs(scrape(server))
    assert len(found) == 12
    assert found["a", "other", "true"] == 6


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("application/json", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        (PROMETHEUS_ACCEPT, OPENMETRICS),
        ("application/openmetrics-text;q=0.4, text/plain;q=0.6", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;version=3.0.0", TEXT),
        ("text/html, application/xhtml+xml, */*;q=0.8", TEXT),
    ],
)
def test_accept_chooses_the_format(shared_server: Server, accept: str | None, expected: str) -> None:
    headers = {} if accept is None else {"Accept": accept}
    status, text, answer = get(shared_server, **headers)
    assert status == 200
    assert answer.headers["Content-Type"] == expected
    assert "Accept" in answer.headers["Vary"]
    assert text.endswith("# EOF\n") == (expected == OPENMETRICS)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("metrics") / "skills.db"
    fill(path, invocations("pytest-run", 8, completed=6))
    with Server(path) as server:
        yield server


def test_gzip_head_and_other_methods(shared_server: Server) -> None:
    status, text, answer = get(shared_server, Accept_Encoding="gzip")
    assert (status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert "skill_invocations_total" in text
    status, text, answer = get(shared_server, "HEAD")
    assert (status, text) == (200, "")
    assert answer.headers["Content-Type"] == TEXT
    status, _, answer = get(shared_server, "POST")
    assert (status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_a_token_needs_the_scope_metrics_or_read(db_path: Path, tmp_path: Path) -> None:
    writer = "writer-7c2e9f4b1d8a6053"
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n{SCRAPER} metrics\n{writer} write\n")
    with Server(db_path, "--auth-token-file", str(tokens)) as server:
        assert get(server)[0] == 401
        assert get(server, Authorization=f"Bearer {SCRAPER}")[0] == 200
        assert get(server, Authorization=f"Bearer {READER}")[0] == 200
        assert get(server, Authorization=f"Bearer {writer}")[0] == 403
        assert get(server, Authorization="Bearer wrong-4f1d9c5b8e2a7063")[0] == 401
        _, text, _ = get(server, Authorization=f"Bearer {SCRAPER}")
        samples = samples_of(parse_text(text))
        assert value(samples, "session_buddy_connections_refused_total", reason="token") == 1


def test_promtool_finds_nothing_wrong_but_the_one_name_that_is_given(db_path: Path) -> None:
    with Server(db_path) as server:
        _, text, _ = get(server)
    done = subprocess.run(
        [tools.promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.stdout + done.stderr).splitlines() == [
        'active_sessions_total non-counter metrics should not have "_total" suffix'
    ]


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric, as the tables of PROMETHEUS.md have them."""
    page = (ROOT / "docs" / "api" / "PROMETHEUS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|([^|]*)\|", page, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_documentation_lists_the_metrics_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, worsening("flaky"))
    with Server(path, interval="50ms") as server:
        wait_until(lambda: "anomalies_detected_total{" in get(server)[1], "anomalies are exported")
        wait_until(lambda: "session_buddy_alerts_open{" in get(server)[1], "an open alert is exported")
        found = families(server)
    exported = {}
    for family in found.values():
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        exported[family.name + ("_total" if family.type == "counter" else "")] = (family.type, labels)
        assert family.documentation
    assert exported == documented()


async def test_the_server_counts_its_clients_and_what_they_are_sent(db_path: Path) -> None:
    with Server(db_path, interval="50ms") as server:
        async with Client(server.url) as client:
            await client.ask({"type": "ping"})
            await client.receive_type("metrics_update")
            before = scrape(server)
            assert value(before, "session_buddy_clients", kind="websocket") == 1
            assert value(before, "session_buddy_clients", kind="http") == 1
            assert value(before, "session_buddy_messages_received_total") == 1
            await client.receive_type("metrics_update")
            await client.receive_type("metrics_update")
            after = scrape(server)
    for name in ("messages_sent_total", "sent_bytes_total", "broadcasts_total", "broadcast_duration_seconds_count",
                 "cycle_duration_seconds_count"):  # fmt: skip
        name = "session_buddy_" + name
        assert (value(after, name) or 0) > (value(before, name) or 0), name
    assert value(after, "session_buddy_rows_read_total") == 11
    assert value(after, "session_buddy_uncounted_rows") == 0
    assert value(after, "session_buddy_updates_skipped_total") == 0
    assert (value(after, "process_resident_memory_bytes") or 0) > 1e6
    assert (value(after, "process_start_time_seconds") or 0) <= (
        value(after, "session_buddy_start_time_seconds") or 0
    ) + 1


def test_the_server_counts_what_it_rejects_and_ingests(db_path: Path) -> None:
    with Server(db_path) as server:
        assert get(server, path="/healthz", Origin="https://evil.example")[0] == 403
        send(server, INVOCATIONS, [invocation(), invocation()])
        send(server, INVOCATIONS, [invocation(key="once"), invocation(key="once")])
        samples = scrape(server)
    assert value(samples, "session_buddy_connections_refused_total", reason="origin") == 1
    assert value(samples, "session_buddy_intake_requests_total", kind="invocations") == 2
    assert value(samples, "session_buddy_intake_requests_total", kind="hook") == 0
    assert value(samples, "session_buddy_intake_rows_total") == 3


def test_updates_that_a_slow_client_never_gets_are_counted_and_a_client_too_many(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, *[invocations(f"a skill with a long name, so that updates are large: {n}", 1) for n in range(20)])
    with Server(path, "--max-clients", "1", interval="10ms") as server:
        skipped = "session_buddy_updates_skipped_total"
        with RawClient(server.port, receive_buffer=4096) as stalled, RawClient(server.port) as late:
            stalled.handshake()
            late.send(upgrade_request())
            rejected = late.read_response()
            assert rejected is not None
            assert rejected.status == 503
            wait_until(lambda: (value(scrape(server), skipped) or 0) > 5, "newer updates replace older ones")
            samples = scrape(server)
        assert value(samples, "session_buddy_connections_refused_total", reason="clients") == 1


def test_database_errors_show_in_the_metrics(db_path: Path, tmp_path: Path) -> None:
    with Server(db_path, interval="20ms") as server:
        good = scrape(server)
        assert value(good, "session_buddy_database_readable") == 1
        assert (value(good, "session_buddy_database_lag_seconds") or 0) < 5
        db_path.rename(tmp_path / "away.db")
        wait_until(
            lambda: value(scrape(server), "session_buddy_database_readable") == 0, "the server notices the fault"
        )
        first = scrape(server)
        wait_until(
            lambda: (
                (value(scrape(server), "session_buddy_database_lag_seconds") or 0)
                > (value(first, "session_buddy_database_lag_seconds") or 0)
            ),
            "the lag grows",
        )
        bad = scrape(server)
    assert (value(bad, "session_buddy_errors_total", kind="database_read") or 0) > 0
    assert runs(bad) == runs(good), "what was counted is still shown"
