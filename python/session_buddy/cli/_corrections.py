"""Shared by ``forget`` and ``rename``: options, error messages and the summary of what changed."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Callable

from session_buddy import _native
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._running import EXIT_INTERRUPTED, progress_bar, stop_on_interrupt

MAX_NAMES = 10_000  # skills searched for a suggestion

Progress = Callable[[int, int], bool]


def add_correction_arguments(parser: argparse.ArgumentParser) -> None:
    """--dry-run, --json and --db-path."""
    parser.add_argument("--db-path", metavar="FILE", help="SQLite database (default: the server's)")
    parser.add_argument("--dry-run", action="store_true", help="show what would change without changing anything")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def correct(
    command: str,
    args: argparse.Namespace,
    work: Callable[[str, Progress], _native.Correction],
    describe: Callable[[_native.Correction], str],
) -> int:
    """Run ``work`` on the database, print the result as ``describe`` puts it, return the exit status."""
    try:
        db_path = _native.resolve_db_path(args.db_path)
        with stop_on_interrupt() as stopped, progress_bar("Changing", stopped, in_bytes=False) as progress:
            done = work(db_path, progress)
        if not done["found"]:
            return _fail(command, _unknown(db_path, done["skill_name"]) if done["skill_name"] else describe(done))
    except (ValueError, _native.InvalidRecordError) as error:
        return _fail(command, str(error), status=2)
    except _native.StorageError as error:
        return _fail(command, str(error))
    if args.json:
        summary = {"db_path": db_path, "dry_run": args.dry_run, **done}
        print(escape_controls(json.dumps(summary, indent=2, ensure_ascii=False)))
    else:
        print(escape_controls(f"{describe(done)} in {db_path}"))
        if done["pruned"] and not done["stopped"]:
            print(f"Includes the totals of {plural(done['pruned'])} pruned earlier")
        if done["stopped"]:
            print("Stopped before the end; run it again to continue.")
    return EXIT_INTERRUPTED if done["stopped"] else 0


def plural(invocations: int) -> str:
    """``1 invocation``, ``2 invocations``."""
    return f"{invocations:,} invocation{'' if invocations == 1 else 's'}"


def _unknown(db_path: str, skill_name: str) -> str:
    from session_buddy.storage.skills_storage import SkillsStorage

    with SkillsStorage(db_path) as storage:
        names = [metrics.skill_name for metrics in storage.get_top_skills(MAX_NAMES)]
    meant = difflib.get_close_matches(skill_name, names, 1)
    return f"no skill '{skill_name}' in {db_path}" + (f"; did you mean '{meant[0]}'?" if meant else "")


def _fail(command: str, message: str, *, status: int = 1) -> int:
    print(escape_controls(f"session-buddy {command}: error: {message}"), file=sys.stderr)
    return status
