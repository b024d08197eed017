"""Pruning while a server runs: clients see the same metrics before, during and after it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.histories import fill, invocations
from support.recorder import Recorder
from support.schemas import Client

pytestmark = pytest.mark.timeout(60)  # a missing broadcast would be waited for endlessly

OLD_ROWS = 3000
KEEP = 90 * 86400.0


def history(db_path: Path) -> None:
    """Old rows of two skills, one of which is still active and has an anomaly, and open sessions."""
    now = datetime.now(timezone.utc)
    old = now - timedelta(days=100)
    fill(
        db_path,
        invocations("pytest-run", OLD_ROWS // 2, completed=1000, newest=old, session_id="old"),
        invocations("forgotten", OLD_ROWS // 2, newest=old, session_id="old"),
        invocations("pytest-run", 40, newest=now - timedelta(hours=3), session_id="morning"),
        invocations("pytest-run", 10, completed=0, session_id="now"),
        invocations("mypy", 5, session_id="now"),
    )


def connected(server: RealTimeMetricsServer) -> Client:
    return Client(f"ws://localhost:{server.port}")


def count(db_path: Path) -> int:
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        rows: int = database.execute("SELECT count(*) FROM skill_invocation").fetchone()[0]
    return rows


async def lifetime(client: Client) -> list[dict[str, Any]]:
    """The lifetime metrics of each skill from get_metrics."""
    answers = []
    for skill in ("pytest-run", "forgotten", "mypy"):
        await client.send({"type": "get_metrics", "skill_name": skill, "request_id": skill})
        while (answer := await client.receive()).get("request_id") != skill:
            pass
        answers.append(answer)
    return answers


async def broadcast(client: Client) -> dict[str, Any]:
    message = await client.receive_type("metrics_update")
    data: dict[str, Any] = message["data"]
    return data


def counted_values(data: dict[str, Any]) -> dict[str, Any]:
    """Without the scores, which also change with time."""
    return {
        "top_skills": data["top_skills"],
        "anomalies": [(entry["skill_name"], entry["anomaly_type"]) for entry in data["anomalies"]],
    }


async def prune(db_path: Path) -> dict[str, Any]:
    """Prunes in another process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "session_buddy.cli.main", "prune", "--keep", "90d", "--db-path", str(db_path), "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    summary: dict[str, Any] = json.loads(output)
    return summary


async def test_clients_see_the_same_metrics_before_during_and_after(
    server_factory: ServerFactory, db_path: Path
) -> None:
    history(db_path)
    async with server_factory() as server, connected(server) as client, connected(server) as sessions:
        before = counted_values(await broadcast(client))
        assert [(skill["skill_name"], skill["invocation_count"]) for skill in before["top_skills"]] == [
            ("pytest-run", 50),
            ("mypy", 5),
        ]
        assert before["anomalies"] == [("pytest-run", "performance_drop")]
        lifetimes = await lifetime(client)
        assert json.dumps(lifetimes).count(str(OLD_ROWS // 2 + 50)) == 1
        await sessions.send({"type": "subscribe_sessions"})
        active = (await sessions.receive_type("session_update"))["data"]

        pruning = asyncio.create_task(prune(db_path))
        while not pruning.done():
            assert counted_values(await broadcast(client)) == before
        assert (await pruning)["rows"] == OLD_ROWS
        assert count(db_path) == 55

        for _ in range(5):
            assert counted_values(await broadcast(client)) == before
        assert await lifetime(client) == lifetimes
        async with connected(server) as late:
            await late.send({"type": "subscribe_sessions"})
            assert (await late.receive_type("session_update"))["data"] == active


async def test_invocations_recorded_during_a_prune_arrive_and_count(
    server_factory: ServerFactory, db_path: Path
) -> None:
    history(db_path)
    async with server_factory() as server, connected(server) as client:
        with Recorder(db_path) as recorder:
            pruning = asyncio.create_task(prune(db_path))
            recorded = 0
            while not pruning.done():
                await asyncio.to_thread(recorder.record, "forgotten")
                recorded += 1
            assert (await pruning)["rows"] == OLD_ROWS
        while True:
            top = {skill["skill_name"]: skill for skill in (await broadcast(client))["top_skills"]}
            if top.get("forgotten", {}).get("invocation_count") == recorded:
                break
        (_, forgotten, _) = await lifetime(client)
        assert str(OLD_ROWS // 2 + recorded) in json.dumps(forgotten)


async def test_a_server_started_after_it_has_the_same_metrics(server_factory: ServerFactory, db_path: Path) -> None:
    history(db_path)
    async with server_factory() as server, connected(server) as client:
        before = counted_values(await broadcast(client))
        lifetimes = await lifetime(client)
    assert (await prune(db_path))["rows"] == OLD_ROWS
    async with server_factory() as server, connected(server) as client:
        assert counted_values(await broadcast(client)) == before
        assert await lifetime(client) == lifetimes


def test_retention_is_off_by_default(server_factory: ServerFactory) -> None:
    assert server_factory().settings["retention"] == 0.0
    assert server_factory(retention=KEEP).settings["retention"] == KEEP


async def test_a_server_with_retention_starts_and_stops_without_waiting(
    server_factory: ServerFactory, db_path: Path
) -> None:
    history(db_path)
    async with server_factory(retention=KEEP) as server, connected(server) as client:
        assert (await broadcast(client))["top_skills"]
    assert count(db_path) == OLD_ROWS + 55  # it is due minutes after the start
