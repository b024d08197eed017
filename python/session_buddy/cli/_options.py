"""Options and argument types that several commands share, and how a command reports its failure."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

from session_buddy import _native


def add_db_path(parser: argparse.ArgumentParser) -> None:
    """--db-path."""
    parser.add_argument("--db-path", metavar="FILE", help="SQLite database (default: the server's)")


def add_summary_arguments(parser: argparse.ArgumentParser, dry_run: str) -> None:
    """--db-path, --dry-run with this help, and --json."""
    add_db_path(parser)
    parser.add_argument("--dry-run", action="store_true", help=dry_run)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_skill(parser: argparse.ArgumentParser) -> None:
    """--skill, a list."""
    parser.add_argument(
        "--skill", action="append", default=[], metavar="NAME", help="only this skill; can be repeated up to 50 times"
    )


def duration(examples: str) -> Callable[[str], float]:
    """Argument type: a duration in seconds. The error names these examples."""

    def parse(text: str) -> float:
        seconds = _native.parse_duration(text)
        if seconds is None:
            raise argparse.ArgumentTypeError(f"'{text}' is not a duration; use for example {examples}")
        return seconds

    return parse


def timestamp(examples: str) -> Callable[[str], str]:
    """Argument type: an ISO 8601 timestamp, as text. The error names these examples."""

    def parse(text: str) -> str:
        if _native.parse_timestamp(text) is None:
            raise argparse.ArgumentTypeError(f"'{text}' is not a timestamp; use for example {examples}")
        return text

    return parse


def positive(text: str) -> float:
    """Argument type: a finite number above 0."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return number


def not_negative(text: str) -> float:
    """Argument type: a finite number, 0 or more."""
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return number


def fail(command: str, message: object, status: int = 1) -> int:
    """Print one line to stderr; return the exit status."""
    print(f"session-buddy {command}: {message}", file=sys.stderr)
    return status
