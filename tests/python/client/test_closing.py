"""Closing and cancelling `session_buddy.client`: it releases everything."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from session_buddy.client import (
    ClientClosedError,
    State,
    StateChange,
    connect,
)
from session_buddy.client._link import Link
from support.client_library import connections_to, first, until
from support.processes import DEADLINE, Server


@pytest.mark.parametrize("moment", ["entering", "reading", "asking", "coming back", "closing"])
async def test_cancelled_at_any_moment_it_leaves_nothing_behind(filled_db: Path, moment: str) -> None:
    before = asyncio.all_tasks()
    with Server(filled_db) as server:

        async def work(reached: asyncio.Event) -> None:
            if moment == "entering":
                reached.set()
            async with connect(server.url, first_delay=5) as client:
                async with client.subscribe() as updates, client.subscribe("mypy") as others:
                    await updates.__anext__()
                    await others.__anext__()
                    if moment == "coming back":
                        server.process.send_signal(signal.SIGKILL)
                        while client.state is not State.RECONNECTING:
                            await asyncio.sleep(0.005)
                    elif moment == "asking":
                        server.process.send_signal(signal.SIGSTOP)
                        asyncio.get_running_loop().call_later(0.05, reached.set)
                        await client.ping()
                    if moment != "closing":
                        reached.set()
                        async for _ in updates:
                            pass
                reached.set()

        reached = asyncio.Event()
        working = asyncio.create_task(work(reached))
        await asyncio.wait_for(reached.wait(), DEADLINE)
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled()
        assert asyncio.all_tasks() == before
        await until(lambda: connections_to(server.port) == 0, "its connections are closed")


async def test_a_close_that_is_cancelled_in_its_first_turn_leaves_nothing_behind(served: Server) -> None:
    before = asyncio.all_tasks()
    client = connect(served.url)
    await client.__aenter__()
    await first(client.subscribe("mypy"))
    others = client.subscribe("pytest-run")
    await first(others)
    await others.aclose()  # its connection is closing, too

    async def close() -> None:
        asyncio.get_running_loop().call_soon(
            closing.cancel
        )  # before the task that the close starts runs for the first time
        await client.aclose()

    closing = asyncio.create_task(close())
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert asyncio.all_tasks() == before
    assert client.state is State.CLOSED
    await until(lambda: connections_to(served.port) == 0, "its connections are closed")


async def test_a_close_that_comes_just_as_the_connection_is_ready_ends(
    served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.all_tasks()
    original = Link._resubscribe

    async def closed_meanwhile(link: Link, socket: ClientConnection) -> None:
        await original(link, socket)
        ending.extend(link.stop())

    ending: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Link, "_resubscribe", closed_meanwhile)
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(connect(served.url).__aenter__(), DEADLINE)
    assert all(task.cancelled() for task in ending)
    assert asyncio.all_tasks() == before


async def test_a_client_that_is_closed_says_so(served: Server) -> None:
    changes: list[StateChange] = []
    client = connect(served.url, on_state=changes.append)
    with pytest.raises(ClientClosedError):
        client.subscribe()
    async with client:
        updates = client.subscribe()
        await first(updates)
        never = client.subscribe_sessions()
        await first(never)
        waiting = asyncio.ensure_future(first(never))
        await asyncio.sleep(0)
    async for _ in updates:  # the queued updates, then the end
        pass
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert client.state is State.CLOSED
    with pytest.raises(ClientClosedError):
        await client.ping()
    with pytest.raises(ClientClosedError):
        await client.__aenter__()
    await client.aclose()
    assert [change.state for change in changes] == [State.CONNECTING, State.CONNECTED, State.CLOSED]


async def test_a_client_that_is_being_closed_begins_nothing_more(served: Server) -> None:
    before = asyncio.all_tasks()
    async with connect(served.url) as client:
        await first(client.subscribe("mypy"))
        reading = client.subscribe("mypy")
        await first(reading)
        another = client.subscribe("pytest-run")
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(ClientClosedError):
            await first(another)
        with pytest.raises(ClientClosedError):
            client.subscribe()
        await closing
        assert asyncio.all_tasks() == before
    await until(lambda: connections_to(served.port) == 0, "all connections are closed")
    never_entered = connect(served.url)
    await never_entered.aclose()
    with pytest.raises(ClientClosedError):
        await never_entered.__aenter__()
