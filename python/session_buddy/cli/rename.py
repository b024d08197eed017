"""``session-buddy rename``: another name for a skill that was recorded under a wrong one."""

from __future__ import annotations

import argparse

from session_buddy import _native
from session_buddy.cli._corrections import Progress, add_correction_arguments, correct, plural


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = subparsers.add_parser(
        "rename",
        allow_abbrev=False,
        description="Gives a skill another name in every table. Where there is a skill of that name, both become one, "
        "and nothing separates them again. A server that runs shows it at once. What is recorded under the old name "
        "later is a skill of its own: correct what records it, too.",
        epilog="Exit status: 0 done, 1 there is no such skill, or the database cannot be used, 2 wrong usage, 130 "
        "stopped.",
    )
    parser.add_argument("old", metavar="OLD", help="present name of the skill")
    parser.add_argument("new", metavar="NEW", help="its name from now on")
    add_correction_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Rename, print what was changed, return the exit status."""

    def work(db_path: str, progress: Progress) -> _native.Correction:
        return _native.rename_skill(db_path, args.old, args.new, dry_run=args.dry_run, progress=progress)

    def describe(done: _native.Correction) -> str:
        verb = "Would rename" if args.dry_run else "Renamed"
        joined = f", which has {plural(done['joined'])}," if done["joined"] else ""
        return f"{verb} {plural(done['invocations'])} of {args.old} to {args.new}{joined}"

    return correct("rename", args, work, describe)
