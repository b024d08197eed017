"""The interpreter exits cleanly while a server, a handler or a callback is active."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROLOGUE = """
import asyncio, logging, os, signal, sys, threading, time
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
server = RealTimeMetricsServer(port=0, db_path=sys.argv[1], update_interval=0.01)

def wait_until_running():
    while not server.running:
        time.sleep(0.005)

def run_in_daemon_thread():
    threading.Thread(target=lambda: asyncio.run(server.start()), daemon=True).start()
    wait_until_running()
"""

SCRIPTS = {
    "end of the main module": ("run_in_daemon_thread()\nprint('end')", 0, ""),
    "sys.exit": ("run_in_daemon_thread()\nprint('end', flush=True)\nsys.exit(7)", 7, ""),
    "unhandled exception": (
        "run_in_daemon_thread()\nprint('end', flush=True)\nraise LookupError('mine')",
        1,
        "LookupError: mine",
    ),
    "KeyboardInterrupt in a coroutine": (
        """
async def main():
    server.register_metrics_subscriber(lambda snapshot: None)
    task = asyncio.create_task(server.start())
    while not server.running:
        await asyncio.sleep(0.005)
    print('end', flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    await task
asyncio.run(main())
""",
        -2,  # as Python exits on an uncaught KeyboardInterrupt
        "KeyboardInterrupt",
    ),
    "KeyboardInterrupt in the main thread": (
        """
run_in_daemon_thread()
print('end', flush=True)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(30)
""",
        -2,
        "KeyboardInterrupt",
    ),
    "background server that is never left": (
        """
async def main():
    await server.__aenter__()
    server.register_metrics_subscriber(lambda snapshot: None)
    await asyncio.sleep(0.1)
    print('end', flush=True)
asyncio.run(main())
""",
        0,
        "",
    ),
    "handler that logs and a busy subscriber": (
        """
class Handler(logging.Handler):
    def emit(self, record):
        if record.name.startswith('session_buddy'):
            logging.getLogger('other').debug('saw %s', record.getMessage())
logging.basicConfig(level=logging.DEBUG, handlers=[Handler()])
async def main():
    async with server:
        server.register_metrics_subscriber(lambda snapshot: time.sleep(0.05))
        await asyncio.sleep(0.2)
        print('end', flush=True)
        sys.exit(0)
asyncio.run(main())
""",
        0,
        "",
    ),
    "handler that hangs": (
        """
class Handler(logging.Handler):
    def handle(self, record):  # not emit: what hangs there holds a lock that logging itself wants at the end
        if record.name.startswith('session_buddy'):
            threading.Event().wait()
logging.basicConfig(level=logging.DEBUG, handlers=[Handler()])
from session_buddy import _runtime
_runtime._JOIN_SECONDS = 0.2
run_in_daemon_thread()
print('end', flush=True)
""",
        0,
        "",
    ),
    "two servers, one of them stopped": (
        """
other = RealTimeMetricsServer(port=0, db_path=sys.argv[1] + '.other')
async def main():
    await other.__aenter__()
    await server.__aenter__()
    await other.stop()
    print('end', flush=True)
asyncio.run(main())
""",
        0,
        "",
    ),
    "fork while it runs": (
        """
run_in_daemon_thread()
child = os.fork()
if child == 0:
    try:
        server.stop_now()
    except RuntimeError as error:
        assert 'forked process' in str(error)
        sys.exit(3)
    sys.exit(4)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 3, status
assert server.running
print('end', flush=True)
""",
        0,
        "",
    ),
    "never started": ("print('end')", 0, ""),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_interpreter_exits_cleanly(name: str, db_path: Path) -> None:
    script, status, error = SCRIPTS[name]
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "ignore", "-c", PROLOGUE + script, str(db_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.stdout == "end\n", result.stderr
    assert result.returncode == status, result.stderr
    if error:
        assert error in result.stderr
    assert "terminate called" not in result.stderr
    assert "Fatal Python error" not in result.stderr
    if not error:
        assert "Traceback" not in result.stderr
