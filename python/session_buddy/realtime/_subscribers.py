"""Delivers snapshots of the native server to Python callbacks, on the event loop that runs the server."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
from collections import deque
from collections.abc import Callable

from session_buddy import _native
from session_buddy.realtime.types import Snapshot

__all__ = ["MetricsCallback", "MetricsSubscription", "Subscribers"]

_logger = logging.getLogger("session_buddy.subscribers")
_JOIN_SECONDS = 5.0

# A plain callable or a coroutine function; an awaitable result is awaited, the value is ignored.
MetricsCallback = Callable[[Snapshot], object]


class MetricsSubscription:
    """A registered callback. `unregister()`, or calling the object, ends it; both are idempotent.

    Snapshots are queued while the callback is busy; when the bounded queue is full, the oldest is dropped and counted
    in `dropped`.
    """

    def __init__(self, owner: Subscribers, callback: MetricsCallback, capacity: int) -> None:
        self._owner = owner
        self._callback = callback
        self._capacity = capacity
        self._pending: deque[_native.Snapshot] = deque()
        self._lock = threading.Lock()  # guards _pending, _scheduled and _dropped; never held while calling out
        self._scheduled = False
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None
        self._active = True

    @property
    def dropped(self) -> int:
        """Number of snapshots dropped because the callback was too slow."""
        return self._dropped

    def unregister(self) -> None:
        """End the subscription; a call in progress is completed."""
        self._active = False
        self._owner.remove(self)
        self.clear()

    def __call__(self) -> None:
        self.unregister()

    def clear(self) -> None:
        """Discard queued snapshots."""
        with self._lock:
            self._pending.clear()

    def offer(self, snapshot: _native.Snapshot, lost_before: int, loop: asyncio.AbstractEventLoop) -> None:
        """Queue a snapshot and wake the loop; called by the pump thread."""
        with self._lock:
            first_drop = self._dropped == 0
            self._dropped += lost_before
            if len(self._pending) >= self._capacity:
                self._pending.popleft()
                self._dropped += 1
            first_drop = first_drop and self._dropped > 0
            self._pending.append(snapshot)
            # One wake-up at a time: they must not accumulate in a blocked loop.
            wake = not self._scheduled
            self._scheduled = True
        if first_drop:
            _logger.warning("metrics subscriber %r is too slow: dropping snapshots", self._callback)
        if wake:
            with contextlib.suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def _deliver(self) -> None:
        while True:
            with self._lock:
                if not self._pending or not self._active:
                    self._scheduled = False
                    return
                snapshot = self._pending.popleft()
            try:
                result = self._callback(snapshot.to_dict())
                if inspect.isawaitable(result):
                    await result
            except asyncio.CancelledError:
                with self._lock:
                    self._scheduled = False
                raise
            except Exception:
                _logger.exception("metrics subscriber %r failed", self._callback)
            # Yield, so that a plain callback does not monopolize the loop while snapshots are queued.
            await asyncio.sleep(0)


class Subscribers:
    """All callbacks of one server. They stay registered across a restart."""

    def __init__(self, server: _native.RealTimeServer, capacity: int) -> None:
        self._server = server
        self._capacity = capacity
        self._lock = threading.Lock()
        self._subscriptions: list[MetricsSubscription] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: _native.SnapshotFeed | None = None
        self._thread: threading.Thread | None = None

    def add(self, callback: MetricsCallback) -> MetricsSubscription:
        subscription = MetricsSubscription(self, callback, self._capacity)
        with self._lock:
            self._subscriptions.append(subscription)
            self._start_pump()
        return subscription

    def remove(self, subscription: MetricsSubscription) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._subscriptions.remove(subscription)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start delivering to `loop`, before the server starts, so that its first snapshot is included."""
        with self._lock:
            self._loop = loop
            self._start_pump()

    def detach(self) -> None:
        """Stop delivering; calls in progress are completed."""
        with self._lock:
            self._loop = None
            feed, self._feed = self._feed, None
            thread, self._thread = self._thread, None
            subscriptions = list(self._subscriptions)
        if feed is not None:
            feed.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)
        for subscription in subscriptions:
            subscription.clear()

    def _start_pump(self) -> None:
        if self._loop is None or self._feed is not None or not self._subscriptions:
            return
        self._feed = _native.SnapshotFeed(self._server, self._capacity)
        self._thread = threading.Thread(
            target=self._pump, args=(self._feed, self._loop), name="session-buddy-subscribers", daemon=True
        )
        self._thread.start()

    def _pump(self, feed: _native.SnapshotFeed, loop: asyncio.AbstractEventLoop) -> None:
        lost_known = 0
        while not feed.closed:
            snapshot = feed.next(timeout=60.0)
            if snapshot is None:
                continue
            lost = feed.dropped
            with self._lock:
                subscriptions = list(self._subscriptions)
            for subscription in subscriptions:
                subscription.offer(snapshot, lost - lost_known, loop)
            lost_known = lost
