"""Tracks skill invocations from within the program that runs them, without blocking it."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from session_buddy._arguments import checked_busy_timeout, checked_duration, checked_name, resolved_db_path
from session_buddy.core._errors import classify_error_text, classify_exception
from session_buddy.core._pending import MAX_OPEN, PendingWriter, Record
from session_buddy.storage.skills_storage import SessionSummary, SkillsStorage, StoredInvocation

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DEFAULT_MAX_PENDING", "MAX_OPEN", "Completer", "SkillsTracker", "TrackedRun"]

DEFAULT_MAX_PENDING = 10_000
"""Maximum number of finished invocations buffered while the database is not writable."""

_DEFAULT_TIMEOUT = 5.0
_MAX_SESSION_ID_BYTES = 1024
_MAX_LABEL_BYTES = 1024 * 1024
_SQLITE_HEADER = b"SQLite format 3\0"

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Completer:
    """Ends one invocation started by `SkillsTracker.track_invocation`. Only the first call has an effect."""

    def __init__(self, writer: PendingWriter, record: Record) -> None:
        self._writer = writer
        self._record = record
        self._number = writer.begin(record)
        self._started = time.perf_counter()

    def __call__(
        self,
        *,
        completed: bool = True,
        error_type: str | BaseException | None = None,
        follow_up_actions: Sequence[object] | None = None,
        duration_seconds: float | None = None,
    ) -> bool:
        """End the invocation and enqueue it for writing; never raises database errors.

        Args:
            completed: Whether it completed.
            error_type: A short class such as ``exit_code``, or an exception. Of exceptions and other texts only a class
                is stored, never the message.
            follow_up_actions: Names of the actions that followed.
            duration_seconds: Duration measured elsewhere. None: the time since the start.

        Returns:
            False if the invocation had already ended.
        """
        elapsed = time.perf_counter() - self._started
        if duration_seconds is not None:
            elapsed = checked_duration(duration_seconds)
        if isinstance(error_type, BaseException):
            error_type = classify_exception(error_type)
        elif isinstance(error_type, str):
            error_type = classify_error_text(error_type)
        elif error_type is not None:
            raise TypeError(f"error_type must be a str or an exception, not {type(error_type).__name__}")
        end = {
            "completed": bool(completed),
            "error_type": error_type,
            "follow_up_actions": _to_json(follow_up_actions),
            "duration_seconds": elapsed,
        }
        return self._writer.finish(self._number, {**self._record, **end})


class TrackedRun:
    """Result of `SkillsTracker.track`: a context manager (``with``, ``async with``) and a decorator.

    An exception ends the invocation as not completed, stores only the class of the exception, and propagates. The
    decorator measures each call of a function, coroutine function or generator function.
    """

    def __init__(self, tracker: SkillsTracker, skill_name: str, labels: dict[str, Any]) -> None:
        self._tracker = tracker
        self._skill_name = skill_name
        self._labels = labels
        self._completer: Completer | None = None

    def __enter__(self) -> Completer:
        if self._completer is not None:
            raise RuntimeError("this track() is already running; call track() for each invocation")
        self._completer = self._tracker.track_invocation(self._skill_name, **self._labels)
        return self._completer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        completer, self._completer = self._completer, None
        if completer is None:
            return
        reason = None if error is None else classify_exception(error)
        completer(completed=reason is None, error_type=reason)

    async def __aenter__(self) -> Completer:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _copy(self) -> TrackedRun:
        return TrackedRun(self._tracker, self._skill_name, self._labels)

    def __call__(self, function: _Function) -> _Function:
        if inspect.isasyncgenfunction(function):
            raise TypeError("an async generator function cannot be decorated; use `async with` inside it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def measured_coroutine(*arguments: Any, **keywords: Any) -> Any:
                with self._copy():
                    return await function(*arguments, **keywords)

            return cast("_Function", measured_coroutine)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def measured_generator(*arguments: Any, **keywords: Any) -> Generator[Any, Any, Any]:
                with self._copy():
                    return (yield from function(*arguments, **keywords))

            return cast("_Function", measured_generator)

        @functools.wraps(function)
        def measured(*arguments: Any, **keywords: Any) -> Any:
            with self._copy():
                return function(*arguments, **keywords)

        return cast("_Function", measured)


class SkillsTracker:
    """Records the skill invocations of one session. Safe to share between threads and event loops.

    A background thread writes the invocations: tracking never waits for the database and never raises its errors. While
    the database is not writable, up to `max_pending` invocations are buffered. `close` ends the session; so do
    ``with``, ``async with`` and the exit of the interpreter. A process that ends in another way (``os._exit``, a worker
    of multiprocessing) must call `flush` first.

    Args:
        session_id: 1 to 1024 bytes of text.
        db_path: As for SkillsStorage.
        max_pending: 1 or more.
        busy_timeout: Seconds to wait for a locked database before the next retry, 0 to 60.

    Raises:
        TypeError, ValueError: An argument is invalid.
    """

    def __init__(
        self,
        session_id: str,
        db_path: str | os.PathLike[str] | None = None,
        *,
        max_pending: int = DEFAULT_MAX_PENDING,
        busy_timeout: float = 1.0,
    ) -> None:
        self._session_id = _checked_text("session_id", session_id, 1, _MAX_SESSION_ID_BYTES)
        if isinstance(max_pending, bool) or not isinstance(max_pending, int):
            raise TypeError(f"max_pending must be an int, not {type(max_pending).__name__}")
        if max_pending < 1:
            raise ValueError(f"max_pending must be at least 1, not {max_pending}")
        timeout = checked_busy_timeout(busy_timeout, 60)
        self._path = resolved_db_path(db_path)
        _check_database(self._path)
        self._started_at = datetime.now(timezone.utc)
        self._ended_at: datetime | None = None
        self._busy_timeout = timeout
        self._writer = PendingWriter(self._path, max_pending=max_pending, busy_timeout=self._busy_timeout)

    @property
    def session_id(self) -> str:
        """The session id of all invocations."""
        return self._session_id

    @property
    def db_path(self) -> str:
        """The absolute path of the database."""
        return self._path

    @property
    def started_at(self) -> datetime:
        """When the tracker was created, UTC."""
        return self._started_at

    @property
    def ended_at(self) -> datetime | None:
        """When the session ended, UTC; None while it is open."""
        return self._ended_at

    @property
    def pending(self) -> int:
        """Number of finished invocations not written yet."""
        return self._writer.pending

    @property
    def dropped(self) -> int:
        """Number of dropped invocations: the buffer was full, or the tracker was closed."""
        return self._writer.dropped

    def track_invocation(
        self,
        skill_name: str,
        *,
        workflow_path: str | None = None,
        alternatives_considered: Sequence[object] | None = None,
        selection_rank: int | None = None,
        workflow_phase: str | None = None,
        workflow_step_id: str | None = None,
        invoked_at: datetime | None = None,
        user_query: str | None = None,
    ) -> Completer:
        """Start an invocation; call the returned Completer to end it.

        An invocation that is never ended is stored as not completed when the session ends. Arguments are stored in the
        columns of the same names.

        Args:
            alternatives_considered: Names of other skills that were considered.
            user_query: Accepted for compatibility; ignored (prompts are private).
            invoked_at: Start time; a naive datetime is UTC. None: now.

        Raises:
            TypeError, ValueError: An argument is invalid; the message names it.
        """
        if selection_rank is not None:
            if isinstance(selection_rank, bool) or not isinstance(selection_rank, int):
                raise TypeError(f"selection_rank must be an int, not {type(selection_rank).__name__}")
            if not 0 <= selection_rank < 2**63:
                raise ValueError(f"selection_rank must be 0 or more, not {selection_rank}")
        if invoked_at is not None and not isinstance(invoked_at, datetime):
            raise TypeError(f"invoked_at must be a datetime, not {type(invoked_at).__name__}")
        record: Record = {
            "skill_name": checked_name("skill_name", skill_name),
            "session_id": self._session_id,
            "invoked_at": datetime.now(timezone.utc) if invoked_at is None else invoked_at,
            "workflow_path": _checked_label("workflow_path", workflow_path),
            "alternatives_considered": _to_json(alternatives_considered),
            "selection_rank": selection_rank,
            "workflow_phase": _checked_label("workflow_phase", workflow_phase),
            "workflow_step_id": _checked_label("workflow_step_id", workflow_step_id),
        }
        return Completer(self._writer, record)

    def track(
        self,
        skill_name: str,
        *,
        workflow_path: str | None = None,
        workflow_phase: str | None = None,
        workflow_step_id: str | None = None,
    ) -> TrackedRun:
        """Track a block (``with``, ``async with``) or each call of a function (decorator) as an invocation."""
        labels = {
            "workflow_path": workflow_path,
            "workflow_phase": workflow_phase,
            "workflow_step_id": workflow_step_id,
        }
        return TrackedRun(self, skill_name, labels)

    def record(
        self,
        skill_name: str,
        *,
        completed: bool,
        duration_seconds: float,
        error_type: str | BaseException | None = None,
        workflow_path: str | None = None,
        workflow_phase: str | None = None,
        workflow_step_id: str | None = None,
    ) -> None:
        """Record an invocation that ended just now and was measured elsewhere. Arguments as for a Completer."""
        seconds = checked_duration(duration_seconds)
        completer = self.track_invocation(
            skill_name,
            workflow_path=workflow_path,
            workflow_phase=workflow_phase,
            workflow_step_id=workflow_step_id,
            invoked_at=_ago(seconds),
        )
        completer(completed=completed, duration_seconds=seconds, error_type=error_type)

    def flush(self, timeout: float = _DEFAULT_TIMEOUT) -> bool:
        """Wait until all ended invocations are written. In an event loop: ``await asyncio.to_thread(tracker.flush)``.

        Returns:
            False after `timeout` seconds, or if the database cannot be used; writing is still retried.
        """
        return self._writer.flush(_checked_timeout(timeout))

    def get_session_summary(self) -> SessionSummary | None:
        """Summary of the session, including other processes that record in it. Flushes and reads, so it blocks.

        Returns:
            None if no invocation is stored.

        Raises:
            session_buddy.storage.StorageError: The database cannot be read.
        """
        self.flush()
        with SkillsStorage(self._path, busy_timeout=self._busy_timeout) as storage:
            return storage.get_session_summary(self._session_id)

    def get_session_invocations(self, *, limit: int = 1000) -> list[StoredInvocation]:
        """The first `limit` invocations of the session, in chronological order; blocks like get_session_summary."""
        self.flush()
        with SkillsStorage(self._path, busy_timeout=self._busy_timeout) as storage:
            return storage.get_session_invocations(self._session_id, limit=limit)

    def close(self, timeout: float = _DEFAULT_TIMEOUT) -> bool:
        """End the session: store open invocations as not completed and write everything.

        Can be called twice. Invocations tracked afterwards are dropped, counted and logged once.

        Returns:
            False if not everything was written within `timeout` seconds; the rest is dropped.
        """
        seconds = _checked_timeout(timeout)
        if self._ended_at is None:
            self._ended_at = datetime.now(timezone.utc)
        return self._writer.close(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shielded: cancelling the tracked program must not lose its recorded invocations.
        await asyncio.shield(asyncio.to_thread(self.close))


def _ago(seconds: float) -> datetime:
    now = datetime.now(timezone.utc)
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:  # before the year 1
        return now


def _to_json(values: Sequence[object] | None) -> str | None:
    return None if values is None else json.dumps(list(values), ensure_ascii=False)


def _check_database(path: str) -> None:
    """Raises ValueError for a file that is not SQLite: the writer never raises and would drop every record."""
    try:
        with Path(path).open("rb") as file:
            begin = file.read(len(_SQLITE_HEADER))
    except OSError:
        return  # it may be created later
    if begin not in (b"", _SQLITE_HEADER):
        raise ValueError(f"db_path must be an SQLite database, which {path} is not; pass a new file, such as skills.db")


def _checked_text(name: str, value: object, least: int, most: int) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be valid UTF-8") from None
    if not least <= size <= most or "\0" in value:
        raise ValueError(f"{name} must be {least} to {most} bytes of UTF-8 without NUL")
    return value


def _checked_label(name: str, value: object) -> str | None:
    return None if value is None else _checked_text(name, value, 0, _MAX_LABEL_BYTES)


def _checked_timeout(seconds: float) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise ValueError(f"timeout must be a number of seconds, 0 or more, not {seconds}")
    return float(seconds)
