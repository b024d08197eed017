"""Invented lines of Claude Code transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SECRET = "xyzzy-the-secret"  # stands for everything that must not leave a transcript


def at(second: float) -> str:
    return f"2026-02-12T14:{int(second) // 60:02}:{second % 60:06.3f}Z"


def use(second: float, tool_id: str, name: str, **tool_input: Any) -> dict[str, Any]:
    block = {"type": "tool_use", "id": tool_id, "name": name, "input": tool_input}
    return line("assistant", second, [block])


def result(second: float, tool_id: str, content: Any = "done", *, is_error: bool | None = None) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": content}
    if is_error is not None:
        block["is_error"] = is_error
    return line("user", second, [block])


def line(kind: str, second: float, content: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"uuid-{kind}-{second}",
        "timestamp": at(second),
        "sessionId": "session-1",
        "cwd": f"/home/{SECRET}",
        "message": {"role": kind, "content": content},
        **more,
    }


def with_secrets() -> list[dict[str, Any]]:
    """A failed command, a tool use, a slash command and the start of a subagent, with a secret wherever one can be."""
    return [
        line("user", 0, f"please do {SECRET}"),
        use(1, "t1", "Bash", command=f"cd {SECRET} && uv run pytest -k {SECRET}"),
        result(3.5, "t1", f"Exit code 1\n{SECRET}", is_error=True),
        use(4, "t2", "Read", file_path=f"/{SECRET}"),
        result(4.25, "t2", SECRET),
        line("user", 5, f"<command-name>/make-it</command-name><command-args>{SECRET}</command-args>"),
        use(6, "t3", "Task", subagent_type="Explore", prompt=SECRET),
    ]


def write(path: Path, *lines: dict[str, Any], end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(one) for one in lines) + end)
    return path
