"""Alerts in words, as notifications, the terminal and reports show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

__all__ = [
    "AlertLike",
    "change",
    "duration",
    "explanation",
    "is_improvement",
    "label",
    "level",
    "since",
    "span",
    "when",
]

LABELS = {
    "completion_rate_fell": "Success rate fell",
    "completion_rate_rose": "Success rate rose",
    "duration_rose": "Slower",
    "duration_fell": "Faster",
    "silence": "No longer used",
}
MAX_SESSIONS = 8  # the server counts no more
MINUTE, HOUR, DAY, WEEK, YEAR = 60.0, 3600.0, 86400.0, 604800.0, 365 * 86400.0


class LevelLike(Protocol):
    """One side of a change, of the client or of the detector."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def samples(self) -> int: ...


class GrownErrorLike(Protocol):
    """An error type that occurs more often than before."""

    @property
    def error_type(self) -> str: ...
    @property
    def before(self) -> float: ...
    @property
    def after(self) -> float: ...


class AlertLike(Protocol):
    """An alert of the client or of the detector."""

    @property
    def kind(self) -> str: ...
    @property
    def since(self) -> datetime: ...
    @property
    def since_low(self) -> datetime: ...
    @property
    def since_high(self) -> datetime: ...
    @property
    def before(self) -> LevelLike: ...
    @property
    def after(self) -> LevelLike: ...
    @property
    def once_in_seconds(self) -> float: ...
    @property
    def failures_in_a_row(self) -> int: ...
    @property
    def errors(self) -> Sequence[GrownErrorLike]: ...
    @property
    def session_id(self) -> str | None: ...
    @property
    def session_share(self) -> float: ...
    @property
    def sessions(self) -> int: ...


def is_improvement(kind: str) -> bool:
    """A change for the better, which is reported once and has no duration."""
    return kind in ("completion_rate_rose", "duration_fell")


def label(kind: str) -> str:
    """The kind as the dashboard names it."""
    return LABELS.get(kind, "Changed")


def value(kind: str, number: float) -> str:
    """A value of an alert with its unit."""
    if kind in ("duration_rose", "duration_fell"):
        return duration(number)
    return span(number) if kind == "silence" else f"{number:.1%}"


def change(alert: AlertLike, arrow: str = "→") -> str:
    """``98.0% → 71.0%``, or durations; for silence the longest usual pause and the present one."""
    return f"{value(alert.kind, alert.before.value)} {arrow} {value(alert.kind, alert.after.value)}"


def level(kind: str, side: LevelLike) -> str:
    """``98.0% (97.1% to 98.9%, n = 812)``; silence has no interval."""
    shown = value(kind, side.value)
    if kind == "silence":
        return shown
    return f"{shown} ({value(kind, side.low)} to {value(kind, side.high)}, n = {side.samples:,})"


def explanation(alert: AlertLike, arrow: str = "→") -> list[str]:
    """What explains the alert, in parts of a sentence: from what to what, since when, how likely by chance, …"""
    parts = [f"{level(alert.kind, alert.before)} {arrow} {level(alert.kind, alert.after)}", since(alert)]
    if alert.once_in_seconds > 0:
        parts.append(f"by chance once in {span(alert.once_in_seconds)}")
    if alert.failures_in_a_row > 1:
        parts.append(f"{alert.failures_in_a_row:,} failures in a row")
    parts.extend(f"{error.error_type} {error.before:.1%} {arrow} {error.after:.1%}" for error in alert.errors)
    if alert.session_id is not None:
        parts.append(f"{alert.session_share:.0%} in session {alert.session_id}")
    elif alert.sessions > 1:
        parts.append(f"in {alert.sessions}{' or more' if alert.sessions >= MAX_SESSIONS else ''} sessions")
    return parts


def since(alert: AlertLike) -> str:
    """When it changed, to the minute, in UTC, with the 90 % interval of that time if it is longer."""
    low, at, high = (when(moment) for moment in (alert.since_low, alert.since, alert.since_high))
    if low == high:
        return f"since {at} UTC"
    day = at[:11]  # not repeated
    return f"since {at} UTC (between {low.removeprefix(day)} and {high.removeprefix(day)})"


def when(at: datetime) -> str:
    """A time of the explanation, in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M}"


def duration(seconds: float) -> str:
    """A duration of an invocation with three digits and a unit."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 10 * HOUR else f"{seconds / HOUR:.0f} h"


def span(seconds: float) -> str:
    """A length of time in one unit: ``3 h``, ``40 weeks``."""
    if seconds >= 1000 * YEAR:
        return "more than 1,000 years"
    for unit, size, least in (("years", YEAR, 2 * YEAR), ("weeks", WEEK, 2 * WEEK), ("days", DAY, 2 * DAY)):
        if seconds >= least:
            return f"{seconds / size:,.0f} {unit}"
    for unit, size in (("h", HOUR), ("min", MINUTE)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
