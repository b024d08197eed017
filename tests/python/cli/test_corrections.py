"""`session-buddy forget` and `rename`: afterwards the database is as if the mistake had not been made."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy import _native
from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts
from session_buddy.storage.skills_storage import SkillsStorage
from support.histories import fill, invocations
from support.http_api import get
from support.processes import Server, wait_until
from support.streams import behave, make_database
from support.transcripts import result, use, write

NOW = datetime.now(timezone.utc)
# Dedup keys of sources, with the name under which they reported the invocation.
KEPT = {"session_buddy_source", "session_buddy_command"}


def record(skill_name: str, minutes: float, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    return {"skill_name": skill_name, "invoked_at": at, "session_id": "s1", "completed": True, **more}


def failed(skill_name: str, minutes: float, error: str, **more: Any) -> dict[str, Any]:
    return record(skill_name, minutes, completed=False, error_type=error, **more)


ROWS = [
    record("mypy", 3000, duration_seconds=2.0, workflow_path="ci"),
    record("mypi", 200, duration_seconds=8.5, workflow_path="ci", follow_up_actions=["commit"]),
    failed("mypi", 90, "timeout", duration_seconds=1.0, session_id="s2"),
    record("mypy", 80, duration_seconds=4.0, follow_up_actions=["commit"]),
    failed("mypy", 30, "timeout", workflow_path="local"),
    failed("pytest-run", 20, "exit_code"),
    record("mypy", 10, session_id="s2"),
    record("mypi", 5, duration_seconds=3.0),
]


def store(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with SkillsStorage(str(path)) as storage:
        for row in rows:
            storage.store_invocation(**row)


def ask(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(sql, values).fetchall()


def metrics(path: Path) -> dict[str, Any]:
    """Everything that is computed from the invocations. Sums of floats may differ in the last digit."""

    def rounded(row: tuple[Any, ...]) -> tuple[Any, ...]:
        cells = []
        for cell in row:
            if isinstance(cell, str) and cell.startswith("{"):
                cells.append(sorted(json.loads(cell).items()))
            else:
                cells.append(round(cell, 9) if isinstance(cell, float) else cell)
        return tuple(cells)

    queries = {
        "rows": "SELECT skill_name, invoked_at, session_id, completed FROM skill_invocation ORDER BY invoked_at",
        "metrics": "SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations,"
        " total_duration_seconds, workflow_paths, common_errors, follow_up_actions, first_invoked, last_invoked,"
        " completion_rate, avg_duration_seconds FROM skill_metrics ORDER BY 1",
        "sessions": "SELECT session_id, skill_name, invocation_count FROM session_skills ORDER BY 1, 2",
        "cache": "SELECT skill_name, last_invocation_at, invocation_count_1h, invocation_count_24h"
        " FROM skill_metrics_cache ORDER BY 1",
        "hours": "SELECT skill_name, timestamp, invocation_count, completion_rate, avg_duration_seconds,"
        " unique_sessions FROM skill_time_series ORDER BY 1, 2",
    }
    return {name: [rounded(row) for row in ask(path, sql)] for name, sql in queries.items()}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def roll_up(path: Path) -> None:
    """Writes the rollups of completed hours, as a server does."""
    _native.prune(str(path), 365 * 86400)


def tables_with(path: Path, skill_name: str) -> set[str]:
    """The tables that contain the name in any column."""
    found = set()
    for (table,) in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%fts%'"):
        for column in [row[1] for row in ask(path, f"PRAGMA table_info({table})")]:
            sql = f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS TEXT), ?)'
            found |= {table} if ask(path, sql, skill_name) else set()
    return found


def fill_every_table(path: Path, skill_name: str) -> None:
    at = NOW.isoformat()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript("""
            INSERT OR IGNORE INTO skill_clusters VALUES (1, 'c', NULL, NULL, '');
            INSERT OR IGNORE INTO skill_categories (category_id, category_name) VALUES (1, 'c');
            INSERT OR IGNORE INTO ab_test_configs (test_id, test_name, control_strategy, treatment_strategy, start_date)
                VALUES (1, 't', 'a', 'b', '');
        """)
        for sql in (
            "INSERT INTO mv_daily_skills VALUES ('2026-02-10', ?1, 1, 1, 0, 2.0)",
            "INSERT INTO skill_anomalies (skill_name, detected_at, anomaly_type) VALUES (?1, ?2, 'performance_drop')",
            "INSERT INTO skill_community_baselines (skill_name, last_updated) VALUES (?1, ?2)",
            (
                "INSERT INTO skill_user_interactions (user_id, session_id, skill_name, invoked_at, completed)"
                " VALUES ('u', 's', ?1, ?2, 1)"
            ),
            "INSERT INTO skill_cluster_membership VALUES (?1, 1, 0.5)",
            "INSERT INTO ab_test_outcomes (test_id, user_id, skill_name, completed) VALUES (1, 'u', ?1, 1)",
            "INSERT INTO skill_category_mapping (skill_name, category_id) VALUES (?1, 1)",
            "INSERT INTO skill_modalities (skill_name, modality_type) VALUES (?1, 'text')",
            "INSERT INTO skill_dependencies (skill_a, skill_b) VALUES (?1, 'pytest-run')",
            "INSERT INTO skill_dependencies (skill_a, skill_b) VALUES ('pytest-run', ?1)",
        ):
            database.execute(sql, (skill_name, at) if "?2" in sql else (skill_name,))


# ---- No trace is left


def test_a_forgotten_skill_is_in_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, never = tmp_path / "a.db", tmp_path / "b.db"
    store(path, ROWS)
    store(never, [row for row in ROWS if row["skill_name"] != "mypi"])
    roll_up(path)
    roll_up(never)
    fill_every_table(path, "mypi")
    assert len(tables_with(path, "mypi")) >= 15
    assert run("forget", "mypi", "--db-path", path) == 0
    assert capsys.readouterr().out == f"Forgot 3 invocations of mypi in {path}\n"
    assert tables_with(path, "mypi") == set()
    assert metrics(path) == metrics(never)
    assert ask(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_forgotten_invocation_counts_nowhere(tmp_path: Path, number: int) -> None:
    path, never = tmp_path / "a.db", tmp_path / "b.db"
    store(path, ROWS)
    store(never, [*ROWS[:number], *ROWS[number + 1 :]])
    roll_up(path)
    roll_up(never)
    assert run("forget", "--invocation", number + 1, "--db-path", path) == 0
    assert metrics(path) == metrics(never)


def test_forgetting_the_last_invocation_forgets_the_skill(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, ROWS)
    roll_up(path)
    fill_every_table(path, "mypi")
    for number in (8, 2, 3):
        assert run("forget", "--invocation", number, "--db-path", path) == 0
    assert tables_with(path, "mypi") == set()


@pytest.mark.parametrize("new", ["ruff-check", "mypy"], ids=["a new name", "the name of another skill"])
def test_a_renamed_skill_is_as_if_it_had_always_had_its_name(tmp_path: Path, new: str) -> None:
    path, never = tmp_path / "a.db", tmp_path / "b.db"
    store(path, ROWS)
    store(never, [{**row, "skill_name": new} if row["skill_name"] == "mypi" else row for row in ROWS])
    roll_up(path)
    fill_every_table(path, "mypi")
    fill_every_table(path, "mypy")
    assert run("rename", "mypi", new, "--db-path", path) == 0
    assert tables_with(path, "mypi") == set()
    assert ask(path, "PRAGMA foreign_key_check") == []
    roll_up(path)
    roll_up(never)
    assert metrics(path) == metrics(never)
    assert ask(path, "SELECT count(*) FROM skill_anomalies WHERE skill_name = ?", new) == [(2 if new == "mypy" else 1,)]


def test_pruned_invocations_follow_a_rename_and_go_with_a_forgotten_skill(
    db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = NOW - timedelta(days=100)
    fill(db_path, invocations("mypi", 20, newest=old), invocations("mypy", 4, newest=old), invocations("mypi", 3))
    assert run("prune", "--keep", "90d", "--db-path", db_path) == 0
    capsys.readouterr()
    assert run("rename", "mypi", "mypy", "--db-path", db_path) == 0
    assert "Includes the totals of 20 invocations pruned earlier" in capsys.readouterr().out
    assert ask(db_path, "SELECT skill_name, total_invocations FROM skill_metrics") == [("mypy", 27)]
    assert ask(db_path, "SELECT skill_name, sum(completed) FROM session_buddy_totals") == [("mypy", 27)]
    assert ask(
        db_path,
        "SELECT sum(invocation_count) FROM skill_time_series WHERE timestamp < ?",
        str(old.date() + timedelta(days=2)),
    ) == [(24,)]
    assert run("forget", "mypy", "--db-path", db_path) == 0
    assert tables_with(db_path, "mypy") == set()


def test_what_was_forgotten_does_not_come_back_with_the_next_import(tmp_path: Path, db_path: Path) -> None:
    folder = tmp_path / "projects"
    write(folder / "a.jsonl", *(one for n in range(4) for one in (use(n, f"t{n}", "Read"), result(n + 0.5, f"t{n}"))))
    import_transcripts([folder], db_path)
    assert run("forget", "--invocation", 2, "--db-path", db_path) == 0
    assert import_transcripts([folder], db_path)["recorded"] == 0
    assert (
        run("rename", "read", "reading", "--db-path", db_path) == 0
        or run("rename", "Read", "reading", "--db-path", db_path) == 0
    )
    assert run("forget", "reading", "--db-path", db_path) == 0
    assert import_transcripts([folder], db_path)["recorded"] == 0
    assert ask(db_path, "SELECT count(*) FROM skill_invocation") == [(0,)]


# ---- A running server


def metrics_of(server: Server, skill_name: str) -> float:
    with urllib.request.urlopen(f"http://localhost:{server.port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith("skill_invocations_total{") and f'skill_name="{skill_name}"' in line
    )


def shown(server: Server) -> dict[str, tuple[int, int]]:
    """For each skill its invocations in the window and in its sparkline."""
    return {
        each["skill_name"]: (each["window"]["invocation_count"], sum(each["sparkline"]["invocation_count"]))
        for each in get(server, "skills", sparkline="true")["skills"]
    }


def open_anomalies(server: Server) -> list[str]:
    return [each["skill_name"] for each in get(server, "anomalies", state="open")["anomalies"]]


def test_a_running_server_shows_what_is_forgotten(db_path: Path) -> None:
    fill(db_path, invocations("mistake", 4, session_id="s4"), invocations("other", 30, session_id="s3"))
    with Server(db_path) as server:

        def sessions() -> set[str]:
            return {each["session_id"] for each in get(server, "sessions")["sessions"]}

        wait_until(lambda: metrics_of(server, "mistake") == 4, "all are counted")
        assert set(shown(server)) == {"mistake", "other"}
        assert run("forget", "mistake", "--db-path", db_path) == 0
        wait_until(lambda: set(shown(server)) == {"other"} and sessions() == {"s3"}, "skill and session are gone")
        wait_until(lambda: metrics_of(server, "mistake") == 0, "the counter of the forgotten skill is gone")

        assert run("forget", "--invocation", 20, "--db-path", db_path) == 0
        wait_until(lambda: shown(server) == {"other": (29, 29)}, "the invocation is gone")
        assert get(server, "skill", skill_name="other")["lifetime"]["total_invocations"] == 29
        assert metrics_of(server, "other") == 30  # a counter never decreases
        fill(db_path, invocations("other", 1))
        wait_until(lambda: metrics_of(server, "other") == 31, "further ones are counted")


def test_a_running_server_shows_what_is_renamed(db_path: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=["mypi"])
    fill(db_path, invocations("other", 30))
    with Server(db_path) as server:
        wait_until(lambda: open_anomalies(server) == ["mypi"], "there is an anomaly")
        wait_until(lambda: metrics_of(server, "other") == 30, "all are counted")
        before, total = shown(server), metrics_of(server, "mypi")
        assert run("rename", "mypi", "mypy", "--db-path", db_path) == 0
        after = {"mypy" if name == "mypi" else name: counts for name, counts in before.items()}
        wait_until(lambda: shown(server) == after, "the server shows the new name")
        wait_until(
            lambda: (metrics_of(server, "mypi"), metrics_of(server, "mypy")) == (0, total), "the counter has moved"
        )
        assert open_anomalies(server) == ["mypy"]


# ---- Batches


def test_many_rows_are_changed_in_batches_that_can_be_stopped_and_resumed(db_path: Path) -> None:
    rows = 20_000
    fill(db_path, invocations("mypi", rows), invocations("other", 5))
    stopped = _native.rename_skill(str(db_path), "mypi", "mypy", progress=lambda done, total: done == total)
    assert stopped["stopped"]
    assert 0 < stopped["invocations"] < rows
    done = _native.rename_skill(str(db_path), "mypi", "mypy")
    assert (done["stopped"], done["invocations"]) == (False, rows - stopped["invocations"])
    assert ask(db_path, "SELECT skill_name, total_invocations FROM skill_metrics ORDER BY 1") == [
        ("mypy", rows),
        ("other", 5),
    ]
    calls: list[tuple[int, int]] = []
    done = _native.forget_skill(str(db_path), "mypy", progress=lambda *state: calls.append(state) is None)
    assert done["invocations"] == rows
    assert {total for _, total in calls} == {rows}
    assert len(calls) >= 2
    assert metrics(db_path)["metrics"][0][:2] == ("other", 5)


# ---- The command line


def test_a_dry_run_says_what_would_be_changed_and_changes_nothing(
    db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(db_path, ROWS)
    before = metrics(db_path)
    assert run("forget", "mypi", "--dry-run", "--db-path", db_path) == 0
    assert run("forget", "--invocation", "5", "--dry-run", "--db-path", db_path) == 0
    assert run("rename", "mypi", "mypy", "--dry-run", "--db-path", db_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Would forget 3 invocations of mypi in {db_path}",
        f"Would forget invocation 5 of mypy in {db_path}",
        f"Would rename 3 invocations of mypi to mypy, which has 4 invocations, in {db_path}",
    ]
    assert metrics(db_path) == before


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["forget", "mypo"], 1, "no skill 'mypo' in {path}; did you mean 'mypy'?"),
        (["rename", "zzz", "a"], 1, "no skill 'zzz' in {path}\n"),
        (["forget", "--invocation", "99"], 1, "no invocation 99"),
        (["rename", "mypy", ""], 2, "the new name must be 1 to 256 bytes of UTF-8"),
        (["rename", "mypy", "mypy"], 2, "skill 'mypy' has this name already"),
        (["forget"], 2, "one of the arguments SKILL --invocation is required"),
        (["forget", "mypy", "--invocation", "1"], 2, "not allowed with argument"),
    ],
)
def test_an_invalid_correction_is_reported_and_changes_nothing(
    db_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, message: str
) -> None:
    store(db_path, ROWS)
    before = metrics(db_path)
    try:
        ended = run(*arguments, "--db-path", db_path)
    except SystemExit as error:
        ended = int(str(error.code))
    assert ended == status
    assert message.format(path=db_path) in capsys.readouterr().err
    assert metrics(db_path) == before


def test_a_missing_database_is_not_created(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("forget", "mypy", "--db-path", tmp_path / "no.db") == 1
    assert str(tmp_path / "no.db") in capsys.readouterr().err
    assert not (tmp_path / "no.db").exists()
