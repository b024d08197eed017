"""Alerts over HTTP as docs/api/openapi.yaml describes them: listing, acknowledging, muting, and who may do it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from support.databases import execute, locked
from support.environment import bound_by_permissions
from support.http_api import API, Answer, ask, get
from support.processes import Server, wait_until
from support.tokens import READER, write_secret

MUTES = f"{API}/mutes"
ACKNOWLEDGE = f"{API}/alerts/acknowledge"
WRITER = "writer-6e5d4c3b2a190807"
NOW = datetime.now(timezone.utc).replace(microsecond=0)
EXPLANATION: dict[str, Any] = {
    "since_us": 0,
    "since_low_us": 0,
    "since_high_us": 0,
    "before": {"value": 0.98, "low": 0.97, "high": 0.99, "samples": 812},
    "after": {"value": 0.63, "low": 0.46, "high": 0.77, "samples": 32},
    "once_in_seconds": 24192000.0,
    "failures_in_a_row": 7,
    "errors": [{"error_type": "timeout", "before": 0.01, "after": 0.2, "count": 6}],
    "session_id": "",
    "session_share": 0.4,
    "sessions": 4,
}


def micros(hours: float) -> int:
    """The time so many hours before now."""
    return int((NOW - timedelta(hours=hours)).timestamp()) * 1_000_000


def store(db_path: Path, skill: str, kind: str, detected: float, ended: float | None = None) -> None:
    """An alert that was detected and ended so many hours ago."""
    execute(
        db_path,
        'INSERT INTO session_buddy_alert (skill_name, kind, detected_us, ended_us, "end", explanation)'
        " VALUES (?, ?, ?, ?, ?, ?)",
        skill,
        kind,
        micros(detected),
        None if ended is None else micros(ended),
        None if ended is None else "recovered",
        json.dumps({**EXPLANATION, "since_us": micros(detected)}),
    )


def unmute(server: Server, skill: str) -> Answer:
    return ask(server, MUTES, {"skill_name": skill}, method="DELETE")


@pytest.fixture
def server(filled_db: Path) -> Iterator[Server]:
    """With three alerts: 3 is open and the newest one."""
    with Server(filled_db) as running:
        ask(running, MUTES, method="POST", command={"skill_name": "mypy"})  # creates the tables
        unmute(running, "mypy")
        store(filled_db, "mypy", "completion_rate_fell", 9, 8)
        store(filled_db, "pytest-run", "duration_rose", 6, 5)
        store(filled_db, "pytest-run", "completion_rate_fell", 1)
        yield running


def ids(server: Server, **parameters: object) -> list[int]:
    return [alert["id"] for alert in get(server, "alerts", **parameters)["alerts"]]


def test_alerts_are_filtered_and_paged_the_newest_first(server: Server) -> None:
    assert ids(server) == [3, 2, 1]
    assert ids(server, limit=1, offset=1) == [2]
    page = get(server, "alerts", limit=1)
    assert (page["total"], page["budget"], page["mutes"]) == (3, "1/week", [])
    assert ids(server, state="open") == [3]
    assert ids(server, state="ended") == [2, 1]
    assert ids(server, skill_name="mypy") == [1]
    assert ids(server, kind="duration_rose") == [2]
    times = {name: (NOW - timedelta(hours=hours)).isoformat() for name, hours in (("from", 7), ("to", 3))}
    assert ids(server, **times) == [2]
    (alert,) = get(server, "alerts", state="open")["alerts"]
    assert alert["since"] == (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert alert["errors"] == EXPLANATION["errors"]
    assert (alert["after"], alert["session_id"], alert["note"]) == (EXPLANATION["after"], None, "")


def test_an_acknowledged_alert_has_its_time_and_note_until_it_is_acknowledged_again(server: Server) -> None:
    answer = ask(server, ACKNOWLEDGE, method="POST", command={"id": 3, "note": "known ☃"})
    assert (answer.status, answer.body["id"], answer.body["note"]) == (200, 3, "known ☃")
    assert answer.body["acknowledged_at"] >= NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    (alert,) = get(server, "alerts", state="open")["alerts"]
    assert alert == answer.body
    assert ask(server, ACKNOWLEDGE, method="POST", command={"id": 3}).body["note"] == ""
    unknown = ask(server, ACKNOWLEDGE, method="POST", command={"id": 4})
    assert (unknown.status, unknown.error) == (404, "unknown_alert")


def test_a_skill_is_muted_until_the_mute_is_removed(server: Server) -> None:
    mute = ask(server, MUTES, method="POST", command={"skill_name": "pytest-run", "seconds": 60, "reason": "upgrade"})
    assert (mute.status, mute.body["skill_name"], mute.body["reason"]) == (200, "pytest-run", "upgrade")
    assert mute.body["until"] > mute.body["muted_at"]
    endless = ask(server, MUTES, method="POST", command={"skill_name": "never seen"})
    assert endless.body["until"] is None
    page = get(server, "alerts")
    assert page["mutes"] == [endless.body, mute.body]
    assert [alert["muted"] for alert in page["alerts"]] == [True, True, False]
    assert unmute(server, "pytest-run").body == {"removed": True}
    missing = unmute(server, "pytest-run")
    assert (missing.status, missing.error) == (404, "not_muted")
    assert get(server, "alerts")["mutes"] == [endless.body]


def test_an_etag_of_alerts_is_valid_until_a_command(server: Server) -> None:
    tag = ask(server, f"{API}/alerts").headers["ETag"]
    assert ask(server, f"{API}/alerts", headers={"If-None-Match": tag}).status == 304
    ask(server, MUTES, method="POST", command={"skill_name": "mypy"})
    assert ask(server, f"{API}/alerts", headers={"If-None-Match": tag}).status == 200


@pytest.mark.parametrize(
    ("path", "command", "field"),
    [
        (ACKNOWLEDGE, {"id": 0}, "id"),
        (ACKNOWLEDGE, {"note": "x"}, "id"),
        (ACKNOWLEDGE, {"id": 3, "note": "ä" * 251}, "note"),
        (ACKNOWLEDGE, {"id": 3, "skill_name": "mypy"}, "skill_name"),
        (MUTES, {}, "skill_name"),
        (MUTES, {"skill_name": "a\nb"}, "skill_name"),
        (MUTES, {"skill_name": "mypy", "seconds": 31622401}, "seconds"),
        (MUTES, {"skill_name": "mypy", "reason": "\x1b[1m"}, "reason"),
    ],
)
def test_an_invalid_field_of_a_command_is_named(server: Server, path: str, command: object, field: str) -> None:
    answer = ask(server, path, method="POST", command=command)
    assert (answer.status, answer.error, answer.body["field"]) == (400, "bad_request", field)


def test_a_command_needs_a_token_with_the_scope_write(filled_db: Path, tmp_path: Path) -> None:
    tokens = write_secret(tmp_path / "tokens", f"{READER} read\n{WRITER} write\n")
    with Server(filled_db, "--auth-token-file", str(tokens)) as server:
        for token, status in ((None, 401), ("anonymous", 401), (READER, 403), (WRITER, 200)):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            for method, query, command in (("POST", "", {"skill_name": "mypy"}), ("DELETE", "skill_name=mypy", None)):
                answer = ask(server, MUTES, query, method=method, command=command, headers=headers)
                assert answer.status == status, (token, method)


def test_without_authentication_a_command_through_an_unknown_proxy_is_rejected(server: Server) -> None:
    answer = ask(server, MUTES, method="POST", command={"skill_name": "mypy"}, headers={"Via": "1.1 proxy"})
    assert (answer.status, answer.error) == (403, "loopback_only")
    foreign = {"Origin": "https://evil.example"}
    answer = ask(server, MUTES, method="POST", command={"skill_name": "mypy"}, headers=foreign)
    assert (answer.status, answer.error) == (403, "origin_not_allowed")
    assert get(server, "alerts")["mutes"] == []


def test_a_command_while_the_database_is_locked_is_503_and_changes_nothing(server: Server, filled_db: Path) -> None:
    with locked(filled_db):
        answer = ask(server, MUTES, method="POST", command={"skill_name": "mypy"})
        assert (answer.status, answer.error) == (503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert get(server, "alerts")["mutes"] == []
    assert ask(server, MUTES, method="POST", command={"skill_name": "mypy"}).status == 200


def test_a_command_on_a_read_only_database_is_503(filled_db: Path) -> None:
    execute(filled_db, "PRAGMA journal_mode = DELETE")
    filled_db.chmod(0o444)
    with Server(filled_db, prefix=bound_by_permissions()) as server:
        answer = ask(server, MUTES, method="POST", command={"skill_name": "mypy"})
        assert (answer.status, answer.error) == (503, "database_read_only")
        assert get(server, "alerts")["alerts"] == []


def test_a_mute_is_over_after_its_time(server: Server) -> None:
    ask(server, MUTES, method="POST", command={"skill_name": "mypy", "seconds": 1})
    wait_until(lambda: get(server, "alerts")["mutes"] == [], "the mute is over")
    assert unmute(server, "mypy").status == 404
