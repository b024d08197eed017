"""The HTTP API of a running server, each answer as docs/api/openapi.yaml describes it."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sqlite3
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from session_buddy.cli.main import main
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import execute
from support.environment import bound_by_permissions
from support.histories import fill, invocations
from support.http_api import API, PROBLEM, ask, get, openapi
from support.processes import DEADLINE, Server, wait_until
from support.tokens import READER, SCRAPER, write_secret

HOUR = timedelta(hours=1)
NAMES = [
    "a/b/../c",
    "..",
    "%2F%",
    "q?x=1&y=2#z",
    'say "no" \\ </script>',
    "a + b",
    "naïve ☃ 🦔",
    "x" * 256,
    "' OR 1=1 --",
]


def at(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def text_of(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def server(filled_db: Path) -> Iterator[Server]:
    with Server(filled_db) as running:
        yield running


# ---- Responses


def test_server_reports_its_state_and_settings(server: Server) -> None:
    state = get(server, "server")
    assert state["api_version"] == openapi()["info"]["version"]
    assert (state["skills"], state["invocation_count"], state["completed_count"]) == (2, 10, 9)
    assert state["update_interval_seconds"] == 0.1
    assert state["database"] == {"readable": True, "reason": None, "path": str(server.db_path)}
    assert 0 <= (at(state["at"]) - at(state["started_at"])).total_seconds() < DEADLINE


def test_only_clients_of_this_machine_or_with_a_token_see_the_path_of_the_database(
    server: Server, tmp_path: Path
) -> None:
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    assert ask(server, f"{API}/server", headers=elsewhere).body["database"] == {"readable": True, "reason": None}
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n")
    with Server(server.db_path, "--auth-token-file", str(tokens)) as guarded:
        answer = ask(guarded, f"{API}/server", headers={**elsewhere, "Authorization": f"Bearer {READER}"})
        assert answer.body["database"]["path"] == str(server.db_path)


def test_lifetime_sums_continue_where_nothing_ran_in_the_window(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=12)
    fill(path, invocations("a", 5, completed=4, newest=old), invocations("b", 3, newest=old - timedelta(days=1)))
    with Server(path) as server:
        state = get(server, "server")
    assert (state["skills"], state["invocation_count"]) == (2, 0)
    assert (state["lifetime"]["total_invocations"], state["lifetime"]["completed_invocations"]) == (8, 7)
    assert at(state["lifetime"]["last_invocation_at"]) == old


def test_skills_have_the_metrics_of_their_rows(server: Server) -> None:
    page = get(server, "skills")
    assert [skill["skill_name"] for skill in page["skills"]] == ["pytest-run", "mypy"]
    assert page["total"] == 2
    skill = page["skills"][0]
    window = skill["window"]
    assert (window["invocation_count"], window["completed_count"]) == (8, 7)
    assert window["completion_rate"] == 7 / 8
    # By the closed form for n = 8, k = 7.
    assert (window["completion_rate_low"], window["completion_rate_high"]) == pytest.approx((0.5291, 0.9776), abs=1e-4)
    assert window["avg_duration"] == pytest.approx(5.2)
    lifetime = skill["lifetime"]
    assert (lifetime["total_invocations"], lifetime["completed_invocations"]) == (8, 7)
    assert "sparkline" not in skill


def test_skills_are_searched_sorted_and_paged(server: Server) -> None:
    def names(**parameters: object) -> list[str]:
        return [skill["skill_name"] for skill in get(server, "skills", **parameters)["skills"]]

    assert names(search="PYT") == ["pytest-run"]
    assert names(search="no such") == []
    assert names(sort="skill_name") == ["mypy", "pytest-run"]
    assert names(sort="skill_name", order="desc") == ["pytest-run", "mypy"]
    assert names(sort="completion_rate") == ["mypy", "pytest-run"]
    assert names(limit=1, offset=1) == ["mypy"]
    assert names(offset=2) == []


def test_a_sparkline_is_of_the_last_24_hours_and_follows_new_rows(db_path: Path) -> None:
    fill(
        db_path,
        invocations("a", 3, completed=1),
        invocations("a", 5, newest=now() - 5 * HOUR),
        invocations("b", 2, newest=now() - 30 * HOUR),
    )
    with Server(db_path) as server:

        def sparkline(name: str) -> Any:
            (skill,) = get(server, "skills", sparkline="true", search=name)["skills"]
            return skill["sparkline"]

        line = sparkline("a")
        assert (sum(line["invocation_count"]), sum(line["completed_count"])) == (8, 6)
        assert at(line["from"]).timestamp() % 3600 == 0
        assert timedelta(0) <= now() - at(line["from"]) - 23 * HOUR < 2 * HOUR
        assert sum(sparkline("b")["invocation_count"]) == 0
        fill(db_path, invocations("a", 4), invocations("a", 1, newest=now() - 2 * HOUR))
        assert sum(sparkline("a")["invocation_count"]) == 13


def test_a_skill_has_the_errors_and_phases_of_its_window(db_path: Path) -> None:
    def row(**fields: object) -> dict[str, object]:
        return {"skill_name": "a", "session_id": "s", "completed": False, "invoked_at": text_of(now()), **fields}

    with SkillsStorage(str(db_path)) as storage:
        storage.store_many(
            [
                row(error_type="timeout", workflow_phase="test"),
                row(error_type="timeout"),
                row(error_type="exit_code", workflow_phase="test"),
                row(completed=True, duration_seconds=3.0, workflow_phase="test"),
                row(error_type="old", invoked_at=text_of(now() - 30 * HOUR)),
            ]
        )
    with Server(db_path) as server:
        skill = get(server, "skill", skill_name="a")
        assert skill["errors"] == [{"error_type": "timeout", "count": 2}, {"error_type": "exit_code", "count": 1}]
        assert [(phase["workflow_phase"], phase["invocation_count"]) for phase in skill["phases"]] == [
            ("test", 3),
            (None, 1),
        ]
        assert skill["phases"][0]["avg_duration"] == 3.0
        assert now() - at(skill["first_invocation_at"]) > 29 * HOUR
        assert skill["window"]["invocation_count"] == 4


def test_a_series_agrees_with_the_rows(db_path: Path) -> None:
    start = (now() - 5 * HOUR).replace(minute=0, second=0, microsecond=0)
    made = [(start + timedelta(seconds=37 * i), i % 3 != 0, float(i % 50)) for i in range(400)]
    with SkillsStorage(str(db_path)) as storage:
        storage.store_many(
            {
                "skill_name": "a" if i % 4 else "b",
                "session_id": "s",
                "invoked_at": moment.isoformat(),
                "completed": completed,
                "duration_seconds": duration,
            }
            for i, (moment, completed, duration) in enumerate(made)
        )
    with Server(db_path) as server:
        for name in (None, "a", "b"):
            own = [run for i, run in enumerate(made) if name in (None, "a" if i % 4 else "b")]
            asked = {"from": text_of(start), "to": text_of(start + 6 * HOUR), "step": "10m"}
            series = get(server, "series", **asked, **({"skill_name": name} if name else {}))
            assert series["skill_name"] == name
            assert len(series["points"]) == 36
            for i, point in enumerate(series["points"]):
                begin = start + i * timedelta(minutes=10)
                assert point["at"] == text_of(begin)
                inside = [run for run in own if begin <= run[0] < begin + timedelta(minutes=10)]
                durations = [duration for _, completed, duration in inside if completed]
                assert point["invocation_count"] == len(inside)
                assert point["completed_count"] == len(durations)
                if len(durations) > 1:
                    quantiles = statistics.quantiles(durations, n=100, method="inclusive")
                    assert point["avg_duration"] == pytest.approx(statistics.mean(durations))
                    assert point["p50_duration"] == pytest.approx(quantiles[49])
                    assert point["p95_duration"] == pytest.approx(quantiles[94])
                elif not durations:
                    assert point["avg_duration"] is point["p50_duration"] is point["p95_duration"] is None


def test_a_series_is_of_24_hours_by_default_and_of_an_unknown_skill_empty(server: Server) -> None:
    series = get(server, "series")
    assert series["step_seconds"] == 300
    assert sum(point["invocation_count"] for point in series["points"]) == 10
    assert at(series["from"]) <= now() - 24 * HOUR
    assert at(series["to"]) >= now() - timedelta(seconds=1)
    assert sum(point["invocation_count"] for point in get(server, "series", skill_name="x")["points"]) == 0


def test_hours_of_deleted_rows_are_in_a_series_of_whole_hours(db_path: Path) -> None:
    old = (now() - timedelta(days=40)).replace(hour=12, minute=30, second=0, microsecond=0)
    fill(db_path, invocations("a", 10, completed=8, newest=old), invocations("a", 3))
    assert main(["prune", "--keep", "30d", "--db-path", str(db_path)]) == 0
    assert execute(db_path, "SELECT count(*) FROM skill_invocation") == [(3,)]
    with Server(db_path) as server:
        asked = {"from": text_of(old - HOUR), "to": text_of(old + HOUR), "skill_name": "a"}
        series = get(server, "series", **asked)
        assert series["step_seconds"] == 3600
        (point,) = [point for point in series["points"] if point["invocation_count"]]
        assert point["at"] == text_of(old.replace(minute=0))
        assert (point["invocation_count"], point["completed_count"]) == (10, 8)
        assert point["avg_duration"] == pytest.approx(5.2)
        assert point["p50_duration"] is None
        assert sum(p["invocation_count"] for p in get(server, "series", **{"from": asked["from"]})["points"]) == 13
        rejected = ask(server, f"{API}/series", {**asked, "step": "5m"})
        assert (rejected.status, rejected.body["parameter"]) == (400, "step")


def test_anomalies_are_the_episodes_of_the_database(filled_db: Path) -> None:
    moments = [now() - hours * HOUR for hours in (9, 6, 3)]
    for i, moment in enumerate(moments):
        execute(
            filled_db,
            "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type, baseline_value, observed_value,"
            " deviation_score, resolved_at) VALUES (?, ?, ?, 0.9, 0.5, ?, ?)",
            "mypy" if i else "pytest-run",
            text_of(moment),
            "pattern_shift" if i else "performance_drop",
            2.0 + i,
            text_of(moment + HOUR),
        )
    with Server(filled_db) as server:

        def ids(**parameters: object) -> list[int]:
            return [episode["id"] for episode in get(server, "anomalies", **parameters)["anomalies"]]

        assert ids() == [3, 2, 1]
        assert ids(limit=1, offset=1) == [2]
        assert get(server, "anomalies", limit=1)["total"] == 3
        assert ids(state="open") == []
        assert ids(state="resolved", skill_name="mypy") == [3, 2]
        assert ids(anomaly_type="performance_drop") == [1]
        assert ids(**{"from": text_of(moments[1]), "to": text_of(moments[2])}) == [2]
        episode = get(server, "anomalies", skill_name="pytest-run")["anomalies"][0]
        assert episode["resolved_at"] == text_of(moments[0] + HOUR)
        assert episode["details"] is None


def test_an_open_anomaly_has_its_details_wherever_it_is_shown(db_path: Path) -> None:
    fill(
        db_path,
        invocations("a", 200, newest=now() - 3 * HOUR),
        invocations("a", 40, completed=0, newest=now() - timedelta(seconds=5)),
    )
    with Server(db_path) as server:
        wait_until(lambda: get(server, "server")["anomalies"] == 1, "the drop is found")
        (episode,) = get(server, "anomalies", state="open")["anomalies"]
        assert episode["id"] == 1
        assert episode["anomaly_type"] == "performance_drop"
        assert episode["details"]["observed_samples"] == 40
        (skill,) = get(server, "skills", sort="deviation_score")["skills"]
        assert skill["anomalies"][0]["details"]["observed_samples"] == 40
        assert get(server, "skill", skill_name="a")["anomalies"] == skill["anomalies"]


def test_sessions_are_those_that_are_active(server: Server) -> None:
    sessions = get(server, "sessions")
    assert (sessions["total"], sessions["window_seconds"]) == (1, 1800.0)
    assert sessions["sessions"][0]["invocations"] == 10


def test_all_active_sessions_are_counted_though_not_all_are_listed(db_path: Path) -> None:
    fill(db_path, *(invocations("mypy", 1, session_id=f"session-{number}") for number in range(3)))
    with Server(db_path, "--max-sessions", "1") as server:
        sessions = get(server, "sessions")
        assert (sessions["total"], len(sessions["sessions"])) == (3, 1)
        assert get(server, "server")["active_sessions"] == 3


def test_invocations_without_a_phase_are_one_phase(db_path: Path) -> None:
    runs = [
        {**run, "workflow_phase": phase} for run, phase in zip(invocations("mypy", 3), ("", None, "tests"), strict=True)
    ]
    fill(db_path, iter(runs))
    with Server(db_path) as server:
        phases = get(server, "skill", skill_name="mypy")["phases"]
        assert [(phase["workflow_phase"], phase["invocation_count"]) for phase in phases] == [(None, 2), ("tests", 1)]


def test_names_of_any_kind_are_found_by_every_query(db_path: Path) -> None:
    fill(db_path, *(invocations(name, 1) for name in NAMES))
    with Server(db_path) as server:
        assert {skill["skill_name"] for skill in get(server, "skills", sparkline="true")["skills"]} == set(NAMES)
        for name in NAMES:
            assert get(server, "skill", skill_name=name)["skill_name"] == name
            series = get(server, "series", skill_name=name, step="1h")
            assert (series["skill_name"], sum(p["invocation_count"] for p in series["points"])) == (name, 1)
            assert get(server, "anomalies", skill_name=name)["total"] == 0
            assert name in [skill["skill_name"] for skill in get(server, "skills", search=name)["skills"]]


# ---- Errors


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("server?x=1", "x"),
        ("skills?limit=0", "limit"),
        ("skills?limit=501", "limit"),
        ("skills?sparkline=true&limit=101", "limit"),
        ("skills?limit=1&limit=1", "limit"),
        ("skills?offset=-1", "offset"),
        ("skills?sort=size", "sort"),
        ("skills?search=", "search"),
        ("skills?search=%ff", "search"),
        ("skills?search=%", "search"),
        ("skill", "skill_name"),
        ("skill?skill_name=a%00", "skill_name"),
        ("series?step=5s", "step"),
        ("series?step=10s", "step"),
        ("series?from=yesterday", "from"),
        ("series?from=2026-02-11&to=2026-02-10", "from"),
        ("series?from=9000-01-01", "from"),
        ("series?to=2026-02-10T12:00:00+01:00", "to"),
        ("anomalies?state=new", "state"),
        ("anomalies?anomaly_type=drop", "anomaly_type"),
        ("alerts?state=resolved", "state"),
        ("alerts?kind=drop", "kind"),
        ("alerts?limit=501", "limit"),
        ("alerts?to=2026-02-10&from=2026-02-11", "from"),
        ("sessions?limit=1001", "limit"),
        ("sessions?offset=1", "offset"),
    ],
)
def test_a_bad_parameter_is_named(server: Server, query: str, parameter: str) -> None:
    path, _, text = query.partition("?")
    answer = ask(server, f"{API}/{path}", text)
    assert (answer.status, answer.error) == (400, "bad_parameter")
    assert answer.body["parameter"] == parameter
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_unknown_skill_and_an_unknown_path_are_404(server: Server) -> None:
    assert ask(server, f"{API}/skill", {"skill_name": "x"}).error == "unknown_skill"
    for path in (f"{API}/skills/", f"{API}/skills/mypy", "/api/v2/skills", "/api"):
        answer = ask(server, path)
        assert (answer.status, answer.error) == (404, "not_found")
        assert answer.headers["Content-Type"] == PROBLEM


def test_other_methods_are_answered_with_the_allowed_ones(server: Server) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = ask(server, f"{API}/skills", method=method)
        assert (answer.status, answer.error, answer.headers["Allow"]) == (405, "method_not_allowed", "GET, HEAD")


def test_a_header_that_is_too_long_is_431(server: Server) -> None:
    answer = ask(server, f"{API}/skills", {"search": "x" * 9000})
    assert (answer.status, answer.error) == (431, "header_too_large")


# ---- HTTP itself


def test_an_etag_is_valid_until_the_data_changes(server: Server, filled_db: Path) -> None:
    for path, query in [
        ("skills", ""),
        ("skills", "sparkline=true"),
        ("skill", "skill_name=mypy"),
        ("series", "step=1d"),
        ("anomalies", ""),
        ("alerts", ""),
        ("sessions", ""),
        ("server", ""),
    ]:
        first = ask(server, f"{API}/{path}", query)
        tag = first.headers["ETag"]
        assert first.headers["Cache-Control"] == "no-cache"
        before = get(server, "server")["at"]
        wait_until(lambda before=before: get(server, "server")["at"] > before, "a second has passed")
        again = ask(server, f"{API}/{path}", query, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", tag), path
    tag = ask(server, f"{API}/skills").headers["ETag"]
    fill(filled_db, invocations("mypy", 1))
    wait_until(
        lambda: get(server, "skills", search="mypy")["skills"][0]["window"]["invocation_count"] == 3,
        "the new row is counted",
    )
    changed = ask(server, f"{API}/skills", headers={"If-None-Match": tag})
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_responses_are_compressed_for_clients_that_accept_gzip(server: Server) -> None:
    plain = ask(server, f"{API}/series")
    packed = ask(server, f"{API}/series", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.body == plain.body
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert len(packed.raw) < len(plain.raw) / 5
    assert "Content-Encoding" not in ask(server, f"{API}/series", headers={"Accept-Encoding": "gzip;q=0"}).headers


def test_head_is_get_without_the_body(server: Server) -> None:
    for path in ("skills", "series?step=1d", "skill?skill_name=x", "skills?limit=0"):
        target, _, query = path.partition("?")
        full = ask(server, f"{API}/{target}", query)
        head = ask(server, f"{API}/{target}", query, method="HEAD")
        assert (head.status, head.raw) == (full.status, b"")
        assert head.headers["Content-Length"] == str(len(full.raw))
        assert head.headers.get("ETag") == full.headers.get("ETag")


def test_many_queries_go_over_one_connection(server: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)) as connection:
        for i in range(50):
            connection.request("GET", f"{API}/{['skills', 'server', 'series', 'sessions', 'nothing'][i % 5]}")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == (404 if i % 5 == 4 else 200)


def test_an_allowed_page_may_read_the_response_and_its_etag(server: Server) -> None:
    origin = {"Origin": "http://localhost:3000"}
    answer = ask(server, f"{API}/skills", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    rejected = ask(server, f"{API}/skills", headers={"Origin": "https://evil.example"})
    assert (rejected.status, rejected.error) == (403, "origin_not_allowed")


def test_tokens_need_the_scope_of_the_query(filled_db: Path, tmp_path: Path) -> None:
    writer = "writer-6e5d4c3b2a190807"
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n{SCRAPER} metrics\n{writer} write\n")
    with Server(filled_db, "--auth-token-file", str(tokens)) as server:
        for name in ("server", "skills", "skill?skill_name=mypy", "series", "anomalies", "alerts", "sessions"):
            path, _, query = name.partition("?")
            for token, status, error in [
                (None, 401, "unauthorized"),
                ("anonymous", 401, "unauthorized"),
                (SCRAPER, 403, "insufficient_scope"),
                (writer, 403, "insufficient_scope"),
                (READER, 200, None),
            ]:
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                answer = ask(server, f"{API}/{path}", query, headers=headers)
                assert answer.status == status, (name, token)
                if error:
                    assert answer.error == error
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        # An unauthenticated client learns nothing from a bad parameter.
        assert ask(server, f"{API}/skills", "limit=0").status == 401


# ---- A database that fails


def history_is_503(server: Server, folder: Path) -> bool:
    """Whether history queries get 503, while queries of the snapshot are answered."""
    series = ask(server, f"{API}/series")
    if series.status == 200:
        return False
    assert (series.status, series.error) == (503, "database_unavailable")
    assert int(series.headers["Retry-After"]) > 0
    assert str(folder) not in json.dumps(series.body)
    for name in ("skills", "sessions"):
        assert str(folder) not in json.dumps(get(server, name))
    assert str(folder) not in str(get(server, "server")["database"]["reason"])
    return True


def invocation_count(server: Server) -> int:
    answer = ask(server, f"{API}/series", "step=1d")
    return sum(point["invocation_count"] for point in answer.body["points"]) if answer.status == 200 else -1


def test_a_database_that_is_gone_is_503_until_it_is_back(server: Server, filled_db: Path) -> None:
    assert invocation_count(server) == 10
    away = filled_db.with_name("away.db")
    filled_db.rename(away)
    wait_until(lambda: history_is_503(server, filled_db.parent), "history queries get 503")
    wait_until(lambda: not get(server, "server")["database"]["readable"], "/server reports the fault")
    away.rename(filled_db)
    wait_until(lambda: invocation_count(server) == 10, "history is back")


def test_a_database_that_is_damaged_is_503_until_it_is_restored(server: Server, filled_db: Path) -> None:
    copy = filled_db.with_name("copy.db")
    execute(filled_db, "VACUUM INTO ?", str(copy))
    execute(filled_db, "PRAGMA wal_checkpoint(TRUNCATE)")  # the content of the WAL survives any change of the file
    filled_db.write_bytes(b"not a database, despite its name" * 1000)
    wait_until(lambda: history_is_503(server, filled_db.parent), "history queries get 503")
    for suffix in ("-wal", "-shm"):
        Path(f"{filled_db}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(copy, filled_db.with_name("new.db"))
    filled_db.with_name("new.db").replace(filled_db)
    wait_until(lambda: invocation_count(server) == 10, "history is back")


def test_a_database_that_is_replaced_is_the_one_that_is_read(server: Server, filled_db: Path) -> None:
    assert invocation_count(server) == 10
    other = filled_db.with_name("other.db")
    fill(other, invocations("mypy", 3))
    for suffix in ("-wal", "-shm"):
        Path(f"{filled_db}{suffix}").unlink(missing_ok=True)
    other.replace(filled_db)
    wait_until(lambda: invocation_count(server) == 3, "the other history is read")
    wait_until(lambda: get(server, "skills")["total"] == 1, "the metrics of the new database are shown")
    (skill,) = get(server, "skills", sparkline="true")["skills"]
    assert sum(skill["sparkline"]["invocation_count"]) == 3


def test_a_database_that_is_locked_is_503_until_it_is_free(filled_db: Path) -> None:
    execute(filled_db, "PRAGMA journal_mode = DELETE")  # in WAL mode writers do not block readers
    with contextlib.closing(sqlite3.connect(filled_db, isolation_level=None, timeout=DEADLINE)) as locker:
        locker.execute("SELECT count(*) FROM skill_invocation").fetchone()  # has it open for writing
        filled_db.chmod(0o444)  # otherwise the server would switch it to WAL mode
        with Server(filled_db, prefix=bound_by_permissions()) as server:
            locker.execute("BEGIN EXCLUSIVE")
            assert history_is_503(server, filled_db.parent)
            assert "locked" in ask(server, f"{API}/anomalies").body["detail"]
            locker.execute("ROLLBACK")
            wait_until(lambda: invocation_count(server) == 10, "history is back")


# ---- Overload


def test_more_than_max_queries_are_rejected_with_retry_after(db_path: Path) -> None:
    newest = now()
    fill(db_path, invocations("a", 60_000, newest=newest))
    with Server(db_path, "--max-queries", "1") as server, ThreadPoolExecutor(16) as pool:

        def one(_: int) -> tuple[int, str]:
            answer = ask(server, f"{API}/series", "step=1h")
            if answer.status == 503:
                assert answer.body["max_queries"] == 1
                assert int(answer.headers["Retry-After"]) > 0
            return answer.status, answer.body.get("error", "")

        seen: set[tuple[int, str]] = set()

        def some_are_rejected() -> bool:
            seen.update(pool.map(one, range(16)))
            return (503, "too_many_queries") in seen

        wait_until(some_are_rejected, "some queries are rejected")
        assert seen <= {(200, ""), (503, "too_many_queries")}
        assert invocation_count(server) == 60_000


def test_a_query_that_takes_too_long_times_out(db_path: Path) -> None:
    fill(db_path, invocations("a", 200_000, newest=now()))
    with Server(db_path, "--query-timeout", "100ms") as server, ThreadPoolExecutor(16) as pool:

        def some_time_out() -> bool:
            answers = list(pool.map(lambda _: ask(server, f"{API}/series", "step=10m"), range(16)))
            assert {answer.status for answer in answers} <= {200, 503}
            rejected = [answer for answer in answers if answer.status == 503]
            assert all(answer.error == "query_timeout" for answer in rejected)
            return bool(rejected)

        wait_until(some_time_out, "some queries time out")
        wait_until(lambda: ask(server, f"{API}/skills").status == 200, "the next one is answered")


def test_a_skill_name_in_the_path_is_404(server: Server) -> None:
    assert ask(server, f"{API}/skill/{quote('mypy')}").status == 404
