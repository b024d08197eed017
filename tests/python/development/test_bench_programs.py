"""The programs of bench/ count correctly, which their measurements rely on. Nothing here depends on speed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from support import tools
from support.certificates import Certificates
from support.histories import fill, invocations
from support.paths import BUILD, ROOT
from support.processes import DEADLINE, Program, Server

CLIENTS = 20
BROADCASTS = 3
INTERVAL = 0.25  # seconds; long enough that a busy machine does not merge two broadcasts
MESSAGE = f'{{"type":"metrics_update","data":{{"filler":"{"x" * 1100}"}}}}'
PEERS = ROOT / "bench" / "peers"


def measured(program: str, port: int, pid: int, *options: str) -> dict[str, Any]:
    """The report of one of the clients, which must succeed."""
    command = [tools.bench_program(program), "--port", str(port), "--server-pid", str(pid), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def load(port: int, pid: int, *options: str) -> dict[str, Any]:
    counts = ("--clients", str(CLIENTS), "--broadcasts", str(BROADCASTS), "--interval", str(INTERVAL))
    return measured("load_client", port, pid, *counts, *options)


def floor(name: str) -> Callable[[Path, Certificates], list[str]]:
    def command(message: Path, certificates: Certificates) -> list[str]:
        tls = certificates.options if name == "floor_tls" else []
        counts = ["--clients", str(CLIENTS), "--interval", str(INTERVAL)]
        return [str(tools.bench_program(name)), "--message", str(message), *counts, *tls]

    return command


BROADCASTERS: dict[str, Callable[[Path, Certificates], list[str]]] = {
    "floor_plain": floor("floor_plain"),
    "floor_tls": floor("floor_tls"),
    "websockets": lambda message, _: [
        sys.executable,
        str(PEERS / "websockets_broadcast.py"),
        str(message),
        str(INTERVAL),
    ],
    "ws": lambda message, _: [tools.node(), str(PEERS / "ws_broadcast.mjs"), str(message), str(INTERVAL)],
}


@pytest.mark.parametrize("name", BROADCASTERS)
def test_every_message_of_a_broadcaster_is_counted(name: str, tmp_path: Path, certificates: Certificates) -> None:
    sent, received = tmp_path / "sent.json", tmp_path / "received.json"
    sent.write_text(MESSAGE)
    options = ["--save-message", str(received), *(["--tls"] if name == "floor_tls" else [])]
    with Program(BROADCASTERS[name](sent, certificates)) as program:
        port = int(program.wait_for("listening on").rsplit(":", 1)[1])
        report = load(port, program.process.pid, *options)

    assert (report["clients"], report["broadcasts"]) == (CLIENTS, BROADCASTS)
    assert (report["messages"], report["lost"], report["closed"]) == (CLIENTS * BROADCASTS, 0, 0)
    assert report["bytes_per_message"] == len(MESSAGE) + 4
    assert received.read_text() == MESSAGE
    assert report["cipher"].startswith("TLSv1.3 ") == (name == "floor_tls")
    assert 0 < report["server_cpu_seconds"] < report["seconds"]
    assert report["resident_bytes"][-1] > 1 << 20
    assert 0 <= report["spread_ms"]["min"] <= report["spread_ms"]["median"] <= report["spread_ms"]["max"]


async def test_what_a_client_does_not_get_is_reported_as_lost() -> None:
    clients: list[ServerConnection] = []

    async def stay(client: ServerConnection) -> None:
        clients.append(client)
        await client.wait_closed()

    async def broadcast_to_all_but_one() -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            # A connection from before the last one: it has received what it needs to be ready.
            for client in clients[1:] if len(clients) == CLIENTS else clients:
                await client.send(MESSAGE)

    async with serve(stay, "127.0.0.1", 0, compression=None) as server:
        sender = asyncio.create_task(broadcast_to_all_but_one())
        port = next(iter(server.sockets)).getsockname()[1]
        report = await asyncio.to_thread(load, port, os.getpid())
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sender

    assert report["broadcasts"] >= BROADCASTS
    assert (report["messages"], report["lost"]) == ((CLIENTS - 1) * report["broadcasts"], report["broadcasts"])


def test_clients_subscribe_to_the_skills_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "skills.db"
    fill(path, *(invocations(f"skill-{number}", 3) for number in range(4)))
    message = tmp_path / "message.json"
    skills = ("--skills", "skill-0,skill-3", "--save-message", str(message))
    with Server(path, interval=f"{INTERVAL * 1000:.0f}ms") as server:
        report = load(server.port, server.process.pid, *skills)

    assert (report["messages"], report["lost"]) == (CLIENTS * BROADCASTS, 0)
    (skill,) = json.loads(message.read_text())["data"]["top_skills"]
    assert skill["skill_name"] in ("skill-0", "skill-3")


def test_answers_are_counted_and_rejections_are_not(filled_db: Path) -> None:
    options = ("--skill", "mypy", "--seconds", "0.2")
    with Server(filled_db, "--max-messages-per-second", "1000000") as server:
        report = measured("request_client", server.port, server.process.pid, *options)
    assert report["requests"] > 0
    assert report["requests_per_second"] == pytest.approx(report["requests"] / report["seconds"])

    with (
        Server(filled_db) as server,
        pytest.raises(AssertionError, match="Rate limit exceeded"),
    ):
        measured("request_client", server.port, server.process.pid, *options)


def test_a_quick_run_leaves_results_with_values_and_the_page_unchanged() -> None:
    for name in ("load_client", "floor_tls"):
        tools.bench_program(name)
    page = (ROOT / "docs" / "explanation" / "performance.md").read_bytes()
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--only", "tls,idle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr

    results = {name: json.loads((BUILD / "bench" / "quick" / f"{name}.json").read_text()) for name in ("tls", "idle")}
    assert [run["program"] for run in results["tls"]["runs"]] == [row[0] for row in results["tls"]["table"]]
    for result in results.values():
        assert all(len(row) == len(result["head"]) for row in result["table"])
        assert all(float(row["value"]) > 0 for row in result["rows"])
    assert (ROOT / "docs" / "explanation" / "performance.md").read_bytes() == page


def test_a_part_that_does_not_exist_is_named() -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--only", "tls,nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2
    assert "no such part: nonsense" in done.stderr
