"""The one form in which this package writes moments into a database."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["isoformat"]


def isoformat(at: float) -> str:
    """``YYYY-MM-DDTHH:MM:SS.mmmZ`` of seconds since 1970-01-01T00:00:00Z."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
