"""Messages of the server as frozen dataclasses, with the names of the WebSocket API.

Times are aware datetimes in UTC, durations are seconds, rates are fractions from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from session_buddy.client.errors import ProtocolError

if TYPE_CHECKING:
    from session_buddy.realtime import types as wire

__all__ = [
    "ActiveSession",
    "Anomaly",
    "AnomalyDetails",
    "ErrorCount",
    "MetricsUpdate",
    "SessionUpdate",
    "SkillMetrics",
    "TopSkill",
    "as_wire",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopSkill:
    """Metrics of a skill over the server's sliding window."""

    skill_name: str
    invocation_count: int
    completed_count: int
    avg_duration: float  # seconds; 0.0 if no completed invocation has a duration
    last_invocation_at: datetime

    @property
    def completion_rate(self) -> float | None:
        """From 0 to 1; None without invocations."""
        return self.completed_count / self.invocation_count if self.invocation_count else None

    @classmethod
    def from_wire(cls, data: wire.TopSkill) -> TopSkill:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(
            skill_name=_text(data["skill_name"]),
            invocation_count=_count(data["invocation_count"]),
            completed_count=_count(data["completed_count"]),
            avg_duration=_number(data["avg_duration"]),
            last_invocation_at=_time(data["last_invocation_at"]),
        )


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How often an error type occurs among the observed failures."""

    error_type: str
    count: int

    @classmethod
    def from_wire(cls, data: wire.ErrorCount) -> ErrorCount:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(error_type=_text(data["error_type"]), count=_count(data["count"]))


@dataclass(frozen=True, slots=True)
class AnomalyDetails:
    """Details of an anomaly."""

    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # signed deviation_score: negative if the observed value is below the baseline
    tail_probability: float  # one-sided p-value, 0 to 1
    since: datetime  # when the episode started
    common_errors: tuple[ErrorCount, ...]  # the most common first, at most three

    @classmethod
    def from_wire(cls, data: wire.AnomalyDetails) -> AnomalyDetails:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(
            baseline_samples=_count(data["baseline_samples"]),
            observed_samples=_count(data["observed_samples"]),
            z_score=_number(data["z_score"]),
            tail_probability=_number(data["tail_probability"]),
            since=_time(data["since"]),
            common_errors=_all(ErrorCount.from_wire, data["common_errors"]),
        )


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A skill that currently deviates from its baseline."""

    skill_name: str
    anomaly_type: str  # performance_drop, performance_spike (values are rates) or pattern_shift (values are seconds)
    baseline_value: float
    observed_value: float
    deviation_score: float  # standard deviations, at or above the server's threshold
    details: AnomalyDetails | None = None  # if the subscription requested them

    @classmethod
    def from_wire(cls, data: wire.Anomaly) -> Anomaly:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(
            skill_name=_text(data["skill_name"]),
            anomaly_type=_text(data["anomaly_type"]),
            baseline_value=_number(data["baseline_value"]),
            observed_value=_number(data["observed_value"]),
            deviation_score=_number(data["deviation_score"]),
            details=AnomalyDetails.from_wire(data["details"]) if "details" in data else None,
        )


@dataclass(frozen=True, slots=True)
class MetricsUpdate:
    """The most active skills and the anomalies at one point in time."""

    timestamp: datetime  # when the metrics were computed
    top_skills: tuple[TopSkill, ...]  # most invocations first
    anomalies: tuple[Anomaly, ...]  # largest deviation_score first

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> MetricsUpdate:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        data = message["data"]
        return cls(
            timestamp=_time(message["timestamp"]),
            top_skills=_all(TopSkill.from_wire, data["top_skills"]),
            anomalies=_all(Anomaly.from_wire, data["anomalies"]),
        )


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """An agent session with recent activity."""

    session_id: str
    first_activity_at: datetime
    last_activity_at: datetime
    invocations: int
    completed: int
    distinct_skills: int

    @classmethod
    def from_wire(cls, data: wire.ActiveSession) -> ActiveSession:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(
            session_id=_text(data["session_id"]),
            first_activity_at=_time(data["first_activity_at"]),
            last_activity_at=_time(data["last_activity_at"]),
            invocations=_count(data["invocations"]),
            completed=_count(data["completed"]),
            distinct_skills=_count(data["distinct_skills"]),
        )


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """All active sessions at one point in time."""

    timestamp: datetime
    active_sessions: tuple[ActiveSession, ...]

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> SessionUpdate:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        return cls(
            timestamp=_time(message["timestamp"]),
            active_sessions=_all(ActiveSession.from_wire, message["data"]["active_sessions"]),
        )


@dataclass(frozen=True, slots=True)
class SkillMetrics:
    """Lifetime metrics of a skill."""

    skill_name: str
    total_invocations: int
    completion_rate: float  # 0 to 1
    avg_duration_seconds: float
    last_invocation_at: datetime | None  # None if the time in the database cannot be parsed

    @classmethod
    def from_wire(cls, data: wire.SkillSummary) -> SkillMetrics:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        last = data["last_invocation_at"]
        return cls(
            skill_name=_text(data["skill_name"]),
            total_invocations=_count(data["total_invocations"]),
            completion_rate=_number(data["completion_rate"]),
            avg_duration_seconds=_number(data["avg_duration_seconds"]),
            last_invocation_at=None if last is None else _time(last),
        )


def as_wire(value: Any) -> Any:
    """A message, or a part of one, as JSON values of the WebSocket API; absent ``details`` are omitted."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple):
        return [as_wire(item) for item in value]
    if is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: as_wire(item) for name, item in items if not (name == "details" and item is None)}
    return value


def parsed(parse: Callable[[Any], T], data: Any) -> T:
    """``parse(data)``. Raises ProtocolError if the data is not what the API describes."""
    try:
        return parse(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ProtocolError(f"the server sent an invalid message: {what}") from error


def _all(parse: Callable[[Any], T], items: Any) -> tuple[T, ...]:
    if not isinstance(items, list):
        raise TypeError(f"expected an array, not {type(items).__name__}")
    return tuple(parse(item) for item in items)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {type(value).__name__}")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer, not {type(value).__name__}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"expected a number, not {value!r:.40}")
    return float(value)


def _time(value: Any) -> datetime:
    text = _text(value)
    if len(text) != 20 or text[10] != "T" or text[19] != "Z":
        raise ValueError(f"expected a time as YYYY-MM-DDTHH:MM:SSZ, not {text!r:.40}")
    return datetime.fromisoformat(text[:19]).replace(tzinfo=timezone.utc)  # ten times as fast as strptime
