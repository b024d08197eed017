"""Validation of arguments shared by several classes."""

from __future__ import annotations

import math
import os

from session_buddy import _native


def checked_busy_timeout(seconds: object, longest: int) -> float:
    """Seconds from 0 to ``longest``. Raises TypeError or ValueError that names busy_timeout."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"busy_timeout must be a number of seconds, not {type(seconds).__name__}")
    if not 0 <= seconds <= longest:
        raise ValueError(f"busy_timeout must be from 0 to {longest} seconds, not {seconds}")
    return float(seconds)


def resolved_db_path(db_path: str | os.PathLike[str] | None) -> str:
    """An absolute path; None resolves to the server's database. Raises TypeError or ValueError that names db_path."""
    given = None if db_path is None else os.fspath(db_path)
    if given is not None and not isinstance(given, str):
        raise TypeError(f"db_path must be a str or a path, not {type(db_path).__name__}")
    return _native.resolve_db_path(given)


def checked_name(argument: str, value: object) -> str:
    """1 to 256 bytes of UTF-8 without control characters. Raises TypeError or ValueError that names the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    try:
        value.encode()  # a lone surrogate cannot be passed to the native side
        valid = _native.is_valid_skill_name(value)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise ValueError(f"{argument} must be 1 to 256 bytes of UTF-8 without control characters")
    return value


def checked_duration(seconds: object) -> float:
    """Seconds from 0 to MAX_DURATION_SECONDS. Raises TypeError or ValueError that names duration_seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"duration_seconds must be a number, not {type(seconds).__name__}")
    try:
        number = float(seconds)
    except OverflowError:
        number = math.inf if seconds > 0 else -math.inf
    if not 0 <= number <= _native.MAX_DURATION_SECONDS:
        raise ValueError(
            f"duration_seconds must be a number of seconds from 0 to {_native.MAX_DURATION_SECONDS:.0f}, not {number}"
        )
    return number
