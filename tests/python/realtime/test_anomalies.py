"""Anomalies of a running server: in the Python snapshot with details, on the wire as each client subscribed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from conftest import ServerFactory
from session_buddy.realtime.types import Anomaly
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.histories import fill, invocations
from support.processes import DEADLINE
from support.schemas import Client, Message


def url(server: RealTimeMetricsServer) -> str:
    return f"ws://localhost:{server.port}"


def history(db_path: Path) -> None:
    """Five completed invocations, then five failed ones, within seconds; and a skill that does not change."""
    fill(db_path, invocations("broken", 10, completed=5), invocations("steady", 10))


def baseline_and_observation(
    skill_name: str, before: list[bool], observation: list[bool], durations: tuple[float, float] = (5.0, 5.0)
) -> Iterator[dict[str, Any]]:
    """Outcomes spread over the hours from 20 to 2 hours ago, and over the last 50 minutes."""
    now = datetime.now(timezone.utc)
    for outcomes, first, length, duration in (
        (before, now - timedelta(hours=20), timedelta(hours=18), durations[0]),
        (observation, now - timedelta(minutes=50), timedelta(minutes=49), durations[1]),
    ):
        for index, completed in enumerate(outcomes):
            yield {
                "skill_name": skill_name,
                "invoked_at": (first + length * index / len(outcomes)).isoformat(),
                "session_id": "session-1",
                "completed": completed,
                "duration_seconds": duration * (0.9 + 0.1 * (index % 3)),
            }


async def update_where(client: Client, condition: Callable[[Message], bool]) -> Message:
    end = time.monotonic() + DEADLINE
    while True:
        message = await client.receive_type("metrics_update")
        if condition(message):
            return message
        assert time.monotonic() < end, f"timed out; last: {message}"


def of_skills(message: Message) -> list[str]:
    return [skill["skill_name"] for skill in message["data"]["top_skills"]]


async def found(server: RealTimeMetricsServer) -> list[Anomaly]:
    """The anomalies of a snapshot that has seen the history."""
    async with Client(url(server)) as client:
        await update_where(client, lambda message: len(of_skills(message)) == 2)
        return server.snapshot()["data"]["anomalies"]


async def test_the_python_view_explains_an_anomaly(server_factory: ServerFactory, db_path: Path) -> None:
    history(db_path)
    async with server_factory() as server:
        (anomaly,) = await found(server)
    details = anomaly["details"]
    assert anomaly["skill_name"] == "broken"
    assert anomaly["anomaly_type"] == "performance_drop"
    assert (anomaly["baseline_value"], anomaly["observed_value"]) == (1.0, 0.0)
    assert anomaly["deviation_score"] >= 2.0
    assert (details["baseline_samples"], details["observed_samples"]) == (5, 5)
    assert details["z_score"] == -anomaly["deviation_score"]
    assert 0.0 < details["tail_probability"] < 0.05
    assert len(details["since"]) == len("2026-02-10T12:00:00Z")
    assert all(set(error) == {"error_type", "count"} for error in details["common_errors"])


async def test_a_drop_a_spike_and_a_shift_are_sent_with_the_largest_score_first(
    server_factory: ServerFactory, db_path: Path
) -> None:
    fill(
        db_path,
        baseline_and_observation(
            "pytest-run", [i * 17 % 20 < 17 for i in range(200)], [i < 4 or i >= 9 for i in range(13)]
        ),
        baseline_and_observation("mypy", [i % 5 != 0 for i in range(200)], [i not in (20, 30) for i in range(40)]),
        baseline_and_observation("ruff-check", [True] * 60, [True] * 10, durations=(5.0, 15.0)),
    )
    async with server_factory() as server, Client(url(server)) as client:
        message = await update_where(client, lambda update: len(update["data"]["anomalies"]) == 3)
    shift, drop, spike = message["data"]["anomalies"]
    assert (shift["skill_name"], shift["anomaly_type"]) == ("ruff-check", "pattern_shift")
    assert (shift["baseline_value"], shift["observed_value"]) == (
        pytest.approx(5.0, rel=0.01),
        pytest.approx(15.0, rel=0.02),
    )
    assert (drop["skill_name"], drop["anomaly_type"]) == ("pytest-run", "performance_drop")
    assert (drop["baseline_value"], drop["observed_value"]) == (0.85, pytest.approx(8 / 13))
    assert drop["deviation_score"] == pytest.approx(2.3, abs=0.2)
    assert (spike["skill_name"], spike["anomaly_type"]) == ("mypy", "performance_spike")
    assert (spike["baseline_value"], spike["observed_value"]) == (0.8, 0.95)
    assert 2.0 <= spike["deviation_score"] < drop["deviation_score"]


async def test_five_completed_then_five_failed_are_reported_in_the_update_that_counts_them(
    server: RealTimeMetricsServer, db_path: Path
) -> None:
    async with Client(url(server)) as client:
        fill(db_path, invocations("few", 8, completed=5), invocations("fresh", 10, completed=5))
        message = await update_where(client, lambda update: len(of_skills(update)) == 2)
    (anomaly,) = message["data"]["anomalies"]
    assert (anomaly["skill_name"], anomaly["anomaly_type"]) == ("fresh", "performance_drop")


@pytest.mark.parametrize("setting", [{"anomaly_threshold": 10.0}, {"anomaly_min_samples": 6}])
async def test_the_settings_decide_what_is_reported(
    server_factory: ServerFactory, db_path: Path, setting: dict[str, float]
) -> None:
    history(db_path)
    async with server_factory(**setting) as server:
        assert await found(server) == []


async def test_each_client_gets_the_anomalies_that_it_subscribed_to(
    server_factory: ServerFactory, db_path: Path
) -> None:
    history(db_path)
    async with server_factory() as server, Client(url(server)) as plain, Client(url(server)) as explained:
        message = await update_where(plain, lambda update: bool(update["data"]["anomalies"]))
        (anomaly,) = message["data"]["anomalies"]
        v1 = ["skill_name", "anomaly_type", "baseline_value", "observed_value", "deviation_score"]
        assert list(anomaly) == v1
        score = anomaly["deviation_score"]

        confirmed = await explained.ask({"type": "subscribe", "details": True, "min_deviation": score})
        assert (confirmed["details"], confirmed["min_deviation"]) == (True, score)
        (anomaly,) = (await explained.receive_type("metrics_update"))["data"]["anomalies"]
        (in_python,) = server.snapshot()["data"]["anomalies"]
        assert anomaly == in_python

        await explained.ask({"type": "subscribe", "skill_name": "broken", "min_deviation": score + 1})
        message = await explained.receive_type("metrics_update")
        assert of_skills(message) == ["broken"]
        assert message["data"]["anomalies"] == []
