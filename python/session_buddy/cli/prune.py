"""``session-buddy prune``: deletes old invocations and keeps their totals and hourly rollups."""

from __future__ import annotations

import argparse
import json

from session_buddy import _native
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_summary_arguments, duration, fail
from session_buddy.cli._running import EXIT_INTERRUPTED, progress_bar, stop_on_interrupt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Deletes invocations older than a given age, in whole days (UTC). Totals of skills and sessions "
        "and hourly rollups are kept, and a later import does not restore the invocations. A server and other writers "
        "may run meanwhile: rows are deleted in short transactions. The file does not shrink; SQLite reuses the free "
        "pages."
    )
    parser.epilog = "Exit status: 0 done, 1 the database cannot be used, 2 wrong usage, 130 interrupted."
    parser.add_argument(
        "--keep",
        metavar="TIME",
        required=True,
        type=duration("90d, 12w or 72h"),
        help="keep invocations younger than this: 90d, 12w, 72h; at least as long as the server looks back (49h by "
        "default)",
    )
    add_summary_arguments(parser, "report what would be deleted without deleting it")


def run(args: argparse.Namespace) -> int:
    """Prune, print the summary, return the exit status."""
    try:
        db_path = _native.resolve_db_path(args.db_path)
        with stop_on_interrupt() as stopped, progress_bar("Deleting", stopped, in_bytes=False) as progress:
            summary = _native.prune(db_path, args.keep, dry_run=args.dry_run, progress=progress)
    except ValueError as error:
        return fail("prune", error, 2)
    except _native.StorageError as error:
        return fail("prune", error)
    if args.json:
        print(
            escape_controls(
                json.dumps({"db_path": db_path, "dry_run": args.dry_run, **summary}, indent=2, ensure_ascii=False)
            )
        )
    else:
        _print_summary(summary, db_path, dry_run=args.dry_run)
    return EXIT_INTERRUPTED if summary["stopped"] else 0


def _print_summary(summary: _native.PruneSummary, db_path: str, *, dry_run: bool) -> None:
    """Print what was deleted and what was kept."""
    if summary["rows"]:
        verb = "Would delete" if dry_run else "Deleted"
        print(
            f"{verb} {summary['rows']:,} invocation{'' if summary['rows'] == 1 else 's'} "
            f"from {summary['first']} to {summary['last']} in {db_path}"
        )
    else:
        print(f"Nothing to delete before {summary['before']} in {db_path}")
    if summary["kept_rows"]:
        print(f"Kept {summary['kept_rows']:,} old invocations of skills without an entry in skill_metrics")
    if summary["rows"] and not dry_run:
        print(f"Longest write lock: {summary['longest_lock_ms']:.1f} ms")
    if summary["stopped"]:
        print("Stopped before the end; prune again to continue.")
