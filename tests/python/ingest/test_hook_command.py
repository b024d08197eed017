"""session-buddy-hook as Claude Code runs it: one event on stdin, at most one row, no output, and status 0."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.databases import execute, locked, rows
from support.hook_events import Event, event, failure, post, pre, run_hook, session_end, typed
from support.processes import DEADLINE, native_binary, wait_until
from support.transcripts import SECRET


def hook(body: Event | bytes, db_path: Path, *arguments: str, **options: Any) -> None:
    """Sends one event; for any event nothing is printed and the status is 0."""
    done = run_hook(body, db_path, *arguments, **options)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def run_without_path(body: Event) -> None:
    """Runs the hook without --db-path: the settings name the database. It must not hang on them."""
    done = subprocess.run(
        [native_binary("session-buddy-hook")],
        input=json.dumps(body).encode(),
        capture_output=True,
        timeout=DEADLINE,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"")


def open_uses(db_path: Path) -> int:
    return int(execute(db_path, "SELECT count(*) FROM session_buddy_open_use")[0][0])


def spool(db_path: Path) -> list[Path]:
    return sorted(Path(f"{db_path}-spool").glob("*"))


def log() -> str:
    path = Path(os.environ["XDG_STATE_HOME"]) / "session-buddy" / "hook.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def locker(db_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that keeps the database locked; closing it frees the database."""
    hook(post("before"), db_path)
    with locked(db_path) as connection:
        yield connection


def test_a_use_becomes_a_row_when_it_ends_and_a_missing_database_is_created(tmp_path: Path) -> None:
    db_path = tmp_path / "skills.db"
    hook(pre("t1", "Bash", tool_input={"command": "uv run pytest -x"}), db_path)
    assert rows(db_path) == []
    hook(post("t1", "Bash", tool_input={"command": "uv run pytest -x"}), db_path)
    ((name, completed, error, session, duration),) = rows(
        db_path, "skill_name, completed, error_type, session_id, duration_seconds"
    )
    assert (name, completed, error, session) == ("pytest-run", 1, None, "session-1")
    assert 0 <= duration < 30
    assert open_uses(db_path) == 0


def test_the_duration_that_claude_code_measured_counts(db_path: Path) -> None:
    hook(pre("t1"), db_path)
    hook(post("t1", duration_ms=1234), db_path)
    assert rows(db_path, "duration_seconds") == [(1.234,)]


@pytest.mark.parametrize(
    ("tool", "tool_input", "name"),
    [
        ("Skill", {"skill": "elixir:hex-docs-search"}, "elixir:hex-docs-search"),
        ("Skill", {"command": "/review"}, "review"),
        ("Agent", {"subagent_type": "Explore"}, "agent:Explore"),
        ("Task", {"subagent_type": "general-purpose", "prompt": SECRET}, "agent:general-purpose"),
        ("mcp__github__create_issue", {"title": SECRET}, "mcp__github__create_issue"),
        ("Bash", {"command": f"cd /x && ruff check {SECRET}"}, "ruff-check"),
        ("Bash", {"command": f"cat {SECRET}"}, "Bash"),
        ("Skill", {"skill": f"/commit -m '{SECRET}'"}, "commit"),
        ("Skill", {"skill": [[SECRET]]}, "Skill"),
        ("Task", {"subagent_type": f"Explore {SECRET}"}, "agent:Explore"),
        ("Edit", {"file_path": SECRET}, "Edit"),
    ],
)
def test_names_the_skill_by_the_tool_and_its_input(
    db_path: Path, tool: str, tool_input: dict[str, str], name: str
) -> None:
    hook(post("t1", tool, tool_input=tool_input), db_path)
    assert rows(db_path, "skill_name") == [(name,)]


@pytest.mark.parametrize(
    ("error", "fields", "error_class"),
    [
        ("Exit code 1\nFAILED tests/test_x.py", {}, "exit_code"),
        ("Command timed out after 2m 0.0s", {}, "timeout"),
        (f"cannot read {SECRET}", {}, "tool_error"),
        ("", {"is_interrupt": True}, "interrupted"),
    ],
)
def test_a_failure_has_a_class_and_no_text(db_path: Path, error: str, fields: dict[str, Any], error_class: str) -> None:
    hook(pre("t1", "Bash"), db_path)
    hook(failure("t1", error, **fields), db_path)
    assert rows(db_path) == [("Bash", 0, error_class)]


def test_a_typed_command_is_a_row_each_time(db_path: Path) -> None:
    hook(typed("review"), db_path)
    with sqlite3.connect(db_path) as database:
        database.execute("UPDATE session_buddy_command SET at_us = at_us - 5 * 1000000")
    hook(typed("review"), db_path)
    assert rows(db_path) == [("review", 1, None), ("review", 1, None)]


def test_a_typed_command_that_a_hook_reports_twice_is_one_row(db_path: Path) -> None:
    hook(typed("review"), db_path)
    hook(typed("review"), db_path)
    assert rows(db_path) == [("review", 1, None)]


def test_an_event_that_is_delivered_twice_is_one_row(db_path: Path) -> None:
    for _ in range(2):
        hook(pre("t1"), db_path)
        hook(post("t1"), db_path)
    assert len(rows(db_path)) == 1
    assert open_uses(db_path) == 0


def test_the_end_of_a_session_ends_what_never_ended_in_it(db_path: Path) -> None:
    hook(pre("t1"), db_path)
    hook(pre("t2", session_id="session-2"), db_path)
    hook(session_end(), db_path)
    assert rows(db_path) == [("Read", 1, None)]
    with sqlite3.connect(db_path) as database:
        assert database.execute("SELECT invocation_id, marks FROM session_buddy_mark").fetchall() == [(1, 1)]
    assert open_uses(db_path) == 1


def test_what_began_long_ago_in_another_session_times_out_at_the_end_of_one(db_path: Path) -> None:
    hook(pre("t1", session_id="gone"), db_path)
    with sqlite3.connect(db_path) as database:
        database.execute("UPDATE session_buddy_open_use SET started_us = started_us - 3700 * 1000000")
    hook(session_end(), db_path)
    assert rows(db_path, "session_id, completed, error_type") == [("gone", 1, None)]


@pytest.mark.parametrize("name", ["Stop", "SessionStart", "SubagentStop", "SomethingNew"])
def test_other_events_leave_no_trace(db_path: Path, name: str) -> None:
    hook(event(name), db_path)
    assert not db_path.exists()
    assert log() == ""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "must be JSON"),
        (b"{", "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", "hook_event_name must be"),
        (json.dumps({**pre("t1"), "tool_use_id": ""}).encode(), "tool_use_id must be"),
        (json.dumps({**pre("t1"), "tool_use_id": "x" * 2000}).encode(), "tool_use_id must be"),
        (json.dumps({**pre("t1"), "session_id": 7}).encode(), "session_id must be"),
        (json.dumps({**pre("t1"), "tool_name": None}).encode(), "tool_name must be"),
        (b"\xff" * 100, "must be JSON"),
    ],
)
def test_invalid_events_are_reported_in_the_log_only(db_path: Path, body: bytes, reason: str) -> None:
    hook(body, db_path)
    assert reason in log()
    assert SECRET not in log()


def test_half_a_surrogate_pair_is_read_as_python_and_javascript_read_it(db_path: Path) -> None:
    hook(json.dumps(post("t1", tool_response="\ud83d")).encode(), db_path)
    assert len(rows(db_path)) == 1


def test_a_response_of_megabytes_is_accepted(db_path: Path) -> None:
    hook(post("t1", tool_response={"stdout": "x" * 20_000_000}), db_path)
    assert rows(db_path, "skill_name") == [("Read",)]


def test_the_settings_name_the_database_and_further_tools(tmp_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'db_path = "{tmp_path}/mine.db"\ntools = "just test=just-test"\n', encoding="utf-8")
    run_without_path(post("t1", "Bash", tool_input={"command": "just test all"}))
    assert rows(tmp_path / "mine.db", "skill_name") == [("just-test",)]


def test_a_broken_config_file_is_logged_and_loses_no_event(db_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("tools = 7\n", encoding="utf-8")
    hook(post("t1"), db_path)
    assert len(rows(db_path)) == 1
    assert "setting ignored" in log()


def test_the_valid_settings_of_a_config_file_with_errors_apply(tmp_path: Path) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'hook_timeout = "soon"\nof_a_newer_version = 1\njwt_secret = "x"\ndb_path = "{tmp_path}/mine.db"\n',
        encoding="utf-8",
    )
    config.chmod(0o644)
    run_without_path(post("t1"))
    assert len(rows(tmp_path / "mine.db")) == 1
    assert "hook_timeout" in log()


@pytest.mark.parametrize("kind", ["fifo", "folder", "huge", "no TOML"])
def test_a_config_file_that_cannot_be_read_leaves_the_default_database(kind: str) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(config)
    elif kind == "folder":
        config.mkdir()
    elif kind == "huge":
        config.touch()
        os.truncate(config, 1 << 40)
    else:
        config.write_bytes(b"\xff\x00")
    run_without_path(post("t1"))
    assert len(rows(Path(os.environ["XDG_DATA_HOME"]) / "session-buddy" / "skills.db")) == 1
    assert "setting ignored" in log()


def test_an_unknown_argument_is_logged_and_loses_no_event(db_path: Path) -> None:
    hook(post("t1"), db_path, "--verbose")
    assert len(rows(db_path)) == 1
    assert "argument 3 is unknown" in log()


def test_events_of_a_locked_database_are_spooled_and_the_next_hook_drains_them(
    db_path: Path, locker: sqlite3.Connection
) -> None:
    hook(pre("t1"), db_path)
    hook(post("t1", "Bash", tool_input={"command": "mypy"}), db_path)
    hook(failure("t2", "Exit code 2"), db_path)
    hook(typed("review"), db_path)
    assert len(spool(db_path)) == 4
    locker.close()
    assert len(rows(db_path)) == 1
    hook(post("t3"), db_path)
    assert [row[0] for row in rows(db_path)] == ["Read", "mypy", "Bash", "review", "Read"]
    assert spool(db_path) == []
    assert "event spooled in" in log()


def test_a_spooled_start_gives_the_end_its_duration(db_path: Path, locker: sqlite3.Connection) -> None:
    hook(pre("t1"), db_path)
    locker.close()
    hook(post("t1"), db_path)
    assert [duration is not None for (duration,) in rows(db_path, "duration_seconds")] == [False, True]


def test_an_event_of_a_file_that_is_not_a_database_is_spooled_until_it_is_one(db_path: Path) -> None:
    db_path.write_bytes(b"not a database" * 1000)
    hook(post("t1"), db_path)
    assert len(spool(db_path)) == 1
    assert "not an SQLite database" in log()
    assert db_path.read_bytes() == b"not a database" * 1000
    db_path.unlink()
    hook(post("t2"), db_path)
    assert len(rows(db_path)) == 2


def test_a_file_in_the_spool_that_holds_no_event_is_set_aside(db_path: Path, locker: sqlite3.Connection) -> None:
    hook(post("t1"), db_path)
    (waiting,) = spool(db_path)
    (waiting.parent / "0-a.json").write_text("half", encoding="utf-8")
    (waiting.parent / "0-b.json").write_text(
        waiting.read_text(encoding="utf-8").replace("Read", "bad\\nname"), encoding="utf-8"
    )
    locker.close()
    hook(post("t2"), db_path)
    assert len(rows(db_path)) == 3
    assert [path.name for path in spool(db_path)] == ["0-a.bad", "0-b.bad"]


def test_a_full_spool_is_logged(db_path: Path, locker: sqlite3.Connection) -> None:
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "session-buddy" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("max_spool_events = 100\n", encoding="utf-8")
    hook(post("t0"), db_path)
    (waiting,) = spool(db_path)
    for index in range(99):
        shutil.copy(waiting, waiting.parent / f"{index}.json")
    hook(post("t1"), db_path)
    assert len(spool(db_path)) == 100
    assert "max_spool_events (100)" in log()


def test_concurrent_hooks_lose_and_duplicate_nothing(db_path: Path) -> None:
    count = 24

    def use(index: int) -> None:
        run_hook(pre(f"t{index}"), db_path)
        run_hook(post(f"t{index}"), db_path)
        run_hook(post(f"t{index}"), db_path)

    threads = [threading.Thread(target=use, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while spool(db_path):
        hook(session_end("unknown"), db_path)
    assert len(rows(db_path)) == count
    assert open_uses(db_path) == 0


def test_the_log_is_rotated(db_path: Path) -> None:
    path = Path(os.environ["XDG_STATE_HOME"]) / "session-buddy" / "hook.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * (1 << 20))
    hook(b"{", db_path)
    assert path.stat().st_size < 1000
    assert (path.parent / "hook.1.log").stat().st_size == 1 << 20


def test_help_and_version_are_printed_and_nothing_is_read() -> None:
    for option, text in [("--help", "Usage: session-buddy-hook"), ("--version", "0.")]:
        done = subprocess.run(
            [native_binary("session-buddy-hook"), option], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert text in done.stdout


def test_input_that_is_not_there_yet_is_waited_for(db_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    body = json.dumps(post("t1")).encode()
    with subprocess.Popen([native_binary("session-buddy-hook"), "--db-path", str(db_path)], stdin=reading) as process:
        os.close(reading)
        for piece in (body[:10], body[10:]):
            wait_until(lambda: is_sleeping(process.pid), "it waits for input")
            os.write(writing, piece)
        os.close(writing)
        assert process.wait(DEADLINE) == 0
    assert len(rows(db_path)) == 1


def is_sleeping(pid: int) -> bool:
    """Whether the process is_sleeping, which at this point only waiting for its input can cause."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return status[0] == "S"


def test_deeply_nested_input_is_accepted(db_path: Path) -> None:
    nest = "[" * 1_000_000 + "]" * 1_000_000
    body = json.dumps(post("t1", "Skill", tool_input={"skill": 0})).replace("0", nest, 1)
    hook(body.encode(), db_path)
    assert rows(db_path, "skill_name") == [("Skill",)]


@pytest.mark.parametrize("milliseconds", [1e300, 6.4e13, -1, "1"])
def test_an_invalid_duration_is_left_out(db_path: Path, milliseconds: object) -> None:
    hook(post("t1", duration_ms=milliseconds), db_path)
    assert rows(db_path, "duration_seconds, invoked_at LIKE '20%'") == [(None, 1)]


def test_an_event_that_the_database_rejects_is_set_aside_and_blocks_no_other(db_path: Path) -> None:
    hook(post("before"), db_path)
    with sqlite3.connect(db_path) as database:
        database.execute(
            "CREATE TRIGGER no_bad BEFORE INSERT ON skill_invocation WHEN NEW.skill_name = 'Bad'"
            " BEGIN SELECT raise(ABORT, 'no'); END"
        )
    hook(post("bad", "Bad"), db_path)
    for number in range(3):
        hook(post(f"t{number}"), db_path)
    assert len(rows(db_path)) == 4
    assert [path.suffix for path in spool(db_path)] == [".bad"]
    assert "rejected by the database" in log()


def test_a_spooled_end_of_a_session_ends_nothing_that_began_after_it(db_path: Path, locker: sqlite3.Connection) -> None:
    hook(session_end(), db_path)
    (waiting,) = spool(db_path)
    kept = waiting.read_text(encoding="utf-8")
    locker.close()
    waiting.unlink()
    hook(pre("t1"), db_path)  # the session was resumed
    waiting.write_text(kept, encoding="utf-8")
    hook(post("t1"), db_path)
    assert rows(db_path)[1:] == [("Read", 1, None)]


def test_many_spooled_events_are_drained_in_order(db_path: Path, locker: sqlite3.Connection) -> None:
    count = 40
    for number in range(count):
        hook(pre(f"t{number}"), db_path)
    for number in range(count):
        hook(post(f"t{number}"), db_path)
    locker.close()
    hook(session_end(), db_path)
    assert len(spool(db_path)) > 0
    hook(event("Stop"), db_path)
    while spool(db_path):
        hook(pre("later", session_id="another"), db_path)
    assert rows(db_path) == [("Read", 1, None)] * (count + 1)


def test_files_in_the_spool_that_cannot_be_read_block_no_other(db_path: Path, locker: sqlite3.Connection) -> None:
    hook(post("t1"), db_path)
    folder = spool(db_path)[0].parent
    for number in range(60):
        (folder / f"0-{number}.json").mkdir()
    locker.close()
    hook(post("t2"), db_path)
    assert len(rows(db_path)) == 3


def test_a_database_under_another_name_has_the_same_spool(db_path: Path, locker: sqlite3.Connection) -> None:
    link = db_path.parent / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(db_path)
    hook(post("t1"), link)
    assert len(spool(db_path)) == 1
    locker.close()


def test_a_log_that_cannot_be_written_is_ignored_silently(db_path: Path) -> None:
    path = Path(os.environ["XDG_STATE_HOME"]) / "session-buddy" / "hook.log"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    hook(b"{", db_path)
    path.unlink()
    os.mkfifo(path)
    hook(b"{", db_path)
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("a file instead of the folder", encoding="utf-8")
    hook(b"{", db_path)
