"""`session-buddy prune`: the deleted rows, its output, its exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy import _native
from session_buddy.cli.main import main
from support.databases import execute, locked
from support.histories import fill, invocations
from support.processes import wait_until
from support.terminal import text_of_terminal


def days_ago(days: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(days=days)


@pytest.fixture
def database(db_path: Path) -> Path:
    """Thirty invocations from a hundred days ago and five from now."""
    fill(
        db_path,
        invocations("pytest-run", 20, completed=15, newest=days_ago(100)),
        invocations("mypy", 10, newest=days_ago(99)),
        invocations("pytest-run", 5),
    )
    return db_path


def run(*arguments: object) -> int:
    return main(["prune", *map(str, arguments)])


def rows(path: Path, query: str = "SELECT skill_name, count(*) FROM skill_invocation GROUP BY 1") -> list[Any]:
    return execute(path, query)


def test_old_invocations_go_and_their_totals_stay(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--keep", "90d", "--db-path", database) == 0
    assert rows(database) == [("pytest-run", 5)]
    assert rows(database, "SELECT skill_name, total_invocations FROM skill_metrics ORDER BY 1") == [
        ("mypy", 10),
        ("pytest-run", 25),
    ]
    assert rows(database, "SELECT sum(invocation_count) FROM skill_time_series")[0][0] >= 30
    output, errors = capsys.readouterr()
    first, last = output.splitlines()
    assert re.fullmatch(
        rf"Deleted 30 invocations from {days_ago(100):%Y-%m-%d}T\S+Z to {days_ago(99):%Y-%m-%d}T\S+Z in {database}",
        first,
    )
    assert last.startswith("Longest write lock: ")
    assert errors == ""

    assert run("--keep", "90d", "--db-path", database) == 0
    assert capsys.readouterr().out.startswith("Nothing to delete before ")


def test_a_dry_run_reports_the_same_and_writes_nothing(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = database.read_bytes()
    assert run("--keep", "90d", "--db-path", database, "--dry-run") == 0
    output = capsys.readouterr().out
    assert database.read_bytes() == before
    assert output.startswith("Would delete 30 invocations from ")
    assert run("--keep", "90d", "--db-path", database) == 0
    assert capsys.readouterr().out.splitlines()[0] == output.rstrip().replace("Would delete", "Deleted")


@pytest.mark.parametrize("dry_run", [True, False])
def test_json(database: Path, capsys: pytest.CaptureFixture[str], dry_run: bool) -> None:
    assert run("--keep", "13w", "--db-path", database, "--json", *(["--dry-run"] if dry_run else [])) == 0
    summary = json.loads(capsys.readouterr().out)
    lock = summary.pop("longest_lock_ms")
    assert (lock == 0) is dry_run
    assert summary.pop("first").startswith(f"{days_ago(100):%Y-%m-%dT}")
    assert summary.pop("last").startswith(f"{days_ago(99):%Y-%m-%dT}")
    assert summary == {
        "db_path": str(database),
        "dry_run": dry_run,
        "before": f"{days_ago(91):%Y-%m-%d}T00:00:00Z",
        "rows": 30,
        "kept_rows": 0,
        "stopped": False,
    }


def test_old_invocations_that_are_kept_are_reported(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM skill_metrics WHERE skill_name = 'mypy'")
    assert run("--keep", "90d", "--db-path", database) == 0
    assert "Kept 10 old invocations of skills without an entry in skill_metrics" in capsys.readouterr().out
    assert rows(database) == [("mypy", 10), ("pytest-run", 5)]


@pytest.mark.parametrize("keep", ["49h", "2.5d", "1w", "176400", "36500d"])
def test_every_time_format_is_accepted(database: Path, keep: str) -> None:
    assert run("--keep", keep, "--db-path", database, "--dry-run") == 0


@pytest.mark.parametrize("keep", ["48h", "2d", "0", "90"])
def test_less_than_a_server_needs_is_rejected(database: Path, capsys: pytest.CaptureFixture[str], keep: str) -> None:
    assert run("--keep", keep, "--db-path", database) == 2
    assert "keep must be at least 176400 seconds (49 h)" in capsys.readouterr().err
    assert rows(database) == [("mypy", 10), ("pytest-run", 25)]


def test_the_windows_of_the_configured_server_count(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_WINDOW", "31d")
    assert run("--keep", "31d", "--db-path", database) == 2
    assert "keep must be at least 2682000 seconds (745 h)" in capsys.readouterr().err
    assert run("--keep", "32d", "--db-path", database, "--dry-run") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: --keep"),
        (["--keep", "soon"], "'soon' is not a duration; use for example 90d, 12w or 72h"),
        (["--keep", "-5d"], "expected one argument"),
        (["--keep", "90d", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_keep_beyond_the_maximum_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--keep", "99999999999d") == 2
    assert "keep must be from 0 to 3153600000 seconds" in capsys.readouterr().err


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_database_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str], dry_run: bool) -> None:
    options = ["--keep", "90d", *(["--dry-run"] if dry_run else [])]
    missing = tmp_path / "missing.db"
    assert run(*options, "--db-path", missing) == 1
    assert f'session-buddy prune: cannot prune database "{missing}": the file does not exist' in capsys.readouterr().err
    assert not missing.exists()
    text = tmp_path / "text.db"
    text.write_text("this is not a database, it is a text file of some length" * 20)
    assert run(*options, "--db-path", text) == 1
    assert "not an SQLite database" in capsys.readouterr().err


def test_a_locked_database_is_an_error(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_BUSY_TIMEOUT", "10ms")
    with locked(database):
        assert run("--keep", "90d", "--db-path", database) == 1
    assert "another process keeps it locked" in capsys.readouterr().err


def test_an_interrupt_ends_it_gracefully_and_the_next_run_continues(
    db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(db_path, invocations("pytest-run", 5000, newest=days_ago(100)), invocations("pytest-run", 1))

    def interrupt() -> None:
        wait_until(lambda: rows(db_path)[0][1] < 5001, "rows are deleted", pause=0.001)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    status = run("--keep", "90d", "--db-path", db_path, "--json")
    watcher.join()
    summary = json.loads(capsys.readouterr().out)
    assert (status, summary["stopped"]) == (130, True)
    assert 0 < summary["rows"] < 5000
    assert rows(db_path) == [("pytest-run", 5001 - summary["rows"])]
    assert run("--keep", "90d", "--db-path", db_path) == 0
    assert rows(db_path) == [("pytest-run", 1)]
    assert rows(db_path, "SELECT total_invocations FROM skill_metrics") == [(5001,)]


def test_an_import_does_not_bring_them_back(tmp_path: Path, db_path: Path) -> None:
    transcript = tmp_path / "session.jsonl"
    old = days_ago(100)
    use = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": ""}
    lines = [
        {"type": "assistant", "message": {"role": "assistant", "content": [use]}, "timestamp": old.isoformat()},
        {"type": "user", "message": {"role": "user", "content": [result]}, "timestamp": old.isoformat()},
    ]
    for number, line in enumerate(lines):
        line |= {"sessionId": "s", "uuid": str(number)}
    transcript.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["import", str(transcript), "--db-path", str(db_path)]) == 0
    fill(db_path, invocations("pytest-run", 1))
    assert len(rows(db_path)) == 2
    assert run("--keep", "90d", "--db-path", db_path) == 0
    assert rows(db_path) == [("pytest-run", 1)]
    assert main(["import", str(transcript), "--db-path", str(db_path)]) == 0
    assert rows(db_path) == [("pytest-run", 1)]


def test_a_bar_on_a_terminal(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = text_of_terminal(monkeypatch, "stderr", columns=120)
    assert run("--keep", "90d", "--db-path", database) == 0
    assert "Deleting" in terminal.getvalue()
    assert "/30" in terminal.getvalue()


def test_an_exception_of_the_callback_ends_it(database: Path) -> None:
    def fail(_done: int, _total: int) -> bool:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        _native.prune(str(database), 90 * 86400.0, progress=fail)
