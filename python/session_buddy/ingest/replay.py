"""Replays recorded sessions into a database as if they happened now, at any speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from session_buddy.ingest import RecordedInvocation
from session_buddy.ingest.times import isoformat

__all__ = ["MINIMUM_PASS_SECONDS", "Replay", "ReplayProgress", "Step", "Store", "schedule"]

MINIMUM_PASS_SECONDS = 1.0
"""Minimum time between the starts of two passes of a looped replay."""


class Store(Protocol):
    """Destination of a replay: ``SkillsStorage``, or a test double."""

    def store_many(self, records: Iterable[dict[str, Any]], /) -> Any:
        """Store the rows in one transaction."""


class Step(NamedTuple):
    """One row to write, ``offset`` seconds after the start of the replay."""

    offset: float
    invocation: RecordedInvocation


def schedule(invocations: Iterable[RecordedInvocation], speed: float, max_gap: float = 0.0) -> list[Step]:
    """The end of each invocation in the replay, in chronological order; the first one at 0.

    ``speed``: recorded seconds per second of replay, more than 0. ``max_gap``: maximum pause in recorded seconds;
    longer ones are shortened, 0 keeps all.
    """
    if not speed > 0:
        raise ValueError("speed must be more than 0")
    ends = sorted(((one.at + (one.duration_seconds or 0.0), one) for one in invocations), key=lambda pair: pair[0])
    steps: list[Step] = []
    offset = 0.0
    previous: float | None = None
    for end, invocation in ends:
        gap = 0.0 if previous is None else end - previous
        offset += (min(gap, max_gap) if max_gap > 0 else gap) / speed
        previous = end
        steps.append(Step(offset, invocation))
    return steps


@dataclass
class ReplayProgress:
    """Progress of a replay."""

    written: int = 0
    passes: int = 0  # completed passes
    last: RecordedInvocation | None = None


class Replay:
    """Writes each step when it is due.

    ``now`` returns seconds since the epoch; ``wait`` sleeps for the given seconds and returns True to stop the replay.
    Both are injected, so that tests need not wait.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        store: Store,
        *,
        now: Callable[[], float],
        wait: Callable[[float], bool],
        on_progress: Callable[[ReplayProgress], None] | None = None,
    ) -> None:
        self._steps = steps
        self._store = store
        self._now = now
        self._wait = wait
        self._on_progress = on_progress
        self.progress = ReplayProgress()

    def run(self, *, loop: bool = False) -> bool:
        """Replay once, or in a loop. True if it reached the end, False if ``wait`` stopped it."""
        start = self._now()
        while True:
            if not self._play_once(start):
                return False
            self.progress.passes += 1
            if not loop or not self._steps:
                return True
            start += max(self._steps[-1].offset, MINIMUM_PASS_SECONDS)

    def _play_once(self, start: float) -> bool:
        position = 0
        while position < len(self._steps):
            delay = start + self._steps[position].offset - self._now()
            if self._wait(max(delay, 0.0)):
                return False
            now = self._now()
            due = list(self._due(position, now - start))
            if due:
                self._write(due, start)
                position += len(due)
        return True

    def _due(self, position: int, elapsed: float) -> Iterator[Step]:
        while position < len(self._steps) and self._steps[position].offset <= elapsed:
            yield self._steps[position]
            position += 1

    def _write(self, due: list[Step], start: float) -> None:
        self._store.store_many(
            {
                "skill_name": step.invocation.skill_name,
                "invoked_at": isoformat(start + step.offset),
                "session_id": step.invocation.session_id,
                "completed": step.invocation.completed,
                "duration_seconds": step.invocation.duration_seconds,
                "error_type": step.invocation.error_type,
            }
            for step in due
        )
        self.progress.written += len(due)
        self.progress.last = due[-1].invocation
        if self._on_progress is not None:
            self._on_progress(self.progress)
