"""Asynchronous writer of invocations: a bounded buffer drained to the database by a background thread."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import Any

from session_buddy.storage import DatabaseBusyError, InvalidRecordError, StorageError
from session_buddy.storage.skills_storage import SkillsStorage

__all__ = ["MAX_OPEN", "PendingWriter"]

_logger = logging.getLogger("session_buddy.tracker")

MAX_OPEN = 10_000
"""Maximum number of open invocations; beyond it the oldest one is recorded as abandoned."""

_BATCH = 500  # records per transaction
_FIRST_RETRY_SECONDS = 0.05
_LAST_RETRY_SECONDS = 5.0
_EXIT_SECONDS = 5.0  # how long the exit of the interpreter waits for pending records

Record = dict[str, Any]


class PendingWriter:
    """Accepts records from any thread without blocking and writes them on its own thread. Neither ever raises.

    A record is enqueued when its invocation ends. Invocations that are still open at close() are enqueued as they are.

    Args:
        db_path: As for SkillsStorage. The writer thread opens the database with the first record.
        max_pending: Maximum pending records; further ones are dropped, counted and logged once.
        busy_timeout: Seconds to wait for a locked database before the next retry.
    """

    def __init__(self, db_path: str, *, max_pending: int, busy_timeout: float) -> None:
        self._path = db_path
        self._max_pending = max_pending
        self._busy_timeout = busy_timeout
        self._storage: SkillsStorage | None = None  # used only by the writer thread
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque()
        self._numbers = itertools.count()
        self._open: dict[int, Record] = {}  # ordered by start
        self._thread: threading.Thread | None = None
        self._attempts = 0  # completed write attempts
        self._trying = False
        self._one_by_one = 0  # records to write individually, because one of them is invalid
        self._failed = False  # the last attempt failed for a reason that a retry does not cure
        self._flush_requested = False  # write immediately, without waiting for the backoff
        self._closing = False
        self._dropped = 0

    @property
    def pending(self) -> int:
        """Number of records not written yet."""
        with self._changed:
            return len(self._records)

    @property
    def dropped(self) -> int:
        """Number of dropped records."""
        with self._changed:
            return self._dropped

    def begin(self, record: Record) -> int:
        """Register an open invocation. Returns the number to pass to ``finish``."""
        warning = None
        with self._changed:
            number = next(self._numbers)
            self._open[number] = record
            if len(self._open) > MAX_OPEN:
                warning = self._enqueue(self._open.pop(next(iter(self._open))))
        _warn(warning)
        return number

    def finish(self, number: int, record: Record) -> bool:
        """Enqueue the complete record. False if the invocation has already ended."""
        with self._changed:
            if self._open.pop(number, None) is None:
                return False
            warning = self._enqueue(record)
        _warn(warning)
        return True

    def _enqueue(self, record: Record) -> str | None:
        if self._closing:
            return self._drop(1, "the tracker is closed")
        if len(self._records) >= self._max_pending:
            return self._drop(1, "too many pending records (max_pending)")
        self._records.append(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="session-buddy-tracker", daemon=True)
            self._thread.start()
        self._changed.notify_all()
        return None

    def flush(self, timeout: float) -> bool:
        """Wait until all enqueued records are written, at most `timeout` seconds.

        Returns:
            False on timeout, or if the database cannot be used; the records stay pending.
        """
        with self._changed:
            return self._wait_until_written(timeout)

    def _wait_until_written(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        last_old_attempt = self._attempts + self._trying
        self._flush_requested = True
        self._changed.notify_all()
        while self._records:
            left = end - time.monotonic()
            if left <= 0 or (self._failed and self._attempts > last_old_attempt):
                return False
            self._changed.wait(left)
        return True

    def close(self, timeout: float) -> bool:
        """End open invocations, flush, end the thread and close the database. Unwritten records are dropped.

        Returns:
            Whether everything was written.
        """
        end = time.monotonic() + timeout
        warnings = []
        with self._changed:
            abandoned, self._open = list(self._open.values()), {}
            warnings += [self._enqueue(record) for record in abandoned]
            written = self._wait_until_written(timeout)
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(max(0.0, end - time.monotonic()) + self._busy_timeout)
        with self._changed:
            if self._records:
                warnings.append(
                    self._drop(len(self._records), "the database could not be written before close() timed out")
                )
                self._records.clear()
        for warning in warnings:
            _warn(warning)
        _writers.discard(self)
        return written

    def _drop(self, count: int, reason: str) -> str | None:
        """Count dropped records. Returns the warning to log after the lock is released, for the first drop only."""
        first = self._dropped == 0
        self._dropped += count
        return f"dropping invocations ({count} so far): {reason}" if first else None

    # ---- Writer thread

    def _run(self) -> None:
        try:
            pause = 0.0
            while (batch := self._next_batch(pause)) is not None:
                pause = self._write(batch, pause)
        finally:
            if self._storage is not None:
                self._storage.close()

    def _next_batch(self, pause: float) -> list[Record] | None:
        """The next batch, which stays in the buffer until written; None at the end. Waits `pause` seconds first."""
        end = time.monotonic() + pause
        with self._changed:
            while not self._closing:
                left = end - time.monotonic()
                if self._records and (left <= 0 or self._flush_requested):
                    break
                self._changed.wait(left if self._records else None)
            if self._closing:
                return None
            self._flush_requested = False
            self._trying = True
            return list(itertools.islice(self._records, 1 if self._one_by_one else _BATCH))

    def _write(self, batch: list[Record], last_pause: float) -> float:
        """Write a batch. Returns the seconds until the next attempt, 0 after success."""
        failure: Exception | None = None
        try:
            if self._storage is None:
                self._storage = SkillsStorage(self._path, busy_timeout=self._busy_timeout)
            self._storage.store_many(batch)
        except Exception as error:  # any error: the writer thread must survive
            failure = error
        unusable = isinstance(failure, (InvalidRecordError, TypeError, ValueError))
        warning = None
        with self._changed:
            self._attempts += 1
            self._trying = False
            self._failed = failure is not None and not isinstance(failure, DatabaseBusyError) and not unusable
            if unusable and len(batch) > 1:
                self._one_by_one = len(batch)
            elif failure is None or unusable:
                for _ in range(min(len(batch), len(self._records))):  # close() may have dropped them
                    self._records.popleft()
                self._one_by_one = max(0, self._one_by_one - len(batch))
                if unusable:
                    warning = self._drop(1, "a value cannot be stored")
            self._changed.notify_all()
        _warn(warning)
        if failure is None or unusable:
            if last_pause:
                _logger.warning("the database is writable again")
            return 0.0
        if not last_pause:
            reason = failure if isinstance(failure, StorageError) else type(failure).__name__
            _logger.warning("cannot write invocations, will retry: %s", reason)
        return min(max(2 * last_pause, _FIRST_RETRY_SECONDS), _LAST_RETRY_SECONDS)

    def after_fork_in_child(self) -> None:
        """Reset: the thread, the connection and all pending records belong to the parent, which writes them."""
        if self._storage is not None:
            _parent_storages.append(self._storage)
            self._storage = None
        self._begin()


def _warn(message: str | None) -> None:
    if message is not None:
        _logger.warning("%s", message)


_writers: weakref.WeakSet[PendingWriter] = weakref.WeakSet()
_parent_storages: list[SkillsStorage] = []


def _close_all() -> None:
    end = time.monotonic() + _EXIT_SECONDS
    for writer in list(_writers):
        writer.close(max(0.0, end - time.monotonic()))


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork_in_child()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork_in_child)
