"""`session-buddy notify` with alerts of a real server: starts, ends, mutes, acknowledgements, switches of the mode."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy import _native
from session_buddy.client import connect_sync
from session_buddy.notify.state import StateFile
from session_buddy.storage.skills_storage import SkillsStorage
from support.notifier import COMMAND, notifier, run_notify
from support.processes import Program, Server, wait_until
from support.receiver import WebhookReceiver
from support.streams import hours, make_database, replace_rows, steady

FELL = "completion_rate_fell"


def alert_notifier(server: str, state: Path, *arguments: str) -> Program:
    return Program([COMMAND, "notify", "--url", server, "--state", str(state), "--settle", "1", *arguments])


def recover(path: Path) -> None:
    """Adds invocations of mypy that complete."""
    now = datetime.now(timezone.utc)
    rows = [
        {
            "skill_name": "mypy",
            "invoked_at": (now + index * timedelta(milliseconds=1)).isoformat(),
            "session_id": f"session-{index}",
            "completed": True,
        }
        for index in range(150)
    ]
    with SkillsStorage(path) as storage:
        storage.store_many(rows)


@pytest.fixture
def alerting(db_path: Path) -> Iterator[Server]:
    """A server on a database in which mypy fails since half an hour and ruff-check does not."""
    make_database(db_path)
    now = datetime.now(timezone.utc)
    runs = [
        *steady(now - hours(23), now - hours(0.6), 800, rate=0.95, skill="mypy", error_type="timeout"),
        *steady(now - hours(23), now, 800, rate=0.95, skill="ruff-check"),
        *steady(now - hours(0.5), now, 40, rate=0.0, skill="mypy", error_type="timeout"),
    ]
    replace_rows(db_path, sorted(runs, key=lambda run: run.at))
    with Server(db_path, interval="50ms") as server:
        yield server


def alert_id(server: Server) -> int:
    """The id of the open alert, which the server stores within a few cycles."""
    with connect_sync(server.url) as client:
        for update in client.subscribe(details=True):
            if update.alerts and update.alerts[0].id is not None:
                return update.alerts[0].id
    raise AssertionError("no update")


def test_an_alert_is_sent_once_with_its_explanation_and_its_end(alerting: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        with alert_notifier(alerting.url, state, "--webhook", receiver.url) as notify:
            receiver.wait_for(("started", "mypy"))
            assert notify.stop(signal.SIGTERM) == 0
        again = ("--url", alerting.url, "--state", str(state), "--webhook", receiver.url, "--once")
        assert run_notify(*again).returncode == 0
        with alert_notifier(alerting.url, state, "--webhook", receiver.url):
            recover(alerting.db_path)
            receiver.wait_for(("started", "mypy"), ("resolved", "mypy"))
        started, resolved = receiver.accepted
    assert list(started) == [
        "id", "event", "severity", "skill", "type", "baseline", "observed", "since", "timestamp", "text", "alert",
    ]  # fmt: skip
    assert (started["severity"], started["type"], started["observed"]) == ("WARNING", FELL, 0.0)
    assert started["baseline"] == pytest.approx(0.95, abs=0.01)
    assert started["text"].startswith("mypy: Success rate fell: 95")
    assert (started["alert"]["skill_name"], started["alert"]["ended_at"]) == ("mypy", None)
    assert (resolved["severity"], resolved["alert"]["end"]) == ("INFO", "recovered")
    assert ", recovered after " in resolved["text"]


def test_muted_and_acknowledged_alerts_are_not_sent_until_the_mute_ends(alerting: Server, state: Path) -> None:
    once = ("--url", alerting.url, "--state", str(state), "--dry-run", "--once")
    number = alert_id(alerting)
    database = str(alerting.db_path)
    _native.mute_skill(database, "mypy", None, "known")
    wait_until(lambda: run_notify(*once).stdout == "", "the mute has taken effect")
    _native.unmute_skill(database, "mypy")
    wait_until(lambda: "started" in run_notify(*once).stdout, "the mute has ended")
    assert _native.acknowledge_alert(database, number, "") is not None
    wait_until(lambda: run_notify(*once).stdout == "", "the acknowledgement has taken effect")


def test_after_a_switch_from_deviations_their_ends_are_still_sent(alerting: Server, state: Path) -> None:
    with WebhookReceiver() as receiver:
        with notifier(alerting.url, state, "--webhook", receiver.url) as notify:
            receiver.wait_for(("started", "mypy"))
            wait_until(lambda: not StateFile(state).read().deliveries, "it has recorded the delivery")
            assert notify.stop(signal.SIGTERM) == 0
        assert receiver.accepted[0]["type"] == "performance_drop"
        with alert_notifier(alerting.url, state, "--webhook", receiver.url):
            wait_until(lambda: len(receiver.accepted) == 2, "the alert is sent")
            replace_rows(alerting.db_path, [])
            wait_until(lambda: len(receiver.accepted) >= 3, "the end of the deviation is sent")
    assert [body["type"] for body in receiver.accepted[1:2]] == [FELL]
    assert ("resolved", "performance_drop") in [(body["event"], body["type"]) for body in receiver.accepted]
