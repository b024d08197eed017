"""`session-buddy explain`: the reasons it gives for each kind of row, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import execute
from support.hook_events import post, pre, run_hook, session_end
from support.outcome_samples import SAMPLES
from support.transcripts import SECRET, result, use, write


def explain(db_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["explain", *arguments, "--db-path", str(db_path)]) == 0
    return capsys.readouterr().out


def import_sample(name: str, db_path: Path, tmp_path: Path) -> None:
    (sample,) = [one for one in SAMPLES if one.name == name]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in sample.lines))
    import_transcripts([path], db_path)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (
            "a failed test run piped into tail",
            [
                "#1  npm test  failed (exit_code), at most 30 s",
                "  key       t1",
                "  seen by   transcript",
                "  name      the developer tool that the shell command runs",
                "  outcome   failed: the output of the tool shows it. Its end was reported as completed by: transcript",
                "  duration  30 s, from ",
                "an upper bound, because it may include a wait",
                "  verdict   failed, from the output (transcript)",
            ],
        ),
        (
            "a test run whose output is cut off",
            ["#1  npm test  unknown, at most 30 s", "  outcome   unknown: the shell command hides the exit status"],
        ),
        (
            "an agent in the background fails after five minutes",
            [
                "#1  agent:Explore  failed (tool_error), 299 s",
                "  outcome   failed: its end in the background was reported as failed by: transcript",
                "  duration  299 s, as the agent measured it without waits (transcript)",
                "  background",
            ],
        ),
        (
            "a shell command in the background whose end is never reported",
            ["#1  pytest-run  unknown, no duration", "  outcome   unknown: no source reported its end before"],
        ),
        (
            "a call that the user rejected",
            [
                "#1  Bash  failed (rejected), no duration",
                "it was rejected and never ran",
                "  duration  none: it never ran",
            ],
        ),
        (
            "a duration that the tool measured",
            [
                "#1  pytest-run  completed, 19.5 s",
                "  outcome   completed: its end was reported as completed by: transcript",
            ],
        ),
    ],
)
def test_the_reasons_of_each_kind_of_row(
    sample: str, expected: list[str], db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_sample(sample, db_path, tmp_path)
    text = explain(db_path, capsys, "1")
    for part in expected:
        assert part in text
    assert SECRET not in text


def test_better_evidence_is_named_with_its_source(
    db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in (pre("t1", "Read"), session_end()):
        run_hook(event, db_path)
    assert "unknown: no source reported its end" in explain(db_path, capsys, "1")
    import_transcripts([write(tmp_path / "s.jsonl", use(1, "t1", "Read"), result(2, "t1"))], db_path)
    assert "reported as completed by: transcript" in explain(db_path, capsys, "1")
    run_hook(post("t1", "Read", duration_ms=250), db_path)
    text = explain(db_path, capsys, "1")
    assert text.startswith("#1  Read  completed, 0.25 s\n")
    assert "  seen by   hook, transcript\n" in text
    assert "as the agent measured it without waits (hook)" in text
    assert len(execute(db_path, "SELECT id FROM skill_invocation")) == 1


def test_last_and_open_list_invocations(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        run_hook(post(f"t{number}", f"tool-{number}", duration_ms=1), db_path)
    run_hook(pre("t9", "Grep"), db_path)
    text = explain(db_path, capsys, "--last", "2")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("#")] == ["tool-2", "tool-1"]
    assert explain(db_path, capsys, "--last", "5", "--skill", "tool-0").startswith("#1  tool-0  ")
    text = explain(db_path, capsys, "--open")
    assert text.startswith("open  Grep  not ended yet\n")
    assert "no source has reported its end" in text
    shown = json.loads(explain(db_path, capsys, "--last", "1", "--json"))
    assert shown["db_path"] == str(db_path)
    (one,) = shown["invocations"]
    assert (one["id"], one["outcome"], one["result"]["outcome_by"]) == (3, "completed", "hook")


def test_rows_without_evidence_say_so(db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_transcripts([write(tmp_path / "s.jsonl", use(1, "t1", "Read"), result(2, "t1"))], db_path)
    execute(db_path, "UPDATE session_buddy_source SET evidence = NULL")
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("deploy", session_id="s", completed=True)
    text = explain(db_path, capsys, "1")
    assert "  evidence  not known: an earlier version recorded it" in text
    assert "`session-buddy import --reclassify`" in text
    assert "  evidence  not known: it was recorded without a dedup key" in explain(db_path, capsys, "2")


def failed(capsys: pytest.CaptureFixture[str], *arguments: Any) -> str:
    assert main(["explain", *map(str, arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_errors_say_what_is_wrong(db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = failed(capsys, 1, "--db-path", db_path)
    assert error == (
        f"session-buddy explain: error: no database {db_path}; check --db-path, or record something first\n"
    )
    assert not db_path.exists()
    run_hook(post("t1", "Read", duration_ms=1), db_path)
    assert "no invocation 7 in" in failed(capsys, 7, "--db-path", db_path)
    assert "no invocation of mypy in" in failed(capsys, "--last", 1, "--skill", "mypy", "--db-path", db_path)
    assert "no open invocation in" in failed(capsys, "--open", "--db-path", db_path)
    text = tmp_path / "text.db"
    text.write_text("this is a text and no database at all, despite its name\n" * 20)
    assert failed(capsys, 1, "--db-path", text).startswith("session-buddy explain: error: ")


@pytest.mark.parametrize("arguments", [[], ["0"], ["-1"], ["x"], ["1.5"], ["--last", "0"], ["1", "--last", "1"]])
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", *arguments])
    assert ended.value.code == 2
    assert "session-buddy explain: error: " in capsys.readouterr().err


def test_a_skill_needs_last_or_open(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "1", "--skill", "Read"]) == 2
    assert "--skill only limits --last and --open" in capsys.readouterr().err
