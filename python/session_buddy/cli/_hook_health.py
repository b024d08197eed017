"""Checks whether hook events can reach the database, and when the last one did."""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from pathlib import Path
from typing import NamedTuple

from session_buddy import _native
from session_buddy.ingest.claude_settings import HOOK_PATH, Handler

__all__ = ["Server", "hook_database", "last_event", "probe_server"]

_PROBE_SECONDS = 2.0
_BUSY_SECONDS = 1.0
_COMMAND, _REQUEST = 1, 8  # bits of session_buddy_source.seen_by

_NEWEST_ROW = (
    "SELECT invoked_at FROM skill_invocation WHERE id ="
    " (SELECT max(invocation_id) FROM session_buddy_source WHERE seen_by & ?1)"
)
_NEWEST_MICROSECONDS = (
    "SELECT max(at_us) FROM session_buddy_command WHERE source & ?1",
    "SELECT max(started_us) FROM session_buddy_open_use WHERE ?1",  # only hooks record tool uses that have not ended
)


class Server(NamedTuple):
    """What answers at the URL of an HTTP hook."""

    problem: str | None  # why it does not accept events; None if it does
    db_path: str | None = None


def probe_server(handler: Handler) -> Server:
    """Probe the server of an HTTP hook without sending an event."""
    import httpx

    base = handler.target[: -len(HOOK_PATH)]
    try:
        answer = httpx.get(f"{base}/api/v1/server", timeout=_PROBE_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Server(f"no server at {base} ({error})")
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return Server(f"the server at {base} requires a token and rejects events without one")
    try:
        state = answer.raise_for_status().json()
        if state["api_version"]:
            return Server(None, state["database"].get("path"))
    except (httpx.HTTPStatusError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return Server(f"{base} is not a Session-Buddy server (HTTP {answer.status_code})")


def hook_database(handler: Handler) -> str:
    """The database that a hook's command line uses. Raises ValueError if no path can be derived."""
    words = shlex.split(handler.target)
    given = None
    for index, word in enumerate(words):
        if word == "--db-path" and index + 1 < len(words):
            given = words[index + 1]
        elif word.startswith("--db-path="):
            given = word.partition("=")[2]
    return _native.resolve_db_path(given)


def last_event(db_path: str, handler: Handler) -> str | None:
    """Time of the newest event that a hook of this kind recorded in the database; None if there is none."""
    source = _COMMAND if handler.kind == "command" else _REQUEST
    newest: list[int] = []
    with contextlib.suppress(sqlite3.Error):
        address = f"{Path(db_path).as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as database:
            for (text,) in database.execute(_NEWEST_ROW, (source,)):
                newest.append(_native.parse_timestamp(text) or 0)
            for question in _NEWEST_MICROSECONDS:
                newest += [micros for (micros,) in database.execute(question, (source,)) if micros is not None]
    return _native.format_timestamp(max(newest)) if newest else None
