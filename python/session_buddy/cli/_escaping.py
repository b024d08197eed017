"""Text for a terminal with names in it that somebody else chose."""

from __future__ import annotations

import json


def escape_controls(text: str) -> str:
    """JSON, or text, whose characters that a terminal obeys (controls, reordering, nothing to see) are escaped as JSON
    escapes them."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else json.dumps(character)[1:-1]
        for character in text
    )
