"""``session-buddy replay``: recorded sessions, played into the database as if they happened now."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from session_buddy import _native
from session_buddy._live_line import LiveLine
from session_buddy.cli._running import stop_event
from session_buddy.ingest import RecordedInvocation, load_transcripts
from session_buddy.ingest.replay import Replay, ReplayProgress, Step, schedule
from session_buddy.storage.skills_storage import SkillsStorage


def positive(text: str) -> float:
    """A finite number above 0, or a complaint of the command line."""
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return number


def not_negative(text: str) -> float:
    """A finite number from 0 on, or a complaint of the command line."""
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {text}")
    return number


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = subparsers.add_parser(
        "replay",
        allow_abbrev=False,
        description="Plays the invocations of Claude Code transcripts into the database in the order in which they "
        "ended, with the present time, so that a live view moves.",
        epilog="Exit status: 0 played or stopped by Ctrl-C, 1 something could not be read or written, 2 wrong usage.",
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a transcript or a folder of them")
    parser.add_argument(
        "--speed", type=positive, default=60.0, metavar="N", help="recorded seconds to a second (default: 60)"
    )
    parser.add_argument(
        "--max-gap",
        type=not_negative,
        default=3600.0,
        metavar="SECONDS",
        help="shorten longer recorded pauses to this; 0 keeps them (default: 3600)",
    )
    parser.add_argument("--loop", action="store_true", help="start again at the end")
    parser.add_argument("--db-path", metavar="FILE", help="the database (default: as for the server)")


def run(args: argparse.Namespace) -> int:
    """Play, print the summary, return the exit status."""
    invocations, summary = load_transcripts(args.paths)
    for problem in summary["problems"]:
        print(f"session-buddy replay: {problem['path']}: {problem['reason']}", file=sys.stderr)
    if not invocations:
        print("session-buddy replay: there is nothing to play", file=sys.stderr)
        return 1
    steps = schedule(invocations, args.speed, args.max_gap)
    live = LiveLine(sys.stderr)
    try:
        db_path = _native.resolve_db_path(args.db_path)
        with SkillsStorage(db_path) as store, stop_event() as stop:
            _announce(invocations, steps, args.speed, db_path)
            replay = Replay(
                steps,
                store,
                now=time.time,
                wait=stop.wait,
                on_progress=lambda progress: live.show(_line(progress, len(steps))),
            )
            ended = replay.run(loop=args.loop)
    except (_native.StorageError, ValueError, OSError) as error:
        live.clear()
        print(f"session-buddy replay: {error}", file=sys.stderr)
        return 1
    live.clear()
    print(f"{'Played' if ended else 'Stopped after'} {replay.progress.written:,} invocations")
    return 1 if summary["problems"] else 0


def _announce(invocations: list[RecordedInvocation], steps: list[Step], speed: float, db_path: str) -> None:
    sessions = len({invocation.session_id for invocation in invocations})
    print(
        f"Playing {len(steps):,} invocations of {sessions:,} sessions into {db_path}: "
        f"{steps[-1].offset:,.0f} s at speed {speed:g}. Ctrl-C ends it.",
        flush=True,
    )


def _line(progress: ReplayProgress, total: int) -> str:
    last = progress.last
    if last is None:
        return ""
    recorded = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(last.at))
    outcome = "completed" if last.completed else last.error_type or "failed"
    number = progress.written - progress.passes * total
    return f"{number:,} of {total:,}  recorded at {recorded} UTC  {last.skill_name}: {outcome}"
