"""Invented invocations of skills with a known behaviour, for `Detector.update` or a database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from session_buddy.anomaly import Anomaly, Detector
from session_buddy.storage.skills_storage import SkillsStorage

NOON = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Invocation:
    """One invocation."""

    at: datetime
    completed: bool = True
    duration: float | None = None
    skill: str = "pytest-run"
    error_type: str | None = None


def steady(
    first: datetime,
    last: datetime,
    count: int,
    *,
    rate: float = 1.0,
    durations: tuple[float | None, ...] = (None,),
    skill: str = "pytest-run",
    error_type: str | None = None,
) -> Iterator[Invocation]:
    """`count` invocations evenly from `first` to `last`; `rate` of them complete, the failures spread evenly, too."""
    completed = round(count * rate)
    for index in range(count):
        good = (index + 1) * completed // count > index * completed // count
        yield Invocation(
            first + (last - first) * index / max(count - 1, 1),
            good,
            durations[index % len(durations)],
            skill,
            None if good else error_type,
        )


def feed(detector: Detector, runs: Iterable[Invocation]) -> list[Anomaly]:
    """Passes the invocations to the detector; returns what `update` returned for the last one."""
    reported: list[Anomaly] = []
    for run in runs:
        reported = detector.update(run.skill, run.completed, run.duration, run.at, run.error_type)
    return reported


def make_database(path: Path) -> None:
    """Creates an empty database."""
    SkillsStorage(path).close()


def make_bare_database(path: Path) -> None:
    """Creates only the table of invocations: no version, no index, no trigger. Fast to fill."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT NOT NULL, invoked_at TEXT NOT NULL,"
        " session_id TEXT NOT NULL, completed BOOLEAN NOT NULL DEFAULT 0, duration_seconds REAL, error_type TEXT)"
    )
    connection.close()


def replace_rows(path: Path, runs: Iterable[Invocation]) -> None:
    """Replaces all rows of the database with these invocations, in order."""
    rows = [(run.skill, run.at.isoformat(), run.completed, run.duration, run.error_type) for run in runs]
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM skill_invocation")
        connection.executemany(
            "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds, error_type)"
            " VALUES (?, ?, 'session-1', ?, ?, ?)",
            rows,
        )
        connection.execute("COMMIT")
    finally:
        connection.close()


def behave(path: Path, *, failing: Iterable[str] = (), well: Iterable[str] = ()) -> None:
    """Replaces all rows of the database with skills that fail since half an hour, and skills that never failed."""
    now = datetime.now(timezone.utc)
    runs: list[Invocation] = []
    for skill in (*failing, *well):
        rate = 0.2 if skill in failing else 1.0
        runs += steady(now - hours(20), now - hours(2), 80, skill=skill, durations=(1.0,))
        runs += steady(now - hours(0.5), now, 20, rate=rate, skill=skill, durations=(1.0,), error_type="timeout")
    replace_rows(path, runs)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
