"""``session-buddy rename``: renames a skill that was recorded under a wrong name."""

from __future__ import annotations

import argparse

from session_buddy import _native
from session_buddy.cli._corrections import DRY_RUN, Progress, correct, plural
from session_buddy.cli._options import add_summary_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Renames a skill in every table. If a skill with the new name exists, the two are merged, which "
        "cannot be undone. A running server shows the change immediately. Invocations recorded later under the old "
        "name form a separate skill: change the program that records them, too."
    )
    parser.epilog = (
        "Exit status: 0 done, 1 no such skill, or the database cannot be used, 2 wrong usage, 130 interrupted."
    )
    parser.add_argument("old", metavar="OLD", help="current skill name")
    parser.add_argument("new", metavar="NEW", help="new skill name")
    add_summary_arguments(parser, DRY_RUN)


def run(args: argparse.Namespace) -> int:
    """Rename, print a summary, return the exit status."""

    def work(db_path: str, progress: Progress) -> _native.Correction:
        return _native.rename_skill(db_path, args.old, args.new, dry_run=args.dry_run, progress=progress)

    def describe(done: _native.Correction) -> str:
        verb = "Would rename" if args.dry_run else "Renamed"
        joined = f", which has {plural(done['joined'])}," if done["joined"] else ""
        return f"{verb} {plural(done['invocations'])} of {args.old} to {args.new}{joined}"

    return correct("rename", args, work, describe)
