"""The benchmarks of the server; each returns rows of the target table and its own table."""

from __future__ import annotations

import contextlib
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from programs import (
    PEERS,
    WIRE,
    Database,
    Running,
    load,
    make_certificate,
    measured,
    node_program,
    our_server,
    running,
)
from websockets.sync.client import connect

Report = dict[str, Any]
Start = Callable[[], contextlib.AbstractContextManager[Running]]

PUSH: dict[str, tuple[str, ...]] = {"off": (), "on": ("--push",)}
ALL_SKILLS = 8  # an update for all of them has 1.2 KB


@dataclass(frozen=True)
class Scale:
    """Sizes and durations of the benchmarks."""

    rounds: int
    interval: float  # seconds between two broadcasts, unless noted otherwise
    clients: int
    broadcasts: int  # covers a ping_interval, so that each client is pinged once per measurement
    many_clients: int
    soak_broadcasts: int
    seconds: float  # of benchmarks without broadcasts
    samples: int


FULL = Scale(
    rounds=5,
    interval=0.5,
    clients=1000,
    broadcasts=40,
    many_clients=10000,
    soak_broadcasts=300,
    seconds=30.0,
    samples=100,
)
QUICK = Scale(
    rounds=1,
    interval=0.2,
    clients=50,
    broadcasts=2,
    many_clients=100,
    soak_broadcasts=5,
    seconds=1.0,
    samples=3,
)


@dataclass(frozen=True)
class Result:
    """The result of a benchmark; `rows` belong to the target table."""

    rows: list[dict[str, str]]
    head: list[str]
    table: list[list[str]]
    runs: list[dict[str, Any]]


class Skipped(Exception):  # noqa: N818 - not an error
    """Why a benchmark cannot run here."""


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Format the median, with minimum and maximum if there are several values."""
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def target(what: str, goal: str, value: str, unit: str = "") -> dict[str, str]:
    """Return a row of the target table."""
    return {"what": what, "target": goal, "value": value, "unit": unit}


def in_turn(scale: Scale, programs: dict[str, Callable[[], Report]]) -> dict[str, list[Report]]:
    """Measure the programs round-robin, so that other load affects all of them."""
    reports: dict[str, list[Report]] = {name: [] for name in programs}
    for number in range(scale.rounds):
        for name, measure in programs.items():
            report = measure()
            reports[name].append(report)
            cpu = report.get("server_cpu_us_per_message", report.get("server_cpu_us_per_request"))
            print(f"    round {number + 1}: {name}: {cpu:.2f} us", flush=True)
    return reports


def ratios(reports: dict[str, list[Report]], name: str, base: str, metric: Callable[[Report], float]) -> list[float]:
    """Return the ratio of each round."""
    pairs = zip(reports[name], reports[base], strict=True)
    return [metric(report) / metric(base_report) for report, base_report in pairs]


def ratio_to_base(reports: dict[str, list[Report]], name: str, base: str, metric: Callable[[Report], float]) -> str:
    """Format the ratio for a table; the base itself is 1."""
    return "1" if name == base else spread(ratios(reports, name, base, metric))


def cpu(report: Report) -> float:
    """CPU time of the server per message, in microseconds."""
    return float(report["server_cpu_us_per_message"])


def first_to_last(report: Report) -> float:
    """Time between the first and the last client that receives a broadcast, in milliseconds."""
    return float(report["spread_ms"]["median"])


def memory_per_client(report: Report) -> float:
    """Memory of the server per client after some broadcasts, in bytes."""
    return float((report["resident_bytes"][-1] - report["resident_bytes_without_clients"]) / report["clients"])


BROADCAST_HEAD = [
    "program",
    "CPU per message, µs",
    "ratio to the floor",
    "first to last client, ms",
    "ratio to the floor",
    "memory per client, KB",
    "clients a core carries at 1 Hz",
]


def broadcast_table(reports: dict[str, list[Report]], floor: str) -> list[list[str]]:
    """Return one row per program."""
    return [
        [
            name,
            spread([cpu(report) for report in found]),
            ratio_to_base(reports, name, floor, cpu),
            spread([first_to_last(report) for report in found], 1),
            ratio_to_base(reports, name, floor, first_to_last),
            spread([memory_per_client(report) / 1024 for report in found], 1),
            f"{1e6 / statistics.median([cpu(report) for report in found]):,.0f}",
        ]
        for name, found in reports.items()
    ]


def runs_of(reports: dict[str, list[Report]]) -> list[dict[str, Any]]:
    """Flatten the reports for the file of raw results."""
    return [{"program": name, **report} for name, found in reports.items() for report in found]


class Bench:
    """The benchmarks of the server; they share a folder of databases and messages."""

    def __init__(self, scale: Scale, folder: Path) -> None:
        self.scale = scale
        self.folder = folder
        self.certificate = make_certificate(folder)
        self.database = Database(folder / "all.db", ALL_SKILLS)
        self.hundred = Database(folder / "hundred.db", 100)

    def parts(self) -> dict[str, Callable[[], Result]]:
        """Return the benchmarks by name, in the order in which they run."""
        return {
            "broadcast": self.broadcast,
            "subscriptions": self.subscriptions,
            "tls": self.tls,
            "compression": self.compression,
            "memory": self.memory,
            "requests": self.requests,
            "idle": self.idle,
            "push": self.push,
            "soak": self.soak,
        }

    def load_on(self, start: Start, *options: str) -> Report:
        """Measure a broadcast of one program with the default number of clients."""
        with start() as server:
            return load(server, self.scale.clients, self.scale.interval, self.scale.broadcasts, *options)

    def load_on_ours(self, database: Database, server_options: Sequence[str] = (), *options: str) -> Report:
        """Measure a broadcast of the server of this tree while another process writes to its database."""
        with database.in_use():
            return self.load_on(lambda: our_server(database.path, self.scale.interval, *server_options), *options)

    def message(self, database: Database, *options: str) -> Path:
        """Save an update of the server, which all programs then broadcast."""
        file = self.folder / f"{database.path.stem}.json"
        with our_server(database.path, self.scale.interval) as server:
            load(server, 1, self.scale.interval, 1, "--save-message", str(file), *options)
        return file

    def floor(self, program: str, message: Path, *options: str) -> Start:
        """Return a starter of one of the broadcasting programs in bench/wire."""
        given = (
            "--message",
            str(message),
            "--clients",
            str(self.scale.clients),
            "--interval",
            str(self.scale.interval),
        )
        return lambda: running([WIRE / program, *given, *options])

    def broadcast(self) -> Result:
        """Broadcast all skills to all clients."""
        message = self.message(self.database)
        peer = (str(message), str(self.scale.interval))
        reports = in_turn(
            self.scale,
            {
                "floor: one send() a client": lambda: self.load_on(self.floor("floor_plain", message)),
                "session-buddy-server": lambda: self.load_on_ours(self.database),
                "plain Boost.Beast": lambda: self.load_on(self.floor("beast_broadcast", message)),
                "Python websockets": lambda: self.load_on(
                    lambda: running(["python", PEERS / "websockets_broadcast.py", *peer])
                ),
                "Node ws": lambda: self.load_on(lambda: running([node_program(), PEERS / "ws_broadcast.mjs", *peer])),
            },
        )
        floor, ours, *_ = reports
        rows = [
            target(
                f"CPU per delivered message, {self.scale.clients:,} clients, all skills: ratio to the floor",
                "≤ 1.10",
                spread(ratios(reports, ours, floor, cpu)),
            ),
            target(
                "time from the first to the last client of a broadcast: ratio to the floor",
                "≤ 1.10",
                spread(ratios(reports, ours, floor, first_to_last)),
            ),
        ]
        return Result(rows, BROADCAST_HEAD, broadcast_table(reports, floor), runs_of(reports))

    def subscriptions(self) -> Result:
        """Broadcast to clients that each subscribe to one of a hundred skills."""
        skills = ("--skills", ",".join(self.hundred.skills))
        message = self.message(self.hundred, *skills)
        floor, ours = "floor: one send() a client", "session-buddy-server"
        reports = in_turn(
            self.scale,
            {
                floor: lambda: self.load_on(self.floor("floor_plain", message)),
                ours: lambda: self.load_on_ours(self.hundred, (), *skills),
            },
        )
        row = target(
            f"CPU per delivered message, {self.scale.clients:,} clients, one of 100 skills each: ratio to the floor",
            "≤ 1.25",
            spread(ratios(reports, ours, floor, cpu)),
        )
        return Result([row], BROADCAST_HEAD, broadcast_table(reports, floor), runs_of(reports))

    def tls(self) -> Result:
        """Broadcast all skills to all clients over TLS."""
        message = self.message(self.database)
        floor, ours = "floor: one SSL_write() a client", "session-buddy-server"
        reports = in_turn(
            self.scale,
            {
                floor: lambda: self.load_on(self.floor("floor_tls", message, *self.certificate), "--tls"),
                ours: lambda: self.load_on_ours(self.database, self.certificate, "--tls"),
            },
        )
        ciphers = {report["cipher"] for found in reports.values() for report in found}
        if len(ciphers) != 1:
            raise RuntimeError(f"the floor and the server negotiated different ciphers: {sorted(ciphers)}")
        row = target(
            f"CPU per delivered message over TLS ({ciphers.pop()}): ratio to a floor with OpenSSL",
            "≤ 1.15",
            spread(ratios(reports, ours, floor, cpu)),
        )
        return Result([row], BROADCAST_HEAD, broadcast_table(reports, floor), runs_of(reports))

    def compression(self) -> Result:
        """Bandwidth and CPU time with permessage-deflate."""
        off, on = "off", "on"
        reports = in_turn(
            self.scale,
            {
                off: lambda: self.load_on_ours(self.database),
                on: lambda: self.load_on_ours(self.database, ["--compression"], "--compression"),
            },
        )
        table = [
            [
                name,
                spread([report["bytes_per_message"] for report in found], 0),
                spread([cpu(report) for report in found]),
                ratio_to_base(reports, name, off, cpu),
                spread([memory_per_client(report) / 1024 for report in found], 1),
            ]
            for name, found in reports.items()
        ]
        head = ["compression", "bytes per message", "CPU per message, µs", "ratio", "memory per client, KB"]
        return Result([], head, table, runs_of(reports))

    def many(self, broadcasts: int) -> Report:
        """Measure broadcasts to the maximum number of clients, once a second."""
        with self.database.in_use(), our_server(self.database.path, 1.0) as server:
            return load(server, self.scale.many_clients, 1.0, broadcasts)

    def memory(self) -> Result:
        """Memory of the server per idle client."""
        reports = {"session-buddy-server": [self.many(5) for _ in range(self.scale.rounds)]}
        found = reports["session-buddy-server"]
        per_client = spread([memory_per_client(report) / 1024 for report in found])
        row = target(
            f"resident memory per idle client, {self.scale.many_clients:,} clients",
            "≤ 2 KB, towards 1",
            per_client,
            "KB",
        )
        table = [
            [
                str(self.scale.many_clients),
                spread([report["resident_bytes_without_clients"] / 1e6 for report in found], 1),
                spread([report["resident_bytes"][-1] / 1e6 for report in found], 1),
                per_client,
            ]
        ]
        return Result(
            [row], ["clients", "without clients, MB", "with clients, MB", "per client, KB"], table, runs_of(reports)
        )

    def soak(self) -> Result:
        """Stability with many clients over minutes: lost messages and memory growth."""
        report = self.many(self.scale.soak_broadcasts)
        memory = report["resident_bytes"]
        growth = (memory[-1] - memory[0]) / 1024
        clients, seconds = report["clients"], report["seconds"]
        row = target(
            f"{clients:,} clients at 1 Hz for {seconds:.0f} s",
            "nothing lost, memory flat",
            f"{report['lost']} lost, memory {growth:+.0f} KB",
        )
        head = [
            "clients",
            "seconds",
            "broadcasts",
            "messages",
            "lost",
            "memory, MB",
            "at most, MB",
            "CPU, % of a core",
            "spread, ms",
        ]
        table = [
            [
                str(clients),
                f"{seconds:.1f}",
                str(report["broadcasts"]),
                str(report["messages"]),
                str(report["lost"]),
                f"{memory[0] / 1e6:.2f} at the start, {memory[-1] / 1e6:.2f} at the end",
                f"{max(memory) / 1e6:.2f}",
                f"{report['server_cpu_seconds'] / seconds * 100:.1f}",
                f"{first_to_last(report):.0f}, at most {report['spread_ms']['max']:.0f}",
            ]
        ]
        return Result([row], head, table, [report])

    def requests(self) -> Result:
        """Pipelined requests on one connection, compared with an echo server."""
        seconds = min(self.scale.seconds, 5.0)
        options = ("--skill", self.database.skills[0], "--seconds", str(seconds))

        def ask(start: Start) -> Report:
            with start() as server:
                return measured("request_client", server, *options)

        echo, ours = "echo with plain Boost.Beast", "session-buddy-server, get_metrics"
        reports = in_turn(
            self.scale,
            {
                echo: lambda: ask(lambda: running([WIRE / "beast_echo"])),
                ours: lambda: ask(lambda: our_server(self.database.path, 1.0)),
            },
        )

        def rate(report: Report) -> float:
            return float(report["requests_per_second"])

        ratio = spread(ratios(reports, ours, echo, rate))
        row = target(
            "rate of get_metrics on one connection, pipelined: ratio to an echo with plain Beast", "≥ 0.8", ratio
        )
        table = [
            [
                name,
                spread([rate(report) for report in found], 0),
                ratio_to_base(reports, name, echo, rate),
                spread([report["server_cpu_us_per_request"] for report in found]),
            ]
            for name, found in reports.items()
        ]
        return Result([row], ["program", "requests a second", "ratio", "CPU per request, µs"], table, runs_of(reports))

    def idle(self) -> Result:
        """CPU time without clients and without new data."""
        shares = {name: self.idle_share(options) for name, options in PUSH.items()}
        rows = [
            target(f"idle: no client, nothing new, --push {name}", "≤ 0.1 % of a core", f"{share:.3f}", "% of a core")
            for name, share in shares.items()
        ]
        table = [[name, f"{share:.3f}"] for name, share in shares.items()]
        runs = [{"push": name, "percent": share} for name, share in shares.items()]
        return Result(rows, ["--push", "CPU, % of a core"], table, runs)

    def idle_share(self, options: Sequence[str]) -> float:
        """Measure the CPU usage of an idle server, in percent of a core."""
        with our_server(self.database.path, 1.0, *options) as server:
            with connect(f"ws://127.0.0.1:{server.port}") as client:
                client.recv()  # the server is ready
            before = server.cpu_seconds()
            start = time.monotonic()
            time.sleep(self.scale.seconds)  # the measured period
            return (server.cpu_seconds() - before) / (time.monotonic() - start) * 100

    def push(self) -> Result:
        """Latency from the commit of an invocation to a client."""
        reports = {name: self.delays(options) for name, options in PUSH.items()}
        row = target(
            "latency from a commit of another process to a client, --push on: median",
            "≤ 20 ms",
            f"{statistics.median(reports['on']):.1f}",
            "ms",
        )
        table = [
            [name, f"{statistics.median(found):.1f}", f"{min(found):.1f}", f"{max(found):.1f}"]
            for name, found in reports.items()
        ]
        runs = [{"push": name, "milliseconds": found} for name, found in reports.items()]
        return Result([row], ["--push", "median, ms", "min, ms", "max, ms"], table, runs)

    def delays(self, options: Sequence[str]) -> list[float]:
        """Measure latencies in milliseconds, one invocation at a time, at moments independent of the broadcasts."""
        moments = random.Random(1)  # noqa: S311 - reproducible
        skill = self.database.skills[0]
        found: list[float] = []
        with (
            our_server(self.database.path, 1.0, *options) as server,
            connect(f"ws://127.0.0.1:{server.port}") as client,
        ):

            def count(message: str | bytes) -> int:
                top = json.loads(message)["data"]["top_skills"]
                return next(int(entry["invocation_count"]) for entry in top if entry["skill_name"] == skill)

            known = count(client.recv())
            with self.database.opened() as storage:
                for _ in range(self.scale.samples):
                    end = time.monotonic() + moments.uniform(0.2, 1.2)
                    with contextlib.suppress(TimeoutError):
                        while True:
                            known = count(client.recv(timeout=max(0.0, end - time.monotonic())))
                    storage.store_many([self.database.row(skill, datetime.now(timezone.utc))])
                    committed = time.perf_counter()
                    while count(client.recv(timeout=10.0)) <= known:
                        pass
                    found.append((time.perf_counter() - committed) * 1000)
        return found
