"""``session-buddy forget``: deletes a skill or one invocation from the database."""

from __future__ import annotations

import argparse

from session_buddy import _native
from session_buddy.cli._corrections import DRY_RUN, Progress, correct, plural
from session_buddy.cli._options import add_summary_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Deletes what was recorded by mistake: a skill with all its aggregates, or one invocation. A "
        "running server shows the change immediately, and a later import does not restore it; new invocations under "
        "the same name are counted from then on. Deleting one invocation does not lower the counters of "
        "/metrics: they are monotonic."
    )
    parser.epilog = (
        "Exit status: 0 done, 1 no such skill or invocation, or the database cannot be used, 2 wrong usage, 130 "
        "interrupted."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("skill", metavar="SKILL", nargs="?", help="skill name")
    what.add_argument("--invocation", metavar="ID", type=int, help="id of one invocation, as printed by `record`")
    add_summary_arguments(parser, DRY_RUN)


def run(args: argparse.Namespace) -> int:
    """Delete, print a summary, return the exit status."""

    def work(db_path: str, progress: Progress) -> _native.Correction:
        if args.invocation is not None:
            return _native.forget_invocation(db_path, args.invocation, dry_run=args.dry_run)
        return _native.forget_skill(db_path, args.skill, dry_run=args.dry_run, progress=progress)

    def describe(done: _native.Correction) -> str:
        if not done["found"]:
            return f"no invocation {args.invocation}"
        what = plural(done["invocations"]) if args.invocation is None else f"invocation {args.invocation}"
        return f"{'Would forget' if args.dry_run else 'Forgot'} {what} of {done['skill_name']}"

    return correct("forget", args, work, describe)
