"""``session-buddy replay``: replays recorded sessions into the database as if they happened now."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from session_buddy import _native
from session_buddy._live_line import LiveLine
from session_buddy._output import print_flushed
from session_buddy.cli._options import add_db_path, fail, not_negative, positive
from session_buddy.cli._running import stop_event
from session_buddy.ingest import RecordedInvocation, load_transcripts
from session_buddy.ingest.replay import Replay, ReplayProgress, Step, schedule
from session_buddy.storage.skills_storage import SkillsStorage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        f"Writes the invocations of {_native.TRANSCRIPT_AGENTS} transcripts to the database in the order in which they "
        "ended, with current timestamps, so that a live view has data."
    )
    parser.epilog = (
        "Exit status: 0 done or stopped by Ctrl-C, 1 a file or the database could not be read or written, 2 "
        "wrong usage."
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="transcript file or folder of transcripts")
    parser.add_argument(
        "--speed", type=positive, default=60.0, metavar="N", help="recorded seconds per second of replay (default: 60)"
    )
    parser.add_argument(
        "--max-gap",
        type=not_negative,
        default=3600.0,
        metavar="SECONDS",
        help="maximum pause in recorded seconds; longer ones are shortened, 0 keeps all (default: 3600)",
    )
    parser.add_argument("--loop", action="store_true", help="restart at the end")
    add_db_path(parser)


def run(args: argparse.Namespace) -> int:
    """Replay, print the summary, return the exit status."""
    invocations, summary = load_transcripts(args.paths)
    for problem in summary["problems"]:
        print(f"session-buddy replay: {problem['path']}: {problem['reason']}", file=sys.stderr)
    if not invocations:
        return fail("replay", "no invocation in the transcripts")
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
        return fail("replay", error)
    live.clear()
    print(f"{'Replayed' if ended else 'Stopped after'} {replay.progress.written:,} invocations")
    return 1 if summary["problems"] else 0


def _announce(invocations: list[RecordedInvocation], steps: list[Step], speed: float, db_path: str) -> None:
    sessions = len({invocation.session_id for invocation in invocations})
    print_flushed(
        f"Replaying {len(steps):,} invocations of {sessions:,} sessions into {db_path}: "
        f"{steps[-1].offset:,.0f} s at speed {speed:g}. Press Ctrl-C to stop."
    )


def _line(progress: ReplayProgress, total: int) -> str:
    last = progress.last
    if last is None:
        return ""
    recorded = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(last.at))
    outcome = "completed" if last.completed else last.error_type or "failed"
    number = progress.written - progress.passes * total
    return f"{number:,} of {total:,}  recorded at {recorded} UTC  {last.skill_name}: {outcome}"
