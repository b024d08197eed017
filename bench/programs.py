"""Starts the measured programs and the clients, pinned to different cores, and waits until they are ready."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import trustme

from session_buddy.storage.skills_storage import SkillsStorage

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "build" / "release" / "bench"
WIRE = RELEASE / "wire"
PEERS = ROOT / "bench" / "peers"
SERVER = Path(sysconfig.get_path("scripts")) / "session-buddy-server"

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
DEADLINE = 60.0  # seconds for a program to become ready

# Raise every limit, as all clients connect from one address.
NO_LIMITS = (
    *("--max-clients", "1000000", "--max-clients-per-address", "1000000", "--max-http-connections", "1000000"),
    *("--max-connections-per-second", "1000000", "--max-messages-per-second", "1000000", "--log-level", "warning"),
)


@cache
def node_program() -> str:
    """Return the path of Node itself: the `node` of PyPI is a wrapper script, whose start would be measured, too."""
    return subprocess.check_output(["node", "--print", "process.execPath"], text=True).strip()


def raise_file_limit() -> int:
    """Raise the limit of open files of this process and its children to the maximum; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@dataclass(frozen=True)
class Running:
    """A running server."""

    pid: int
    port: int

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, from the CPU clock of the process."""
        return time.clock_gettime((~self.pid << 3) | 2)  # what clock_getcpuclockid() makes of a pid on Linux


@contextlib.contextmanager
def running(command: Sequence[str | Path]) -> Iterator[Running]:
    """Run a server on its core while the block runs; enter the block when the server listens."""
    os.sched_setaffinity(0, {SERVER_CORE})
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(0, {CLIENT_CORE})
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
        watchdog.cancel()
        found = re.match(r"listening on wss?://127\.0\.0\.1:(\d+)", line)
        if not found:
            raise RuntimeError(f"{Path(command[0]).name} did not listen: {line!r}")
        yield Running(process.pid, int(found[1]))
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()


def our_server(database: Path, interval: float, *options: str) -> contextlib.AbstractContextManager[Running]:
    """Run the server of this tree."""
    given = ("--port", "0", "--db-path", str(database), "--update-interval", f"{interval * 1000:.0f}ms")
    return running([SERVER, *given, *NO_LIMITS, *options])


def measured(program: str, server: Running, *options: str) -> dict[str, Any]:
    """Run a benchmark client against a server and return its report."""
    command: list[str | Path] = [WIRE / program, "--port", str(server.port), "--server-pid", str(server.pid), *options]
    report: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return report


def load(server: Running, clients: int, interval: float, broadcasts: int, *options: str) -> dict[str, Any]:
    """Measure broadcasts with load_client.cpp."""
    given = ("--clients", str(clients), "--interval", str(interval), "--broadcasts", str(broadcasts))
    report = measured("load_client", server, *given, *options)
    if report["lost"] or report["overlapping"] or report["closed"]:
        print(f"    {report['lost']} lost, {report['overlapping']} overlapping, {report['closed']} closed", flush=True)
    return report


class Database:
    """A skills database with reproducible content except for the timestamps."""

    ROWS_PER_SKILL = 120
    SECONDS_APART = 60

    def __init__(self, path: Path, skills: int) -> None:
        self.path = path
        self.skills = [f"skill-{number:02}" for number in range(skills)]
        now = datetime.now(timezone.utc)
        ages = range(self.ROWS_PER_SKILL * self.SECONDS_APART, 0, -self.SECONDS_APART)
        with SkillsStorage(path) as storage:
            storage.store_many(self.row(name, now - timedelta(seconds=age)) for age in ages for name in self.skills)

    @staticmethod
    def row(skill: str, at: datetime) -> dict[str, object]:
        """Return an invocation that causes no anomaly: completed, with a constant duration."""
        return {
            "skill_name": skill,
            "invoked_at": at,
            "session_id": "bench",
            "completed": True,
            "duration_seconds": 2.5,
        }

    def opened(self) -> SkillsStorage:
        """Open the database to add rows; a context manager."""
        return SkillsStorage(self.path)

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Add four invocations per second while the block runs, so that every broadcast has new data."""
        stop = threading.Event()

        def work() -> None:
            with self.opened() as storage:
                index = 0
                while not stop.wait(0.25):
                    storage.store_many([self.row(self.skills[index % len(self.skills)], datetime.now(timezone.utc))])
                    index += 1

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            stop.set()
            worker.join()


def make_certificate(folder: Path) -> list[str]:
    """Make a certificate for this machine and return the options that name its files."""
    made = trustme.CA().issue_cert("localhost", "127.0.0.1")
    made.private_key_pem.write_to_path(folder / "key.pem")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return ["--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem")]
