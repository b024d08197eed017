"""Helpers for tests of `session_buddy.client`: servers that misbehave as a test scripts it, and their messages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psutil
from websockets.asyncio.server import ServerConnection, serve

from session_buddy.client import (
    MetricsUpdate,
)
from support.processes import DEADLINE


async def first(updates: Any) -> Any:
    """The first item of a subscription."""
    return await asyncio.wait_for(updates.__anext__(), DEADLINE)


async def until(condition: Callable[[], bool], what: str) -> None:
    """`wait_until` for coroutines."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"timed out waiting for: {what}"
        await asyncio.sleep(0.005)


def update_message(number: int) -> str:
    """A metrics_update with a number."""
    skill = {
        "skill_name": "numbered",
        "invocation_count": number,
        "completed_count": 0,
        "avg_duration": 0.0,
        "last_invocation_at": "2026-02-10T12:00:00Z",
    }
    data = {"top_skills": [skill], "anomalies": []}
    return json.dumps({"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": data})


def number_of(update: MetricsUpdate) -> int:
    return update.top_skills[0].invocation_count


async def confirm(socket: ServerConnection, wanted: str = "subscribe") -> None:
    """Answers a client's requests, up to one of this type."""
    kinds = {"subscribe": "subscription_confirmed", "unsubscribe": "unsubscribed"}
    while True:
        request = json.loads(await socket.recv())
        answer = {"type": kinds[request["type"]], "message": "x", "request_id": request["request_id"]}
        await socket.send(json.dumps(answer))
        if request["type"] == wanted:
            return


@contextlib.asynccontextmanager
async def scripted(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    """A server whose connections `handler` serves; yields the URL."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def connections_to(port: int) -> int:
    """The connections of this process."""
    return sum(
        1
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == port and connection.status != psutil.CONN_CLOSE_WAIT
    )
