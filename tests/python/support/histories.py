"""Databases with known contents."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from session_buddy.storage.skills_storage import SkillsStorage


def invocations(
    skill_name: str,
    count: int,
    *,
    completed: int | None = None,
    duration: float | None = 5.2,
    session_id: str = "session-1",
    newest: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """`count` rows a second apart, the last at `newest` (or now); the first `completed` (or all) completed."""
    last = newest or datetime.now(timezone.utc)
    for index in range(count):
        yield {
            "skill_name": skill_name,
            "invoked_at": (last - timedelta(seconds=count - 1 - index)).isoformat(),
            "session_id": session_id,
            "completed": index < (count if completed is None else completed),
            "duration_seconds": duration,
        }


def worsening(skill_name: str) -> Iterator[dict[str, Any]]:
    """Ten days that complete every half hour, then 40 minutes that fail, each in another session: an open alert."""
    now = datetime.now(timezone.utc)
    ages = [timedelta(minutes=40 + 30 * index) for index in range(480, 0, -1)]
    ages += [timedelta(minutes=index) for index in range(40, 0, -1)]
    for index, age in enumerate(ages):
        yield {
            "skill_name": skill_name,
            "invoked_at": (now - age).isoformat(),
            "session_id": f"session-{index}",
            "completed": index < 480,
            "duration_seconds": 5.2,
        }


def fill(db_path: Path, *groups: Iterator[dict[str, Any]]) -> None:
    """Stores the rows of all groups."""
    with SkillsStorage(str(db_path)) as storage:
        for group in groups:
            storage.store_many(group)
