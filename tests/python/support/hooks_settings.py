"""A home directory with Claude Code settings, and `session-buddy hooks` to edit them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from session_buddy.cli import main as cli
from session_buddy.ingest.claude_settings import (
    EVENTS,
    HOOK_PROGRAM,
)

URL = "http://127.0.0.1:8765/hooks/claude-code"
BOM = b"\xef\xbb\xbf"
OTHER = '{"type": "command", "command": "say done"}'
PERMISSIONS = '{\n  "permissions": {\n    "allow": [\n      "Bash(ls:*)"\n    ]\n  }\n}\n'


class Home(NamedTuple):
    """A home directory without settings, and a fake hook program."""

    folder: Path
    program: Path

    @property
    def path(self) -> Path:
        return self.folder / ".claude" / "settings.json"

    def write(self, content: bytes | str) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.path

    def files(self) -> set[str]:
        """The file names in the settings' folder."""
        return {path.name for path in self.path.parent.iterdir()}

    def backups(self) -> list[Path]:
        return sorted(self.path.parent.glob("settings.json.session-buddy-*.bak"))


def make_program(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / HOOK_PROGRAM
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def run(*arguments: str) -> int:
    return cli.main(["hooks", *arguments])


def ours(path: Path) -> dict[str, list[str]]:
    """The targets of our handlers by event, read with a JSON parser."""
    found: dict[str, list[str]] = {}
    content = json.loads(path.read_bytes().removeprefix(BOM))
    for event, groups in content.get("hooks", {}).items():
        for group in groups:
            for handler in group["hooks"]:
                if not isinstance(handler, dict) or "type" not in handler:
                    continue
                target = handler.get("command") or handler.get("url") or ""
                if HOOK_PROGRAM in target or target.endswith("/hooks/claude-code"):
                    found.setdefault(event, []).append(target)
    return found


def wanted(target: object) -> dict[str, list[str]]:
    return {event: [str(target)] for event in EVENTS}


def group(*handlers: str, matcher: str | None = None) -> str:
    said = "" if matcher is None else f'"matcher": {json.dumps(matcher)}, '
    return f'{{{said}"hooks": [{", ".join(handlers)}]}}'


def entry(target: str, more: str = "") -> str:
    kind, key = ("http", "url") if "://" in target else ("command", "command")
    return f'{{"type": "{kind}", "{key}": {json.dumps(target)}{more}}}'


def as_process(*arguments: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a separate process, with the real program of this installation."""
    return subprocess.run(
        [*(prefix or []), sys.executable, "-m", "session_buddy.cli.main", "hooks", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
