"""`max_clients` clients, and one that never reads: for a minute each in `make load`, for seconds in `make test`."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets

from session_buddy.storage.skills_storage import SkillsStorage
from support.footprint import MEGABYTE, resident
from support.histories import fill, invocations
from support.processes import DEADLINE, Program, Server
from support.schemas import Client

SECONDS = float(os.environ.get("SESSION_BUDDY_TEST_LOAD_SECONDS", "4"))
# A high load in `make load`; with a margin for busy machines in `make test`.
INTERVAL_MS = 50 if SECONDS >= 30 else 100


@contextmanager
def steady_work(db_path: Path) -> Iterator[None]:
    """Records continuously, so that hardly two updates are equal."""
    stop = threading.Event()

    def work() -> None:
        with SkillsStorage(db_path) as storage:
            while not stop.wait(0.02):
                storage.store_many(invocations("pytest-run", 1))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def load(server: Server, clients: int, *options: str) -> Program:
    return Program(
        [
            *(sys.executable, "-m", "session_buddy.loadtest", server.url, "--json"),
            *("--count", str(clients), "--duration", str(SECONDS), *options),
        ]
    )


def connections(server: Server) -> int:
    """The server's established connections."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
        for connection in psutil.Process(server.process.pid).net_connections("tcp")
    )


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.02)


async def finished(program: Program) -> dict[str, Any]:
    """The report of a load test that succeeded."""
    lines = await asyncio.to_thread(program.drain, SECONDS + DEADLINE)
    assert program.process.wait() == 0, lines
    report: dict[str, Any] = json.loads("\n".join(lines))
    return report


@pytest.mark.timeout(SECONDS * 2 + 120)
async def test_a_server_at_max_clients_misses_nothing_and_rejects_the_next_client(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, invocations("pytest-run", 5), invocations("mypy", 2))
    with Server(path) as server, steady_work(path), load(server, 100) as program:
        await until(lambda: connections(server) >= 100)
        with pytest.raises(websockets.InvalidStatus) as rejected:
            await websockets.connect(server.url)
        response = rejected.value.response
        report = await finished(program)
        # A slot is free again.
        async with Client(server.url) as client:
            await client.receive_type("metrics_update")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Content-Type"] == "application/problem+json"
    body = json.loads(response.body)
    assert body["error"] == "too_many_clients"
    assert body["max_clients"] == 100
    print(f"\n100 clients for {SECONDS:.0f} s: {json.dumps(report)}")
    assert report["connected"] == 100
    assert (report["failed"], report["lost_updates"], report["errors"]) == (0, 0, {})
    assert report["broadcasts"] >= SECONDS * 10 * 0.5, "an update every 100 ms, with a margin for a busy machine"
    assert report["messages"] >= report["broadcasts"] * 100


@pytest.mark.timeout(SECONDS * 2 + 120)
async def test_a_stalled_client_does_not_delay_the_others_and_uses_no_memory(tmp_path: Path) -> None:
    """The stalled client's updates are large (a thousand skills), the others' small: queued ones would soon show."""
    path = tmp_path / "skills.db"
    fill(path, *(invocations(f"{number:03}-{'x' * 240}", 1) for number in range(1000)), invocations("pytest-run", 5))
    options = ("--top-skills", "1000", "--ping-timeout", "1h")
    with Server(path, *options, interval=f"{INTERVAL_MS}ms") as server, steady_work(path):
        # Reads one message ahead and then stops, so that the server has to queue. A small buffer, so that
        # little fits into it.
        line = socket.socket(socket.AF_INET)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        line.connect(("127.0.0.1", server.port))
        line.setblocking(False)
        async with Client(server.url, sock=line, max_queue=1, max_size=None, ping_interval=None) as stalled:
            first = await stalled.receive_type("metrics_update")
            size = len(json.dumps(first))
            with load(server, 99, "--skill", "pytest-run") as program:
                await until(lambda: connections(server) >= 100)
                before = resident(server)
                report = await finished(program)
            after = resident(server)

            # It gets what the socket buffers held and then the newest update, not all that were published meanwhile.
            late = [await stalled.receive_type("metrics_update")]
            resumed = datetime.now(timezone.utc).replace(microsecond=0)
            while datetime.fromisoformat(late[-1]["timestamp"].replace("Z", "+00:00")) < resumed:
                late.append(await stalled.receive_type("metrics_update"))

    published = report["broadcasts"]
    print(
        f"\nstalled next to 99 for {SECONDS:.0f} s at {INTERVAL_MS} ms: {json.dumps(report)}\n"
        f"server memory {before / MEGABYTE:.1f} -> {after / MEGABYTE:.1f} MiB; {published} updates of "
        f"{size / 1024:.0f} KiB would have been {published * size / MEGABYTE:.0f} MiB; {len(late)} were on their way"
    )
    assert report["connected"] == 99
    assert (report["failed"], report["lost_updates"], report["errors"]) == (0, 0, {})
    assert published >= SECONDS * 1000 / INTERVAL_MS * 0.5
    assert published * size > 8 * MEGABYTE
    assert after - before < 8 * MEGABYTE
    assert len(late) < published / 2
