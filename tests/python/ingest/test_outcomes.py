"""Outcomes, names and durations: the same rows from transcripts and hooks, by every way in and in every order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts, watch_transcripts
from support.databases import execute
from support.hook_events import run_hook
from support.ingestion import HOOKS, send
from support.outcome_samples import SAMPLES, Row, Sample
from support.processes import Server
from support.transcripts import SECRET

UNKNOWN, BOUND = 1, 2  # bits of session_buddy_mark.marks


def stored(db_path: Path) -> dict[str, Row]:
    """The rows by dedup key; fails where two have the same. Those of slash commands by "command"."""
    if not db_path.exists():
        return {}
    found: dict[str, Row] = {}
    for key, skill, completed, error, seconds, marks in execute(
        db_path,
        "SELECT coalesce(key, 'command'), skill_name, completed, error_type, duration_seconds, coalesce(marks, 0)"
        " FROM skill_invocation AS i LEFT JOIN session_buddy_source AS s ON s.invocation_id = i.id"
        " LEFT JOIN session_buddy_mark AS m ON m.invocation_id = i.id",
    ):
        key = "command" if re.match("command|prompt:", key) else key
        assert key not in found
        assert completed or not marks & UNKNOWN
        outcome = "unknown" if marks & UNKNOWN else "completed" if completed else "failed"
        found[key] = Row(skill, outcome, error, None if seconds is None else round(seconds, 6), bool(marks & BOUND))
    return found


def transcript(sample: Sample, folder: Path) -> Path:
    path = folder / "projects" / "-home-me" / "session-1.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in sample.lines))
    return path


def by_import(sample: Sample, folder: Path, db_path: Path) -> None:
    import_transcripts([transcript(sample, folder)], db_path)


def by_watch(sample: Sample, folder: Path, db_path: Path) -> None:
    watch_transcripts([transcript(sample, folder)], db_path, report=lambda _report: None, go_on=lambda: True, once=True)


def by_hook_process(sample: Sample, _folder: Path, db_path: Path) -> None:
    for event in sample.events:
        done = run_hook(event, db_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def by_http_hook(sample: Sample, _folder: Path, db_path: Path) -> None:
    with Server(db_path) as server:
        for event in sample.events:
            assert send(server, HOOKS, event)[0] == 202


Way = Callable[[Sample, Path, Path], None]
TRANSCRIPTS: dict[str, Way] = {"import": by_import, "watch": by_watch}
HOOK_WAYS: dict[str, Way] = {"hook process": by_hook_process, "HTTP hook": by_http_hook}


def ids(sample: Sample) -> str:
    return sample.name


@pytest.mark.parametrize("way", TRANSCRIPTS)
@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_transcripts(sample: Sample, way: str, tmp_path: Path, db_path: Path) -> None:
    TRANSCRIPTS[way](sample, tmp_path, db_path)
    assert stored(db_path) == sample.from_transcript
    TRANSCRIPTS[way](sample, tmp_path, db_path)
    assert stored(db_path) == sample.from_transcript


@pytest.mark.parametrize("way", HOOK_WAYS)
@pytest.mark.parametrize("sample", [one for one in SAMPLES if one.events], ids=ids)
def test_hooks(sample: Sample, way: str, tmp_path: Path, db_path: Path) -> None:
    HOOK_WAYS[way](sample, tmp_path, db_path)
    assert stored(db_path) == sample.hook_rows


@pytest.mark.parametrize("order", ["hooks first", "transcript first"])
@pytest.mark.parametrize(  # of a slash command, sources share only the time
    "sample", [one for one in SAMPLES if one.events and "command" not in one.from_transcript], ids=ids
)
def test_hooks_and_transcripts_make_one_row_in_any_order(
    sample: Sample, order: str, tmp_path: Path, db_path: Path
) -> None:
    ways: list[Way] = [by_hook_process, by_import]
    for way in ways if order == "hooks first" else reversed(ways):
        way(sample, tmp_path, db_path)
    assert stored(db_path) == sample.both


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_nothing_private_is_stored_or_explained(
    sample: Sample, tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hook_process(sample, tmp_path, db_path)
    by_import(sample, tmp_path, db_path)
    for file in db_path.parent.glob(f"{db_path.name}*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes()
    assert main(["explain", "--last", "10", "--db-path", str(db_path)]) == 0
    captured = capsys.readouterr()
    assert SECRET not in captured.out + captured.err
