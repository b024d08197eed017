"""Hook events of Claude Code: invented ones, and those that a recorded session would have fired."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from support.processes import DEADLINE, native_binary
from support.transcripts import SECRET

Event = dict[str, Any]

_BUILTIN = ("clear", "compact", "exit", "model")
_COMMAND = re.compile(r"<command-name>/([^<\s]+)</command-name>")


def event(name: str, **fields: Any) -> Event:
    """An event with the common fields; its paths are private and must not be stored."""
    return {
        "session_id": "session-1",
        "transcript_path": f"/home/{SECRET}/t.jsonl",
        "cwd": f"/home/{SECRET}",
        "permission_mode": "default",
        "hook_event_name": name,
        **fields,
    }


def pre(tool_id: str, tool: str = "Read", **fields: Any) -> Event:
    return event("PreToolUse", **{"tool_name": tool, "tool_input": {}, "tool_use_id": tool_id, **fields})


def post(tool_id: str, tool: str = "Read", **fields: Any) -> Event:
    return event(
        "PostToolUse",
        **{"tool_name": tool, "tool_input": {}, "tool_use_id": tool_id, "tool_response": {"text": SECRET}, **fields},
    )


def failure(tool_id: str, error: str, tool: str = "Bash", **fields: Any) -> Event:
    return event(
        "PostToolUseFailure",
        **{"tool_name": tool, "tool_input": {}, "tool_use_id": tool_id, "error": error, **fields},
    )


def typed(name: str, **fields: Any) -> Event:
    return event(
        "UserPromptExpansion",
        **{
            "expansion_type": "slash_command",
            "command_name": name,
            "command_args": SECRET,
            "command_source": "user",
            **fields,
        },
    )


def session_end(session_id: str = "session-1") -> Event:
    return event("SessionEnd", reason="exit", session_id=session_id)


def run_hook(body: Event | bytes, db_path: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Sends one event to the hook binary, as Claude Code does."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return subprocess.run(
        [native_binary("session-buddy-hook"), "--db-path", str(db_path), *arguments],
        input=data,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        **options,
    )


def _time_of(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00"))


def of_transcripts(*paths: Path) -> Iterator[Event]:
    """The events that the hooks of recorded sessions would have fired, in order.

    A result of the kind <tool_use_error> fires only that of its batch. ``duration_ms`` is what the tool measured, else
    the time from the use to its result.
    """
    entries = [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    uses: dict[str, tuple[str, str, dict[str, Any], datetime]] = {}
    done: set[str] = set()
    for entry in entries:
        message = entry.get("message")
        if entry.get("type") not in ("user", "assistant") or not isinstance(message, dict):
            continue
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        session = entry.get("sessionId", "")
        results = sum(block.get("type") == "tool_result" for block in blocks)
        for block in blocks:
            kind = block.get("type")
            if kind == "tool_use" and block["id"] not in uses:
                uses[block["id"]] = (session, block["name"], block["input"], _time_of(entry))
                yield pre(block["id"], block["name"], tool_input=block["input"], session_id=session)
            elif kind == "tool_result" and block["tool_use_id"] in uses and block["tool_use_id"] not in done:
                done.add(block["tool_use_id"])
                session_of_use, name, tool_input, began = uses[block["tool_use_id"]]
                whole = entry.get("toolUseResult") if results == 1 else None
                measured = whole.get("durationMs") if isinstance(whole, dict) else None
                elapsed = (_time_of(entry) - began).total_seconds() * 1000
                fields = {
                    "session_id": session_of_use,
                    "tool_input": tool_input,
                    "duration_ms": elapsed if measured is None else measured,
                }
                text = block.get("content")
                if isinstance(text, list):
                    text = "\n".join(part.get("text", "") for part in text)
                if not block.get("is_error"):
                    yield post(block["tool_use_id"], name, tool_response=whole, **fields)
                elif "<tool_use_error>" not in (text or ""):
                    yield failure(block["tool_use_id"], text or "", name, **fields)
                else:
                    call = {"tool_name": name, "tool_use_id": block["tool_use_id"], "tool_input": tool_input}
                    yield event(
                        "PostToolBatch", session_id=session_of_use, tool_calls=[{**call, "tool_response": text}]
                    )
            elif kind == "text" and entry["type"] == "user" and not entry.get("isSidechain"):
                if block.get("text", "").startswith("<task-notification>"):
                    yield event("UserPromptSubmit", prompt=block["text"], session_id=session)
                command = _COMMAND.search(block.get("text", ""))
                if command and not entry.get("isCompactSummary"):
                    source = "builtin" if command[1] in _BUILTIN else "user"
                    yield typed(command[1], session_id=session, command_source=source)
