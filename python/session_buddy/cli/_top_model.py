"""What ``session-buddy top`` knows: the latest figures, what was seen of each skill, and how they are sorted."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from session_buddy.client import Anomaly, MetricsUpdate, SessionUpdate, State, StateChange, TopSkill, as_wire

BUCKET_SECONDS = 5.0  # of a sparkline of what was seen
BUCKETS = 24
MAX_SEEN = 2000  # skills whose past is kept, the ones that were longest away going first
Z_95 = 1.959963984540054


def wilson(completed: int, count: int) -> tuple[float, float] | None:
    """The 95 % Wilson score interval of a success rate, as fractions; None where nothing was invoked."""
    if count <= 0:
        return None
    rate, square = completed / count, Z_95 * Z_95
    centre = rate + square / (2 * count)
    spread = Z_95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count * count))
    scale = 1 + square / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True)
class Column:
    """One that skills can be sorted by."""

    name: str
    key: Callable[[TopSkill], Any]
    descending: bool = True  # at first


COLUMNS: Sequence[Column] = (
    Column("invocations", lambda skill: skill.invocation_count),
    Column("success rate", lambda skill: -1.0 if skill.completion_rate is None else skill.completion_rate),
    Column("mean duration", lambda skill: skill.avg_duration),
    Column("last used", lambda skill: skill.last_invocation_at),
    Column("skill", lambda skill: skill.skill_name, descending=False),
)


class Activity:
    """Invocations of each skill in steps of BUCKET_SECONDS, from how its count grew between updates."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, deque[list[int]]]] = {}  # last count, and [step, invocations] up to now

    def record(self, skills: Iterable[TopSkill], now: float) -> None:
        """``now``: seconds of a steady clock."""
        step = int(now // BUCKET_SECONDS)
        for skill in skills:
            last, steps = self._seen.pop(skill.skill_name, (skill.invocation_count, deque(maxlen=BUCKETS)))
            grown = skill.invocation_count - last
            if grown > 0:
                if not steps or steps[-1][0] != step:
                    steps.append([step, 0])
                steps[-1][1] += grown
            self._seen[skill.skill_name] = (skill.invocation_count, steps)
        while len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def counts(self, skill_name: str, now: float) -> list[int]:
        """BUCKETS counts, the last one of the present step."""
        first = int(now // BUCKET_SECONDS) - BUCKETS + 1
        counts = [0] * BUCKETS
        for step, count in self._seen.get(skill_name, (0, ()))[1]:
            if 0 <= step - first < BUCKETS:
                counts[step - first] = count
        return counts


@dataclass
class Model:
    """The state that is shown."""

    url: str
    now: Callable[[], float] = time.monotonic
    state: StateChange = field(default_factory=lambda: StateChange(State.CONNECTING))
    state_since: float = 0.0
    update: MetricsUpdate | None = None
    updated_at: float = 0.0
    sessions: SessionUpdate | None = None
    hours: Mapping[str, Sequence[int]] | None = None  # invocations of the last 24 hours, where the server tells them
    activity: Activity = field(default_factory=Activity)
    column: int = 0
    reverse: bool = False
    search: str = ""

    def apply(self, update: MetricsUpdate) -> None:
        """A new update."""
        self.update = update
        self.updated_at = self.now()
        self.activity.record(update.top_skills, self.updated_at)

    def set_state(self, change: StateChange) -> None:
        """A new state of the connection."""
        self.state = change
        self.state_since = self.now()

    @property
    def age(self) -> float | None:
        """Seconds since the last update came; None before the first."""
        return None if self.update is None else max(0.0, self.now() - self.updated_at)

    @property
    def descending(self) -> bool:
        return COLUMNS[self.column].descending != self.reverse

    def sort_by(self, column: int) -> None:
        """Another column, in its own direction."""
        self.column = column % len(COLUMNS)
        self.reverse = False

    def skills(self) -> list[TopSkill]:
        """Those that are searched for, sorted; ties by name."""
        wanted = self.search.casefold()
        found = [
            skill
            for skill in (self.update.top_skills if self.update else ())
            if not wanted or wanted in skill.skill_name.casefold()
        ]
        found.sort(key=lambda skill: skill.skill_name)
        found.sort(key=COLUMNS[self.column].key, reverse=self.descending)
        return found

    def anomalies(self) -> list[Anomaly]:
        """Those of the skills that are searched for, the largest deviation first."""
        wanted = self.search.casefold()
        return [
            anomaly
            for anomaly in (self.update.anomalies if self.update else ())
            if not wanted or wanted in anomaly.skill_name.casefold()
        ]

    def sparkline_counts(self, skill_name: str) -> Sequence[int]:
        """Counts for a sparkline: of hours where the server tells them, else of what was seen."""
        if self.hours is not None:
            return self.hours.get(skill_name, ())
        return self.activity.counts(skill_name, self.now())

    def as_json(self) -> dict[str, Any]:
        """One object with all there is; names, times and units are those of the APIs."""
        skills = []
        for skill in self.skills():
            interval = wilson(skill.completed_count, skill.invocation_count)
            skills.append(
                {
                    **as_wire(skill),
                    "completion_rate": skill.completion_rate,
                    "completion_rate_low": interval and interval[0],
                    "completion_rate_high": interval and interval[1],
                }
            )
        return {
            "timestamp": as_wire(self.update.timestamp) if self.update else None,
            "state": self.state.state.value,
            "skills": skills,
            "anomalies": as_wire(tuple(self.anomalies())),
            "active_sessions": as_wire(self.sessions.active_sessions) if self.sessions else [],
        }


def seconds_since(at: datetime, now: datetime | None = None) -> float:
    """Of a moment; 0 where clocks disagree and it is still to come."""
    return max(0.0, ((now or datetime.now(timezone.utc)) - at).total_seconds())
