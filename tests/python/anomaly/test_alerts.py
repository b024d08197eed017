"""Alerts of `session_buddy.anomaly`: of a detector, and in a backtest with several budgets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from session_buddy.anomaly import Alert, Detector, backtest
from session_buddy.realtime import types as realtime_types
from support.streams import NOON, Invocation, feed, hours, make_database, replace_rows

START = NOON - hours(48)


def history(skill: str, *parts: tuple[float, float, float], seconds: float = 1.0) -> Iterator[Invocation]:
    """40 invocations an hour; each part has its hours, success rate and factor of the duration."""
    dice = random.Random(f"history of {skill}")
    at = START
    for length, rate, factor in parts:
        for _ in range(round(length * 40)):
            good = dice.random() < rate
            duration = seconds * factor * dice.lognormvariate(0, 0.4)
            yield Invocation(at, good, duration, skill, None if good else "timeout")
            at += timedelta(seconds=90)


def summary(alerts: list[Alert]) -> list[tuple[str, str, str | None]]:
    return [(alert.skill_name, alert.kind, alert.end) for alert in alerts]


def test_a_drop_is_one_alert_that_explains_itself_and_ends() -> None:
    detector = Detector(alert_budget="1/week")
    (drop, *_) = feed(detector, history("mypy", (48, 0.95, 1), (3, 0.0, 1)))
    (alert,) = detector.alerts()
    assert drop.alert == alert
    assert (alert.skill_name, alert.kind, alert.ended_at) == ("mypy", "completion_rate_fell", None)
    assert START + hours(48) < alert.detected_at < START + hours(50)
    assert alert.since_low <= alert.since <= alert.since_high <= alert.detected_at
    assert abs(alert.since - NOON) < hours(0.5)
    assert alert.before.low <= 0.95 <= alert.before.high
    assert alert.after.value == 0.0 == alert.after.low < alert.after.high < 0.2
    assert alert.before.samples > 1000 > 150 > alert.after.samples > 5
    assert alert.once_in_seconds >= 7 * 86400
    assert [error.error_type for error in alert.errors] == ["timeout"]
    feed(detector, [Invocation(NOON + hours(3) + index * timedelta(seconds=90), skill="mypy") for index in range(200)])
    assert summary(detector.alerts())[0] == ("mypy", "completion_rate_fell", "recovered")


def test_slower_invocations_are_an_alert_of_the_anomaly_of_the_duration() -> None:
    detector = Detector(alert_budget="1/week")
    anomalies = feed(detector, history("mypy", (48, 0.95, 1), (3, 0.95, 4)))
    (shift,) = [anomaly for anomaly in anomalies if anomaly.anomaly_type == "pattern_shift"]
    assert shift.alert is not None
    assert shift.alert.kind == "duration_rose"
    assert shift.alert.before.value == pytest.approx(1.0, rel=0.2)
    assert shift.alert.after.value == pytest.approx(4.0, rel=0.5)


def test_an_improvement_is_reported_once_and_ends_immediately() -> None:
    detector = Detector(alert_budget="1/week")
    feed(detector, history("mypy", (48, 0.5, 1), (6, 0.99, 1)))
    (alert,) = detector.alerts()
    assert summary([alert]) == [("mypy", "completion_rate_rose", "accepted")]
    assert alert.ended_at is not None


def test_nothing_is_alerted_without_a_change_or_without_a_budget() -> None:
    detector = Detector(alert_budget="1/week")
    feed(detector, history("mypy", (96, 0.9, 1)))
    assert detector.alerts() == []
    for budget in (None, "off"):
        detector = Detector(alert_budget=budget)
        anomalies = feed(detector, history("mypy", (48, 0.95, 1), (3, 0.2, 1)))
        assert anomalies
        assert all(anomaly.alert is None for anomaly in anomalies)
        assert detector.alerts() == []


def test_anomalies_do_not_depend_on_the_budget() -> None:
    found = []
    for budget in (None, "10/day"):
        detector = Detector(alert_budget=budget)
        feed(detector, history("mypy", (48, 0.95, 1), (3, 0.4, 2)))
        found.append(detector.episodes())
    assert found[0] == found[1]


def test_retries_of_one_session_are_weaker_evidence_than_independent_failures() -> None:
    def detected(session_id: str | None) -> int:
        detector = Detector(alert_budget="1/week")
        feed(detector, history("mypy", (48, 0.95, 1)))
        for number in range(200):
            at = NOON + number * timedelta(seconds=30)
            detector.update("mypy", False, at=at, error_type="timeout", session_id=session_id)
            if detector.alerts():
                return number
        return 200

    assert detected(None) < detected("session-1")


def test_an_alert_has_the_form_of_the_api() -> None:
    detector = Detector(alert_budget="1/week")
    (drop, *_) = feed(detector, history("mypy", (48, 0.95, 1), (3, 0.0, 1)))
    assert drop.alert is not None
    wire = drop.alert.to_dict()
    assert set(wire) == set(realtime_types.Alert.__annotations__)
    assert drop.to_dict()["details"]["alert"] == wire


@pytest.mark.parametrize(
    ("budget", "error"), [("often", ValueError), ("2000/day", ValueError), ("\udcff", ValueError), (7, TypeError)]
)
def test_an_invalid_budget_is_reported(budget: object, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error, match="alert_budget"):
        Detector(alert_budget=budget)  # type: ignore[arg-type]
    with pytest.raises(error, match="alert_budget"):
        backtest(tmp_path / "missing.db", alert_budget=budget)  # type: ignore[arg-type]


@pytest.fixture
def database(db_path: Path) -> Path:
    make_database(db_path)
    rows = [*history("mypy", (48, 0.95, 1), (4, 0.0, 1)), *history("steady", (60, 0.9, 1))]
    replace_rows(db_path, rows)
    return db_path


def test_a_backtest_finds_the_alerts_of_a_detector(database: Path) -> None:
    result = backtest(database, end=NOON + hours(24))
    detector = Detector(alert_budget="1/week")
    rows = [*history("mypy", (48, 0.95, 1), (4, 0.0, 1)), *history("steady", (60, 0.9, 1))]
    for row in sorted(rows, key=lambda row: row.at):
        detector.update(row.skill, row.completed, row.duration, row.at, row.error_type, session_id="session-1")
    assert summary(result.alerts) == summary(detector.alerts()) == [("mypy", "completion_rate_fell", None)]
    assert result.alerts == detector.alerts()
    assert result.alerts_by_budget == {"1/week": 1}


def test_a_backtest_counts_the_alerts_of_other_budgets(database: Path) -> None:
    budgets = ["off", "1/month", "1000/hour"]
    result = backtest(database, end=NOON + hours(24), alert_budget=budgets)
    assert result.alerts == []
    off, month, often = (result.alerts_by_budget[budget] for budget in budgets)
    assert (off, month) == (0, 1)
    assert often > 5
    with pytest.raises(ValueError, match="alert_budget must be 1 to 20 budgets, not 21"):
        backtest(database, alert_budget=["1/week"] * 21)


def test_alerts_learn_from_two_weeks_before_the_range(database: Path) -> None:
    whole = backtest(database, end=NOON + hours(24))
    (alert,) = whole.alerts
    # The deviations have a day of warm-up; without the rows before that day the alert would have another baseline.
    assert backtest(database, NOON - hours(1), NOON + hours(24)).alerts == [alert]
    # It is listed in a range that begins after it was detected, as it is still open, but not counted there.
    later = backtest(database, alert.detected_at + hours(1), NOON + hours(24))
    assert (later.alerts, later.alerts_by_budget) == ([alert], {"1/week": 0})
