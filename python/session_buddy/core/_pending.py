"""Invocations from their beginning into the database: a bounded buffer that one thread empties, whatever happens."""

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
"""Invocations that have begun and are not ended; beyond it the oldest one counts as abandoned."""

_BATCH = 500  # records of one transaction
_FIRST_RETRY_SECONDS = 0.05
_LAST_RETRY_SECONDS = 5.0
_EXIT_SECONDS = 5.0  # how long the end of the interpreter waits for what is still to be written

Record = dict[str, Any]


class PendingWriter:
    """Takes records at once, from any thread, and writes them in its own. Taking and writing never raise.

    A record is put when its invocation ends. Those that never end are put as they began when the writer is closed.

    Args:
        db_path: As for SkillsStorage. The database is opened by the thread, when there is something to write.
        max_pending: Records that wait at most; what comes when that many do is dropped, counted and logged once.
        busy_timeout: Seconds to wait for a locked database before the records wait for the next try.
    """

    def __init__(self, db_path: str, *, max_pending: int, busy_timeout: float) -> None:
        self._path = db_path
        self._max_pending = max_pending
        self._busy_timeout = busy_timeout
        self._storage: SkillsStorage | None = None  # the thread's own
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._records: deque[Record] = deque()
        self._numbers = itertools.count()
        self._open: dict[int, Record] = {}  # in the order in which they began
        self._thread: threading.Thread | None = None
        self._attempts = 0  # finished tries to write
        self._trying = False
        self._one_by_one = 0  # records that are written one by one, because one among them cannot be stored
        self._failed = False  # the last of them, for a reason that waiting does not cure
        self._flush_requested = False  # somebody waits: try at once
        self._closing = False
        self._dropped = 0

    @property
    def pending(self) -> int:
        """Records that wait to be written."""
        with self._changed:
            return len(self._records)

    @property
    def dropped(self) -> int:
        """Records that were given up."""
        with self._changed:
            return self._dropped

    def begin(self, record: Record) -> int:
        """Keeps what is known of an invocation that begins. Returns the number that ends it."""
        warning = None
        with self._changed:
            number = next(self._numbers)
            self._open[number] = record
            if len(self._open) > MAX_OPEN:
                warning = self._enqueue(self._open.pop(next(iter(self._open))))
        _warn(warning)
        return number

    def finish(self, number: int, record: Record) -> bool:
        """Leaves the whole record to be written, no matter how long that takes. False where it had ended before."""
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
            return self._drop(1, "too many wait for the database")
        self._records.append(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="session-buddy-tracker", daemon=True)
            self._thread.start()
        self._changed.notify_all()
        return None

    def flush(self, timeout: float) -> bool:
        """Waits until all that was put before is written, `timeout` seconds at most.

        Returns:
            False where the time was over first, or where the database cannot be used: then the records go on waiting.
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
        """Ends what is open, flushes, ends the thread and closes the database. What could not be written is dropped.

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
                warnings.append(self._drop(len(self._records), "the database could not be written before the end"))
                self._records.clear()
        for warning in warnings:
            _warn(warning)
        _writers.discard(self)
        return written

    def _drop(self, count: int, reason: str) -> str | None:
        """Returns what is to be logged, once the lock is released: the first reason alone."""
        first = self._dropped == 0
        self._dropped += count
        return f"invocations are dropped from here on ({count} so far): {reason}" if first else None

    # ---- The thread

    def _run(self) -> None:
        try:
            pause = 0.0
            while (batch := self._next_batch(pause)) is not None:
                pause = self._write(batch, pause)
        finally:
            if self._storage is not None:
                self._storage.close()

    def _next_batch(self, pause: float) -> list[Record] | None:
        """What to write next, left in the buffer until it is written; None at the end. Waits `pause` seconds first."""
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
        """Returns the seconds to wait before the next try: 0 after success."""
        failure: Exception | None = None
        try:
            if self._storage is None:
                self._storage = SkillsStorage(self._path, busy_timeout=self._busy_timeout)
            self._storage.store_many(batch)
        except Exception as error:  # whatever it is: without this thread nothing more would be written
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
                for _ in range(min(len(batch), len(self._records))):  # close() may have given them up
                    self._records.popleft()
                self._one_by_one = max(0, self._one_by_one - len(batch))
                if unusable:
                    warning = self._drop(1, "a value cannot be stored")
            self._changed.notify_all()
        _warn(warning)
        if failure is None or unusable:
            if last_pause:
                _logger.warning("invocations are written again")
            return 0.0
        if not last_pause:
            reason = failure if isinstance(failure, StorageError) else type(failure).__name__
            _logger.warning("invocations cannot be written now and wait: %s", reason)
        return min(max(2 * last_pause, _FIRST_RETRY_SECONDS), _LAST_RETRY_SECONDS)

    def after_fork_in_child(self) -> None:
        """The thread stayed with the parent, which writes what waits and what it began; so does the connection."""
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
