"""The timestamp format that this package writes to databases."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["isoformat"]


def isoformat(at: float) -> str:
    """Format seconds since 1970-01-01T00:00:00Z as ``YYYY-MM-DDTHH:MM:SS.mmmZ``."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
