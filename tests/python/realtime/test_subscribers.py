"""register_metrics_subscriber: snapshots, their order, and slow or failing callbacks."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from conftest import ServerFactory
from session_buddy.realtime.types import Snapshot
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from session_buddy.storage.skills_storage import SkillsStorage
from support.processes import DEADLINE
from support.schemas import validated


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.005)


async def test_a_callable_gets_every_snapshot_in_order(server_factory: ServerFactory) -> None:
    server = server_factory()
    seen: list[Snapshot] = []
    threads: set[threading.Thread] = set()

    def callback(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        threads.add(threading.current_thread())

    server.register_metrics_subscriber(callback)
    async with server:
        with SkillsStorage(server.db_path) as storage:
            storage.store_invocation("black", session_id="s", completed=True, duration_seconds=1.0)
        await until(lambda: bool(seen) and bool(seen[-1]["data"]["top_skills"]))
    assert [snapshot["sequence"] for snapshot in seen] == list(range(1, len(seen) + 1))
    assert threads == {threading.current_thread()}  # the thread of the loop
    assert seen[-1]["data"]["top_skills"][0]["skill_name"] == "black"


async def test_a_snapshot_has_the_form_of_a_metrics_update(server_factory: ServerFactory) -> None:
    server = server_factory()
    seen: list[Snapshot] = []
    server.register_metrics_subscriber(seen.append)
    async with server, websockets.connect(f"ws://127.0.0.1:{server.port}") as client:
        with SkillsStorage(server.db_path) as storage:
            storage.store_invocation("black", session_id="s", completed=True, duration_seconds=1.0)
        await until(lambda: bool(seen) and bool(seen[-1]["data"]["top_skills"]))
        while not (on_the_wire := json.loads(await asyncio.wait_for(client.recv(), DEADLINE)))["data"]["top_skills"]:
            pass
    for snapshot in (*seen, server.snapshot(), server_factory().snapshot()):
        assert set(snapshot) == {"type", "timestamp", "data", "sequence", "sessions", "database"}
        validated(json.dumps({key: snapshot[key] for key in on_the_wire}))  # type: ignore[literal-required]
    data = json.loads(json.dumps(seen[-1]["data"]))
    for skill in data["top_skills"]:  # a snapshot has the details, which the message has only on request
        for detail in ("unknown_count", "measured_count", "p50_duration", "p95_duration"):
            del skill[detail]
    assert data.pop("alerts") == []
    assert data == on_the_wire["data"]


async def test_a_coroutine_function_is_awaited_one_call_at_a_time(server: RealTimeMetricsServer) -> None:
    running = 0
    most = 0
    calls = 0

    async def callback(_: Snapshot) -> None:
        nonlocal running, most, calls
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.06)
        running -= 1
        calls += 1

    server.register_metrics_subscriber(callback)
    await until(lambda: calls >= 4)
    assert most == 1


async def test_each_subscriber_gets_its_own_dict(server: RealTimeMetricsServer) -> None:
    seen: list[Snapshot] = []
    server.register_metrics_subscriber(lambda snapshot: snapshot.clear())  # type: ignore[attr-defined]
    server.register_metrics_subscriber(seen.append)
    await until(lambda: len(seen) >= 3)
    assert all(snapshot["sequence"] > 0 for snapshot in seen)


async def test_a_failing_callback_is_logged_and_does_not_stop_others(
    server: RealTimeMetricsServer, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Snapshot] = []
    failures = 0

    def failing(_: Snapshot) -> None:
        nonlocal failures
        failures += 1
        raise ZeroDivisionError("my own fault")

    async def failing_later(_: Snapshot) -> None:
        await asyncio.sleep(0)
        raise LookupError("mine as well")

    with caplog.at_level(logging.ERROR, logger="session_buddy.subscribers"):
        server.register_metrics_subscriber(failing)
        server.register_metrics_subscriber(failing_later)
        server.register_metrics_subscriber(seen.append)
        await until(lambda: failures >= 3 and len(seen) >= 3)
    assert "my own fault" in caplog.text
    assert "mine as well" in caplog.text
    assert server.running


async def test_unregistering_ends_it(server: RealTimeMetricsServer) -> None:
    seen: list[Snapshot] = []
    others: list[Snapshot] = []
    subscription = server.register_metrics_subscriber(seen.append)
    other = server.register_metrics_subscriber(others.append)
    await until(lambda: len(seen) >= 2)
    subscription.unregister()
    subscription.unregister()
    count = len(seen)
    reached = len(others)
    await until(lambda: len(others) >= reached + 3)
    assert len(seen) == count
    other()
    reached = len(others)
    sequence = server.snapshot()["sequence"]
    await until(lambda: server.snapshot()["sequence"] >= sequence + 3)
    assert len(others) == reached


async def test_a_callback_may_unregister_itself_and_stop_the_server(server_factory: ServerFactory) -> None:
    server = server_factory()

    async def callback(_: Snapshot) -> None:
        subscription.unregister()
        await server.stop()

    subscription = server.register_metrics_subscriber(callback)
    await asyncio.wait_for(server.start(), DEADLINE)
    assert not server.running


async def test_subscribers_survive_a_restart(server_factory: ServerFactory) -> None:
    server = server_factory()
    seen: list[Snapshot] = []
    server.register_metrics_subscriber(seen.append)
    for _ in range(2):
        seen.clear()
        async with server:
            await until(lambda: len(seen) >= 2)


async def test_a_stalled_callback_drops_the_oldest_and_does_not_delay_others(
    server_factory: ServerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_factory(update_interval=0.02, max_pending_snapshots=3)
    released = asyncio.Event()
    stalled: list[Snapshot] = []
    good: list[Snapshot] = []

    async def callback(snapshot: Snapshot) -> None:
        stalled.append(snapshot)
        await released.wait()

    with caplog.at_level(logging.WARNING, logger="session_buddy.subscribers"):
        subscription = server.register_metrics_subscriber(callback)
        server.register_metrics_subscriber(good.append)
        async with server, websockets.connect(f"ws://127.0.0.1:{server.port}") as client:
            for _ in range(20):
                assert json.loads(await asyncio.wait_for(client.recv(), DEADLINE))["type"] == "metrics_update"
            await until(lambda: len(good) >= 20)
            assert len(stalled) == 1
            dropped = subscription.dropped
            assert dropped >= len(good) - 1 - 3 - 1
            newest = good[-1]["sequence"]
            released.set()
            await until(lambda: len(stalled) >= 4)
    # After the first one came the newest ones, in order; older ones were dropped.
    sequences = [snapshot["sequence"] for snapshot in stalled]
    assert sequences == sorted(sequences)
    assert sequences[1] >= newest - 3
    assert caplog.text.count("is too slow") == 1


async def test_a_loop_that_is_blocked_drops_snapshots_and_recovers(server_factory: ServerFactory) -> None:
    server = server_factory(update_interval=0.01, max_pending_snapshots=2)
    seen: list[Snapshot] = []
    subscription = server.register_metrics_subscriber(seen.append)
    async with server:
        await until(lambda: len(seen) >= 2)
        before = server.snapshot()["sequence"]
        end = time.monotonic() + DEADLINE
        while server.snapshot()["sequence"] < before + 20 and time.monotonic() < end:
            threading.Event().wait(0.01)  # the loop is blocked, the server is not
        await until(lambda: seen[-1]["sequence"] > before + 20)
        assert subscription.dropped >= 10
        assert len(seen) < before + 20


async def test_no_dict_is_made_without_a_subscriber(
    server: RealTimeMetricsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(thread.name == "session-buddy-subscribers" for thread in threading.enumerate())
    server.register_metrics_subscriber(lambda _: None)
    assert any(thread.name == "session-buddy-subscribers" for thread in threading.enumerate())
    await server.stop()
    assert not any(thread.name == "session-buddy-subscribers" for thread in threading.enumerate())


@pytest.mark.parametrize("wrong", [None, 1, "callback"])
def test_what_is_not_callable_is_rejected(server_factory: ServerFactory, wrong: Any) -> None:
    with pytest.raises(TypeError, match="callback must be callable"):
        server_factory().register_metrics_subscriber(wrong)


def test_registering_from_another_thread_delivers_on_the_servers_loop(server_factory: ServerFactory) -> None:
    server = server_factory()
    threads: list[threading.Thread] = []
    runner = threading.Thread(target=lambda: asyncio.run(server.start()))
    runner.start()
    asyncio.run(until(lambda: server.running))
    server.register_metrics_subscriber(lambda _: threads.append(threading.current_thread()))
    asyncio.run(until(lambda: len(threads) >= 2))
    server.stop_now()
    runner.join(DEADLINE)
    assert set(threads) == {runner}
