"""Push: an invocation of another process reaches clients immediately; without push, at the interval."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.recorder import Recorder
from support.schemas import Client

pytestmark = pytest.mark.timeout(60)  # a missing broadcast would be waited for endlessly


async def next_count(client: Client) -> int:
    """The invocations in the next broadcast."""
    message = await client.receive_type("metrics_update")
    return sum(skill["invocation_count"] for skill in message["data"]["top_skills"])


def connected(server: RealTimeMetricsServer) -> Client:
    return Client(f"ws://localhost:{server.port}")


async def test_each_invocation_of_another_process_is_one_immediate_message(
    server_factory: ServerFactory, db_path: Path
) -> None:
    async with server_factory(push=True, update_interval=3600.0) as server, connected(server) as client:
        await client.ask({"type": "ping"})
        with Recorder(db_path) as recorder:
            for count in range(1, 6):
                recorder.record("pytest-run")
                assert await next_count(client) == count


async def test_pushes_keep_their_minimum_interval_and_lose_nothing(
    server_factory: ServerFactory, db_path: Path
) -> None:
    least = 0.2
    settings = {"push": True, "push_min_interval": least, "update_interval": 3600.0}
    async with server_factory(**settings) as server, connected(server) as client:
        await client.ask({"type": "ping"})
        with Recorder(db_path) as recorder:

            def record_all() -> None:
                for _ in range(200):
                    recorder.record("pytest-run")

            start = time.monotonic()
            recording = asyncio.create_task(asyncio.to_thread(record_all))
            messages = 1
            while await next_count(client) < 200:
                messages += 1
            assert messages <= (time.monotonic() - start) / least + 1
            await recording


async def test_without_push_an_invocation_comes_with_the_next_regular_broadcast(
    server_factory: ServerFactory, db_path: Path
) -> None:
    interval = 0.5
    async with server_factory(update_interval=interval) as server, connected(server) as client:
        with Recorder(db_path) as recorder:
            assert await next_count(client) == 0
            regular = time.monotonic()
            recorder.record("pytest-run")
            assert await next_count(client) == 1
            assert time.monotonic() - regular > interval / 2


def test_push_is_off_by_default(server_factory: ServerFactory) -> None:
    settings = server_factory().settings
    assert settings["push"] is False
    assert settings["push_min_interval"] == 0.05
