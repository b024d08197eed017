"""What `session_buddy.client` delivers: updates, anomalies, sessions and responses."""

from __future__ import annotations

import asyncio
import json
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.server import ServerConnection

from session_buddy.client import (
    ActiveSession,
    Alert,
    Anomaly,
    MetricsUpdate,
    RequestError,
    SessionUpdate,
    TopSkill,
    UnknownSkillError,
    as_wire,
    connect,
)
from support.client_library import confirm, first, scripted
from support.histories import fill, invocations
from support.paths import SCHEMAS
from support.processes import DEADLINE, Server
from support.schemas import validated
from support.streams import behave, make_database

HOSTILE = [
    "../../etc/passwd",
    'a"b\\c',
    "[red]not red[/red]",
    "\u202eevil",
    "名前",
    "e\u0301\u200b",
    "\U0001f680" * 64,
    " ",
    "null",
]


async def test_updates_are_typed_and_equal_to_the_messages_of_the_server(served: Server) -> None:
    async with connect(served.url) as client, websockets.connect(served.url) as plain:
        update = await first(client.subscribe())
        assert isinstance(update, MetricsUpdate)
        assert {(skill.skill_name, skill.invocation_count, skill.completed_count) for skill in update.top_skills} == {
            ("pytest-run", 8, 7),
            ("mypy", 2, 2),
        }
        skill = update.top_skills[0]
        assert isinstance(skill, TopSkill)
        assert skill.completion_rate == 7 / 8
        assert skill.avg_duration == pytest.approx(5.2)
        assert abs(update.timestamp - datetime.now(timezone.utc)) < timedelta(seconds=DEADLINE)
        assert skill.last_invocation_at.utcoffset() == timedelta(0)
        with pytest.raises(FrozenInstanceError):
            skill.invocation_count = 9  # type: ignore[misc]
        assert as_wire(update)["top_skills"] == json.loads(await plain.recv())["data"]["top_skills"]


async def test_one_several_or_all_skills_can_be_subscribed_to(served: Server) -> None:
    async with connect(served.url) as client:
        for names in (["mypy"], ["mypy", "pytest-run"], ["mypy", "never-ran"], ["never-ran"], []):
            async with client.subscribe(*names) as updates:
                got = {skill.skill_name for skill in (await first(updates)).top_skills}
            assert got == {"mypy", "pytest-run"} & set(names or ["mypy", "pytest-run"])


async def test_anomalies_come_with_their_details_where_asked_for_and_above_the_deviation(db_path: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=["mypy"])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            (bare,) = (await first(client.subscribe())).anomalies
            (anomaly,) = (await first(client.subscribe(details=True))).anomalies
            assert isinstance(anomaly, Anomaly)
            assert bare.details is None
            assert anomaly.details is not None
            assert (anomaly.skill_name, anomaly.anomaly_type) == ("mypy", "performance_drop")
            assert anomaly.observed_value < anomaly.baseline_value == 1.0
            assert anomaly.details.z_score == -anomaly.deviation_score
            assert anomaly.details.observed_samples == 20
            assert [(error.error_type, error.count) for error in anomaly.details.common_errors] == [("timeout", 16)]
            assert anomaly.details.since <= datetime.now(timezone.utc)
            above = client.subscribe("mypy", min_deviation=anomaly.deviation_score + 1)
            assert (await first(above)).anomalies == ()
            validated(
                {
                    "type": "metrics_update",
                    "timestamp": "2026-02-10T12:00:00Z",
                    "data": {"top_skills": [], "anomalies": [as_wire(anomaly), as_wire(bare)]},
                }
            )


EXAMPLES = json.loads((SCHEMAS / "metrics_update.json").read_text(encoding="utf-8"))["examples"]
(DETAILED,) = (example for example in EXAMPLES if "alerts" in example["data"])


def test_an_update_with_details_has_alerts_and_the_form_of_the_message() -> None:
    update = MetricsUpdate.from_wire(DETAILED)
    assert update.alerts is not None
    assert update.anomalies[0].details is not None
    assert update.anomalies[0].details.alert == update.alerts[0]
    assert as_wire(update) == {"timestamp": DETAILED["timestamp"], **DETAILED["data"]}
    assert MetricsUpdate.from_wire(EXAMPLES[0]).alerts is None


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, True),
        ({"kind": "silence"}, True),
        ({"kind": "duration_fell"}, False),
        ({"kind": "completion_rate_rose"}, False),
        ({"muted": True}, False),
        ({"acknowledged_at": "2026-02-10T12:00:00Z"}, False),
        ({"ended_at": "2026-02-10T12:00:00Z", "end": "recovered"}, False),
    ],
)
def test_an_alert_is_active_while_it_needs_attention(changes: dict[str, object], active: bool) -> None:
    assert Alert.from_wire({**DETAILED["data"]["alerts"][0], **changes}).active is active


async def test_active_sessions_are_sent_immediately_and_when_they_change(served: Server) -> None:
    async with connect(served.url) as client:
        sessions, too = client.subscribe_sessions(), client.subscribe_sessions()
        (session,) = (await first(sessions)).active_sessions
        assert isinstance(session, ActiveSession)
        assert (session.session_id, session.invocations, session.completed) == ("session-1", 10, 9)
        assert (await first(too)).active_sessions == (session,)
        fill(served.db_path, invocations("ruff-check", 1, session_id="session-2"))
        for subscription in (sessions, too):
            while len((changed := await first(subscription)).active_sessions) < 2:
                assert isinstance(changed, SessionUpdate)


async def test_hostile_names_come_back_as_they_are(db_path: Path) -> None:
    fill(db_path, *[invocations(name, 1) for name in HOSTILE])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            assert {skill.skill_name for skill in (await first(client.subscribe())).top_skills} == set(HOSTILE)
            for name in HOSTILE:
                assert (await client.get_metrics(name)).skill_name == name
                (skill,) = (await first(client.subscribe(name))).top_skills
                assert skill.skill_name == name
            for name in ("", "a\nb", "x" * 257):
                with pytest.raises(RequestError) as caught:
                    await client.get_metrics(name)
                assert caught.value.code == "invalid_skill_name"
                with pytest.raises(RequestError):
                    await first(client.subscribe(name))
            with pytest.raises(ValueError, match="surrogates"):
                client.subscribe("\ud800")


async def test_lifetime_metrics_of_a_skill_and_of_one_that_is_unknown(served: Server) -> None:
    async with connect(served.url) as client:
        metrics = await client.get_metrics("pytest-run")
        assert (metrics.total_invocations, metrics.completion_rate) == (8, 7 / 8)
        assert metrics.avg_duration_seconds == pytest.approx(5.2)
        assert metrics.last_invocation_at is not None
        with pytest.raises(UnknownSkillError, match="no-such-skill") as caught:
            await client.get_metrics("no-such-skill")
        assert caught.value.code == "invalid_skill_name"
        assert isinstance(caught.value, LookupError)
        assert 0 < await client.ping() < DEADLINE


async def test_responses_are_matched_to_requests_in_any_order() -> None:
    async def answers_backwards(socket: ServerConnection) -> None:
        await confirm(socket, "unsubscribe")
        requests = [json.loads(await socket.recv()) for _ in range(8)]
        for request in reversed(requests):
            data = {
                "skill_name": request["skill_name"],
                "total_invocations": 1,
                "completion_rate": 1.0,
                "avg_duration_seconds": 0.0,
                "last_invocation_at": None,
            }
            answer = {"type": "metrics_response", "data": data, "request_id": request["request_id"]}
            await socket.send(json.dumps(answer))
        await socket.wait_closed()

    async with scripted(answers_backwards) as url, connect(url) as client:
        names = [f"skill-{number}" for number in range(8)]
        answers = await asyncio.gather(*map(client.get_metrics, names))
        assert [answer.skill_name for answer in answers] == names
