"""When a client reconnects; `clients/reconnection.json` has cases of this rule, for the JavaScript client, too.

After ``n`` failed attempts, wait for a random time of up to ``first_delay`` · 2ⁿ, at most ``max_delay``. A connection
that is lost before it is stable counts as a failed attempt: otherwise a server that accepts connections and then fails
would be retried forever without backoff. A stable connection resets ``n``.
"""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["FIRST_DELAY", "MAX_ATTEMPTS", "MAX_DELAY", "Backoff", "ceiling", "full_jitter"]

FIRST_DELAY = 0.5  # seconds
MAX_DELAY = 30.0
MAX_ATTEMPTS = 20
STABLE_SECONDS = 10.0  # after which a connection is stable (or ``max_delay``, if less)
# Or after so many updates: the first arrives with the subscription, even from a server that then fails.
STABLE_UPDATES = 2


def ceiling(first_delay: float, max_delay: float, failed: int) -> float:
    """The maximum wait after so many failed attempts."""
    return min(max_delay, first_delay * 2.0 ** min(failed, 60))


def full_jitter(first_delay: float, max_delay: float, failed: int) -> float:
    """The wait: random, so that clients that lost a server at the same time do not return at the same time."""
    return random.uniform(0, ceiling(first_delay, max_delay, failed))  # noqa: S311


class Backoff:
    """Counts failed attempts. ``now`` is a monotonic clock."""

    def __init__(self, first_delay: float, max_delay: float, now: Callable[[], float]) -> None:
        self._first_delay = first_delay
        self._max_delay = max_delay
        self._now = now
        self._stable_at: float | None = None  # None: not connected
        self._updates = 0
        self.failed = 0  # attempts since the last stable connection

    def connected(self) -> None:
        self._stable_at = self._now() + min(STABLE_SECONDS, self._max_delay)

    def updated(self) -> None:
        """An update arrived on this connection."""
        self._updates += 1

    def disconnected(self) -> None:
        if self._stable_at is not None and (self._now() >= self._stable_at or self._updates >= STABLE_UPDATES):
            self.failed = 0
        self._stable_at = None
        self._updates = 0

    def delay(self) -> float:
        """The wait before the next attempt."""
        return full_jitter(self._first_delay, self._max_delay, self.failed)
