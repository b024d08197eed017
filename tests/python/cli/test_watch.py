"""`session-buddy watch` as a process: growing files, kills, signals, and its report on hooks."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from session_buddy.cli.main import main
from session_buddy.ingest import WatchReport, import_transcripts, watch_transcripts
from support import claude_code
from support.databases import locked
from support.processes import Program, wait_until
from support.transcripts import SECRET, line, result, use, write


def watching(*arguments: str | Path) -> Program:
    command = Path(sys.executable).parent / "session-buddy"
    return Program([str(command), "watch", *map(str, arguments)])


def ask(db_path: Path, sql: str) -> list[tuple[Any, ...]]:
    if not db_path.exists():
        return []
    with (
        contextlib.closing(sqlite3.connect(db_path, timeout=10)) as connection,
        contextlib.suppress(sqlite3.OperationalError),
    ):
        return connection.execute(sql).fetchall()
    return []  # the tables do not exist yet


def row_count(db_path: Path) -> int:
    return sum(count for (count,) in ask(db_path, "SELECT count(*) FROM skill_invocation"))


def rows_per_key(db_path: Path) -> list[tuple[Any, ...]]:
    return ask(
        db_path,
        "SELECT key, skill_name, invoked_at, session_id, completed, duration_seconds, error_type "
        "FROM session_buddy_source JOIN skill_invocation ON id = invocation_id ORDER BY key",
    )


def text_of(*lines: dict[str, Any]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in lines).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "projects" / "-home-me"
    path.mkdir(parents=True)
    return path


def invocation_lines(number: int) -> bytes:
    return text_of(use(number, f"t{number}", "Read", file_path=SECRET), result(number + 0.5, f"t{number}", SECRET))


# ---- Growing files


def test_a_file_that_grows_byte_by_byte_is_followed(folder: Path, db_path: Path) -> None:
    text = text_of(
        use(1, "t1", "Bash", command=f"cd {SECRET} && uv run pytest"),
        result(3.5, "t1", f"Exit code 1\n{SECRET}\u00e9\ud83d", is_error=True),
        line("user", 5, "<command-name>/make-it</command-name>"),
    )
    with watching("--db-path", db_path, folder.parent) as watch:
        watch.wait_for("Caught up with 0 files")
        with (folder / "s.jsonl").open("ab", buffering=0) as file:
            for byte in text:
                file.write(bytes([byte]))
        wait_until(lambda: row_count(db_path) == 2, "both invocations are stored")
        assert watch.stop(signal.SIGTERM) == 0
    assert watch.drain()[-1] == "hooks saw 0 of 2, 2 recovered"
    assert ask(db_path, "SELECT skill_name, error_type FROM skill_invocation ORDER BY invoked_at") == [
        ("pytest-run", "exit_code"),
        ("make-it", None),
    ]


def test_a_half_written_line_waits_for_its_other_half_over_a_restart(folder: Path, db_path: Path) -> None:
    path = folder / "s.jsonl"
    text = invocation_lines(1) + invocation_lines(2)
    path.write_bytes(text[:-40])
    assert main(["watch", "--once", "--db-path", str(db_path), str(folder)]) == 0
    assert row_count(db_path) == 1
    with watching("--db-path", db_path, folder) as watch:
        watch.wait_for("^no tool use yet$")
        with path.open("ab") as file:
            file.write(text[-40:])
        watch.wait_for("^hooks saw 0 of 1, 1 recovered$")
    assert row_count(db_path) == 2


def test_it_waits_for_the_first_session_where_there_is_no_folder_yet(
    tmp_path: Path, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    with watching("--db-path", db_path) as watch:
        watch.wait_for("^Waiting for the first session of Claude Code$")
        watch.wait_for("^no tool use yet$")
        file = tmp_path / "config" / "projects" / "-home-me" / "s.jsonl"
        file.parent.mkdir(parents=True)
        file.write_bytes(invocation_lines(1))
        watch.wait_for("^hooks saw 0 of 1, 1 recovered$")
        assert watch.stop(signal.SIGTERM) == 0
        assert not [line for line in (*watch.seen, *watch.drain()) if line.startswith("session-buddy watch:")]
    assert row_count(db_path) == 1


# ---- Kills


def kill_again_and_again(folder: Path, db_path: Path, files: dict[Path, bytes], kills: int) -> None:
    """The files grow in pieces of any size, split anywhere, while one watch after another is killed at any moment."""
    dice = random.Random(20260212)
    left = dict(files)
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
    for kill in range(kills):
        with watching("--db-path", db_path, folder):  # killed at the end of this block
            before = row_count(db_path)
            for path in files:
                size = len(left[path]) if kill == kills - 1 else dice.randrange(2 * len(files[path]) // kills + 1)
                with path.open("ab") as file:
                    file.write(left[path][:size])
                left[path] = left[path][size:]
            # No longer than a watch needs to start: a piece may contain no end of an invocation. Sometimes it is killed
            # before it did anything.
            end = time.monotonic() + dice.choice([0, 1, 2, 3])
            while row_count(db_path) == before and time.monotonic() < end:
                time.sleep(0.005)
    assert not any(left.values())


def test_killed_at_any_moment_it_loses_and_duplicates_nothing(folder: Path, db_path: Path, tmp_path: Path) -> None:
    # Three concurrent uses, so that nearly every position is within some use.
    lines: list[dict[str, Any]] = [use(0, "open-for-long", "Task", subagent_type="Explore")]
    for first in range(1, 1000, 3):
        numbers = range(first, first + 3)
        lines += [use(number / 10, f"t{number}", "Read") for number in numbers]
        lines += [result(number / 10 + 5, f"t{number}") for number in numbers]
    lines.append(result(200, "open-for-long"))
    kill_again_and_again(folder, db_path, {folder / "s.jsonl": text_of(*lines)}, kills=8)
    assert main(["watch", "--once", "--db-path", str(db_path), str(folder)]) == 0
    in_one_go = tmp_path / "in-one-go.db"
    import_transcripts([folder], in_one_go)
    assert row_count(in_one_go) == 1000
    assert rows_per_key(db_path) == rows_per_key(in_one_go)
    assert row_count(db_path) == 1000


def test_sessions_that_grow_while_watches_are_killed_are_stored_once(
    folder: Path, db_path: Path, tmp_path: Path
) -> None:
    sessions = claude_code.folder_of("2.1.332", folder, sessions=20)
    kill_again_and_again(folder, db_path, sessions.files, kills=6)
    assert main(["watch", "--once", "--db-path", str(db_path), str(folder)]) == 0
    assert claude_code.stored(db_path) == sessions.expected
    in_one_go = tmp_path / "in-one-go.db"
    import_transcripts([folder], in_one_go)
    assert rows_per_key(db_path) == rows_per_key(in_one_go)


def test_a_session_that_grows_in_pieces_has_all_its_invocations(folder: Path, db_path: Path) -> None:
    session = claude_code.session("2.1.332")
    with watching("--db-path", db_path, folder) as watch:
        watch.wait_for("Caught up")
        text = claude_code.text_of(session.records)
        with (folder / "s.jsonl").open("ab", buffering=0) as file:
            for begin in range(0, len(text), 1009):
                file.write(text[begin : begin + 1009])
        wait_until(lambda: row_count(db_path) == len(session.expected), "all invocations are stored")
        assert watch.stop(signal.SIGINT) == 0
    assert claude_code.stored(db_path) == session.expected


# ---- What hooks saw


def mark_as_reported_by_hooks(db_path: Path, keys: list[str]) -> None:
    """Marks the stored invocations with these keys as reported by hooks."""
    with contextlib.closing(sqlite3.connect(db_path)) as connection, connection:
        connection.executemany("UPDATE session_buddy_source SET seen_by = 1 WHERE key = ?", [(key,) for key in keys])


def test_it_reports_how_many_of_the_invocations_hooks_saw(folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(b"".join(invocation_lines(number) for number in range(41)))
    import_transcripts([folder], db_path)
    mark_as_reported_by_hooks(db_path, [f"t{number}" for number in range(41)])
    with (folder / "s.jsonl").open("ab") as file:
        file.write(b"".join(invocation_lines(number) for number in range(41, 44)))
    with watching("--db-path", db_path, folder) as watch:
        watch.wait_for("^hooks saw 41 of 44, 3 recovered$")
        assert watch.stop() == 0
    assert watch.drain()[-1] == "hooks saw 41 of 44, 3 recovered"
    assert row_count(db_path) == 44
    assert ask(db_path, "SELECT seen_by, count(*) FROM session_buddy_source GROUP BY 1 ORDER BY 1") == [(4, 3), (5, 41)]


def test_invocations_of_other_sources_are_neither(folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1) + invocation_lines(2))
    import_transcripts([folder], db_path)
    with contextlib.closing(sqlite3.connect(db_path)) as connection, connection:
        connection.execute("UPDATE session_buddy_source SET seen_by = 2 WHERE key = 't1'")
    with watching("--once", "--db-path", db_path, folder) as watch:
        assert watch.drain()[-1] == "hooks saw 0 of 1, 0 recovered, 1 from other sources"


# ---- Its output and its end


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_coverage(how: signal.Signals, folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1))
    with watching("--db-path", db_path, folder) as watch:
        watch.wait_for("^Following .* Press Ctrl-C to stop")
        watch.wait_for("^hooks saw 0 of 1, 1 recovered$")
        assert watch.stop(how) == 0
    assert watch.drain() == ["hooks saw 0 of 1, 1 recovered"]


def test_reports_are_lines_of_json(folder: Path, db_path: Path, tmp_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1) + b"no json\n")
    with watching("--json", "--db-path", db_path, folder, tmp_path / "missing") as watch:
        problem = json.loads(watch.wait_for("{"))
        assert problem["event"] == "problem"
        assert problem["path"] == str(tmp_path / "missing")
        assert problem["reason"]
        caught_up = json.loads(watch.wait_for("{"))
        with (folder / "s.jsonl").open("ab") as file:
            file.write(invocation_lines(2))
        changed = json.loads(watch.wait_for("{"))
        assert watch.stop() == 0
        ended = json.loads(watch.wait_for("{"))
    size = len(invocation_lines(1)) + len(b"no json\n")
    assert caught_up == {
        "event": "caught_up",
        "runs": 1,
        "hooks_saw": 0,
        "recovered": 1,
        "files": 1,
        "bytes": size,
        "unreadable_lines": 1,
        "unfinished": 0,
    }
    expected = {**caught_up, "event": "coverage", "runs": 2, "recovered": 2, "bytes": size + len(invocation_lines(2))}
    assert changed == expected
    assert ended == {**expected, "event": "ended"}


def test_once_ends_with_1_where_something_could_not_be_read(
    folder: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1))
    arguments = ["watch", "--once", "--db-path", str(db_path), str(folder)]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Caught up with 1 file, {len(invocation_lines(1)) / 1e6:.1f} MB new",
        "hooks saw 0 of 1, 1 recovered",
    ]
    assert main([*arguments, str(folder / "missing")]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1] == "no tool use yet"
    assert re.search(r"^session-buddy watch: .*missing: ", captured.err)


@pytest.mark.parametrize("options", [[], ["--once"]])
def test_a_mistyped_path_is_an_error_and_creates_no_database(
    options: list[str], db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *options, "--db-path", str(db_path), str(tmp_path / "mistyped")]) == 1
    assert "mistyped: no such file or folder" in capsys.readouterr().err
    assert not db_path.exists()


@pytest.mark.parametrize("named", [True, False], ids=["named", "default"])
def test_it_waits_for_the_folder_of_the_first_session(
    named: bool, db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "home" / ".claude"
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(config))
    with watching("--db-path", db_path, *([config / "projects"] if named else [])) as watch:
        watch.wait_for("^Waiting for the first session of Claude Code$")
        watch.wait_for("^no tool use yet$")
        write(config / "projects" / "-home-me" / "s.jsonl", use(1, "t1", "Read"), result(2, "t1"))
        watch.wait_for("^hooks saw 0 of 1, 1 recovered$")
        assert watch.stop() == 0
    assert row_count(db_path) == 1


def test_a_linked_project_is_followed_as_it_grows(folder: Path, db_path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "s.jsonl", use(1, "t1", "Read"), result(2, "t1"))
    with watching("--db-path", db_path, folder.parent) as watch:
        watch.wait_for("^no tool use yet$")
        (folder.parent / "linked").symlink_to(elsewhere, target_is_directory=True)
        (folder / "loop").symlink_to(folder.parent, target_is_directory=True)
        watch.wait_for("^hooks saw 0 of 1, 1 recovered$")
        write(elsewhere / "s.jsonl", use(3, "t2", "Read"), result(4, "t2"))
        watch.wait_for("^hooks saw 0 of 2, 2 recovered$")
        assert watch.stop() == 0
    assert row_count(db_path) == 2


def test_a_named_file_of_another_agent_is_reported(
    tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "rollout.jsonl", {"type": "session_meta", "payload": {"id": SECRET}})
    assert main(["watch", "--once", "--db-path", str(db_path), str(path)]) == 1
    captured = capsys.readouterr()
    assert f"{path}: not a Claude Code transcript but a session of Codex" in captured.err
    assert SECRET not in captured.out + captured.err


def test_a_file_that_is_not_a_database_is_an_error(folder: Path, db_path: Path) -> None:
    db_path.write_bytes(b"x" * 5000)
    with watching("--db-path", db_path, folder) as watch:
        assert re.search("session-buddy watch: .*not", watch.drain()[-1])
        assert watch.process.wait() == 1


def test_missing_transcripts_in_the_default_folders_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert main(["watch", "--once", "--db-path", str(tmp_path / "skills.db")]) == 1
    assert "pass a file or folder" in capsys.readouterr().err


def test_a_locked_database_is_waited_for(folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1))
    import_transcripts([], db_path)
    with watching("--once", "--db-path", db_path, folder) as watch:
        with locked(db_path, "EXCLUSIVE"):
            watch.wait_for("^session-buddy watch: waiting for the database: ")
        watch.wait_for("^session-buddy watch: the database is writable again$")
        assert watch.drain()[-1] == "hooks saw 0 of 1, 1 recovered"
        assert watch.process.wait() == 0


def test_a_signal_ends_it_while_it_waits_for_the_database(folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1))
    import_transcripts([], db_path)
    with locked(db_path), watching("--db-path", db_path, folder) as watch:
        watch.wait_for("waiting for the database")
        assert watch.stop(signal.SIGTERM) == 0
    assert watch.drain()[-1] == "no tool use yet"


def test_the_option_tools_names_what_is_stored(folder: Path, db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSION_BUDDY_TOOLS", "just check=just-check")
    write(folder / "s.jsonl", use(1, "t1", "Bash", command="just check"), result(2, "t1"))
    assert main(["watch", "--once", "--db-path", str(db_path), str(folder)]) == 0
    assert ask(db_path, "SELECT skill_name FROM skill_invocation") == [("just-check",)]


# ---- In Python


def test_nothing_private_is_stored(folder: Path, db_path: Path) -> None:
    (folder / f"{SECRET}.jsonl").write_bytes(invocation_lines(1))
    watch_transcripts([folder], db_path, report=lambda _report: None, go_on=lambda: True, once=True)
    assert row_count(db_path) == 1
    for file in db_path.parent.glob("skills.db*"):
        content = file.read_bytes()
        for private in (SECRET, "-home-me", "jsonl"):
            assert private.encode() not in content


def test_a_watch_in_python_reports_and_ends_when_stopped(folder: Path, db_path: Path) -> None:
    (folder / "s.jsonl").write_bytes(invocation_lines(1))
    reports: list[WatchReport] = []
    bytes_read: list[tuple[int, int]] = []
    watch_transcripts(
        [folder],
        db_path,
        report=reports.append,
        go_on=lambda: not reports,
        progress=lambda done, total: bytes_read.append((done, total)),
    )
    assert [report["event"] for report in reports] == ["caught_up", "ended"]
    assert reports[0]["recovered"] == 1
    assert bytes_read[-1] == (len(invocation_lines(1)), len(invocation_lines(1)))


def test_an_exception_of_a_callback_ends_the_watch(folder: Path, db_path: Path) -> None:
    def fail() -> bool:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        watch_transcripts([folder], db_path, report=lambda _report: None, go_on=fail)
