"""Every example of the API description v1.0, unchanged except for the port, against a running server."""

from __future__ import annotations

import ast
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import contract
from support.contract import next_message, node_program
from support.histories import fill, invocations
from support.processes import Program, Server
from support.schemas import Client, message_types, validated


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """pytest-run 42 times, 38 of them completed in 5.2 s, as in the API description; mypy twice."""
    path = tmp_path / "skills.db"
    fill(path, invocations("pytest-run", 42, completed=38, duration=5.2), invocations("mypy", 2, duration=0.5))
    return path


@pytest.fixture
def server(database: Path) -> Iterator[Server]:
    with Server(database) as running:
        yield running


def python_program(tmp_path: Path, code: str) -> Program:
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    return Program([sys.executable, str(script)])


def reported(line: str, kind: str) -> Any:
    """The JSON value of a line `@kind value` of the JavaScript harness."""
    assert line.startswith(f"@{kind} "), line
    return json.loads(line.removeprefix(f"@{kind} "))


# ---- The copies match the description


# ---- Connecting


def test_connecting_from_javascript(server: Server, tmp_path: Path) -> None:
    with node_program(tmp_path, contract.code("Connecting to WebSocket Server", server.port)) as program:
        program.wait_for("^Connected to Session-Buddy WebSocket$")
        assert next_message(program, "metrics_update")["data"]["top_skills"][0]["skill_name"] == "pytest-run"
        program.wait_for("^Received: ")
        assert server.stop() == 0
        program.wait_for("^WebSocket connection closed$")


def test_connecting_from_python(server: Server, tmp_path: Path) -> None:
    with python_program(tmp_path, contract.code("Python Client Example", server.port)) as program:
        received = []
        for _ in range(3):
            line = program.wait_for("^Received: ")
            received.append(validated(ast.literal_eval(line.removeprefix("Received: "))))
    # The subscription may be processed after a first broadcast of all skills.
    kinds = [message["type"] for message in received if message["type"] != "metrics_update"]
    assert kinds == ["subscription_confirmed"]
    assert [skill["skill_name"] for skill in received[-1]["data"]["top_skills"]] == ["pytest-run"]


# ---- Message types


def same_shape(actual: Any, example: Any) -> bool:
    """Whether both have the same keys, in the same order, and values of the same kinds."""
    if isinstance(example, dict):
        return (
            isinstance(actual, dict)
            and list(actual) == list(example)
            and all(same_shape(actual[key], example[key]) for key in example)
        )
    if isinstance(example, list):
        return isinstance(actual, list) and all(same_shape(entry, example[0]) for entry in actual)
    return type(actual) is type(example)


async def test_metrics_update_is_as_in_the_example(server: Server) -> None:
    (block,) = contract.examples("1. Metrics Update (Server → Client)")
    example = json.loads(block.text)
    async with Client(server.url) as client:
        message = await client.receive()
    assert same_shape(message, example)
    actual = message["data"]["top_skills"][0]
    assert actual["last_invocation_at"] <= message["timestamp"]
    wanted = example["data"]["top_skills"][0]
    del actual["last_invocation_at"], wanted["last_invocation_at"]
    assert actual == wanted


async def test_subscribe_is_answered_as_in_the_example(server: Server) -> None:
    request, answer = contract.examples("2. Subscribe (Client → Server)")
    async with Client(server.url) as client:
        assert await client.ask(request.text) == json.loads(answer.text)
        update = await client.receive_type("metrics_update")
    assert [skill["skill_name"] for skill in update["data"]["top_skills"]] == ["pytest-run"]


async def test_get_metrics_is_answered_as_in_the_example(server: Server) -> None:
    request, answer = contract.examples("3. Get Metrics (Client → Server)")
    async with Client(server.url) as client:
        response = await client.ask(request.text)
    assert same_shape(response, json.loads(answer.text))
    assert response["data"]["total_invocations"] == 42
    assert response["data"]["completion_rate"] == pytest.approx(38 / 42)


async def test_an_unknown_skill_is_answered_as_in_the_example(server: Server) -> None:
    (block,) = contract.examples("4. Error (Server → Client)")
    async with Client(server.url) as client:
        response = await client.ask({"type": "get_metrics", "skill_name": "unknown_skill"})
    assert response == {**json.loads(block.text), "code": "invalid_skill_name"}


@pytest.mark.parametrize("section", [section for section in contract.SECTIONS if section[0].isdigit()])
def test_examples_of_messages_agree_with_the_schemas(section: str) -> None:
    for block in contract.examples(section):
        example = json.loads(block.text)
        assert example["type"] in message_types()
        # The server always sends `code`, which is optional in v1.0.
        validated({**example, "code": "invalid_skill_name"} if example["type"] == "error" else example)


# ---- Usage examples


def test_live_dashboard(server: Server, tmp_path: Path) -> None:
    with node_program(tmp_path, contract.code("Example 1: Live Dashboard", server.port)) as program:
        assert next_message(program, "subscription_confirmed")["skill_name"] is None
        table = reported(program.wait_for("^@table "), "table")
        assert [row["skill_name"] for row in table] == ["pytest-run", "mypy"]
        assert isinstance(reported(program.wait_for("^@anomalies "), "anomalies"), list)
        fill(server.db_path, invocations("ruff-check", 50))
        program.wait_for(lambda line: line.startswith("@table ") and '"ruff-check"' in line)


@pytest.fixture
def server_of_anomalies(db_path: Path) -> Iterator[Server]:
    """Two skills, each with five completed and then five failed invocations."""
    fill(db_path, invocations("other", 10, completed=5), invocations("pytest-run", 10, completed=5))
    with Server(db_path) as running:
        yield running


def test_skill_specific_monitoring_reports_only_the_anomalies_of_its_skill(
    server_of_anomalies: Server, tmp_path: Path
) -> None:
    code = contract.code("Example 2: Skill-Specific Monitoring", server_of_anomalies.port)
    with python_program(tmp_path, code) as program:
        for _ in range(2):  # in each update
            program.wait_for("ANOMALY: performance_drop$")
            assert program.wait_for("^ Baseline: ") == " Baseline: 1.0"
            assert program.wait_for("^ Observed: ") == " Observed: 0.0"
            program.wait_for(r"^ Deviation: \d+\.\d+\D$")
        server_of_anomalies.stop()
        assert "ConnectionClosed" in "\n".join(program.drain())


def test_alert_integration_sends_an_alert_for_each_anomaly_of_each_update(
    server_of_anomalies: Server, tmp_path: Path
) -> None:
    code = contract.code("Example 3: Alert Integration", server_of_anomalies.port)
    with node_program(tmp_path, code) as program:
        for _ in range(2):
            alerts = [reported(program.wait_for("^@alert "), "alert") for _ in range(2)]
            assert {alert["skill"] for alert in alerts} == {"other", "pytest-run"}
            assert {(alert["severity"], alert["type"]) for alert in alerts} == {("WARNING", "performance_drop")}
            assert len({alert["timestamp"] for alert in alerts}) == 1
        assert program.process.poll() is None


# ---- Reconnection


def test_reconnection_after_a_restart(server: Server, tmp_path: Path) -> None:
    with node_program(tmp_path, contract.code("Reconnection Logic", server.port)) as program:
        program.wait_for("^Connected$")
        assert server.stop(signal.SIGINT) == 0
        program.wait_for("^@close 1001$")
        program.wait_for(r"^Reconnecting\.\.\. \(1/5\)$")
        with Server(server.db_path, port=server.port):
            program.wait_for("^Connected$")


def test_reconnection_gives_up_after_five_attempts(server: Server, tmp_path: Path) -> None:
    with node_program(tmp_path, contract.code("Reconnection Logic", server.port), "100") as program:
        program.wait_for("^Connected$")
        server.stop()
        for attempt in range(1, 6):
            program.wait_for(rf"^Reconnecting\.\.\. \({attempt}/5\)$")
        program.wait_for("^Max reconnection attempts reached$")
        program.drain()
        assert program.process.wait() == 0
