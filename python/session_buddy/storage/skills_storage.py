"""Writes skill invocations to the database that the server follows, and queries it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from session_buddy import _native, _runtime
from session_buddy._arguments import checked_busy_timeout, resolved_db_path
from session_buddy.realtime.types import PlainTopSkill

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = [
    "HourlyAggregate",
    "InvocationFilter",
    "PhaseEffectiveness",
    "SessionSummary",
    "SkillMetrics",
    "SkillsStorage",
    "StoredInvocation",
]

_COLUMNS = frozenset(
    {
        "skill_name",
        "invoked_at",
        "session_id",
        "workflow_path",
        "completed",
        "duration_seconds",
        "user_query",
        "alternatives_considered",
        "selection_rank",
        "follow_up_actions",
        "error_type",
        "embedding",
        "workflow_phase",
        "workflow_step_id",
    }
)
_JSON_COLUMNS = ("alternatives_considered", "follow_up_actions")


@dataclass(frozen=True)
class SkillMetrics:
    """A row of skill_metrics: lifetime totals of one skill. Timestamps are as stored."""

    skill_name: str
    total_invocations: int
    completed_invocations: int
    abandoned_invocations: int
    total_duration_seconds: float
    workflow_paths: dict[str, int]
    common_errors: dict[str, int]
    follow_up_actions: dict[str, int]
    avg_selection_rank: float | None
    recommendation_success_rate: float | None
    first_invoked: str | None
    last_invoked: str | None
    completion_rate: float  # 0 to 100, as in the table: unknown outcomes count as completed
    avg_duration_seconds: float | None
    updated_at: str


@dataclass(frozen=True)
class StoredInvocation:
    """An invocation as stored: a row of skill_invocation, timestamps unchanged, an invalid duration as None.

    `completed` is True for an unknown outcome, as other programs count it.
    """

    # <fields StoredInvocation>
    id: int
    skill_name: str
    invoked_at: str
    session_id: str
    workflow_path: str | None
    completed: bool
    duration_seconds: float | None
    user_query: str | None
    alternatives_considered: str | None  # the text of a JSON array
    selection_rank: int | None
    follow_up_actions: str | None  # the text of a JSON array
    error_type: str | None
    embedding: bytes | None
    workflow_phase: str | None
    workflow_step_id: str | None
    outcome: str  # completed, failed or unknown
    duration_is_bound: bool  # the duration is an upper bound: it may include a wait
    # </fields>


@dataclass(frozen=True)
class SessionSummary:
    """One session, aggregated from its invocations. Times are UTC, None if no invocation has a valid one."""

    # <fields SessionSummary>
    session_id: str
    unique_skills: int
    total_invocations: int
    completed_count: int
    unknown_count: int  # of completed_count: with an unknown outcome
    abandoned_count: int
    total_duration_seconds: float
    first_skill_at: str | None
    last_skill_at: str | None
    skills: dict[str, int]  # name → invocations
    # </fields>


@dataclass(frozen=True)
class HourlyAggregate:
    """One skill in one hour (a rollup), with the columns of skill_time_series.

    Unlike the table, the rate leaves unknown outcomes out, and the mean prefers durations that are no upper bounds.
    """

    # <fields HourlyAggregate>
    skill_name: str
    timestamp: str  # the beginning of the hour, UTC
    invocation_count: int
    completed_count: int
    unknown_count: int  # of completed_count: with an unknown outcome
    completion_rate: float | None  # of the known outcomes, 0 to 1; None if there are none
    avg_duration_seconds: float | None  # mean over completed invocations with a duration
    unique_sessions: int
    # </fields>


@dataclass(frozen=True)
class PhaseEffectiveness:
    """One skill in one workflow phase, with the columns of v_skill_effectiveness_by_phase.

    Unlike the view, the rate leaves unknown outcomes out, and the means prefer durations that are no upper bounds.
    """

    # <fields PhaseEffectiveness>
    skill_name: str
    workflow_phase: str
    total_invocations: int
    completed_count: int
    unknown_count: int  # of completed_count: with an unknown outcome
    abandoned_count: int
    timed_count: int  # invocations with a duration
    total_duration_seconds: float
    avg_duration_seconds: float | None  # mean over all invocations with a duration
    avg_completion_time: float | None  # mean over the completed ones
    completion_rate: float | None  # of the known outcomes, 0 to 100; None if there are none
    # </fields>


class InvocationFilter(TypedDict, total=False):
    """Keyword filters of the queries, combined with AND. `since` is inclusive, `until` is exclusive."""

    skill_name: str | None
    session_id: str | None
    workflow_phase: str | None
    workflow_step_id: str | None
    error_type: str | None
    completed: bool | None
    since: str | datetime | None
    until: str | datetime | None


class SkillsStorage:
    """An open skills database. Safe to share between threads; usable as a context manager.

    Args:
        db_path: SQLite file; created with the V4 schema if missing, migrated to V4 if older. None: the server's
            database (environment variable, config file, default location).
        busy_timeout: Seconds to wait for a database that another process has locked, 0 to 3600.

    Raises:
        session_buddy.storage.StorageError: The database cannot be used; every other call may raise it, too. Its `code`
            is the reason.
    """

    def __init__(self, db_path: str | os.PathLike[str] | None = None, *, busy_timeout: float = 5.0) -> None:
        timeout = checked_busy_timeout(busy_timeout, 3600)
        self._path = resolved_db_path(db_path)
        _runtime.ensure_logging()
        self._store = _native.SkillsStore(self._path, timeout)
        self._queries = self._store.queries()

    @property
    def db_path(self) -> str:
        """The absolute path of the database."""
        return self._path

    def store_invocation(
        self,
        skill_name: str,
        *,
        session_id: str,
        invoked_at: str | datetime | None = None,
        completed: bool = False,
        duration_seconds: float | None = None,
        workflow_path: str | None = None,
        user_query: str | None = None,
        alternatives_considered: str | Sequence[object] | None = None,
        selection_rank: int | None = None,
        follow_up_actions: str | Sequence[object] | None = None,
        error_type: str | None = None,
        embedding: bytes | bytearray | memoryview | None = None,
        workflow_phase: str | None = None,
        workflow_step_id: str | None = None,
    ) -> int:
        """Store one invocation; arguments are named after the columns of skill_invocation.

        Args:
            invoked_at: ISO 8601 text (UTC without an offset), stored as given, or a datetime (naive: UTC). None: now.
            duration_seconds: 0 to 100,000,000 (about three years).
            alternatives_considered, follow_up_actions: A list, or a JSON array as text.

        Returns:
            The id of the row.

        Raises:
            TypeError, InvalidRecordError (a ValueError): A value is invalid; the message names the column.
        """
        fields = {
            "skill_name": skill_name,
            "session_id": session_id,
            "invoked_at": invoked_at,
            "completed": completed,
            "duration_seconds": duration_seconds,
            "workflow_path": workflow_path,
            "user_query": user_query,
            "alternatives_considered": alternatives_considered,
            "selection_rank": selection_rank,
            "follow_up_actions": follow_up_actions,
            "error_type": error_type,
            "embedding": embedding,
            "workflow_phase": workflow_phase,
            "workflow_step_id": workflow_step_id,
        }
        return self._store.store(_prepare(fields))

    def store_many(self, invocations: Iterable[Mapping[str, object]]) -> list[int]:
        """Store mappings with the keys of store_invocation in one transaction: all or nothing.

        Returns:
            The ids, in order.

        Raises:
            TypeError, InvalidRecordError (a ValueError): The message has the index of the invalid record, from 0.
        """
        prepared = []
        for index, invocation in enumerate(invocations):
            unknown = sorted(str(key) for key in invocation.keys() - _COLUMNS)
            if unknown:
                raise TypeError(f"record {index}: unknown key {unknown[0]}")
            try:
                prepared.append(_prepare(invocation))
            except TypeError as error:
                raise TypeError(f"record {index}: {error}") from None
        return self._store.store_many(prepared)

    def get_metrics(self, skill_name: str) -> SkillMetrics | None:
        """Lifetime metrics of a skill; None without invocations."""
        row = self._store.metrics(skill_name)
        return None if row is None else _to_metrics(row)

    def get_top_skills(self, limit: int = 10) -> list[SkillMetrics]:
        """The skills with the most invocations of all time, at most `limit` (0 or more)."""
        return [_to_metrics(row) for row in self._store.all_metrics(_checked_limit(limit))]

    def get_real_time_metrics(self, limit: int = 10, time_window_hours: float = 24.0) -> list[PlainTopSkill]:
        """The most active skills of the last `time_window_hours`, in the format and order of top_skills."""
        if isinstance(time_window_hours, bool) or not isinstance(time_window_hours, (int, float)):
            raise TypeError(f"time_window_hours must be a number, not {type(time_window_hours).__name__}")
        if not (math.isfinite(time_window_hours) and 0 < time_window_hours <= 876_000):
            raise ValueError(f"time_window_hours must be more than 0 and at most 876000, not {time_window_hours}")
        return self._store.real_time_metrics(_checked_limit(limit), time_window_hours * 3600.0)

    def get_invocation(self, invocation_id: int) -> StoredInvocation | None:
        """The invocation with this id, or None."""
        if isinstance(invocation_id, bool) or not isinstance(invocation_id, int):
            raise TypeError(f"invocation_id must be an int, not {type(invocation_id).__name__}")
        if not 0 < invocation_id < 2**63:
            return None
        row = self._queries.invocation(invocation_id)
        return None if row is None else StoredInvocation(**row)

    def get_session_invocations(self, session_id: str, *, limit: int = 1000) -> list[StoredInvocation]:
        """The first `limit` invocations of a session, in chronological order."""
        return self.query_invocations(session_id=session_id, order="oldest", limit=limit)

    def query_invocations(
        self,
        *,
        order: Literal["newest", "oldest"] = "newest",
        limit: int = 100,
        **filters: Unpack[InvocationFilter],
    ) -> list[StoredInvocation]:
        """The invocations that match the filters, ordered by time, at most `limit`.

        All matching rows are scanned, regardless of the limit: in a large database, filter by `since` or a name.

        Args:
            order: Sort order; it decides which rows are omitted beyond the limit.
            filters: See InvocationFilter. Times are ISO 8601 texts or datetimes, UTC without an offset.
        """
        if order not in ("newest", "oldest"):
            raise ValueError(f'order must be "newest" or "oldest", not {order!r}')
        rows = self._queries.invocations(_filter(filters), order == "newest", _checked_limit(limit))
        return [StoredInvocation(**row) for row in rows]

    def get_session_summary(self, session_id: str) -> SessionSummary | None:
        """Summary of a session; None without invocations."""
        row = self._queries.session_summary(_checked_text("session_id", session_id))
        return None if row is None else SessionSummary(**row)

    def get_hourly_aggregates(self, *, limit: int = 1000, **filters: Unpack[InvocationFilter]) -> list[HourlyAggregate]:
        """Invocations aggregated by skill and hour, in chronological order; the newest `limit` rows.

        Computed from the invocations, so unlike skill_time_series it includes the current hour and needs no server.
        """
        rows = self._queries.hourly_aggregates(_filter(filters), _checked_limit(limit))
        return [HourlyAggregate(**row) for row in rows]

    def get_effectiveness_by_phase(
        self, *, limit: int = 1000, **filters: Unpack[InvocationFilter]
    ) -> list[PhaseEffectiveness]:
        """Metrics of each skill per workflow phase, ordered by phase, then by use."""
        rows = self._queries.phase_effectiveness(_filter(filters), _checked_limit(limit))
        return [PhaseEffectiveness(**row) for row in rows]

    def get_error_counts(self, *, limit: int = 100, **filters: Unpack[InvocationFilter]) -> dict[str, int]:
        """Error types of invocations that did not complete, the most frequent first."""
        return dict(self._queries.error_counts(_filter(filters), _checked_limit(limit)))

    def close(self) -> None:
        """Close the database; later calls raise. Can be called twice."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _prepare(fields: Mapping[str, object]) -> dict[str, object]:
    """Convert to native types: text for times and lists, bytes for the embedding. The native side validates."""
    prepared = dict(fields)
    invoked_at = prepared.get("invoked_at")
    if invoked_at is None:
        invoked_at = datetime.now(timezone.utc)
    if isinstance(invoked_at, datetime):
        invoked_at = invoked_at.isoformat()
    prepared["invoked_at"] = invoked_at
    for column in _JSON_COLUMNS:
        value = prepared.get(column)
        if value is not None and not isinstance(value, str):
            if not isinstance(value, Sequence) or isinstance(value, (bytes, bytearray, memoryview)):
                raise TypeError(f"{column} must be a list or a str, not {type(value).__name__}")
            prepared[column] = json.dumps(list(value), ensure_ascii=False)
    embedding = prepared.get("embedding")
    if isinstance(embedding, (bytearray, memoryview)):
        prepared["embedding"] = bytes(embedding)
    return prepared


def _checked_limit(limit: int) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an int, not {type(limit).__name__}")
    if limit < 0:
        raise ValueError(f"limit must be 0 or more, not {limit}")
    return min(limit, 2**31)


_TEXT_FILTERS = frozenset({"skill_name", "session_id", "workflow_phase", "workflow_step_id", "error_type"})
_TIME_FILTERS = frozenset({"since", "until"})


def _filter(filters: Mapping[str, object]) -> _native.InvocationFilter:
    texts: dict[str, str] = {}
    times: dict[str, int] = {}
    completed: bool | None = None
    for name, value in filters.items():
        if name in _TEXT_FILTERS:
            if value is not None:
                texts[name] = _checked_text(name, value)
        elif name in _TIME_FILTERS:
            if value is not None:
                times[name] = _to_micros(name, value)
        elif name != "completed":
            raise TypeError(f"unknown filter {name}; available: {', '.join(InvocationFilter.__annotations__)}")
        elif value is None or isinstance(value, bool):
            completed = value
        else:
            raise TypeError(f"completed must be a bool, not {type(value).__name__}")
    return _native.InvocationFilter(
        skill_name=texts.get("skill_name"),
        session_id=texts.get("session_id"),
        workflow_phase=texts.get("workflow_phase"),
        workflow_step_id=texts.get("workflow_step_id"),
        error_type=texts.get("error_type"),
        completed=completed,
        since=times.get("since"),
        until=times.get("until"),
    )


def _checked_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be valid UTF-8") from None
    return value


def _to_micros(name: str, value: object) -> int:
    text = value.isoformat() if isinstance(value, datetime) else value
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a datetime, not {type(value).__name__}")
    micros = _native.parse_timestamp(text)
    if micros is None:
        raise ValueError(f"{name} must be an ISO 8601 timestamp such as 2026-02-10T12:00:00Z")
    return micros


def _to_metrics(row: _native.SkillMetricsRow) -> SkillMetrics:
    texts = {"workflow_paths", "common_errors", "follow_up_actions"}
    values: dict[str, Any] = {name: _counts(str(value)) if name in texts else value for name, value in row.items()}
    return SkillMetrics(**values)


def _counts(text: str) -> dict[str, int]:
    """Parse a JSON object of name → count; values that other tools wrote in another form are ignored."""
    try:
        counts = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(counts, dict):
        return {}
    return {name: count for name, count in counts.items() if isinstance(count, int) and not isinstance(count, bool)}
