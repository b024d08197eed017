"""Measure --push: how long a commit of another process takes to reach a subscribed client, and what waiting costs.

usage: push_latency.py SERVER [--commits 200] [--seconds 10]

SERVER is the binary session-buddy-server. It prints the median and the worst latency with the server's processor time
for each push, then the share of a core that the server takes while nothing is written, and while another table is
written a hundred times a second. The one who commits and the one who receives read the same monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import re
import sqlite3
import statistics
import subprocess
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import websockets

INSERT = "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed) VALUES ('bench', ?, 's', 1)"


def write_rows(path: str, commands: Connection) -> None:
    """The other process: commits a row at each command and tells when the commit had returned."""
    database = sqlite3.connect(path, isolation_level=None)
    while commands.recv():
        database.execute(INSERT, (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),))
        commands.send(time.monotonic())


def write_another_table(path: str, seconds: float) -> None:
    """A hundred commits a second that are no invocations."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS notes (body TEXT)")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        database.execute("INSERT INTO notes VALUES ('x')")
        time.sleep(0.01)


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share_of_a_core(process: int, seconds: float) -> str:
    before = processor_seconds(process)
    time.sleep(seconds)
    return f"{(processor_seconds(process) - before) / seconds:.2%} of a core"


async def latencies(url: str, path: str, commits: int) -> list[float]:
    ours, theirs = multiprocessing.Pipe()
    writer = multiprocessing.Process(target=write_rows, args=(path, theirs))
    writer.start()
    found = []
    async with websockets.connect(url) as websocket:
        await websocket.send(json.dumps({"type": "subscribe", "skill_name": "bench"}))
        for commit in range(1, commits + 1):
            await asyncio.sleep(random.uniform(0.1, 0.2))  # noqa: S311
            ours.send(True)
            count = 0
            while count < commit:
                message = json.loads(await websocket.recv())
                for skill in message.get("data", {}).get("top_skills", []):
                    count = skill["invocation_count"]
            received = time.monotonic()
            found.append(received - await asyncio.to_thread(ours.recv))
    ours.send(False)
    writer.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", type=Path)
    parser.add_argument("--commits", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/skills.db"
        command = [arguments.server, "--db-path", path, "--port=0", "--push", "--update-interval=3600"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = next(m[1] for line in server.stdout or () if (m := re.search(r"ws://127\.0\.0\.1:(\d+)", line)))
                before = processor_seconds(server.pid)
                found = asyncio.run(latencies(f"ws://127.0.0.1:{port}", path, arguments.commits))
                each = (processor_seconds(server.pid) - before) / arguments.commits
                print(
                    f"latency of {len(found)} commits: median {statistics.median(found) * 1e3:.1f} ms, "
                    f"worst {max(found) * 1e3:.1f} ms, {each * 1e3:.2f} ms of processor time each"
                )
                time.sleep(2)  # until the last looks are over
                print(f"idle: {share_of_a_core(server.pid, arguments.seconds)}")
                other = multiprocessing.Process(target=write_another_table, args=(path, arguments.seconds + 1))
                other.start()
                time.sleep(0.5)
                print(f"another table is written: {share_of_a_core(server.pid, arguments.seconds)}")
                other.join()
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
