"""The columns of ``session-buddy top``: how each metric of a skill is named, written and sorted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from session_buddy._alert_text import duration
from session_buddy.client import TopSkill

Z_95 = 1.959963984540054
# Terminal widths below which table columns are left out, so that names keep 12 cells.
FULL, BROAD, WIDE, MIDDLE, NARROW, SMALL, TINY = 132, 116, 106, 80, 56, 42, 28


def wilson(completed: int, count: int) -> tuple[float, float] | None:
    """The 95 % Wilson score interval of a success rate, as fractions; None without invocations."""
    if count <= 0:
        return None
    rate, square = completed / count, Z_95 * Z_95
    centre = rate + square / (2 * count)
    spread = Z_95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count * count))
    scale = 1 + square / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def ago(seconds: float) -> str:
    """An age in about four characters."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def seconds_since(at: datetime, now: datetime | None = None) -> float:
    """Seconds since ``at``; 0 if it is in the future because clocks differ."""
    return max(0.0, ((now or datetime.now(timezone.utc)) - at).total_seconds())


@dataclass(frozen=True)
class Column:
    """A metric of a skill."""

    name: str
    text: Callable[[TopSkill], str]
    key: Callable[[TopSkill], Any]
    press: str = ""  # the key that sorts by it; empty: none does
    title: str = ""  # above the column; empty: the name
    least_width: int = 0  # of the terminal
    descending: bool = True  # initial direction of a sort
    style: Callable[[TopSkill], str] = lambda skill: ""
    dim: bool = False
    suffix: str = ""  # in plain lines
    least_plain_width: int = 0  # of the text in plain lines

    @property
    def heading(self) -> str:
        return self.title or self.name

    @property
    def width(self) -> int:
        """The width in plain lines."""
        return max(len(self.heading), self.least_plain_width)


def _rate(skill: TopSkill) -> float:
    return -1.0 if skill.completion_rate is None else skill.completion_rate


def _success(skill: TopSkill) -> str:
    return "-" if skill.completion_rate is None else f"{skill.completion_rate:.1%}"


def _success_style(skill: TopSkill) -> str:
    rate = _rate(skill)
    return "" if rate < 0 else "green" if rate >= 0.9 else "yellow" if rate >= 0.6 else "red"


def _interval(skill: TopSkill) -> str:
    interval = wilson(*skill.known_outcomes)
    return "-" if interval is None else f"{interval[0]:.1%} - {interval[1]:.1%}"


def _duration(seconds: float | None) -> str:
    return duration(seconds) if seconds else "-"


# In the order of the table; the name of the skill is before them.
METRICS = (
    Column(
        "invocations",
        lambda skill: f"{skill.invocation_count:,}",
        lambda skill: skill.invocation_count,
        "i",
        least_width=SMALL,
    ),
    Column("success rate", _success, _rate, "c", least_width=TINY, style=_success_style),
    Column("95 % interval", _interval, _rate, least_width=FULL, dim=True, least_plain_width=15),
    Column(
        "unknown",
        lambda skill: f"{skill.unknown_count or 0:,}",
        lambda skill: skill.unknown_count or 0,
        "u",
        least_width=BROAD,
        dim=True,
    ),
    Column(
        "mean duration",
        lambda skill: _duration(skill.avg_duration),
        lambda skill: skill.avg_duration,
        "d",
        least_width=NARROW,
    ),
    Column(
        "median duration",
        lambda skill: _duration(skill.p50_duration),
        lambda skill: skill.p50_duration or 0.0,
        "m",
        title="median",
        least_width=MIDDLE,
        least_plain_width=7,
    ),
    Column(
        "p95 duration",
        lambda skill: _duration(skill.p95_duration),
        lambda skill: skill.p95_duration or 0.0,
        "p",
        title="p95",
        least_width=MIDDLE,
        least_plain_width=7,
    ),
    Column(
        "last used",
        lambda skill: ago(seconds_since(skill.last_invocation_at)),
        lambda skill: skill.last_invocation_at,
        "l",
        least_width=MIDDLE,
        suffix=" ago",
    ),
)
SKILL = Column("skill", lambda skill: skill.skill_name, lambda skill: skill.skill_name, "n", descending=False)
SORTS = (*(column for column in METRICS if column.press), SKILL)
