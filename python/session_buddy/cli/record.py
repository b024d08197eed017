"""`session-buddy record`: stores one invocation in the database, from a shell or a script."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import datetime, timezone

from session_buddy import _native
from session_buddy.cli._options import add_db_path, duration, fail, timestamp
from session_buddy.storage import InvalidRecordError, StorageError

__all__ = ["add_arguments", "run"]

MAX_AHEAD_SECONDS = 60.0  # allowed clock skew


def _timestamp(text: str) -> str:
    micros = _native.parse_timestamp(timestamp("2026-02-10T12:00:00Z")(text))
    if micros is not None and micros / 1e6 > time.time() + MAX_AHEAD_SECONDS:
        raise argparse.ArgumentTypeError(f"'{text}' is in the future: a time without an offset is in UTC")
    return text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = "Stores one skill invocation and prints its id."
    parser.add_argument("name", metavar="NAME", help="skill name")
    parser.add_argument("--session", metavar="ID", default="shell", help="session id (default: %(default)s)")
    parser.add_argument(
        "--duration",
        metavar="TIME",
        type=duration("2.5 (seconds), 500ms or 5m"),
        help="duration: 2.5 (seconds), 500ms, 5m",
    )
    parser.add_argument("--failed", action="store_true", help="record it as failed")
    parser.add_argument("--error-type", metavar="TEXT", help="short error class; requires --failed")
    parser.add_argument("--at", metavar="TIMESTAMP", type=_timestamp, help="start time, ISO 8601 (default: now)")
    add_db_path(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 stored, 1 the database cannot be used, 2 an invalid value."""
    from session_buddy.storage.skills_storage import SkillsStorage

    if arguments.error_type is not None and not arguments.failed:
        return fail("record", "error: --error-type requires --failed", 2)
    fields = {
        "skill_name": arguments.name,
        "session_id": arguments.session,
        "invoked_at": arguments.at or datetime.now(timezone.utc).isoformat(),
        "completed": not arguments.failed,
        "duration_seconds": arguments.duration,
        "error_type": arguments.error_type,
    }
    try:
        if invalid := _native.validation_error(fields):  # before a database is created for it
            return fail("record", f"error: {invalid}", 2)
        with SkillsStorage(arguments.db_path) as storage:
            (invocation,) = storage.store_many([fields])
    except (InvalidRecordError, ValueError) as error:
        return fail("record", f"error: {error}", 2)
    except StorageError as error:
        return fail("record", f"error: {error}")
    print(invocation, flush=True)  # fails before the second line is written
    print(f"Recorded in {storage.db_path}", file=sys.stderr)
    return 0
