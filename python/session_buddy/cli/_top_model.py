"""State of ``session-buddy top``: the latest metrics, the recent activity of each skill, and the sort order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from session_buddy.cli._top_columns import SORTS, wilson
from session_buddy.client import Alert, Anomaly, MetricsUpdate, SessionUpdate, State, StateChange, TopSkill, as_wire

BUCKET_SECONDS = 5.0  # of a sparkline made from updates
BUCKETS = 24
MAX_SEEN = 2000  # skills with kept activity; the least recently seen are evicted


class Activity:
    """Invocations per skill and bucket of BUCKET_SECONDS, derived from the growth of its count between updates."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, deque[list[int]]]] = {}  # last count, and [step, invocations] per bucket

    def record(self, skills: Iterable[TopSkill], now: float) -> None:
        """``now``: seconds of a monotonic clock."""
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
        """BUCKETS counts; the last is the current bucket."""
        first = int(now // BUCKET_SECONDS) - BUCKETS + 1
        counts = [0] * BUCKETS
        for step, count in self._seen.get(skill_name, (0, ()))[1]:
            if 0 <= step - first < BUCKETS:
                counts[step - first] = count
        return counts


@dataclass
class Model:
    """The state on display."""

    url: str
    now: Callable[[], float] = time.monotonic
    state: StateChange = field(default_factory=lambda: StateChange(State.CONNECTING))
    state_since: float = 0.0
    update: MetricsUpdate | None = None
    updated_at: float = 0.0
    sessions: SessionUpdate | None = None
    hours: Mapping[str, Sequence[int]] | None = (
        None  # hourly invocations of the last 24 hours, if the server reports them
    )
    activity: Activity = field(default_factory=Activity)
    column: int = 0  # index in SORTS
    reverse: bool = False
    search: str = ""

    def apply(self, update: MetricsUpdate) -> None:
        """Apply a metrics update."""
        self.update = update
        self.updated_at = self.now()
        self.activity.record(update.top_skills, self.updated_at)

    def set_state(self, change: StateChange) -> None:
        """Set the connection state."""
        self.state = change
        self.state_since = self.now()

    @property
    def age(self) -> float | None:
        """Seconds since the last update; None before the first."""
        return None if self.update is None else max(0.0, self.now() - self.updated_at)

    @property
    def descending(self) -> bool:
        return SORTS[self.column].descending != self.reverse

    def sort_by(self, column: int) -> None:
        """Sort by a column in its initial direction."""
        self.column = column % len(SORTS)
        self.reverse = False

    def skills(self) -> list[TopSkill]:
        """The skills that match the search, sorted; ties by name."""
        found = [skill for skill in (self.update.top_skills if self.update else ()) if self._matches(skill.skill_name)]
        found.sort(key=lambda skill: skill.skill_name)
        found.sort(key=SORTS[self.column].key, reverse=self.descending)
        return found

    def _matches(self, skill_name: str) -> bool:
        return self.search.casefold() in skill_name.casefold()

    def anomalies(self) -> list[Anomaly]:
        """The anomalies of skills that match the search, the largest deviation first."""
        found = self.update.anomalies if self.update else ()
        return [anomaly for anomaly in found if self._matches(anomaly.skill_name)]

    def alerts(self) -> list[Alert] | None:
        """The alerts of skills that match the search, the newest first; None if the server does not report any."""
        if self.update is None or self.update.alerts is None:
            return None
        return [alert for alert in self.update.alerts if self._matches(alert.skill_name)]

    def sparkline_counts(self, skill_name: str) -> Sequence[int]:
        """Counts for a sparkline: hourly ones if the server reports them, else those derived from updates."""
        if self.hours is not None:
            return self.hours.get(skill_name, ())
        return self.activity.counts(skill_name, self.now())

    def as_json(self) -> dict[str, Any]:
        """The whole state as one object, with the names, times and units of the APIs."""
        skills = []
        for skill in self.skills():
            interval = wilson(*skill.known_outcomes)
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
            "alerts": as_wire(tuple(self.alerts() or ())),
            "anomalies": as_wire(tuple(self.anomalies())),
            "active_sessions": as_wire(self.sessions.active_sessions) if self.sessions else [],
        }
