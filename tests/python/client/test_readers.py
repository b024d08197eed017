"""Readers of `session_buddy.client`: slow and stalled ones, several subscriptions on one connection."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from session_buddy.client import (
    connect,
)
from support.client_library import confirm, connections_to, first, number_of, scripted, until, update_message
from support.histories import fill, invocations
from support.processes import Server


async def flood(socket: ServerConnection) -> None:
    """Sends a hundred updates as fast as possible."""
    await confirm(socket)
    for number in range(100):
        await socket.send(update_message(number))
    await socket.wait_closed()


@pytest.mark.parametrize("buffer", [1, 5])
async def test_a_slow_reader_keeps_the_newest_and_sees_how_many_it_missed(buffer: int) -> None:
    async with scripted(flood) as url, connect(url) as client, client.subscribe(buffer=buffer) as updates:
        await until(lambda: updates.dropped == 100 - buffer, "all updates have arrived")
        assert [number_of(await first(updates)) for _ in range(buffer)] == list(range(100 - buffer, 100))


async def test_a_reader_that_keeps_up_misses_nothing() -> None:
    async with scripted(flood) as url, connect(url) as client:
        updates = client.subscribe(buffer=100)
        assert [number_of(await first(updates)) for _ in range(100)] == list(range(100))
        assert updates.dropped == 0


async def test_a_stalled_reader_does_not_delay_others(served: Server) -> None:
    async with connect(served.url) as client:
        stalled, other = client.subscribe(buffer=1), client.subscribe("mypy")
        await first(stalled)
        for _ in range(5):
            await first(other)
            await client.ping()


async def test_concurrent_subscriptions_are_independent(db_path: Path) -> None:
    fill(db_path, invocations("rare", 1), *[invocations(f"often-{number}", 2) for number in range(12)])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            every, one = client.subscribe(), client.subscribe("rare")
            for _ in range(3):
                assert len((await first(every)).top_skills) == 10
                assert [skill.skill_name for skill in (await first(one)).top_skills] == ["rare"]
            assert connections_to(server.port) == 2
            await every.aclose()
            with pytest.raises(StopAsyncIteration):
                await every.__anext__()
            third = client.subscribe("often-1")
            for _ in range(3):
                assert [skill.skill_name for skill in (await first(one)).top_skills] == ["rare"]
                assert [skill.skill_name for skill in (await first(third)).top_skills] == ["often-1"]
            await one.aclose()
            await until(lambda: connections_to(server.port) == 1, "its connection is closed")
    await until(lambda: connections_to(server.port) == 0, "all connections are closed")


async def test_an_abandoned_subscription_ends_by_itself() -> None:
    asked: list[str] = []

    async def notes(socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            asked.append(request["type"])
            kind = {"subscribe": "subscription_confirmed", "unsubscribe": "unsubscribed"}[request["type"]]
            await socket.send(json.dumps({"type": kind, "message": "x", "request_id": request["request_id"]}))
            if request["type"] == "subscribe":
                await socket.send(update_message(1))

    async with scripted(notes) as url, connect(url) as client:
        async for _ in client.subscribe():
            break
        gc.collect()
        await until(lambda: asked == ["unsubscribe", "subscribe", "unsubscribe"], "the server got all requests")


async def test_a_subscription_that_follows_another_one_is_not_ended_with_it(served: Server) -> None:
    async with connect(served.url) as client:
        async with client.subscribe("mypy") as updates:
            await first(updates)
        following = client.subscribe("pytest-run")
        for _ in range(3):
            assert [skill.skill_name for skill in (await first(following)).top_skills] == ["pytest-run"]
        assert connections_to(served.port) == 1


async def test_abandoned_loops_share_one_connection(served: Server) -> None:
    async with connect(served.url) as client:
        for _ in range(10):
            async for update in client.subscribe("mypy"):
                assert [skill.skill_name for skill in update.top_skills] == ["mypy"]
                assert connections_to(served.port) == 1
                break


async def test_a_cancelled_wait_loses_no_update(served: Server) -> None:
    async with connect(served.url) as client:
        updates = client.subscribe("mypy")
        for _ in range(20):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(updates.__anext__(), 0.001)
        assert (await first(updates)).top_skills
