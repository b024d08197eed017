"""Messages of the server as frozen dataclasses, with the names of the WebSocket API.

Times are aware datetimes in UTC, durations are seconds, rates are fractions from 0 to 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from session_buddy.client.errors import ProtocolError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ActiveSession",
    "Alert",
    "AlertLevel",
    "Anomaly",
    "AnomalyDetails",
    "ErrorCount",
    "GrownError",
    "MetricsUpdate",
    "SessionUpdate",
    "SkillMetrics",
    "TopSkill",
    "as_wire",
]

T = TypeVar("T")


class _Message:
    """A base class of dataclasses whose fields have the names and order of the API."""

    __slots__ = ()

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        required, optional = _parsers(cls)  # type: ignore[arg-type]  # mypy: a type is hashable
        values = {name: parse(data[name]) for name, parse in required}
        for name, parse in optional:
            if name in data:
                values[name] = parse(data[name])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class TopSkill(_Message):
    """Metrics of a skill over the server's sliding window."""

    # <fields TopSkill>
    skill_name: str
    invocation_count: int  # invocations in the window
    completed_count: int  # successful completions in the window, those with an unknown outcome included
    avg_duration: float  # mean duration in seconds of the completed invocations that have one; 0.0 if none has
    last_invocation_at: datetime  # time of the last invocation
    # of completed_count: with an unknown outcome, for example because a pipe hid the exit status. Left out of rates
    unknown_count: int | None = None
    # median of the durations behind the mean, estimated within 4 %; null if there is none
    p50_duration: float | None = None
    p95_duration: float | None = None  # their 95th percentile, likewise
    # durations that were measured; further ones are upper bounds, because they may include a wait, and count only if
    # this is 0
    measured_count: int | None = None
    # </fields>

    @property
    def known_outcomes(self) -> tuple[int, int]:
        """The completed ones, and all, of the invocations with a known outcome; of all without the field."""
        unknown = self.unknown_count or 0
        return self.completed_count - unknown, self.invocation_count - unknown

    @property
    def completion_rate(self) -> float | None:
        """Of the known outcomes, from 0 to 1; None if there are none."""
        completed, count = self.known_outcomes
        return completed / count if count else None


@dataclass(frozen=True, slots=True)
class ErrorCount(_Message):
    """How often an error type occurs among the observed failures."""

    # <fields ErrorCount>
    error_type: str
    count: int
    # </fields>


@dataclass(frozen=True, slots=True)
class AlertLevel(_Message):
    """One side of a change: the baseline, or the invocations since."""

    # <fields AlertLevel>
    # a completion rate from 0 to 1, or the median of durations in seconds; for silence, the longest usual pause or the
    # present one, in seconds
    value: float
    low: float  # lower end of the 95 % interval
    high: float  # upper end of the 95 % interval
    samples: int  # invocations behind value
    # </fields>


@dataclass(frozen=True, slots=True)
class GrownError(_Message):
    """An error type that occurs more often than before."""

    # <fields GrownError>
    error_type: str
    before: float  # share of the invocations before the change
    after: float  # share of the invocations since the change
    count: int  # failures with it since the change
    # </fields>


@dataclass(frozen=True, slots=True)
class Alert(_Message):
    """A change of a skill that the sequential test confirmed."""

    # <fields Alert>
    id: int | None  # to acknowledge it; null while it could not be stored
    skill_name: str
    kind: str  # what changed. completion_rate_rose and duration_fell are improvements, which end immediately
    detected_at: datetime  # time of the invocation that completed the evidence
    since: datetime  # most likely time of the change
    since_low: datetime  # lower end of the 90 % interval of that time
    since_high: datetime  # upper end of that interval
    before: AlertLevel
    after: AlertLevel
    # if nothing has changed, evidence at least this strong occurs by chance once in this time, in all skills together
    once_in_seconds: float
    failures_in_a_row: int  # up to the latest invocation; 0 for other kinds than completion_rate_fell
    errors: tuple[GrownError, ...]  # the error types that grew most, at most three
    # the session with at least half of the invocations that carry the change; null if there is none
    session_id: str | None
    session_share: float  # share of the session that carries most of the change
    sessions: int  # sessions since the change; at most 8 are counted
    ended_at: datetime | None  # null while it is open
    end: str | None  # recovered: the values are those of the baseline again; accepted: the change is the new baseline
    acknowledged_at: datetime | None  # null if it is not acknowledged
    note: str  # of the acknowledgement, at most 500 bytes; may be empty
    muted: bool  # its skill is muted now
    # </fields>

    @property
    def improvement(self) -> bool:
        """A change for the better; it is reported once and has no duration."""
        return self.kind in ("completion_rate_rose", "duration_fell")

    @property
    def active(self) -> bool:
        """It is open, not acknowledged, not muted and not an improvement: a problem that needs attention."""
        return self.ended_at is None and self.acknowledged_at is None and not self.muted and not self.improvement


@dataclass(frozen=True, slots=True)
class AnomalyDetails(_Message):
    """Details of an anomaly."""

    # <fields AnomalyDetails>
    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # the deviation with its sign: negative where the observed value is the smaller one
    tail_probability: float  # probability of a deviation at least this large on this side if nothing has changed
    since: datetime  # when it began
    common_errors: tuple[ErrorCount, ...]  # error types of the observed failures, the most common first; at most three
    # the open alert of the same skill and side; null if there is none. Older servers do not send it
    alert: Alert | None = None
    # </fields>


@dataclass(frozen=True, slots=True)
class Anomaly(_Message):
    """A skill that currently deviates from its baseline."""

    # <fields Anomaly>
    skill_name: str
    anomaly_type: str
    # value of the baseline: a completion rate from 0 to 1, for pattern_shift a duration in seconds
    baseline_value: float
    observed_value: float  # value of the observation, in the same unit
    deviation_score: float  # absolute z-score of the deviation, at or above the threshold
    details: AnomalyDetails | None = None
    # </fields>


@dataclass(frozen=True, slots=True)
class MetricsUpdate:
    """The most active skills and the anomalies at one point in time."""

    timestamp: datetime  # when the metrics were computed
    top_skills: tuple[TopSkill, ...]  # most invocations first
    anomalies: tuple[Anomaly, ...]  # largest deviation_score first
    # the open alerts and those that ended within the last hour, newest first; only with details
    alerts: tuple[Alert, ...] | None = None

    @classmethod
    def from_wire(cls, message: Mapping[str, Any]) -> MetricsUpdate:
        """Raises KeyError, TypeError or ValueError if ``data`` is invalid."""
        data = message["data"]
        return cls(
            timestamp=_time(message["timestamp"]),
            top_skills=_all(TopSkill.from_wire, data["top_skills"]),
            anomalies=_all(Anomaly.from_wire, data["anomalies"]),
            alerts=_all(Alert.from_wire, data["alerts"]) if "alerts" in data else None,
        )


@dataclass(frozen=True, slots=True)
class ActiveSession(_Message):
    """An agent session with recent activity."""

    # <fields ActiveSession>
    session_id: str  # the id under which the invocations were recorded
    first_activity_at: datetime  # time of its first invocation
    last_activity_at: datetime  # time of its last invocation
    invocations: int  # all its invocations
    completed: int  # those of them that completed, those with an unknown outcome included
    distinct_skills: int  # skills that it used
    unknown: int | None = None  # of completed: with an unknown outcome. Older servers do not send it
    # </fields>


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
class SkillMetrics(_Message):
    """Lifetime metrics of a skill."""

    # <fields SkillSummary>
    skill_name: str
    total_invocations: int  # all recorded invocations
    # completed invocations by all invocations, those with an unknown outcome included, a fraction
    completion_rate: float
    avg_duration_seconds: float  # mean duration in seconds; 0.0 if none is known
    last_invocation_at: datetime | None  # time of the last invocation; null if the recorded value is not a time
    # </fields>


def as_wire(value: Any) -> Any:
    """A message, or a part of one, as JSON values of the WebSocket API; absent fields are omitted."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple):
        return [as_wire(item) for item in value]
    if is_dataclass(value):
        # The optional fields of a message are sent together, and the first of several is never null.
        optional = [field.name for field in fields(value) if field.default is not MISSING]
        absent = optional if optional and getattr(value, optional[0]) is None else ()
        names = (field.name for field in fields(value) if field.name not in absent)
        return {name: as_wire(getattr(value, name)) for name in names}
    return value


def parsed(parse: Callable[[Any], T], data: Any) -> T:
    """``parse(data)``. Raises ProtocolError if the data is not what the API describes."""
    try:
        return parse(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ProtocolError(f"the server sent an invalid message: {what}") from error


_Parsers = tuple[tuple[str, Callable[[Any], Any]], ...]


@functools.cache
def _parsers(message: type[_Message]) -> tuple[_Parsers, _Parsers]:
    """How to parse the fields that must be there, and those with a default."""
    types = get_type_hints(message)
    required: list[tuple[str, Callable[[Any], Any]]] = []
    optional: list[tuple[str, Callable[[Any], Any]]] = []
    for field in fields(message):  # type: ignore[arg-type]
        into = required if field.default is MISSING else optional
        into.append((field.name, _parser(types[field.name])))
    return tuple(required), tuple(optional)


def _parser(type_: Any) -> Callable[[Any], Any]:
    """The parser of a value of the type of a field."""
    arguments = get_args(type_)
    if get_origin(type_) is tuple:
        return functools.partial(_all, _parser(arguments[0]))
    if arguments:  # T | None
        parse = _parser(arguments[0])
        return lambda value: None if value is None else parse(value)
    return _PARSERS.get(type_) or type_.from_wire


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


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, not {value!r:.40}")
    return value


_PARSERS: Mapping[type, Callable[[Any], Any]] = {
    str: _text,
    int: _count,
    float: _number,
    bool: _flag,
    datetime: _time,
}
