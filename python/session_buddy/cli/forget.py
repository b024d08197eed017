"""``session-buddy forget``: a skill, or one invocation, out of the database again."""

from __future__ import annotations

import argparse

from session_buddy import _native
from session_buddy.cli._corrections import Progress, add_correction_arguments, correct, plural


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = subparsers.add_parser(
        "forget",
        allow_abbrev=False,
        description="Takes back what was recorded by mistake: deletes a skill with all that was computed of it, or one "
        "invocation. A server that runs shows it at once, and an import does not bring it back; what is recorded "
        "under the same name later is counted from then on. A counter of /metrics keeps an invocation that was "
        "deleted alone: it never goes down.",
        epilog="Exit status: 0 done, 1 there is no such skill or invocation, or the database cannot be used, 2 wrong "
        "usage, 130 stopped.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("skill", metavar="SKILL", nargs="?", help="name of the skill")
    what.add_argument("--invocation", metavar="ID", type=int, help="id of one invocation, as `record` printed it")
    add_correction_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Forget, print what was deleted, return the exit status."""

    def work(db_path: str, progress: Progress) -> _native.Correction:
        if args.invocation is not None:
            return _native.forget_invocation(db_path, args.invocation, dry_run=args.dry_run)
        return _native.forget_skill(db_path, args.skill, dry_run=args.dry_run, progress=progress)

    def describe(done: _native.Correction) -> str:
        if not done["found"]:
            return f"there is no invocation {args.invocation}"
        what = plural(done["invocations"]) if args.invocation is None else f"invocation {args.invocation}"
        return f"{'Would forget' if args.dry_run else 'Forgot'} {what} of {done['skill_name']}"

    return correct("forget", args, work, describe)
