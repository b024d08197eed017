"""How the runners start programs: in the environment of a user with a new home folder."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support.databases import rows
from support.histories import fill, invocations
from support.processes import Server

TOKEN = "5f0c8b1f7e9d4a26b3c8d7e6f5a49382"  # of the examples


def environment(home: Path) -> dict[str, str]:
    """The environment of a shell in a new home folder, with this interpreter's programs first on PATH."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SESSION_BUDDY_", "CLAUDE_"))
    }
    return {**kept, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def on_port(text: str, port: int) -> str:
    return text.replace("8765", str(port))


@contextlib.contextmanager
def serving(home: Path, *options: str) -> Iterator[Server]:
    path = home / "served.db"
    fill(path, invocations("pytest-run", 8, completed=7), invocations("ruff-check", 3))
    with Server(path, *options) as server:
        yield server


def run(arguments: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=home, env=environment(home), capture_output=True, text=True, timeout=60, check=False
    )


def bash(script: str, home: Path) -> str:
    done = run(["bash", "-euo", "pipefail", "-c", script], home)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def python(script: str, home: Path) -> str:
    """Output of a program, which must exit with 0 and log nothing above INFO: an exception in a callback is logged."""
    file = home / "snippet.py"
    file.write_text(script, encoding="utf-8")
    done = run([sys.executable, str(file)], home)
    warnings = [line for line in done.stderr.splitlines() if not line.startswith(("DEBUG ", "INFO "))]
    assert (done.returncode, warnings) == (0, []), f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def rows_in(path: Path) -> int:
    return len(rows(path))
