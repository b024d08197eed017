"""Checks of arguments that several classes take."""

from __future__ import annotations

import os

from session_buddy import _native


def checked_busy_timeout(seconds: object, longest: int) -> float:
    """Seconds from 0 to ``longest``. Raises TypeError or ValueError, naming busy_timeout."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"busy_timeout must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds <= longest:
        raise ValueError(f"busy_timeout must be from 0 to {longest} seconds, not {seconds}")
    return float(seconds)


def resolved_db_path(db_path: str | os.PathLike[str] | None) -> str:
    """An absolute path; None is resolved as the server does it. Raises TypeError or ValueError, naming db_path."""
    given = None if db_path is None else os.fspath(db_path)
    if given is not None and not isinstance(given, str):
        raise TypeError(f"db_path must be a str or a path, not {type(db_path).__name__}")
    return _native.resolve_db_path(given)
