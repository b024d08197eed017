"""Alerts of the client with chosen values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from session_buddy.client import Alert, AlertLevel, GrownError

START = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)
FELL = "completion_rate_fell"


def alert(skill: str = "mypy", kind: str = FELL, **changes: Any) -> Alert:
    """An open alert that was detected at START; half an hour before that its skill changed."""
    values: dict[str, Any] = {
        "id": 12,
        "skill_name": skill,
        "kind": kind,
        "detected_at": START,
        "since": START - timedelta(minutes=30),
        "since_low": START - timedelta(minutes=35),
        "since_high": START - timedelta(minutes=28),
        "before": AlertLevel(0.98, 0.971, 0.989, 812),
        "after": AlertLevel(0.71, 0.58, 0.81, 44),
        "once_in_seconds": 40 * 7 * 86400.0,
        "failures_in_a_row": 7,
        "errors": (GrownError("timeout", 0.01, 0.2, 9),),
        "session_id": "session-1",
        "session_share": 0.6,
        "sessions": 4,
        "ended_at": None,
        "end": None,
        "acknowledged_at": None,
        "note": "",
        "muted": False,
    }
    return Alert(**{**values, **changes})
