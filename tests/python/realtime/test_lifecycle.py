"""Starting, stopping, cancelling and restarting the server, from every kind of loop and thread."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from session_buddy.storage import DatabaseBusyError, StorageError
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import locked
from support.processes import DEADLINE


def url(server: RealTimeMetricsServer) -> str:
    return f"ws://127.0.0.1:{server.port}"


async def with_deadline(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.005)


async def receive_until_closed(client: websockets.ClientConnection) -> None:
    while True:
        await client.recv()


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def test_async_with_serves_in_the_background(server_factory: ServerFactory, db_path: Path) -> None:
    server = server_factory()
    assert not server.running
    assert server.port == 0
    assert server.endpoints == []
    async with server as entered:
        assert entered is server
        assert server.running
        assert server.port > 0
        assert server.endpoints == [f"127.0.0.1:{server.port}", f"[::1]:{server.port}"]
        assert server.db_path == str(db_path)
        async with websockets.connect(url(server)) as client:
            update = json.loads(await client.recv())
            assert update["type"] == "metrics_update"
        port = server.port
    assert not server.running
    assert server.port == 0
    assert port_is_free(port)


async def test_start_runs_until_stop(server_factory: ServerFactory) -> None:
    server = server_factory()
    task = asyncio.create_task(server.start())
    await with_deadline(lambda: server.running)
    assert not task.done()
    await server.stop()
    await asyncio.wait_for(task, DEADLINE)
    assert not server.running


async def test_cancelling_start_closes_clients_with_1001_and_frees_the_port(server_factory: ServerFactory) -> None:
    server = server_factory()
    task = asyncio.create_task(server.start())
    await with_deadline(lambda: server.running)
    port = server.port
    async with websockets.connect(url(server)) as client:
        await client.recv()
        task.cancel()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await receive_until_closed(client)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.running
    assert port_is_free(port)


async def test_cancelling_while_it_starts_leaves_nothing_behind(server_factory: ServerFactory) -> None:
    server = server_factory()
    for turns in range(6):
        task = asyncio.create_task(server.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not server.running
    async with server:
        assert server.running


async def test_it_can_be_started_again_after_a_stop(server_factory: ServerFactory) -> None:
    server = server_factory()
    for _ in range(3):
        async with server, websockets.connect(url(server)) as client:
            assert json.loads(await client.recv())["type"] == "metrics_update"
        assert not server.running


async def test_it_can_reuse_its_port_immediately(server_factory: ServerFactory) -> None:
    first = server_factory()
    async with first, websockets.connect(url(first)) as client:
        await client.recv()
        port = first.port
    async with server_factory(port=port) as second:
        assert second.port == port


async def test_starting_twice_is_an_error_and_harms_nothing(server: RealTimeMetricsServer) -> None:
    with pytest.raises(RuntimeError, match="already running"):
        await server.start()
    assert server.running


async def test_stop_can_be_called_when_it_does_not_run_and_twice(server_factory: ServerFactory) -> None:
    server = server_factory()
    await server.stop()
    async with server:
        await asyncio.gather(server.stop(), server.stop())
        assert not server.running


async def test_a_port_in_use_is_an_immediate_os_error(
    server: RealTimeMetricsServer, server_factory: ServerFactory
) -> None:
    second = server_factory(port=server.port)
    began = time.monotonic()
    with pytest.raises(OSError, match="cannot listen on localhost:") as caught:
        await second.start()
    assert caught.value.errno == errno.EADDRINUSE
    assert str(server.port) in str(caught.value)
    assert time.monotonic() - began < 5
    assert not second.running
    await server.stop()
    # A failed start can be retried.
    async with second:
        assert second.running


async def test_a_host_of_another_machine_is_an_os_error(server_factory: ServerFactory) -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        await server_factory(host="192.0.2.1", insecure=True).start()


async def test_an_unusable_database_is_a_storage_error(server_factory: ServerFactory, db_path: Path) -> None:
    db_path.write_bytes(b"this is not a database, and long enough to be looked at" * 20)
    server = server_factory()
    with pytest.raises(StorageError) as caught:
        await server.start()
    assert caught.value.code == "not_a_database"
    assert caught.value.path == str(db_path)
    assert str(db_path) in str(caught.value)
    assert not server.running
    assert server.port == 0


async def test_a_locked_database_is_waited_for_without_blocking_the_loop(
    server_factory: ServerFactory, db_path: Path
) -> None:
    with locked(db_path, "EXCLUSIVE"):
        starting = asyncio.create_task(server_factory(busy_timeout=0.5).start())
        turns = 0
        while not starting.done():
            await asyncio.sleep(0.01)
            turns += 1
        with pytest.raises(DatabaseBusyError):
            await starting
    assert turns > 10  # the GIL and the loop were free while the native side waited


async def test_two_servers_share_a_process(server_factory: ServerFactory, tmp_path: Path) -> None:
    async with server_factory(db_path=tmp_path / "a.db") as first, server_factory(db_path=tmp_path / "b.db") as second:
        assert first.port != second.port
        with SkillsStorage(first.db_path) as storage:
            storage.store_invocation("only-in-first", session_id="s", completed=True)
        await with_deadline(lambda: first.get_metrics("only-in-first") is not None)
        assert second.get_metrics("only-in-first") is None
        await first.stop()
        async with websockets.connect(url(second)) as client:
            await client.recv()


async def test_metrics_are_updated_without_a_client(server: RealTimeMetricsServer) -> None:
    with SkillsStorage(server.db_path) as storage:
        for completed in (True, True, True, False):
            storage.store_invocation("ruff", session_id="s", completed=completed, duration_seconds=2.5)
    await with_deadline(lambda: bool(server.snapshot()["data"]["top_skills"]))
    await with_deadline(lambda: server.snapshot()["data"]["top_skills"][0]["invocation_count"] == 4)
    snapshot = server.snapshot()
    top = snapshot["data"]["top_skills"]
    assert len(top) == 1
    assert top[0]["skill_name"] == "ruff"
    assert top[0]["completed_count"] == 3
    assert top[0]["avg_duration"] == 2.5
    assert snapshot["database"] == {"readable": True, "reason": ""}
    assert snapshot["data"]["anomalies"] == []
    assert [session["session_id"] for session in snapshot["sessions"]] == ["s"]
    metrics = server.get_metrics("ruff")
    assert metrics is not None
    assert metrics["total_invocations"] == 4
    assert metrics["completion_rate"] == 0.75
    assert metrics["avg_duration_seconds"] == 2.5
    assert metrics["last_invocation_at"] == top[0]["last_invocation_at"]
    assert server.get_metrics("never-ran") is None


def test_before_the_first_start_the_snapshot_is_empty(server_factory: ServerFactory) -> None:
    assert server_factory().snapshot()["sequence"] == 0
    assert server_factory().snapshot()["data"]["top_skills"] == []


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_every_loop_can_run_it(
    server_factory: ServerFactory, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    server = server_factory()

    async def serve_and_ask() -> Any:
        task = asyncio.create_task(server.start())
        await with_deadline(lambda: server.running)
        async with websockets.connect(url(server)) as client:
            message = json.loads(await client.recv())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return message

    loop = new_loop()
    try:
        assert loop.run_until_complete(serve_and_ask())["type"] == "metrics_update"
    finally:
        loop.close()


def test_one_object_can_run_in_one_loop_after_another(server_factory: ServerFactory) -> None:
    server = server_factory()

    async def once() -> int:
        async with server:
            return server.port

    assert asyncio.run(once()) > 0
    assert uvloop.run(once()) > 0
    assert asyncio.run(once()) > 0


def test_it_runs_in_a_thread_and_is_stopped_from_another_loop(server_factory: ServerFactory) -> None:
    server = server_factory()
    thread = threading.Thread(target=lambda: asyncio.run(server.start()))
    thread.start()
    asyncio.run(with_deadline(lambda: server.running))
    asyncio.run(server.stop())
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert not server.running


def test_stop_now_works_without_a_loop(server_factory: ServerFactory) -> None:
    server = server_factory()
    thread = threading.Thread(target=lambda: asyncio.run(server.start()))
    thread.start()
    asyncio.run(with_deadline(lambda: server.running))
    server.stop_now()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_a_discarded_event_loop_stops_its_server(server_factory: ServerFactory) -> None:
    server = server_factory()

    async def start_and_leave() -> None:
        coroutine = server.start()
        holder.append(asyncio.ensure_future(coroutine))
        await with_deadline(lambda: server.running)

    holder: list[asyncio.Future[None]] = []
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending"
    loop.run_until_complete(start_and_leave())
    port = server.port
    loop.close()
    holder.clear()
    del loop
    gc.collect()
    server.stop_now()
    assert not server.running
    assert port_is_free(port)


async def test_serving_does_not_need_the_gil(server: RealTimeMetricsServer) -> None:
    """Clients are served while Python code holds the GIL; so here the client is another process."""
    script = (
        "import sys, websockets.sync.client as client, json\n"
        "with client.connect(sys.argv[1]) as connection:\n"
        "    for _ in range(5):\n"
        "        assert json.loads(connection.recv(timeout=20))['type'] == 'metrics_update'\n"
        "print('served')\n"
    )
    # The switch interval keeps every other Python thread from running while the loop below runs.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, url(server), stdout=asyncio.subprocess.PIPE
    )
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        end = time.monotonic() + DEADLINE
        while process.returncode is None and time.monotonic() < end:
            poll_without_yielding(process.pid)
            if has_exited(process.pid):
                break
    finally:
        sys.setswitchinterval(before)
    output, _ = await process.communicate()
    assert output == b"served\n"


def poll_without_yielding(_: int) -> None:
    total = 0
    for number in range(200_000):
        total += number


def has_exited(pid: int) -> bool:
    """Whether a child has exited; leaves its status for asyncio."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return True
    return stat.read_text().rpartition(")")[2].split()[0] == "Z"


async def test_an_idle_server_is_garbage_collected(server_factory: ServerFactory, db_path: Path) -> None:
    server = RealTimeMetricsServer(port=0, db_path=db_path)
    async with server:
        pass
    reference = weakref.ref(server)
    del server
    gc.collect()
    assert reference() is None
