"""The live feed: invocations at random times, with one skill that degrades for a while."""

from __future__ import annotations

import random

from session_buddy.demo.history import session_name
from session_buddy.demo.skills import SKILLS, Row, SkillProfile, make_row, pick_skill
from session_buddy.ingest.times import isoformat

__all__ = ["BAD_SKILL", "LiveFeed"]

BAD_SKILL = "pytest-run"
BAD_SHARE = 0.3  # share of the invocations while it is degraded, because it is retried
SESSIONS = 3
SESSION_CHANGE = 0.004  # probability that an invocation starts a new session instead of an old one


class LiveFeed:
    """Generates rows one by one. Times are seconds since the start of the feed.

    ``per_second``: mean invocations per second. ``bad_after``, ``bad_for``: when and how long BAD_SKILL is degraded.
    """

    def __init__(self, rng: random.Random, *, per_second: float, bad_after: float, bad_for: float) -> None:
        self._rng = rng
        self._per_second = per_second
        self._bad_from = bad_after
        self._bad_to = bad_after + bad_for
        self._sessions = [session_name(rng) for _ in range(SESSIONS)]
        self._bad_skill = next(skill for skill in SKILLS if skill.name == BAD_SKILL)

    def is_bad(self, elapsed: float) -> bool:
        """Whether BAD_SKILL is degraded at this time."""
        return self._bad_from <= elapsed < self._bad_to

    def pause(self) -> float:
        """Seconds until the next invocation."""
        return self._rng.expovariate(self._per_second)

    def next_row(self, elapsed: float, now: float) -> Row:
        """The invocation that ends at ``elapsed``, which is ``now`` in seconds since the epoch."""
        if self._rng.random() < SESSION_CHANGE:
            self._sessions[self._rng.randrange(SESSIONS)] = session_name(self._rng)
        skill = self._skill(elapsed)
        bad = skill is self._bad_skill and self.is_bad(elapsed)
        return make_row(self._rng, skill, isoformat(now), self._rng.choice(self._sessions), bad=bad)

    def _skill(self, elapsed: float) -> SkillProfile:
        if self.is_bad(elapsed) and self._rng.random() < BAD_SHARE:
            return self._bad_skill
        return pick_skill(self._rng)
