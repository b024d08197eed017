"""Sessions through every source: the same invocations each time, stored once when all sources report them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import pytest

from session_buddy.ingest import import_transcripts
from support import claude_code
from support.hook_events import Event, of_transcripts, run_hook, session_end, typed
from support.ingestion import HOOKS, send
from support.processes import DEADLINE, Server
from support.transcripts import SECRET, line, write

NO_RATE_LIMIT = ("--max-connections-per-second", "100000")  # each request uses a new connection


class Source(NamedTuple):
    """Transcripts, and what they contain."""

    paths: list[Path]
    uses: int
    without_event: int  # those whose result is of the kind that fires only the event of its batch


class StoredInvocation(NamedTuple):
    skill: str
    session: str
    completed: bool
    error: str | None
    seconds: float | None


def stored(db_path: Path) -> dict[str, StoredInvocation]:
    """The rows by tool_use_id; fails where a row has none or two rows share one. Typed commands have none."""
    with closing(sqlite3.connect(db_path)) as database:
        rows = database.execute(
            "SELECT key, skill_name, session_id, completed, error_type, duration_seconds"
            " FROM skill_invocation LEFT JOIN session_buddy_source ON invocation_id = id"
            " WHERE key NOT LIKE 'command:%'"
        ).fetchall()
    assert len(rows) == len({row[0] for row in rows})
    return {row[0]: StoredInvocation(*row[1:]) for row in rows}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = claude_code.write_folder("2.1.332", tmp_path_factory.mktemp("sessions"), sessions=2)
    paths = [path for path in folder.files if "subagents" not in path.parts]
    keys = {key for key in folder.expected if key.startswith("toolu_") and "_main_" in key}
    return Source(paths, len(keys), without_event=2 * 2)


@pytest.fixture(scope="module")
def events(source: Source) -> list[Event]:
    wanted = {"tool_use_id", "tool_calls", "prompt"}
    fired = [event for event in of_transcripts(*source.paths) if wanted & event.keys()]
    return [*fired, *(session_end(session) for session in sorted({event["session_id"] for event in fired}))]


@pytest.fixture(scope="module")
def imported(source: Source, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StoredInvocation]:
    """The invocations that an import of the transcripts stores."""
    db_path = tmp_path_factory.mktemp("imported") / "skills.db"
    import_transcripts(source.paths, db_path)
    return stored(db_path)


def through_processes(events: list[Event], db_path: Path) -> None:
    for event in events:
        done = run_hook(event, db_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def through_http(events: list[Event], server: Server) -> None:
    for event in events:
        assert send(server, HOOKS, event)[0] == 202


def through_watch(paths: list[Path], db_path: Path) -> None:
    """Watches complete files; how it follows a growing file is tested elsewhere."""
    command = [str(Path(sys.executable).parent / "session-buddy"), "watch", "--once", "--db-path", str(db_path)]
    subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, timeout=DEADLINE)


def check_equal(
    runs: dict[str, StoredInvocation], imported: dict[str, StoredInvocation], source: Source, events: list[Event]
) -> None:
    assert len(runs) == len(imported) == source.uses
    measured = {event["tool_use_id"] for event in events if "duration_ms" in event}
    assert len(measured) == source.uses - source.without_event
    for key, run in imported.items():
        assert runs[key][:4] == run[:4], key
        if key in measured:
            # The end of a subagent is written some milliseconds after the time that the subagent reports.
            assert runs[key].seconds == pytest.approx(run.seconds, abs=0.005), key


def test_hook_processes_report_the_same_as_the_transcript(
    db_path: Path, source: Source, events: list[Event], imported: dict[str, StoredInvocation]
) -> None:
    through_processes(events, db_path)
    check_equal(stored(db_path), imported, source, events)


def test_hook_requests_report_the_same_as_the_transcript(
    db_path: Path, source: Source, events: list[Event], imported: dict[str, StoredInvocation]
) -> None:
    with Server(db_path, *NO_RATE_LIMIT) as server:
        through_http(events, server)
    check_equal(stored(db_path), imported, source, events)


def test_watch_reports_the_same_as_an_import(
    db_path: Path, source: Source, events: list[Event], imported: dict[str, StoredInvocation]
) -> None:
    through_watch(source.paths, db_path)
    check_equal(stored(db_path), imported, source, events)


def test_all_sources_together_make_one_row_each(
    db_path: Path, source: Source, events: list[Event], imported: dict[str, StoredInvocation]
) -> None:
    with Server(db_path, *NO_RATE_LIMIT) as server:
        with ThreadPoolExecutor() as pool:
            futures = [
                pool.submit(through_processes, events, db_path),
                pool.submit(through_http, events, server),
                pool.submit(through_watch, source.paths, db_path),
            ]
        for future in futures:
            future.result()
    while any(Path(f"{db_path}-spool").glob("*.json")):
        run_hook(session_end("unknown"), db_path)
    check_equal(stored(db_path), imported, source, events)


def test_a_typed_command_reported_by_all_sources_is_one_row(db_path: Path, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc).isoformat()
    content = f"<command-name>/review</command-name>\n<command-args>{SECRET}</command-args>"
    transcript = write(tmp_path / "t.jsonl", line("user", 0, content, timestamp=now))
    with Server(db_path, *NO_RATE_LIMIT) as server:
        assert send(server, HOOKS, typed("review"))[0] == 202
        run_hook(typed("review"), db_path)
        import_transcripts([transcript], db_path)
    with closing(sqlite3.connect(db_path)) as database:
        assert database.execute("SELECT skill_name, session_id FROM skill_invocation").fetchall() == [
            ("review", "session-1")
        ]
