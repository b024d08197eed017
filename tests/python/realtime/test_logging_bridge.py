"""Native log records in Python's logging: names, levels, times, encoding, and no cost where a level is disabled."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import websockets

from conftest import ServerFactory
from support.processes import DEADLINE


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.005)


def native_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in list(caplog.records) if record.threadName == "native"]


async def test_debug_records_arrive_with_name_level_and_time(
    server_factory: ServerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = time.time()
    async with server_factory() as server:
        async with websockets.connect(f"ws://127.0.0.1:{server.port}") as client:
            await client.recv()
        await until(lambda: any(r.levelno == logging.DEBUG for r in native_records(caplog)))
    await until(lambda: len(native_records(caplog)) >= 2)
    for record in native_records(caplog):
        assert record.name.startswith("session_buddy.")
        assert record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR"}
        assert before - 1 <= record.created <= time.time()
        assert 0 <= record.msecs < 1000
        assert record.getMessage() == record.msg  # a percent sign in it is only a percent sign


async def test_records_below_the_level_do_not_reach_python(
    server_factory: ServerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with server_factory() as server, websockets.connect(f"ws://127.0.0.1:{server.port}") as client:
        await client.recv()
    assert native_records(caplog) == []


async def test_a_level_that_changes_later_is_followed(
    server_factory: ServerFactory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with server_factory() as server:
        caplog.set_level(logging.DEBUG, logger="session_buddy")

        async def connect_until_logged() -> None:
            while not native_records(caplog):
                async with websockets.connect(f"ws://127.0.0.1:{server.port}") as client:
                    await client.recv()

        await asyncio.wait_for(connect_until_logged(), DEADLINE)


@pytest.mark.parametrize(
    ("root", "ours", "child", "disabled", "wanted"),
    [
        (logging.WARNING, logging.NOTSET, logging.NOTSET, logging.NOTSET, logging.WARNING),
        (logging.DEBUG, logging.NOTSET, logging.NOTSET, logging.NOTSET, logging.DEBUG),
        (logging.DEBUG, logging.ERROR, logging.NOTSET, logging.NOTSET, logging.ERROR),
        (logging.WARNING, logging.NOTSET, logging.DEBUG, logging.NOTSET, logging.DEBUG),
        (logging.DEBUG, logging.NOTSET, logging.NOTSET, logging.CRITICAL, logging.CRITICAL + 1),
    ],
)
def test_the_lowest_enabled_level_is_the_lowest_of_our_loggers(
    root: int, ours: int, child: int, disabled: int, wanted: int
) -> None:
    script = """
import logging, sys
from session_buddy import _runtime
root, ours, child, disabled = map(int, sys.argv[1:])
logging.getLogger().setLevel(root)
logging.getLogger("session_buddy").setLevel(ours)
logging.getLogger("session_buddy.server").setLevel(child)
logging.getLogger("session_buddyless").setLevel(1)
logging.disable(disabled)
print(_runtime._lowest_enabled_level())
"""
    levels = [str(level) for level in (root, ours, child, disabled)]
    result = subprocess.run([sys.executable, "-c", script, *levels], capture_output=True, text=True, check=True)
    assert int(result.stdout) == wanted


def test_a_flood_is_bounded_and_counted(db_path: Path) -> None:
    """In a separate process: the queue of native records is global to the process."""
    script = """
import sys
from session_buddy import _native
queue = _native.LogQueue(3)
_native.set_log_level(10)
server = _native.RealTimeServer({"port": 0, "db_path": sys.argv[1], "update_interval": 0.01})
for _ in range(4):
    server.start()
    server.stop()
records, dropped, closed = queue.next(1.0)
assert len(records) == 3, records
assert dropped >= 1, dropped
assert not closed
queue.close()
queue.close()
assert queue.next(1.0) == ([], 0, True)
"""
    subprocess.run([sys.executable, "-c", script, str(db_path)], check=True, timeout=60)


def test_basic_config_shows_native_debug_records(db_path: Path) -> None:
    script = """
import asyncio, logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s|%(name)s|%(message)s")
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
async def main():
    async with RealTimeMetricsServer(port=0, db_path=sys.argv[1]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"a request that is none\\r\\n\\r\\n")
        await reader.readline()
        writer.close()
asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(db_path)], capture_output=True, text=True, timeout=60, check=True
    )
    lines = [line.split("|") for line in result.stderr.splitlines()]
    assert all(len(line) == 3 for line in lines), result.stderr
    ours = [line for line in lines if line[1].startswith("session_buddy.")]
    assert any(level == "DEBUG" for level, _, _ in ours), result.stderr
    assert ["INFO", "session_buddy.server", f"database {db_path}"] in ours


def test_nothing_is_printed_by_a_program_that_does_not_ask_for_logs(db_path: Path) -> None:
    script = """
import asyncio, sys
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from session_buddy.storage.skills_storage import SkillsStorage
async def main():
    async with RealTimeMetricsServer(port=0, db_path=sys.argv[1]) as server:
        with SkillsStorage(sys.argv[1]) as storage:
            storage.store_invocation("a", session_id="s")
asyncio.run(main())
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(db_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == ""
    assert result.stderr == ""


async def test_a_handler_that_raises_does_not_end_the_bridge(
    server_factory: ServerFactory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(logging.Handler):
        calls = 0

        def emit(self, record: logging.LogRecord) -> None:
            if record.threadName == "native":
                Broken.calls += 1
                raise OSError("handler is broken")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    caplog.set_level(logging.DEBUG)
    handler = Broken()
    logging.getLogger().addHandler(handler)
    try:
        async with server_factory():
            await until(lambda: Broken.calls >= 1)
        seen = Broken.calls
        async with server_factory():
            await until(lambda: Broken.calls > seen)
    finally:
        logging.getLogger().removeHandler(handler)
