"""`session-buddy record`: stores one invocation in the database, from a shell or a script."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from session_buddy import _native
from session_buddy.storage import InvalidRecordError, StorageError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

__all__ = ["add_parser", "run"]

MAX_AHEAD_SECONDS = 60.0  # allowed clock skew


def _duration(text: str) -> float:
    seconds = _native.parse_duration(text)
    if seconds is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; use for example 2.5 (seconds), 500ms or 5m")
    return seconds


def _timestamp(text: str) -> str:
    micros = _native.parse_timestamp(text)
    if micros is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a timestamp; use for example 2026-02-10T12:00:00Z")
    if micros / 1e6 > time.time() + MAX_AHEAD_SECONDS:
        raise argparse.ArgumentTypeError(f"'{text}' is in the future: a time without an offset is in UTC")
    return text


def add_parser(subparsers: Subparsers) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "record", description="Stores one skill invocation and prints its id.", allow_abbrev=False
    )
    parser.add_argument("name", metavar="NAME", help="skill name")
    parser.add_argument("--session", metavar="ID", default="shell", help="session id (default: %(default)s)")
    parser.add_argument("--duration", metavar="TIME", type=_duration, help="duration: 2.5 (seconds), 500ms, 5m")
    parser.add_argument("--failed", action="store_true", help="record it as failed")
    parser.add_argument("--error-type", metavar="TEXT", help="short error class; requires --failed")
    parser.add_argument("--at", metavar="TIMESTAMP", type=_timestamp, help="start time, ISO 8601 (default: now)")
    parser.add_argument("--db-path", metavar="FILE", help="SQLite database (default: the server's)")


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 stored, 1 the database cannot be used, 2 an invalid value."""
    from session_buddy.storage.skills_storage import SkillsStorage

    if arguments.error_type is not None and not arguments.failed:
        print("session-buddy record: error: --error-type requires --failed", file=sys.stderr)
        return 2
    if not _native.is_valid_skill_name(arguments.name):  # before a database is created for it
        message = "skill_name must be 1 to 256 bytes of UTF-8 without control characters"
        print(f"session-buddy record: error: {message}", file=sys.stderr)
        return 2
    try:
        with SkillsStorage(arguments.db_path) as storage:
            invocation = storage.store_invocation(
                arguments.name,
                session_id=arguments.session,
                invoked_at=arguments.at,
                completed=not arguments.failed,
                duration_seconds=arguments.duration,
                error_type=arguments.error_type,
            )
    except (InvalidRecordError, ValueError) as error:
        print(f"session-buddy record: error: {error}", file=sys.stderr)
        return 2
    except StorageError as error:
        print(f"session-buddy record: error: {error}", file=sys.stderr)
        return 1
    print(invocation, flush=True)  # fails before the second line is written
    print(f"Recorded in {storage.db_path}", file=sys.stderr)
    return 0
