"""Anomaly detection: skills whose completion rate or duration deviates from their baseline, and alerts.

The server's detector for your own data: `Detector` on a stream of invocations, `detect_anomalies` on a database at one
point in time, `backtest` on a time range. An anomaly is a deviation from the baseline; an alert is a change that a
sequential test confirmed, with a budget of expected false alerts. Rates are fractions from 0 to 1, durations and
windows are seconds, times are timezone-aware datetimes in UTC.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, cast

from session_buddy import _native
from session_buddy._arguments import checked_duration, checked_number, is_utf8
from session_buddy.realtime import types as realtime_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Alert",
    "AlertKind",
    "AlertLevel",
    "Anomaly",
    "AnomalyType",
    "BacktestResult",
    "Detector",
    "Episode",
    "GrownError",
    "Moment",
    "backtest",
    "detect_anomalies",
]

AnomalyType = Literal["performance_drop", "performance_spike", "pattern_shift"]
AlertKind = Literal["completion_rate_fell", "completion_rate_rose", "duration_rose", "duration_fell", "silence"]
#: A datetime (without a timezone: UTC), an ISO 8601 timestamp, or seconds since 1970-01-01T00:00:00Z.
Moment = datetime | str | float

MAX_BUDGETS = 20  # of one backtest

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True)
class AlertLevel:
    """One side of a change: before it, or since.

    Attributes:
        value: A completion rate (0 to 1), or the median duration in seconds.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        samples: Number of invocations behind `value`.
    """

    value: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True)
class GrownError:
    """An error type that occurs more often than before; shares (0 to 1) are of the invocations of each side."""

    error_type: str
    before: float
    after: float
    count: int


@dataclass(frozen=True)
class Alert:
    """A change of a skill that the sequential test confirmed, with what explains it.

    Attributes:
        kind: What changed. `completion_rate_rose` and `duration_fell` are improvements, which end immediately.
        detected_at: Time of the invocation that completed the evidence; UTC, like all times.
        since: Most likely time of the change.
        since_low: Lower end of the 90 % interval of that time.
        since_high: Upper end of that interval.
        before: The baseline.
        after: The invocations since the change.
        once_in_seconds: If nothing has changed, evidence at least this strong occurs by chance once in this time, in
            all skills together.
        failures_in_a_row: Up to the latest invocation; 0 for other kinds than `completion_rate_fell`.
        errors: The error types that grew most, at most three.
        session_id: The session with at least half of the invocations that carry the change; None if there is none.
        session_share: Share of the session that carries most of the change.
        sessions: Sessions since the change; at most 8 are counted.
        ended_at: When it ended; None while it is open.
        end: `recovered`: the values are those of the baseline again; `accepted`: the change is the new baseline.
    """

    skill_name: str
    kind: AlertKind
    detected_at: datetime
    since: datetime
    since_low: datetime
    since_high: datetime
    before: AlertLevel
    after: AlertLevel
    once_in_seconds: float
    failures_in_a_row: int
    errors: tuple[GrownError, ...]
    session_id: str | None
    session_share: float
    sessions: int
    ended_at: datetime | None
    end: str | None

    def to_dict(self) -> realtime_types.Alert:
        """As JSON values, in the form of the APIs; it is neither stored nor acknowledged."""
        values: dict[str, Any] = {
            "id": None,
            **asdict(self),
            "errors": [asdict(error) for error in self.errors],
            "acknowledged_at": None,
            "note": "",
            "muted": False,
        }
        for name in ("detected_at", "since", "since_low", "since_high", "ended_at"):
            values[name] = None if values[name] is None else _format(values[name])
        return cast("realtime_types.Alert", values)


@dataclass(frozen=True)
class Anomaly:
    """A skill that deviates from its baseline, as the server reports it.

    Attributes:
        skill_name: Name of the skill.
        anomaly_type: `performance_drop` or `performance_spike` of the completion rate, `pattern_shift` of the duration.
        baseline_value: Value in the baseline window: a rate (0 to 1), or the mean duration in seconds.
        observed_value: Value in the observation window, in the same unit.
        deviation_score: Difference in standard deviations; at or above the threshold.
        baseline_samples: Number of invocations behind `baseline_value`.
        observed_samples: Number of invocations behind `observed_value`.
        z_score: Signed `deviation_score`: negative if the observed value is below the baseline.
        tail_probability: One-sided p-value (0 to 1): probability of such a deviation without a change.
        since: When it was first reported; UTC.
        common_errors: Up to three most frequent error types of the observed failures, with counts.
        alert: The open alert of the same skill and side; None without one, or without an alert budget.
    """

    skill_name: str
    anomaly_type: AnomalyType
    baseline_value: float
    observed_value: float
    deviation_score: float
    baseline_samples: int
    observed_samples: int
    z_score: float
    tail_probability: float
    since: datetime
    common_errors: list[tuple[str, int]]
    alert: Alert | None = None

    def to_dict(self) -> realtime_types.Anomaly:
        """As JSON values, in the form of the WebSocket API with `"details": true`."""
        values: dict[str, Any] = {**vars(self), "since": _format(self.since)}
        values["common_errors"] = [
            {"error_type": error_type, "count": count} for error_type, count in self.common_errors
        ]
        values["alert"] = None if self.alert is None else self.alert.to_dict()
        details = {name: values.pop(name) for name in realtime_types.AnomalyDetails.__annotations__}
        return cast("realtime_types.Anomaly", {**values, "details": details})


@dataclass(frozen=True)
class Episode:
    """An anomaly from start to end. Values, as in `Anomaly`, are those at the start.

    Attributes:
        started_at: When it was first reported; UTC.
        resolved_at: When it ended: the score fell below three quarters of the threshold, or the deviation had lasted as
            long as the baseline before it. None if it is still open.
    """

    skill_name: str
    anomaly_type: AnomalyType
    started_at: datetime
    resolved_at: datetime | None
    baseline_value: float
    observed_value: float
    deviation_score: float
    baseline_samples: int
    observed_samples: int
    z_score: float
    tail_probability: float

    def to_dict(self) -> dict[str, object]:
        """As JSON values; times as `YYYY-MM-DDTHH:MM:SSZ`, an open end as None."""
        return {
            **vars(self),
            "started_at": _format(self.started_at),
            "resolved_at": None if self.resolved_at is None else _format(self.resolved_at),
        }


@dataclass(frozen=True)
class BacktestResult:
    """The alerts and anomalies that would have been detected in a time range.

    Attributes:
        start: Start of the range; None: the first row of the database.
        end: End of the range.
        rows: Invocations in the range.
        warm_up_rows: Invocations in the baseline window before `start`, which were replayed as a warm-up.
        skipped_rows: Rows with an invalid time or skill name, which the server skips as well.
        skills: Number of distinct skills among `rows`.
        episodes: Ordered by start. Includes those that began before `start` and were still open then: they were
            detected with the incomplete baseline of the warm-up.
        alerts: Of the first alert budget, ordered by detection. Includes those that were detected before `start` and
            were still open then.
        alerts_by_budget: For each alert budget, as it was given, how many alerts were detected in the range,
            improvements included.
    """

    start: datetime | None
    end: datetime
    rows: int
    warm_up_rows: int
    skipped_rows: int
    skills: int
    episodes: list[Episode]
    alerts: list[Alert]
    alerts_by_budget: dict[str, int]


class Detector:
    """The server's detector on a stream of invocations, of any number of skills.

    It uses event time: the timestamps of the stream decide what is recent, not the clock, so a recorded stream can be
    replayed at any speed with the same result. Time never goes back: a late invocation is sorted in by its timestamp,
    and ignored if it is older than the baseline window. Thread-safe: each call is atomic. Memory grows with the
    invocations in one baseline window, at most 20000 per skill.

    Args:
        threshold: Minimum deviation from the baseline, in standard deviations, to report an anomaly, 0.5 to 10.
        baseline_window: Length of the baseline window, in seconds, 600 to 2678400; at least twice `observation_window`.
        observation_window: Length of the observation window, in seconds, 60 to 86400.
        min_samples: Minimum invocations in each of observation and baseline to report an anomaly, 2 to 50.
        alert_budget: Expected false alerts of all skills of this detector together while nothing changes, as a rate:
            `0.05/day`, `1/week`, `1/month` (hour, day, week, month or year; 0.001 to 1000 of them). None: no alerts.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is out of range; the message names it.
    """

    def __init__(
        self,
        threshold: float = 2.0,
        baseline_window: float = 86400.0,
        observation_window: float = 3600.0,
        min_samples: int = 5,
        *,
        alert_budget: str | None = None,
    ) -> None:
        options = _options(threshold, baseline_window, observation_window, min_samples)
        self._detector = _native.AnomalyDetector(
            **options, alert_budget=_optional_text("alert_budget", alert_budget) or "off"
        )

    def update(
        self,
        skill: str,
        completed: bool | None,
        duration: float | None = None,
        at: Moment | None = None,
        error_type: str | None = None,
        *,
        duration_is_bound: bool = False,
        session_id: str | None = None,
    ) -> list[Anomaly]:
        """Add one invocation.

        Args:
            skill: Skill name, 1 to 256 bytes of UTF-8 without control characters.
            completed: Whether it completed. None: unknown; the invocation is ignored.
            duration: Duration in seconds, 0 or more; used only if it completed. None: unknown.
            at: Time of the invocation. None: now.
            error_type: Short error class; used only if it did not complete.
            duration_is_bound: The duration is an upper bound, because it may include a wait; it is ignored.
            session_id: The session it belongs to; used only for alerts, to which retries in one session are one
                problem. None: it is independent of others.

        Returns:
            The anomalies of this skill at the latest time that the detector has seen, the largest score first.

        Raises:
            TypeError: An argument is of the wrong type.
            ValueError: An argument is invalid. In both cases the message names it, and nothing was added.
        """
        if not isinstance(skill, str):
            raise TypeError(f"skill must be a str, not {type(skill).__name__}")
        _check_skill(skill)
        if completed is not None and not isinstance(completed, bool):
            raise TypeError(f"completed must be a bool or None, not {type(completed).__name__}")
        if not isinstance(duration_is_bound, bool):
            raise TypeError(f"duration_is_bound must be a bool, not {type(duration_is_bound).__name__}")
        if duration is not None:
            duration = checked_duration(duration, "duration")
        error_type = _optional_text("error_type", error_type)
        session_id = _optional_text("session_id", session_id)
        micros = _now() if at is None else _micros("at", at)
        found = self._detector.update(skill, completed, duration, micros, error_type, duration_is_bound, session_id)
        return _anomalies(found)

    def advance(self, at: Moment | None = None) -> None:
        """Advance the time without an invocation, so that anomalies can end. None: to now.

        Neither the number of calls nor a time in the past affects what is detected. Raises as `update` does.
        """
        self._detector.advance(_now() if at is None else _micros("at", at))

    def anomalies(self, at: Moment | None = None) -> list[Anomaly]:
        """All current anomalies, the largest score first, then by skill and type.

        Args:
            at: Time to advance to first, as `advance` does. None: the latest time seen in the stream.
        """
        return _anomalies(self._detector.anomalies(None if at is None else _micros("at", at)))

    def episodes(self) -> list[Episode]:
        """The episodes detected until now, ordered by start; at most the last 10000."""
        return _episodes(self._detector.episodes())

    def alerts(self) -> list[Alert]:
        """The alerts detected until now, ordered by detection: the open ones, and at most the last 10000 ended ones."""
        return _alerts(self._detector.alerts())


def detect_anomalies(
    db_path: str | os.PathLike[str],
    at: Moment | None = None,
    *,
    threshold: float = 2.0,
    baseline_window: float = 86400.0,
    observation_window: float = 3600.0,
    min_samples: int = 5,
) -> list[Anomaly]:
    """The anomalies that the server would report at a point in time, the largest score first, then by skill and type.

    The invocations of the two preceding baseline windows are replayed in the order in which they were recorded. The
    database is opened read-only: it is never created, migrated or written to, regardless of its version.

    Args:
        db_path: The SQLite file.
        at: The point in time. None: now.
        threshold: As for `Detector`.
        baseline_window: As for `Detector`.
        observation_window: As for `Detector`.
        min_samples: As for `Detector`.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is invalid; the message names it.
        session_buddy.storage.StorageError: The file is missing, unreadable, or not a skills database.
    """
    options = _options(threshold, baseline_window, observation_window, min_samples)
    moment = _now() if at is None else _micros("at", at)
    return _anomalies(_native.detect_anomalies(_path(db_path), moment, **options))


def backtest(
    db_path: str | os.PathLike[str],
    start: Moment | None = None,
    end: Moment | None = None,
    *,
    skill: str | None = None,
    threshold: float = 2.0,
    baseline_window: float = 86400.0,
    observation_window: float = 3600.0,
    min_samples: int = 5,
    alert_budget: str | Sequence[str] | None = "1/week",
) -> BacktestResult:
    """Report the alerts and anomalies that would have been detected in recorded history.

    The invocations are replayed in chronological order, from one baseline window before `start`, and for alerts from
    14 days before it. Memory does not grow with the history. The database is opened read-only, as by
    `detect_anomalies`.

    Args:
        db_path: The SQLite file.
        start: Start of the range. None: the first invocation.
        end: End of the range, inclusive. None: now.
        skill: Only this skill. None: all.
        threshold: As for `Detector`.
        baseline_window: As for `Detector`.
        observation_window: As for `Detector`.
        min_samples: As for `Detector`.
        alert_budget: As for `Detector`; with `skill`, the budget of that skill. Of several budgets, at most 20, the
            alerts of the first one are listed, and those of the others counted.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: An argument is invalid, or `end` is before `start`.
        session_buddy.storage.StorageError: The file is missing, unreadable, or not a skills database.
    """
    options = _options(threshold, baseline_window, observation_window, min_samples)
    first = None if start is None else _micros("start", start)
    last = _now() if end is None else _micros("end", end)
    if first is not None and last < first:
        raise ValueError(f"end must not be before start: {_format(_datetime(last))} < {_format(_datetime(first))}")
    if skill is not None and not isinstance(skill, str):
        raise TypeError(f"skill must be a str or None, not {type(skill).__name__}")
    if skill is not None:
        _check_skill(skill)
    budgets = _alert_budgets(alert_budget)
    result = _native.backtest(_path(db_path), first, last, skill or "", budgets, **options)
    return BacktestResult(
        start=None if first is None else _datetime(first),
        end=_datetime(last),
        rows=result["rows"],
        warm_up_rows=result["warm_up_rows"],
        skipped_rows=result["skipped_rows"],
        skills=result["skills"],
        episodes=_episodes(result["episodes"]),
        alerts=_alerts(result["alerts"]),
        alerts_by_budget=dict(zip(budgets, result["alerts_by_budget"], strict=True)),
    )


def _options(
    threshold: float, baseline_window: float, observation_window: float, min_samples: int
) -> _native.DetectorSettings:
    if isinstance(min_samples, bool) or not isinstance(min_samples, int):
        raise TypeError(f"min_samples must be an int, not {type(min_samples).__name__}")
    return {
        "threshold": checked_number("threshold", threshold),
        "baseline_window": checked_number("baseline_window", baseline_window),
        "observation_window": checked_number("observation_window", observation_window),
        "min_samples": max(-1, min(min_samples, 1 << 32)),  # out of range either way
    }


def _alert_budgets(budgets: object) -> list[str]:
    given = list(budgets) if isinstance(budgets, (list, tuple)) else [budgets]
    if not 1 <= len(given) <= MAX_BUDGETS:
        raise ValueError(f"alert_budget must be 1 to {MAX_BUDGETS} budgets, not {len(given)}")
    return [_optional_text("alert_budget", budget) or "off" for budget in given]


def _optional_text(argument: str, text: object) -> str:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{argument} must be a str or None, not {type(text).__name__}")
    if text is not None and not is_utf8(text):
        raise ValueError(f"{argument} must be valid UTF-8, not {text!r:.80}")
    return text or ""


def _check_skill(skill: str) -> None:
    if not (is_utf8(skill) and _native.is_valid_skill_name(skill)):
        raise ValueError(f"skill {_native.SKILL_NAME_RULE}, not {skill!r:.80}")


def _path(db_path: str | os.PathLike[str]) -> str:
    if not isinstance(db_path, (str, os.PathLike)):
        raise TypeError(f"db_path must be a str or a path, not {type(db_path).__name__}")
    path = os.fspath(db_path)
    if not isinstance(path, str):
        raise TypeError(f"db_path must be a str path, not {type(path).__name__}")
    return path


def _now() -> int:
    return (datetime.now(timezone.utc) - _EPOCH) // _MICROSECOND


def _micros(name: str, moment: Moment) -> int:
    """Microseconds since 1970 of the argument `name`."""
    if isinstance(moment, datetime):
        aware = moment.replace(tzinfo=timezone.utc) if moment.utcoffset() is None else moment
        micros: int | None = (aware - _EPOCH) // _MICROSECOND
    elif isinstance(moment, str):
        micros = _native.parse_timestamp(moment) if is_utf8(moment) else None
        if micros is None:
            raise ValueError(f"{name} must be a timestamp such as 2026-02-10T12:00:00Z, not {moment!r:.80}")
    elif isinstance(moment, bool) or not isinstance(moment, (int, float)):
        raise TypeError(f"{name} must be a datetime, a str or a number of seconds, not {type(moment).__name__}")
    else:
        seconds = checked_number(name, moment)
        # Floats of current timestamps are exact to less than half a microsecond.
        micros = round(seconds * 1e6) if abs(seconds) < 1e12 else None
    if micros is None or not _FIRST <= micros <= _LAST:
        raise ValueError(f"{name} must be in the years 1 to 9999, not {moment}")
    return micros


def _datetime(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _format(moment: datetime) -> str:
    return _native.format_timestamp((moment - _EPOCH) // _MICROSECOND)


def _anomalies(found: Iterable[dict[str, Any]]) -> list[Anomaly]:
    anomalies = []
    for fields in found:
        values = _with_datetimes(fields, "since")
        values["common_errors"] = [(each["error_type"], each["count"]) for each in fields["common_errors"]]
        values["alert"] = None if fields["alert"] is None else _alert(fields["alert"])
        anomalies.append(Anomaly(**values))
    return anomalies


def _alert(fields: Mapping[str, Any]) -> Alert:
    values = _with_datetimes(fields, "detected_at", "since", "since_low", "since_high", "ended_at")
    values["before"] = AlertLevel(**fields["before"])
    values["after"] = AlertLevel(**fields["after"])
    values["errors"] = tuple(GrownError(**error) for error in fields["errors"])
    return Alert(**values)


def _alerts(found: Iterable[dict[str, Any]]) -> list[Alert]:
    return [_alert(fields) for fields in found]


def _episodes(found: Iterable[dict[str, Any]]) -> list[Episode]:
    return [Episode(**_with_datetimes(fields, "started_at", "resolved_at")) for fields in found]


def _with_datetimes(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    moments = {name: None if fields[name] is None else _datetime(fields[name]) for name in names}
    return {**fields, **moments}
