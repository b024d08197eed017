"""A generated transcript for the demo: hidden exit statuses, background runs, MCP tools."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from session_buddy.demo.history import DAY_SECONDS, session_name
from session_buddy.ingest.times import isoformat

__all__ = ["make_transcript"]

_USES = 240

_FAILED_JEST = "Test Suites: 1 failed, 8 passed, 9 total\nTests:       1 failed, 41 passed, 42 total\n"
# Shell commands that hide the exit status of their tool, and outputs that show a verdict or none, by weight.
_HIDDEN = (
    ("npm test 2>&1 | tail -20", "Test Suites: 9 passed, 9 total\nTests:       42 passed, 42 total\n", 8),
    ("npm test 2>&1 | tail -20", _FAILED_JEST, 3),
    ("npm test 2>&1 | tail -1", "Ran all test suites.\n", 2),
    ("pytest -q || true", "======================== 118 passed in 5.21s ========================\n", 6),
    ("pytest -q || true", "=================== 2 failed, 116 passed in 5.87s ===================\n", 3),
    ("mypy src | tail -1", "Success: no issues found in 31 source files\n", 5),
    ("mypy src | tail -1", "Found 3 errors in 2 files (checked 31 source files)\n", 2),
    ("mypy src | head -3", "src/app.py:12: note: See the documentation\n", 2),
)
_MCP_TOOLS = ("mcp__github__list_issues", "mcp__github__create_issue", "mcp__postgres__query")


def make_transcript(rng: random.Random, now: float) -> list[str]:
    """The lines of one session of Claude Code in the day before ``now`` (seconds since the epoch)."""
    session = session_name(rng)
    times = sorted(now - rng.uniform(0.005, 1.0) * DAY_SECONDS for _ in range(_USES))
    lines: list[tuple[float, dict[str, Any]]] = []
    for number, at in enumerate(times):
        tool_id = f"toolu_{rng.getrandbits(96):024x}"
        kind = rng.random()
        if kind < 0.5:
            lines.extend(_hidden(rng, at, tool_id))
        elif kind < 0.62 or number == 0:
            lines.extend(_background(rng, at, tool_id, now))
        else:
            lines.extend(_mcp(rng, at, tool_id))
    lines.sort(key=lambda pair: pair[0])
    return [
        json.dumps({**line, "uuid": f"demo-{number}", "sessionId": session, "timestamp": isoformat(at)})
        for number, (at, line) in enumerate(lines)
    ]


Lines = Iterator[tuple[float, dict[str, Any]]]


def _use(tool_id: str, name: str, tool_input: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "tool_use", "id": tool_id, "name": name, "input": tool_input}]
    return {"type": "assistant", "message": {"role": "assistant", "content": content}}


def _result(tool_id: str, text: str, whole: dict[str, Any], *, is_error: bool = False) -> dict[str, Any]:
    content = [{"type": "tool_result", "tool_use_id": tool_id, "content": text, "is_error": is_error}]
    return {"type": "user", "message": {"role": "user", "content": content}, "toolUseResult": whole}


def _hidden(rng: random.Random, at: float, tool_id: str) -> Lines:
    command, output, _ = rng.choices(_HIDDEN, weights=[weight for _, _, weight in _HIDDEN])[0]
    seconds = rng.lognormvariate(1.6, 0.4)
    yield at, _use(tool_id, "Bash", {"command": command})
    yield at + seconds, _result(tool_id, output, {"stdout": output, "stderr": "", "interrupted": False})


def _background(rng: random.Random, at: float, tool_id: str, now: float) -> Lines:
    """A subagent that is launched and reports its end minutes later; some never do."""
    seconds = rng.lognormvariate(4.8, 0.6)
    yield at, _use(tool_id, "Agent", {"subagent_type": "code-reviewer"})
    launched = {"isAsync": True, "status": "async_launched", "agentId": tool_id[-8:]}
    yield at + 0.02, _result(tool_id, "Async agent launched successfully.", launched)
    if rng.random() < 0.1 or at + seconds > now:
        return
    status = "completed" if rng.random() < 0.9 else "failed"
    text = (
        f"<task-notification>\n<task-id>{tool_id[-8:]}</task-id>\n<tool-use-id>{tool_id}</tool-use-id>\n"
        f'<status>{status}</status>\n<summary>Agent "review" {status}</summary>\n'
        f"<usage>duration_ms: {round(seconds * 1000)}</usage>\n</task-notification>"
    )
    origin = {"kind": "task-notification"}
    yield at + seconds, {"type": "user", "origin": origin, "message": {"role": "user", "content": text}}


def _mcp(rng: random.Random, at: float, tool_id: str) -> Lines:
    seconds = rng.lognormvariate(-0.3, 0.5)
    is_error = rng.random() < 0.05
    yield at, _use(tool_id, rng.choice(_MCP_TOOLS), {})
    yield at + seconds, _result(tool_id, "done", {"durationMs": round(seconds * 1000)}, is_error=is_error)
