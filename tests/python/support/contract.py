"""The examples of the API description v1.0, ready to run: only the port differs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import tools
from .markdown import Block, blocks
from .paths import JS
from .processes import Program
from .schemas import validated

EXAMPLES = Path(__file__).resolve().parents[1] / "contract" / "examples.md"

# The sections of which every example is run.
SECTIONS = (
    "Connecting to WebSocket Server",
    "Python Client Example",
    "1. Metrics Update (Server → Client)",
    "2. Subscribe (Client → Server)",
    "3. Get Metrics (Client → Server)",
    "4. Error (Server → Client)",
    "Example 1: Live Dashboard",
    "Example 2: Skill-Specific Monitoring",
    "Example 3: Alert Integration",
    "Reconnection Logic",
)


@functools.cache
def examples(section: str) -> Sequence[Block]:
    """The blocks under one heading."""
    found = [block for block in blocks(EXAMPLES) if block.headings[-1] == section]
    assert found, f"no example under {section!r}"
    return found


def code(section: str, port: int) -> str:
    """The one program of a section, for a server on `port`."""
    (block,) = examples(section)
    assert block.language in ("javascript", "python")
    return with_port(block.text, port)


def with_port(text: str, port: int) -> str:
    """The same code for a server on `port`."""
    assert "localhost:8765" in text
    return text.replace("localhost:8765", f"localhost:{port}")


def node_program(folder: Path, code: str, *options: str, **environment: str) -> Program:
    """Wraps JavaScript for a browser into a program that the harness runs."""
    script = folder / "example.js"
    script.write_text(code, encoding="utf-8")
    return Program([tools.node(), str(JS / "harness.mjs"), str(script), *options], env=environment)


def next_message(program: Program, message_type: str) -> dict[str, Any]:
    """The next message of a type that the harness reports; those before it are validated and dropped."""
    while True:
        message = validated(program.wait_for("^@message ").removeprefix("@message "))
        if message["type"] == message_type:
            return message
