"""A wall clock that jumps by a day, back and forth, under a running server."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from pathlib import Path

from support.environment import WallClock
from support.histories import fill, invocations
from support.recorder import Recorder
from support.watched_server import Counts, WatchedServer

DAY = timedelta(days=1)
NOW = timedelta()
LONG_AGO = timedelta(hours=30)
# Offsets in days: forward and back, back and forward, two days in one step.
JUMPS = [DAY, NOW, -DAY, NOW, -DAY, DAY, NOW]


def expected(offset: timedelta, recorded: int) -> Counts:
    """The window of 24 hours at that time; invocations from the future count as now."""
    return {DAY: {}, NOW: {"now": recorded}, -DAY: {"now": recorded, "long-ago": 3}}[offset]


async def test_metrics_follow_the_new_time_and_no_client_is_dropped(tmp_path: Path) -> None:
    database = tmp_path / "skills.db"
    clock = WallClock(tmp_path / "clock")
    fill(
        database,
        invocations("now", 5),
        invocations("long-ago", 3, newest=datetime.now(timezone.utc) - LONG_AGO),
    )
    recorded = 5
    with Recorder(database) as recorder:
        # Pings so frequent that a timeout by the wall clock would drop the client immediately.
        keep_alive = ["--ping-interval", "200ms", "--ping-timeout", "10s"]
        async with WatchedServer(database, *keep_alive, env=clock.environment) as server:
            await server.shows(expected(NOW, recorded))
            for offset in JUMPS:
                clock.set(offset)
                await server.shows(expected(offset, recorded))
                await asyncio.to_thread(recorder.record, "now")
                recorded += 1
                await server.shows(expected(offset, recorded))
                await server.next_updates(5)
                await server.shows(expected(offset, recorded))
                shown = datetime.fromisoformat(server.latest["timestamp"].replace("Z", "+00:00"))
                assert abs(shown - datetime.now(timezone.utc) - offset) < timedelta(minutes=1)
                assert await server.readiness() == ""
