"""Alerts of the notifier, with a fake clock: when a start, an end or an improvement is sent, and its text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from session_buddy.client import Alert, AlertLevel, MetricsUpdate
from session_buddy.notify.alerts import AlertTracker
from session_buddy.notify.body import Body
from session_buddy.notify.episodes import Event
from session_buddy.notify.state import Delivery, StateFile
from support.alerts import START, alert
from support.notifier import event


def update(seconds: float, *alerts: Alert) -> MetricsUpdate:
    return MetricsUpdate(START + timedelta(seconds=seconds), (), (), alerts)


def ended(open_alert: Alert, seconds: float, end: str = "recovered") -> Alert:
    return replace(open_alert, ended_at=START + timedelta(seconds=seconds), end=end)


def summary(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.event, event.skill) for event in events]


def test_a_start_and_an_end_are_sent_once() -> None:
    tracker = AlertTracker(settle=10)
    (start,) = tracker.process(update(0, alert()))
    assert (start.event, start.severity, start.type) == ("started", "WARNING", "completion_rate_fell")
    assert (start.since, start.timestamp) == ("2026-02-10T11:30:00Z", "2026-02-10T12:00:00Z")
    assert tracker.process(update(1, replace(alert(), failures_in_a_row=8))) == []
    (end,) = tracker.process(update(2, ended(alert(), 1)))
    assert (end.event, end.severity, end.timestamp) == ("resolved", "INFO", "2026-02-10T12:00:01Z")
    assert tracker.process(update(3, ended(alert(), 1))) == []
    assert tracker.sent == {}


def test_alerts_that_are_muted_or_acknowledged_are_not_sent() -> None:
    tracker = AlertTracker(settle=10)
    acknowledged = alert("a", acknowledged_at=START)
    assert tracker.process(update(0, acknowledged, alert("b", muted=True))) == []
    assert summary(tracker.process(update(1, acknowledged, alert("b")))) == [("started", "b")]
    # The end is sent where the start was sent.
    assert tracker.process(update(2, acknowledged, alert("b", muted=True))) == []
    events = tracker.process(update(3, ended(acknowledged, 3), ended(alert("b", muted=True), 3)))
    assert summary(events) == [("resolved", "b")]


def test_an_improvement_is_sent_once_and_has_no_end() -> None:
    better = ended(alert("a", "completion_rate_rose"), 0, "accepted")
    tracker = AlertTracker(settle=10)
    (event,) = tracker.process(update(0, better))
    assert (event.event, event.severity) == ("improved", "INFO")
    tracker.connection_lost()
    for seconds in (1, 3600, 3601, 3620):
        assert tracker.process(update(seconds, *([better] if seconds < 3600 else []))) == []
    assert tracker.sent == {}
    muted = ended(alert("a", "duration_fell", muted=True), 0, "accepted")
    assert tracker.process(update(4000, muted)) == []


def test_an_alert_that_is_no_longer_listed_has_ended_after_it_settled() -> None:
    tracker = AlertTracker(settle=10)
    tracker.process(update(0, alert()))
    assert tracker.process(update(7200)) == []
    tracker.connection_lost()
    assert tracker.process(update(7300)) == []
    (end,) = tracker.process(update(7310))
    assert (end.event, end.timestamp) == ("resolved", "2026-02-10T14:01:40Z")


def test_an_alert_keeps_its_identity_when_it_gets_an_id() -> None:
    tracker = AlertTracker(settle=10)
    tracker.process(update(0, alert(id=None)))
    assert tracker.process(update(1, alert(id=3))) == []


def test_an_alert_that_started_and_ended_while_disconnected_is_not_sent() -> None:
    assert AlertTracker(settle=0).process(update(0, ended(alert(), 0))) == []


def test_without_starts_only_ends_of_restored_alerts_are_sent() -> None:
    before = AlertTracker(settle=10)
    before.process(update(0, alert("a"), alert("b")))
    after = AlertTracker(settle=10, starts=False, skills=["a", "c"])
    after.restore(before.sent.values())
    assert summary(after.process(update(1, ended(alert("a"), 1), ended(alert("b"), 1), alert("c")))) == [
        ("resolved", "a")
    ]


def test_the_state_holds_alerts_and_a_file_of_an_earlier_version_has_none(state: Path) -> None:
    tracker = AlertTracker(settle=10)
    events = tracker.process(update(0, alert("a"), alert("b", id=None)))
    tracker.process(update(1, alert("a")))
    file = StateFile(state)
    with file.locked():
        file.write([], [Delivery("webhook", events[0])], tracker.sent.values())
        read = file.read()
        assert read.alerts == tuple(tracker.sent.values())
        assert read.deliveries[0].event == events[0]
        state.write_text(json.dumps({"version": 1, "episodes": [], "deliveries": []}))
        assert file.read().alerts == ()


def test_a_text_explains_the_alert() -> None:
    (start,) = AlertTracker(settle=0).process(update(0, alert()))
    assert start.text == (
        "mypy: Success rate fell: 98.0% (97.1% to 98.9%, n = 812) → 71.0% (58.0% to 81.0%, n = 44); since 2026-02-10 "
        "11:30 UTC (between 11:25 and 11:32); by chance once in 40 weeks; 7 failures in a row; timeout 1.0% → 20.0%; "
        "60% in session session-1"
    )
    body = json.loads(Body()(start))
    assert (body["text"], body["alert"]["failures_in_a_row"], body["alert"]["session_id"]) == (
        start.text,
        7,
        "session-1",
    )
    assert "deviation" not in body


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            alert(
                kind="duration_rose",
                before=AlertLevel(1.2, 1.1, 1.3, 90),
                after=AlertLevel(240.0, 200.0, 300.0, 12),
                failures_in_a_row=0,
                errors=(),
                session_id=None,
                sessions=8,
            ),
            (
                "mypy: Slower: 1.20 s (1.10 s to 1.30 s, n = 90) → 4 min (3 min to 5 min, n = 12); since 2026-02-10 "
                "11:30 UTC (between 11:25 and 11:32); by chance once in 40 weeks; in 8 or more sessions"
            ),
        ),
        (
            alert(
                kind="silence",
                since_low=START - timedelta(minutes=30),
                since_high=START - timedelta(minutes=30),
                before=AlertLevel(7200.0, 7200.0, 7200.0, 60),
                after=AlertLevel(200_000.0, 200_000.0, 200_000.0, 0),
                once_in_seconds=0.0,
                failures_in_a_row=0,
                errors=(),
                session_id=None,
                sessions=0,
            ),
            "mypy: No longer used: 2 h → 2 days; since 2026-02-10 11:30 UTC",
        ),
    ],
)
def test_a_text_has_the_units_of_its_kind(given: Alert, text: str) -> None:
    assert AlertTracker(settle=0).process(update(0, given))[0].text == text


def test_the_text_of_an_end_says_why_it_ended() -> None:
    for end, words in (("recovered", "recovered after 3 h"), ("accepted", "the new baseline after 3 h")):
        tracker = AlertTracker(settle=0)
        tracker.process(update(0, alert()))
        (resolved,) = tracker.process(update(9000, ended(alert(), 9000, end)))
        assert resolved.text is not None
        assert resolved.text.startswith(f"mypy: Success rate fell, {words}: 98.0% ")


def test_a_template_for_deviations_also_renders_alerts() -> None:
    (start,) = AlertTracker(settle=0).process(update(0, alert()))
    body = Body('{"text": "$severity $text", "type": "$type", "n": $deviation}')
    assert json.loads(body(start)) == {"text": f"WARNING {start.text}", "type": "completion_rate_fell", "n": 0}
    assert json.loads(body(event()))["n"] == 2.7
