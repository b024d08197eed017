"""Recorded sessions that grow while they are watched."""

from __future__ import annotations

import signal
from pathlib import Path

from cli.test_watch import (
    ask,
    folder,
    kill_again_and_again,
    row_count,
    rows_per_key,
    watching,
)
from session_buddy.cli.main import main
from session_buddy.ingest import import_transcripts
from support.processes import wait_until
from support.recorded import CLAUDE_CODE as DATA
from support.recorded import LARGE

__all__ = ["folder"]


def test_a_recorded_session_that_grows_while_watches_are_killed_is_stored_once(
    folder: Path, db_path: Path, tmp_path: Path
) -> None:
    files = {
        folder / path.relative_to(DATA): path.read_bytes()
        for path in [LARGE, *(DATA / LARGE.stem / "subagents").glob("*.jsonl")]
    }
    kill_again_and_again(folder, db_path, files, kills=6)
    assert main(["watch", "--once", "--db-path", str(db_path), str(folder)]) == 0
    in_one_go = tmp_path / "in-one-go.db"
    summary = import_transcripts([folder], in_one_go)
    assert summary["recorded"] == 254  # 242 tool uses of the session, 12 of its subagents
    assert rows_per_key(db_path) == rows_per_key(in_one_go)
    assert row_count(db_path) == summary["recorded"]


def test_a_watch_stores_the_242_tool_uses_of_the_large_session(folder: Path, db_path: Path) -> None:
    source = LARGE
    with watching("--db-path", db_path, folder) as watch:
        watch.wait_for("Caught up")
        text = source.read_bytes()
        with (folder / source.name).open("ab", buffering=0) as file:
            for begin in range(0, len(text), 100_003):
                file.write(text[begin : begin + 100_003])
        uses = "SELECT count(*) FROM session_buddy_source WHERE key LIKE 'toolu%'"
        wait_until(lambda: ask(db_path, uses) == [(242,)], "all uses are stored")
        assert watch.stop(signal.SIGINT) == 0
