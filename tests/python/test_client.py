"""`session_buddy.client` against real servers: what it tells, how it comes back, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import websockets

from session_buddy.client import (
    MetricsUpdate,
    TopSkill,
    as_wire,
    connect,
)
from support.processes import DEADLINE, Server
from support.schemas import validated
from support.streams import Run, hours, make_database, replace_rows, steady

HOSTILE = [
    "../../etc/passwd",
    'a"b\\c',
    "[red]not red[/red]",
    "\u202eevil",
    "名前",
    "e\u0301\u200b",
    "\U0001f680" * 64,
    " ",
    "null",
]


async def first(updates: Any) -> Any:
    """The first of a subscription."""
    return await asyncio.wait_for(updates.__anext__(), DEADLINE)


async def until(condition: Callable[[], bool], what: str) -> None:
    """As `wait_until`, with the event loop running."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        await asyncio.sleep(0.005)


def anomalous(path: Path, *skills: str) -> Path:
    """A database in which these skills fail since an hour and did not before."""
    make_database(path)
    now = datetime.now(timezone.utc)
    runs: list[Run] = []
    for skill in skills:
        runs += steady(now - hours(20), now - hours(2), 80, skill=skill, durations=(1.0,))
        runs += steady(now - hours(0.5), now, 20, rate=0.2, skill=skill, durations=(1.0,), error_type="timeout")
    replace_rows(path, runs)
    return path


@pytest.fixture
def served(filled_db: Path) -> Iterator[Server]:
    """A server of two skills."""
    with Server(filled_db) as server:
        yield server


# ---- What it tells


async def test_updates_are_typed_and_say_what_the_server_sent(served: Server) -> None:
    async with connect(served.url) as client, websockets.connect(served.url) as beside:
        update = await first(client.subscribe())
        assert isinstance(update, MetricsUpdate)
        assert {(skill.skill_name, skill.invocation_count, skill.completed_count) for skill in update.top_skills} == {
            ("pytest-run", 8, 7),
            ("mypy", 2, 2),
        }
        skill = update.top_skills[0]
        assert isinstance(skill, TopSkill)
        assert skill.completion_rate == 7 / 8
        assert skill.avg_duration == pytest.approx(5.2)
        assert abs(update.timestamp - datetime.now(timezone.utc)) < timedelta(seconds=DEADLINE)
        assert skill.last_invocation_at.utcoffset() == timedelta(0)
        with pytest.raises(FrozenInstanceError):
            skill.invocation_count = 9  # type: ignore[misc]
        wire = validated(
            {
                "type": "metrics_update",
                **{k: v for k, v in {"timestamp": as_wire(update.timestamp)}.items()},
                "data": {"top_skills": as_wire(update.top_skills), "anomalies": as_wire(update.anomalies)},
            }
        )
        assert wire["data"] == json.loads(await beside.recv())["data"]


async def test_one_several_or_all_skills_can_be_followed(served: Server) -> None:
    async with connect(served.url) as client:
        for names in (["mypy"], ["mypy", "pytest-run"], ["mypy", "never-ran"], ["never-ran"], []):
            async with client.subscribe(*names) as updates:
                got = {skill.skill_name for skill in (await first(updates)).top_skills}
            assert got == {"mypy", "pytest-run"} & set(names or ["mypy", "pytest-run"])
