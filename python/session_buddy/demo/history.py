"""Generates a day of history: sessions distributed over the hours, each with a series of invocations."""

from __future__ import annotations

import math
import random

from session_buddy.demo.skills import SKILLS, Row, make_row, pick_skill
from session_buddy.ingest.times import isoformat

__all__ = ["DAY_SECONDS", "HOUR_SECONDS", "make_history", "session_name", "work_rhythm"]

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
MEAN_PAUSE_SECONDS = 22.0  # mean time between two invocations of a session
RECENT_SECONDS = 2 * HOUR_SECONDS  # the person who starts the demo is assumed to be working, at any hour
RECENT_RHYTHM = 0.9


def work_rhythm(hour: float) -> float:
    """Probability of work at this hour of the day (0 to 24, UTC): 0.03 to 1, with a dip at noon."""
    morning = math.exp(-(((hour - 10.5) / 1.8) ** 2))
    afternoon = math.exp(-(((hour - 15.5) / 2.2) ** 2))
    evening = 0.25 * math.exp(-(((hour - 21.0) / 1.5) ** 2))
    return min(1.0, 0.03 + morning + afternoon + evening)


def session_name(rng: random.Random) -> str:
    """A random session id in the format of real ones."""
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def make_history(rng: random.Random, now: float) -> list[Row]:
    """Several thousand rows of all skills for the 24 hours before ``now`` (seconds since the epoch), oldest first."""
    timed: list[tuple[float, Row]] = []
    at = now - DAY_SECONDS
    while at < now:
        recent = now - at < RECENT_SECONDS
        rhythm = RECENT_RHYTHM if recent else work_rhythm(at % DAY_SECONDS / HOUR_SECONDS)
        if rng.random() < rhythm:
            length = rng.uniform(0.3, 1.6) * HOUR_SECONDS
            timed.extend(_session(rng, max(at, now - DAY_SECONDS), min(at + length, now)))
        at += rng.expovariate(1 / (0.5 * HOUR_SECONDS))
    # An active session, and a few invocations of each skill, so that the live view starts with all of them.
    timed.extend(_session(rng, now - 0.8 * HOUR_SECONDS, now))
    seldom = session_name(rng)
    for skill in SKILLS:
        for _ in range(6):
            moment = now - rng.uniform(0.1, 6) * HOUR_SECONDS
            timed.append((moment, make_row(rng, skill, isoformat(moment), seldom)))
    timed.sort(key=lambda pair: pair[0])
    return [row for _, row in timed]


def _session(rng: random.Random, start: float, end: float) -> list[tuple[float, Row]]:
    name = session_name(rng)
    rows: list[tuple[float, Row]] = []
    at = start
    while at < end:
        rows.append((at, make_row(rng, pick_skill(rng), isoformat(at), name)))
        at += rng.expovariate(1 / MEAN_PAUSE_SECONDS)
    return rows
