"""Fenced code blocks of Markdown pages, with their headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .paths import ROOT

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
_HEADING = re.compile(r"^(?P<level>#{1,6}) +(?P<title>.+?)\s*$")


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is that of its opening fence, from 1."""

    language: str
    text: str
    headings: tuple[str, ...]
    line: int


def blocks(page: Path) -> list[Block]:
    """Every fenced block in order. Raises ValueError for a fence that is never closed."""
    found: list[Block] = []
    headings: list[tuple[int, str]] = []
    inside: tuple[str, int, list[str]] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(line)
        if inside is not None:
            language, start, lines = inside
            if fence and not fence["language"]:
                titles = tuple(title for _, title in headings)
                found.append(Block(language, "\n".join(lines) + "\n", titles, start))
                inside = None
            else:
                lines.append(line)
        elif fence:
            inside = (fence["language"], number, [])
        elif heading := _HEADING.match(line):
            level = len(heading["level"])
            headings = [entry for entry in headings if entry[0] < level] + [(level, heading["title"])]
    if inside is not None:
        raise ValueError(f"{page}:{inside[1]}: the fence is never closed")
    return found


def pages() -> list[Path]:
    """Every page of the documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
