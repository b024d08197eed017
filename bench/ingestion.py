"""Benchmarks of ingestion: cost of a hook, throughput of requests, latency from a hook to a client."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from parts import Result, Scale, Skipped, target
from programs import SERVER, Database, Running, node_program, our_server
from websockets.sync.client import ClientConnection, connect

HOOK = SERVER.with_name("session-buddy-hook")
HOOKS = "/hooks/claude-code"
INVOCATIONS = "/api/v1/invocations"
CONNECTIONS = 8  # that submit invocations concurrently
RUNS = 200
SESSIONS = 1000


def quantile(values: Sequence[float], part: float) -> float:
    """Return the quantile by the nearest-rank method."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def hook_event(name: str, number: int) -> bytes:
    """Return a hook event of a pytest run; PostToolUse has a response of some kilobytes."""
    event: dict[str, Any] = {
        "session_id": f"session-{number % SESSIONS}",
        "transcript_path": "/home/me/.claude/projects/x/session.jsonl",
        "cwd": "/home/me/x",
        "permission_mode": "default",
        "hook_event_name": name,
        "tool_name": "Bash",
        "tool_input": {"command": "uv run pytest -q tests", "description": "Run the tests"},
        "tool_use_id": f"toolu_{os.getpid()}_{time.monotonic_ns()}_{number}",
    }
    if name == "PostToolUse":
        event |= {"tool_response": {"stdout": "." * 4000, "stderr": "", "interrupted": False}, "duration_ms": 1234}
    return json.dumps(event).encode()


def run_once(command: Sequence[str | Path], data: bytes = b"") -> float:
    """Run a process and return its wall time in milliseconds, without the overhead of the subprocess module."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        start = time.perf_counter()
        pid = os.posix_spawn(
            words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), sys.stdin.fileno())]
        )
        _, status = os.waitpid(pid, 0)
        elapsed = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{words[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return elapsed * 1000


def files_of(program: str | Path) -> list[Path]:
    """Return the program and the libraries that it loads."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    libraries = [Path(word) for word in listed.split() if word.startswith("/")]
    return [Path(program).resolve(), *(library.resolve() for library in libraries)]


def evict_from_page_cache(files: Sequence[Path]) -> None:
    """Evict files from the page cache, so that the next reader waits for the disk."""
    for file in files:
        with contextlib.suppress(OSError):
            descriptor = os.open(file, os.O_RDONLY)
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


class Requests:
    """A persistent HTTP connection."""

    def __init__(self, server: Running) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)

    def post(self, path: str, body: bytes) -> None:
        """Send a request and wait for its response, which the server sends after the commit."""
        self._connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != http.client.ACCEPTED:
            raise RuntimeError(f"{answer.status}: {text!r}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class IngestionBench:
    """The benchmarks of ingestion, each with its own databases in `folder`."""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.folder = folder
        self.runs = RUNS if scale.seconds > 1 else scale.samples * 4
        self._last_counts: dict[int, int] = {}  # invocation count of pytest-run, by the pid of the server

    def parts(self) -> dict[str, Callable[[], Result]]:
        """Return the benchmarks by name, in the order in which they run."""
        return {"hook": self.hook, "intake": self.intake, "hook_to_client": self.hook_to_client}

    def hook(self) -> Result:
        """Wall time of a hook process, compared with the start of an interpreter."""
        node, true = node_program(), shutil.which("true")
        if true is None:
            raise Skipped("there is no program `true`")
        database = Database(self.folder / "hook.db", 20)
        command: list[str | Path] = [HOOK, "--db-path", database.path]
        cached = [database.path, *files_of(HOOK)]
        python_files = files_of(sys.executable)
        counter = iter(range(1_000_000))

        def event(name: str) -> bytes:
            return hook_event(name, next(counter))

        def cold(files: Sequence[Path], run: Callable[[], float]) -> Callable[[], float]:
            def measure() -> float:
                evict_from_page_cache(files)
                return run()

            return measure

        # A separate database: closing the connection with the lock also checkpoints it, which is not measured here.
        locked = Database(self.folder / "locked.db", 20)

        def run_locked() -> float:
            with contextlib.closing(sqlite3.connect(locked.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                return run_once([HOOK, "--db-path", locked.path], event("PostToolUse"))

        measures: dict[str, Callable[[], float]] = {
            "`session-buddy-hook`, PreToolUse": lambda: run_once(command, event("PreToolUse")),
            "`session-buddy-hook`, PostToolUse": lambda: run_once(command, event("PostToolUse")),
            "the same, cold page cache": cold(cached, lambda: run_once(command, event("PostToolUse"))),
            "the same, database locked by another process": run_locked,
            "`true`": lambda: run_once([true]),
            "`python -c pass`": lambda: run_once([sys.executable, "-c", "pass"]),
            "`python -c pass`, cold page cache": cold(python_files, lambda: run_once([sys.executable, "-c", "pass"])),
            "`node -e 0`": lambda: run_once([node, "-e", "0"]),
        }
        times: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(self.runs):
            for name, measure in measures.items():
                times[name].append(measure())
        table = [
            [name, f"{statistics.median(found):.1f}", f"{quantile(found, 0.99):.1f}", f"{max(found):.1f}"]
            for name, found in times.items()
        ]
        _, ends, _, waits, *_ = times.values()
        rows = [
            target("wall time of a hook, database free: median", "≤ 5 ms", f"{statistics.median(ends):.1f}", "ms"),
            target("wall time of a hook, database locked: 99 %", "≤ 50 ms", f"{quantile(waits, 0.99):.1f}", "ms"),
        ]
        runs = [{"program": name, "ms": found} for name, found in times.items()]
        return Result(rows, ["wall time of a process, ms", "median", "99 %", "longest"], table, runs)

    def intake(self) -> Result:
        """Requests per second; the server responds after the rows are on the disk."""
        table = []
        runs = []
        for connections in (1, CONNECTIONS):
            for batch in (1, 100):
                database = Database(self.folder / f"intake-{connections}-{batch}.db", 20)
                with our_server(database.path, 1.0) as server:
                    report = self._submit(server, connections, batch)
                runs.append({"connections": connections, "batch": batch, **report})
                table.append(
                    [
                        str(connections),
                        str(batch),
                        f"{report['requests'] / report['seconds']:,.0f}",
                        f"{report['requests'] * batch / report['seconds']:,.0f}",
                        f"{statistics.median(report['ms']):.1f}",
                        f"{quantile(report['ms'], 0.99):.1f}",
                    ]
                )
        best = max(runs, key=lambda run: run["requests"] * run["batch"] / run["seconds"])
        rate = best["requests"] * best["batch"] / best["seconds"]
        rows = [target("invocations ingested by request, durable, batches of 100", "", f"{rate:,.0f}", "a second")]
        head = ["connections", "batch", "requests/s", "invocations/s", "response time, ms: median", "99 %"]
        return Result(rows, head, table, runs)

    def _submit(self, server: Running, connections: int, batch: int) -> dict[str, Any]:
        """Submit as many requests as possible for a while."""
        seconds = max(1.0, self.scale.seconds / 6)
        times: list[float] = []
        end = time.perf_counter() + seconds

        def work(number: int) -> None:
            client = Requests(server)
            sequence = 0
            while time.perf_counter() < end:
                records = [
                    {
                        "skill_name": f"skill-{(sequence + index) % 20:02}",
                        "session_id": f"session-{number}",
                        "completed": True,
                        "duration_seconds": 2.5,
                        "key": f"{number}-{sequence}-{index}",
                    }
                    for index in range(batch)
                ]
                body = json.dumps(records if batch > 1 else records[0]).encode()
                start = time.perf_counter()
                client.post(INVOCATIONS, body)
                times.append((time.perf_counter() - start) * 1000)
                sequence += 1
            client.close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"requests": len(times), "seconds": time.perf_counter() - start, "ms": times}

    def hook_to_client(self) -> Result:
        """Latency from the start of a PostToolUse hook until a subscriber receives the update."""
        table = []
        rows = []
        runs = []
        interval = 1.0
        for push, options in (("off", ()), ("on", ("--push",))):
            for way in ("a process", "a request"):
                database = Database(self.folder / f"latency-{push}-{way[2:]}.db", 5)
                with our_server(database.path, interval, *options) as server, subscribed(server) as client:
                    samples = self.runs if push == "on" else max(4, self.runs // 4)
                    found = [self._latency(database.path, server, client, way, interval) for _ in range(samples)]
                runs.append({"push": push, "way": way, "ms": found})
                table.append([way, push, str(len(found)), f"{statistics.median(found):.1f}", f"{max(found):.1f}"])
                if push == "on" and way == "a process":
                    rows.append(
                        target(
                            "latency from the start of a hook to a client, --push on: worst",
                            "≤ 1 s",
                            f"{max(found):.0f}",
                            "ms",
                        )
                    )
        return Result(rows, ["hook", "`push`", "samples", "median, ms", "worst, ms"], table, runs)

    def _latency(self, database: Path, server: Running, client: ClientConnection, way: str, interval: float) -> float:
        """Measure one latency in milliseconds, started at a random moment of the interval."""
        time.sleep(random.uniform(0, interval))  # noqa: S311 - not a secret
        body = hook_event("PostToolUse", 1)
        start = time.perf_counter()
        if way == "a process":
            run_once([HOOK, "--db-path", database], body)
        else:
            sender = Requests(server)
            sender.post(HOOKS, body)
            sender.close()
        while True:
            message = json.loads(client.recv())
            count = sum(
                row["invocation_count"] for row in message["data"]["top_skills"] if row["skill_name"] == "pytest-run"
            )
            if count > self._last_counts.get(server.pid, 0):
                self._last_counts[server.pid] = count
                return (time.perf_counter() - start) * 1000


@contextlib.contextmanager
def subscribed(server: Running) -> Iterator[ClientConnection]:
    """Connect a client that is subscribed to all skills."""
    with connect(f"ws://127.0.0.1:{server.port}") as client:
        client.send(json.dumps({"type": "subscribe", "skill_name": None}))
        client.recv()
        yield client
