"""`session-buddy import` over transcripts that the tests write themselves."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts, load_transcripts, transcript_roots
from support.processes import DEADLINE
from support.transcripts import SECRET, at, result, use, with_secrets, write


def rows(db_path: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(db_path) as connection:
        return connection.execute(
            "SELECT skill_name, invoked_at, session_id, completed, duration_seconds, error_type "
            "FROM skill_invocation ORDER BY id"
        ).fetchall()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with one session that has every kind of record."""
    folder = tmp_path / "projects" / "-home-me-work"
    write(
        folder / "session-1.jsonl",
        {"type": "file-history-snapshot", "snapshot": {}},
        *with_secrets(),
        result(9, "t3", [{"type": "text", "text": SECRET}], is_error=False),
        {"type": "progress", "data": {"message": use(1, "p1", "Read")}},
    )
    write(
        folder / "session-1" / "subagents" / "agent-1.jsonl",
        use(4, "t2", "Read", file_path="/replayed"),
        use(7, "t4", "Grep", pattern=SECRET),
        result(7.5, "t4", SECRET),
    )
    return folder


def test_everything_in_a_folder_is_recorded(project: Path, db_path: Path) -> None:
    summary = import_transcripts([project], db_path)
    assert rows(db_path) == [
        ("pytest-run", at(1), "session-1", 0, 2.5, "exit_code"),
        ("Read", at(4), "session-1", 1, 0.25, None),
        ("make-it", at(5), "session-1", 1, None, None),
        ("agent:Explore", at(6), "session-1", 1, 3.0, None),
        ("Grep", at(7), "session-1", 1, 0.5, None),
    ]
    assert summary["files"] == 2
    assert summary["lines"] == 13
    assert summary["found"] == summary["recorded"] == 5
    assert summary["typed_commands"] == 1
    assert summary["replayed"] == 1
    assert summary["progress_lines"] == 1
    assert summary["already_known"] == summary["unfinished"] == summary["unreadable_lines"] == 0
    assert summary["recorded_by_skill"] == {
        "pytest-run": 1,
        "Read": 1,
        "make-it": 1,
        "agent:Explore": 1,
        "Grep": 1,
    }
    assert summary["bytes"] == sum(file.stat().st_size for file in project.rglob("*.jsonl"))


def test_a_second_import_adds_nothing(project: Path, db_path: Path) -> None:
    import_transcripts([project], db_path)
    before = rows(db_path)
    summary = import_transcripts([project], db_path)
    assert rows(db_path) == before
    assert (summary["recorded"], summary["already_known"], summary["found"]) == (0, 5, 5)
    assert summary["recorded_by_skill"] == {}


def test_nothing_private_reaches_the_database(project: Path, db_path: Path) -> None:
    import_transcripts([project], db_path)
    with sqlite3.connect(db_path) as connection:
        dump = "\n".join(connection.iterdump())
    assert "pytest-run" in dump
    assert SECRET not in dump
    for file in db_path.parent.glob("skills.db*"):
        assert SECRET.encode() not in file.read_bytes()


def test_a_session_that_continues_is_completed_by_later_imports(tmp_path: Path, db_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", use(1, "t1", "Read"))
    half = json.dumps(result(2, "t1"))
    with path.open("a") as file:
        file.write(half[: len(half) // 2])
    first = import_transcripts([path], db_path)
    assert (first["recorded"], first["unfinished"], first["incomplete_lines"], first["unreadable_lines"]) == (
        0,
        1,
        1,
        0,
    )
    with path.open("a") as file:
        file.write(half[len(half) // 2 :] + "\n")
    second = import_transcripts([path], db_path)
    assert (second["recorded"], second["unfinished"], second["incomplete_lines"]) == (1, 0, 0)
    assert import_transcripts([path], db_path)["recorded"] == 0


def test_uses_and_results_are_paired_across_files(tmp_path: Path, db_path: Path) -> None:
    write(tmp_path / "b.jsonl", use(1, "t1", "Read"))
    write(tmp_path / "a.jsonl", result(2, "t1"))
    assert import_transcripts([tmp_path], db_path)["recorded"] == 1
    assert rows(db_path) == [("Read", at(1), "session-1", 1, 1.0, None)]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path, db_path: Path) -> None:
    path = write(tmp_path / "in" / "a.jsonl", use(1, "t1", "Read"), result(2, "t1"))
    (tmp_path / "link.jsonl").symlink_to(path)
    summary = import_transcripts([path, path.parent, tmp_path / "link.jsonl"], db_path)
    assert (summary["files"], summary["recorded"], summary["replayed"]) == (1, 1, 0)


def test_a_linked_project_folder_is_read_once_and_loops_are_not_followed(tmp_path: Path, db_path: Path) -> None:
    projects = tmp_path / "projects"
    write(projects / "own" / "a.jsonl", use(1, "t1", "Read"), result(2, "t1"))
    write(tmp_path / "elsewhere" / "b.jsonl", use(1, "t2", "Read"), result(2, "t2"))
    for name in ("linked", "again"):
        (projects / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (projects / "loop").symlink_to(projects, target_is_directory=True)
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path, target_is_directory=True)
    summary = import_transcripts([projects], db_path)
    assert (summary["files"], summary["recorded"], summary["problems"]) == (2, 2, [])


def test_malformed_lines_are_reported_and_do_not_stop_the_import(tmp_path: Path, db_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", use(1, "t1", "Read"))
    with path.open("ab") as file:
        file.write(b"no json\n\xff\xfe\n{\n[]\n\n")
    write(path, result(2, "t1"))
    summary = import_transcripts([path], db_path)
    assert summary["recorded"] == 1
    assert summary["unreadable_lines"] == 3
    assert [problem["path"] for problem in summary["unreadable"]] == [f"{path}:{number}" for number in (2, 3, 4)]
    assert summary["problems"] == []


def test_a_line_with_a_lone_surrogate_is_imported(tmp_path: Path, db_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", use(1, "t1", "Bash", command="mypy \ud83d"), result(2, "t1", "cut \ude00"))
    assert b"\\ud83d" in path.read_bytes()
    summary = import_transcripts([path], db_path)
    assert summary["recorded_by_skill"] == {"mypy": 1}


def test_many_rows_are_stored_in_batches(tmp_path: Path, db_path: Path) -> None:
    lines = [one for i in range(2500) for one in (use(i, f"t{i}", f"tool-{i % 7}"), result(i + 0.5, f"t{i}"))]
    path = write(tmp_path / "a.jsonl", *lines)
    summary = import_transcripts([path], db_path)
    assert summary["recorded"] == 2500
    counts = Counter(row[0] for row in rows(db_path))
    assert counts == summary["recorded_by_skill"] == Counter(f"tool-{i % 7}" for i in range(2500))


def test_progress_is_reported_in_bytes_up_to_the_total(project: Path, db_path: Path) -> None:
    reported: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        reported.append((done, total))
        return True

    summary = import_transcripts([project], db_path, progress=progress)
    assert reported == sorted(reported)
    assert reported[-1] == (summary["bytes"], summary["bytes"])


def test_progress_can_stop_the_import(project: Path, db_path: Path) -> None:
    summary = import_transcripts([project], db_path, progress=lambda _done, _total: False)
    assert summary["stopped"]
    assert summary["files"] == 0
    again = import_transcripts([project], db_path)
    assert not again["stopped"]
    assert len(rows(db_path)) == 5


def test_an_exception_of_the_progress_ends_the_import(project: Path, db_path: Path) -> None:
    def progress(_done: int, _total: int) -> bool:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        import_transcripts([project], db_path, progress=progress)


def test_loading_returns_everything_ordered_by_time(project: Path) -> None:
    invocations, summary = load_transcripts([project])
    assert [one.skill_name for one in invocations] == ["pytest-run", "Read", "make-it", "agent:Explore", "Grep"]
    assert [one.at for one in invocations] == sorted(one.at for one in invocations)
    assert invocations[0].at == 1770904801.0
    assert invocations[0].error_type == "exit_code"
    assert not invocations[0].completed
    assert summary["found"] == 5
    assert summary["recorded"] == 0


# ---- The default folders of transcripts


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_the_default_folders_are_those_of_the_home_folder(home: Path) -> None:
    assert transcript_roots() == []
    for config in (".claude", ".config/claude"):
        (home / config / "projects").mkdir(parents=True)
    assert transcript_roots() == [home / ".claude/projects", home / ".config/claude/projects"]


def test_the_variable_names_other_folders(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".claude/projects").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / name / "projects").mkdir(parents=True)
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", f"{tmp_path / 'one'}, {tmp_path / 'two'},,{tmp_path / 'missing'}")
    assert transcript_roots() == [tmp_path / "one/projects", tmp_path / "two/projects"]


# ---- The command


def test_the_command_imports_the_default_folders(
    home: Path, project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".claude").mkdir()
    (home / ".claude/projects").symlink_to(project.parent, target_is_directory=True)
    assert main(["import", "--db-path", str(db_path)]) == 0
    output = capsys.readouterr()
    assert "Recorded  5 of 5 invocations" in output.out
    assert "1 repeated in the transcripts" in output.out
    assert output.err == ""
    assert len(rows(db_path)) == 5


def test_the_command_names_the_folders_that_hold_nothing(
    home: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "--db-path", str(db_path)]) == 1
    assert "no transcripts in the default folders" in capsys.readouterr().err
    assert not db_path.exists()


def test_the_summary_as_json(project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(project), "--json", "--db-path", str(db_path)]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["db_path"] == str(db_path)
    assert summary["recorded_by_skill"]["pytest-run"] == 1


def test_a_missing_path_is_reported_and_the_others_are_imported(
    project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = project / "missing.jsonl"
    assert main(["import", str(missing), str(project), "--db-path", str(db_path)]) == 1
    assert f"{missing}: " in capsys.readouterr().err
    assert len(rows(db_path)) == 5


def test_a_wrong_path_creates_no_database(tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["import", str(tmp_path / "nosuch"), "--db-path", str(db_path)]) == 1
    assert capsys.readouterr().out == ""  # nor a part of one
    main(["import", str(tmp_path / "empty"), "--db-path", str(db_path)])
    assert not db_path.exists()


def test_an_unreadable_path_is_reported_and_the_others_are_imported(project: Path, db_path: Path) -> None:
    locked = write(project / "locked.jsonl", use(1, "l1", "Read"), result(2, "l1"))
    locked.chmod(0)
    command = [Path(sys.executable).with_name("session-buddy"), "import", project, "--db-path", db_path]
    if os.geteuid() == 0:  # root may read everything unless these capabilities are dropped
        command[:0] = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 1
    assert f"{locked}: Permission denied" in done.stderr
    assert len(rows(db_path)) == 5


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_fails_while_it_is_read_is_reported(
    project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "/proc/self/mem", str(project), "--db-path", str(db_path)]) == 1
    assert "/proc/self/mem: Input/output error" in capsys.readouterr().err
    assert len(rows(db_path)) == 5


@pytest.mark.parametrize(
    ("agent", "content"),
    [
        ("Codex", '{"timestamp":"2026-02-12T14:00:00Z","type":"session_meta","payload":{"id":"1"}}\n'),
        ("Codex", '{"timestamp":"2026-02-12T14:00:01Z","type":"response_item","payload":{"type":"function_call"}}\n'),
        ("Gemini CLI", '{"sessionId": "1", "projectHash": "2", "kind": "main"}\n{"id": "3", "type": "gemini"}\n'),
        ("Gemini CLI", '{\n  "sessionId": "1",\n  "projectHash": "2",\n  "messages": []\n}'),
        ("OpenCode", '{"type":"text","timestamp":1770904800000,"sessionID":"ses_1","part":{"id":"prt_1"}}\n'),
        ("GitHub Copilot CLI", '{"type":"user.message","data":{"content":"x"},"id":"1","parentId":null}\n'),
        ("Pi", '{"type":"session","version":3,"id":"1","timestamp":"2026-02-12T14:00:00Z","cwd":"/"}\n'),
        (None, '{"skills": {"a": {"total_invocations": 5}}, "invocations": []}'),
        (None, '{\n  "skills": {\n    "a": {"total_invocations": 5}\n  }\n}\n'),
        (None, "Dear diary\n"),
        (None, "Dear diary"),
    ],
)
def test_a_file_that_is_not_a_transcript_is_reported(
    tmp_path: Path,
    project: Path,
    db_path: Path,
    capsys: pytest.CaptureFixture[str],
    agent: str | None,
    content: str,
) -> None:
    foreign = tmp_path / "other" / "session.jsonl"
    foreign.parent.mkdir()
    foreign.write_text(content)
    reason = "not a Claude Code transcript" + (f" but a session of {agent}" if agent else "")
    for path in (foreign, foreign.parent):
        assert main(["import", str(path), "--db-path", str(db_path)]) == 1
        error = capsys.readouterr().err
        assert f"session-buddy import: {path}: {reason} (only Claude Code sessions can be imported)\n" in error
    # One such file among transcripts is no error.
    assert main(["import", str(foreign.parent), str(project), "--db-path", str(db_path)]) == 0
    assert f"1 file {f'of {agent}' if agent else 'without a line of Claude Code'}" in capsys.readouterr().out


def test_a_folder_without_transcripts_is_reported(
    tmp_path: Path, project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chats"
    folder.mkdir()
    (folder / "session-1.json").write_text("{}")
    assert main(["import", str(folder), "--db-path", str(db_path)]) == 1
    assert f"{folder}: no transcript (*.jsonl) of Claude Code in it" in capsys.readouterr().err
    assert main(["import", str(folder), str(project), "--db-path", str(db_path)]) == 0


def test_transcripts_without_a_tool_use_are_accepted(
    tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        {"type": "summary", "summary": SECRET, "leafUuid": "1"},
        {"type": "file-history-snapshot", "messageId": "1", "snapshot": {}},
        {"type": "mode", "mode": "normal", "sessionId": "1"},
        {"type": "user", "message": {"role": "user", "content": SECRET}},
    ]
    for number, one in enumerate(lines):
        path = write(tmp_path / f"{number}.jsonl", one)
        assert main(["import", str(path), "--db-path", str(db_path)]) == 0
    (tmp_path / "empty.jsonl").touch()
    assert main(["import", str(tmp_path / "empty.jsonl"), "--db-path", str(db_path)]) == 0
    assert capsys.readouterr().err == ""


def test_a_file_that_is_not_a_database_is_an_error(
    project: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db_path.write_text("this is a text and no database at all, despite its name\n" * 20)
    assert main(["import", str(project), "--db-path", str(db_path)]) == 1
    assert capsys.readouterr().err.startswith("session-buddy import: ")


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["import", "--no-such-option"])
    assert ended.value.code == 2
    capsys.readouterr()
