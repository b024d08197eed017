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
class AnomalyDetails(_Message):
    """Details of an anomaly."""

    # <fields AnomalyDetails>
    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # the deviation with its sign: negative where the observed value is the smaller one
    tail_probability: float  # probability of a deviation at least this large on this side if nothing has changed
    since: datetime  # when it began
    common_errors: tuple[ErrorCount, ...]  # error types of the observed failures, the most common first; at most three
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
        # The optional fields of a message are sent together, and the first of them is never null.
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


_PARSERS: Mapping[type, Callable[[Any], Any]] = {str: _text, int: _count, float: _number, datetime: _time}
