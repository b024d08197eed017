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
    """A valid name, by the rule for skill names. Raises TypeError or ValueError that names the argument."""
    if not isinstance(value, str):
        raise TypeError(f"{argument} must be a str, not {type(value).__name__}")
    if not (is_utf8(value) and _native.is_valid_skill_name(value)):
        raise ValueError(f"{argument} {_native.SKILL_NAME_RULE}")
    return value


def checked_number(argument: str, value: object) -> float:
    """A float, infinite if it is too large. Raises TypeError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument} must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def checked_duration(seconds: object, argument: str = "duration_seconds") -> float:
    """Seconds from 0 to MAX_DURATION_SECONDS. Raises TypeError or ValueError that names the argument."""
    number = checked_number(argument, seconds)
    if not 0 <= number <= _native.MAX_DURATION_SECONDS:
        raise ValueError(f"{argument} {_native.DURATION_RULE}, not {number}")
    return number


def is_utf8(text: str) -> bool:
    """Whether the text has no lone surrogates, so that it can be passed to the native side."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
