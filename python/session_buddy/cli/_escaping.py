"""Escapes control characters in untrusted names before they reach a terminal."""

from __future__ import annotations

import json


def escape_controls(text: str) -> str:
    """JSON or text with non-printable characters (controls, bidi overrides, zero width) escaped as in JSON."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else json.dumps(character)[1:-1]
        for character in text
    )
