"""Scores every scripted call of the recorded sessions against what really happened, from each source and mixtures."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from session_buddy.ingest import import_transcripts
from support.hook_events import run_hook
from support.recorded import LATEST

HOOKS = ["hooks-print.jsonl", "hooks-interactive.jsonl", "hooks-signals.jsonl"]
TRANSCRIPTS = [LATEST / "print", LATEST / "interactive"]
UNKNOWN_OUTCOME = 1  # a bit of session_buddy_mark


class Call(NamedTuple):
    """What happened in a call: its outcome, the class of its error, and the least time that its work took."""

    skill: str
    outcome: str
    error: str | None
    least_seconds: float


class Found(NamedTuple):
    skill: str
    outcome: str
    error: str | None
    seconds: float | None


# What the script of a call says, by how it begins.
_OUTCOMES = {
    "ok": ("completed", None),
    "exit ": ("failed", "exit_code"),
    "background, exit ": ("failed", "exit_code"),
    "pipeline exits 0, the test inside FAILED": ("failed", "exit_code"),
    "shell killed by itself": ("failed", "exit_code"),
    "timeout": ("failed", "timeout"),
    "rejected by the user": ("failed", "rejected"),
    "denied by rule": ("failed", "rejected"),
    "never ran: an earlier call": ("failed", "rejected"),
    "interrupted while it ran": ("failed", "interrupted"),
    "error of the tool": ("failed", "tool_error"),
    "MCP result with isError": ("failed", "tool_error"),
    "no such ": ("failed", "tool_error"),
    "invalid input": ("failed", "tool_error"),
    "refused by the tool": ("failed", "tool_error"),
}


def _skill(tool: str, used_input: str) -> str:
    match tool:
        case "Bash":
            return {"npm": "npm test", "pytest": "pytest-run"}.get(used_input.split(" ")[0], "Bash")
        case "Agent":
            return f"agent:{used_input}"
        case "Skill":
            return used_input
    return tool


def _truth() -> dict[str, Call]:
    calls = {}
    for row in (LATEST / "truth.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        _, key, _, source, tool, used_input, scripted, least, *_ = row.split("\t")
        if source in ("2.1.332 print", "2.1.332 print subagent", "2.1.332 interactive"):
            outcome, error = next(value for start, value in _OUTCOMES.items() if scripted.startswith(start))
            calls[key] = Call(_skill(tool, used_input), outcome, error, float(least or 0))
    return calls


def _payloads() -> list[dict[str, Any]]:
    lines = [line for name in HOOKS for line in (LATEST / name).read_text(encoding="utf-8").splitlines()]
    names = {"PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "UserPromptSubmit", "SessionEnd"}
    return [body for line in lines if (body := json.loads(line)["p"])["hook_event_name"] in names]


def _stored(db_path: Path) -> dict[str, Found]:
    with closing(sqlite3.connect(db_path)) as database:
        rows = database.execute(
            "SELECT key, skill_name, completed, coalesce(marks, 0), error_type, duration_seconds"
            " FROM skill_invocation JOIN session_buddy_source ON session_buddy_source.invocation_id = id"
            " LEFT JOIN session_buddy_mark ON session_buddy_mark.invocation_id = id"
        ).fetchall()
    assert len(rows) == len({row[0] for row in rows})
    return {
        key: Found(
            skill,
            "unknown" if marks & UNKNOWN_OUTCOME else "completed" if completed else "failed",
            error,
            seconds,
        )
        for key, skill, completed, marks, error, seconds in rows
    }


def _check(found: dict[str, Found], expected: dict[str, Call], *, recorded_durations: bool) -> None:
    wrong = {}
    for key, call in expected.items():
        row = found.get(key)
        if row is None or row[:3] != call[:3]:
            wrong[key] = (row, call)
        elif call.error == "rejected":
            assert row.seconds is None, key
        elif recorded_durations and row.seconds is not None:
            assert row.seconds >= call.least_seconds, key
    assert wrong == {}


def _killed_with_the_agent(truth: dict[str, Call]) -> set[str]:
    """Calls whose transcript ends with their start, because the agent was killed by SIGKILL."""
    text = "".join(path.read_text(encoding="utf-8") for root in TRANSCRIPTS for path in root.rglob("*.jsonl"))
    return {key for key in truth if f'"tool_use_id": "{key}"' not in text and f'"tool_use_id":"{key}"' not in text}


@pytest.fixture(scope="module")
def truth() -> dict[str, Call]:
    return _truth()


def test_transcripts(db_path: Path, truth: dict[str, Call]) -> None:
    killed = _killed_with_the_agent(truth)
    assert len(killed) == 1
    import_transcripts(TRANSCRIPTS, db_path)
    expected = {key: call for key, call in truth.items() if key not in killed}
    _check(_stored(db_path), expected, recorded_durations=True)


def test_hooks(db_path: Path, truth: dict[str, Call]) -> None:
    """Without transcripts, a rejection by the user or an interruption leaves only a start: the outcome is unknown."""
    payloads = _payloads()
    for body in payloads:
        run_hook(body, db_path)
    text = json.dumps(payloads)
    killed = _killed_with_the_agent(truth)
    expected = {}
    for key, call in truth.items():
        if key in text and key not in killed:
            is_rule = any(
                call_of_batch["tool_use_id"] == key for body in payloads for call_of_batch in body.get("tool_calls", [])
            )
            is_lost = call.error in ("rejected", "interrupted") and not is_rule
            expected[key] = call._replace(outcome="unknown", error=None) if is_lost else call
    _check(_stored(db_path), expected, recorded_durations=False)


@pytest.mark.parametrize("seed", range(4))
def test_mixtures_in_any_order(db_path: Path, truth: dict[str, Call], seed: int) -> None:
    """Hook events in a random order, with the transcripts imported before, between or after them."""
    payloads = _payloads()
    random.Random(seed).shuffle(payloads)
    turn = (0, len(payloads) // 2, len(payloads) - 1, len(payloads) // 3)[seed]
    for number, body in enumerate(payloads):
        if number == turn:
            import_transcripts(TRANSCRIPTS, db_path)
        run_hook(body, db_path)
    killed = _killed_with_the_agent(truth)
    expected = {key: call for key, call in truth.items() if key not in killed}
    _check(_stored(db_path), expected, recorded_durations=False)
