"""Alerts in a database, as a server stores them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

from session_buddy import _native
from session_buddy.client import Alert, as_wire

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // timedelta(microseconds=1)


def store_alerts(path: Path, *alerts: Alert) -> None:
    """Adds alerts, with their ids, to a database."""
    _native.mute_skill(str(path), "x", None, "")  # creates the tables
    _native.unmute_skill(str(path), "x")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for alert in alerts:
            wire = as_wire(alert)
            explanation = {
                **{f"{name}_us": _micros(getattr(alert, name)) for name in ("since", "since_low", "since_high")},
                **{
                    name: wire[name]
                    for name in ("before", "after", "once_in_seconds", "failures_in_a_row", "errors", "sessions")
                },
                "session_id": alert.session_id or "",
                "session_share": alert.session_share,
            }
            connection.execute(
                "INSERT INTO session_buddy_alert"
                ' (id, skill_name, kind, detected_us, ended_us, "end", explanation, acknowledged_us, note)'
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    alert.id,
                    alert.skill_name,
                    alert.kind,
                    _micros(alert.detected_at),
                    _micros(alert.ended_at),
                    alert.end,
                    json.dumps(explanation),
                    _micros(alert.acknowledged_at),
                    alert.note,
                ),
            )
