"""`session-buddy import --reclassify`: rows of an earlier version get better outcomes, and what the summary reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.test_outcomes import stored
from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts
from support.databases import execute
from support.hook_events import post, pre, run_hook
from support.outcome_samples import SAMPLES, Row
from support.transcripts import SECRET, result, use, write

CHANGED = [
    "a failed test run piped into tail",
    "a test run whose output is cut off",
    "an agent in the background fails after five minutes",
    "a call that the user rejected",
]


def content(db_path: Path) -> str:
    rows = execute(db_path, "SELECT * FROM skill_invocation ORDER BY id")
    return json.dumps([rows, execute(db_path, "SELECT skill_name, total_invocations FROM skill_metrics ORDER BY 1")])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Transcripts with one invocation each, with the keys t0, t1, …"""
    path = tmp_path / "projects"
    path.mkdir()
    for number, name in enumerate(CHANGED):
        (sample,) = [one for one in SAMPLES if one.name == name]
        text = "".join(json.dumps(line) + "\n" for line in sample.lines)
        (path / f"{number}.jsonl").write_text(text.replace("t1", f"t{number}").replace("uuid", f"uuid{number}"))
    return path


@pytest.fixture
def old_database(folder: Path, db_path: Path) -> Path:
    """The same sessions as an earlier version recorded them."""
    import_transcripts([folder], db_path)
    execute(db_path, "UPDATE session_buddy_source SET evidence = NULL")
    execute(db_path, "DELETE FROM session_buddy_mark")
    execute(db_path, "DELETE FROM session_buddy_unknown")
    old = {"t0": (1, None, 30.0), "t1": (1, None, 30.0), "t2": (1, None, 0.011), "t3": (0, "tool_error", 60.0)}
    for key, (completed, error, seconds) in old.items():
        execute(
            db_path,
            "UPDATE skill_invocation SET completed = ?, error_type = ?, duration_seconds = ?"
            " WHERE id = (SELECT invocation_id FROM session_buddy_source WHERE key = ?)",
            *(completed, error, seconds, key),
        )
    return db_path


EXPECTED = {
    "t0": Row("npm test", "failed", "exit_code", 30.0, is_bound=True),
    "t1": Row("npm test", "unknown", None, 30.0, is_bound=True),
    "t2": Row("agent:Explore", "failed", "tool_error", 299.0),
    "t3": Row("Bash", "failed", "rejected"),
}


def reclassify(db_path: Path, folder: Path, *options: str) -> list[str]:
    return ["import", "--reclassify", str(folder), "--db-path", str(db_path), *options]


def test_rows_of_an_earlier_version_get_what_the_transcripts_say(
    old_database: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(folder), "--db-path", str(old_database)]) == 0
    assert stored(old_database)["t0"] == Row("npm test", "completed", None, 30.0), "an ordinary import leaves them"
    capsys.readouterr()
    before = content(old_database)
    assert main(reclassify(old_database, folder, "--dry-run")) == 0
    dry_run = capsys.readouterr().out
    for line in (
        "Would record 0 of 4 invocations",
        "Would correct 4 rows:",
        "npm test: 2 rows: 1 completed → failed, 1 completed → unknown, 2 with another duration",
        "agent:Explore: 1 row: 1 completed → failed, 1 with another duration",
        "Bash: 1 row: 1 with another error type, 1 with another duration",
    ):
        assert line in dry_run
    assert content(old_database) == before
    assert main(reclassify(old_database, folder)) == 0
    output = capsys.readouterr().out
    assert "Corrected 4 rows:" in output
    assert SECRET not in dry_run + output
    assert stored(old_database) == EXPECTED
    after = content(old_database)
    assert main(reclassify(old_database, folder)) == 0
    assert "Corrected" not in capsys.readouterr().out
    assert content(old_database) == after


def test_the_summary_as_json(old_database: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(reclassify(old_database, folder, "--dry-run", "--json")) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["recorded"], summary["corrected"]) == (0, 4)
    corrections = {one["skill_name"]: one for one in summary["corrections"]}
    assert corrections["npm test"] == {
        "skill_name": "npm test",
        "rows": 2,
        "outcomes": {"completed → failed": 1, "completed → unknown": 1},
        "renamed": 0,
        "error_types": 0,
        "durations": 2,
    }


def test_a_duration_that_a_hook_measured_stays(db_path: Path, tmp_path: Path) -> None:
    run_hook(post("t1", "Read", duration_ms=250), db_path)
    execute(db_path, "UPDATE session_buddy_source SET evidence = NULL")
    path = write(tmp_path / "s.jsonl", use(1, "t1", "Read"), result(60, "t1"))
    import_transcripts([path], db_path, reclassify=True)
    assert stored(db_path) == {"t1": Row("Read", "completed", None, 0.25)}


def test_an_import_reports_unknown_outcomes_and_corrected_rows(
    db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool_input = {"command": "npm test | tail -1"}
    lines = [use(1, "t1", "Bash", **tool_input), result(2, "t1", "x")]
    path = write(tmp_path / "s.jsonl", *lines)
    assert main(["import", str(path), "--db-path", str(db_path)]) == 0
    assert "Unknown   1 of these have an unknown outcome" in capsys.readouterr().out
    for event in (pre("t2", "Read"), {"hook_event_name": "SessionEnd", "session_id": "session-1", "reason": "exit"}):
        run_hook(event, db_path)
    write(path, use(3, "t2", "Read"), result(4, "t2"))
    assert main(["import", str(path), "--db-path", str(db_path)]) == 0
    output = capsys.readouterr().out
    assert "Corrected 1 row:\n            Read: 1 row: 1 unknown → completed" in output


def test_an_import_closes_background_runs_that_never_end(db_path: Path, tmp_path: Path) -> None:
    (sample,) = [one for one in SAMPLES if one.name.endswith("whose end is never reported")]
    path = tmp_path / "s.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in sample.lines))
    summary = import_transcripts([path], db_path)
    assert (summary["recorded"], summary["expired"], summary["unknown_outcomes"]) == (0, 1, 1)
    assert import_transcripts([path], db_path)["expired"] == 0
    assert stored(db_path) == sample.from_transcript


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--dry-run"], 2, "--dry-run needs --reclassify"),
        (["--reclassify"], 1, "to reclassify; check --db-path"),
        (["--reclassify", "--dry-run"], 1, "to reclassify; check --db-path"),
    ],
)
def test_wrong_usage(
    options: list[str], status: int, message: str, folder: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[Any] = ["import", *options, str(folder), "--db-path", str(db_path)]
    assert main(arguments) == status
    assert message in capsys.readouterr().err
    assert not db_path.exists()
