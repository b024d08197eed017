"""Marked secrets are ingested through every source, and no file that this project writes contains one."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from session_buddy.ingest import import_transcripts
from support.databases import locked
from support.hook_events import event, failure, post, pre, run_hook, session_end, typed
from support.ingestion import HOOKS, INVOCATIONS, NDJSON, invocation, send
from support.processes import Server
from support.transcripts import SECRET, result, use, with_secrets, write

# Stands for a prompt, an argument, an output, a path or the text of an error.
EVENTS: list[dict[str, Any]] = [
    pre("t1", "Bash", tool_input={"command": f"pytest {SECRET} > {SECRET}", "description": SECRET}),
    post("t1", "Bash", tool_input={"command": f"X={SECRET} pytest {SECRET}"}, tool_response={"stdout": SECRET}),
    pre("t2", "Task", tool_input={"subagent_type": "Explore", "prompt": SECRET}),
    failure("t2", f"{SECRET} Exit code 1 {SECRET}", "Task", tool_input={"subagent_type": "Explore", "prompt": SECRET}),
    pre("t3", "Edit", tool_input={"file_path": f"/{SECRET}", "old_string": SECRET, "new_string": SECRET}),
    post("t4", "Bash", tool_input={"command": SECRET}),
    post("t7", "Skill", tool_input={"skill": f"/commit -m '{SECRET}'"}),
    post("t8", "Task", tool_input={"subagent_type": f"Explore {SECRET}"}),
    # Commands that hide the status of the tool, so that its output is looked at.
    pre("t10", "Bash", tool_input={"command": f"pytest {SECRET} | tail -5"}),
    post(
        "t10",
        "Bash",
        tool_input={"command": f"pytest {SECRET} | tail -5"},
        tool_response={
            "stdout": f"{SECRET}\nFAILED {SECRET}.py::{SECRET} - {SECRET}\n1 failed in 0.1s\n",
            "stderr": SECRET,
        },
    ),
    post(
        "t11",
        "Bash",
        tool_input={"command": f"npm test -- {SECRET} || true"},
        tool_response={"stdout": f"FAIL src/{SECRET}.test.ts > {SECRET}\n{SECRET}: command not found\n", "stderr": ""},
    ),
    failure(
        "t12", f"Exit code 1\n{SECRET}\n1 failed in 0.1s", tool_input={"command": f"ruff check {SECRET} && pytest"}
    ),
    typed("review", command_args=SECRET),
    typed(f"/review {SECRET}"),
    event("UserPromptSubmit", prompt=SECRET),
    event("Notification", message=SECRET),
    {"hook_event_name": SECRET, "session_id": SECRET},
    {**pre("t5"), "tool_use_id": SECRET * 100},
    session_end(),
]
NO_EVENTS = [f'"{SECRET}"'.encode(), f'{{"{SECRET}": {SECRET}'.encode(), b"\xff" + SECRET.encode()]
REPORTS: list[Any] = [
    invocation(user_query=SECRET),
    invocation(error_type=f"no such file: {SECRET}"),
    invocation(follow_up_actions=[SECRET]),
    {SECRET.replace("-", " "): SECRET},
    [invocation(), {**invocation(), "skill_name": {"text": SECRET}}],
]


def files_under(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def check_that_nothing_holds_a_secret(*folders: Path) -> None:
    """Checks everything that was written; the inputs are elsewhere."""
    looked_at = [path for folder in folders for path in files_under(folder)]
    assert any(path.name == "skills.db" for path in looked_at)
    for path in looked_at:
        assert SECRET.encode() not in path.read_bytes(), path
        assert SECRET not in str(path)


def hooks(db_path: Path) -> None:
    for body in [*EVENTS, *NO_EVENTS]:
        run_hook(body, db_path)


def hooks_of_a_locked_database(db_path: Path) -> None:
    run_hook(post("t0"), db_path)
    with locked(db_path):
        hooks(db_path)
        assert files_under(Path(f"{db_path}-spool"))
        check_that_nothing_holds_a_secret(db_path.parent)
    run_hook(post("t6"), db_path)


def requests(db_path: Path) -> None:
    with Server(db_path, "--log-level", "debug") as server:
        for body in [*EVENTS, *NO_EVENTS]:
            answer = send(server, HOOKS, body)
            assert SECRET not in json.dumps(answer[1])
        for report in REPORTS:
            status, answer_body, _ = send(server, INVOCATIONS, report)
            assert status == 400
            assert SECRET not in json.dumps(answer_body)
        assert send(server, INVOCATIONS, f"{SECRET}\n", NDJSON)[0] == 400
        server.stop()
        output = server.drain()
    assert any("POST" in text for text in [*server.seen, *output])
    assert not [text for text in [*server.seen, *output] if SECRET in text]


def transcripts(db_path: Path) -> None:
    folder = db_path.parent.parent / "transcripts"
    write(
        folder / "session-1.jsonl",
        *with_secrets(),
        {"type": SECRET, SECRET: SECRET},
    )
    write(folder / f"{SECRET}.jsonl", use(1, "t9", "Read"), result(2, "t9"))
    import_transcripts([folder], db_path)


SOURCES: dict[str, Callable[[Path], None]] = {
    "hooks": hooks,
    "hooks of a locked database": hooks_of_a_locked_database,
    "requests": requests,
    "transcripts": transcripts,
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_file_holds_what_is_private(tmp_path: Path, source: str) -> None:
    db_path = tmp_path / "written" / "skills.db"
    db_path.parent.mkdir()
    SOURCES[source](db_path)
    check_that_nothing_holds_a_secret(db_path.parent, Path(os.environ["XDG_STATE_HOME"]).parent)
    with closing(sqlite3.connect(db_path)) as database:
        (stored,) = database.execute("SELECT count(*) FROM skill_invocation").fetchone()
    assert stored > 2
