"""Shared by ``forget`` and ``rename``: error messages and the summary of what changed."""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Callable

from session_buddy import _native
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import fail
from session_buddy.cli._running import EXIT_INTERRUPTED, progress_bar, stop_on_interrupt

DRY_RUN = "show what would change without changing anything"  # help of --dry-run
MAX_NAMES = 10_000  # skills searched for a suggestion

Progress = Callable[[int, int], bool]


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
            message = _unknown(db_path, done["skill_name"]) if done["skill_name"] else describe(done)
            return fail(command, escape_controls(f"error: {message}"))
    except (ValueError, _native.InvalidRecordError) as error:
        return fail(command, escape_controls(f"error: {error}"), 2)
    except _native.StorageError as error:
        return fail(command, escape_controls(f"error: {error}"))
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
