"""``session-buddy watch``: follows transcripts of agents and records the invocations that hooks missed."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from session_buddy import _native
from session_buddy._live_line import LiveLine
from session_buddy._output import print_flushed
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import fail
from session_buddy.cli._running import progress_bar, stop_event
from session_buddy.cli._transcripts import add_transcript_arguments, transcript_settings
from session_buddy.ingest import transcript_roots, watch_transcripts

if TYPE_CHECKING:
    from session_buddy.ingest import WatchReport


# Claude Code creates the folder of this name with its first session: a path to it is awaited, another missing path is
# more likely a mistake.
_TRANSCRIPTS = "projects"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        f"Follows {_native.TRANSCRIPT_AGENTS} transcripts as they grow, records the skill invocations that hooks "
        "missed, and reports how many those were. Read positions are stored in the database, so a later watch resumes "
        "there, also after a crash. Prompts, arguments, outputs and error texts are not stored."
    )
    parser.epilog = (
        "Exit status: 0 ended by Ctrl-C or SIGTERM, or caught up with --once; 1 the database cannot be used, or "
        "with --once a file could not be read; 2 wrong usage."
    )
    add_transcript_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print each report as one line of JSON")
    parser.add_argument("--once", action="store_true", help="exit once all existing transcripts are recorded")


def run(args: argparse.Namespace) -> int:
    """Watch until a signal, return the exit status."""
    # Before the first session the folder does not exist yet: wait for it.
    paths: list[Path] = args.paths or transcript_roots() or transcript_roots(also_missing=not args.once)
    if not paths:
        return fail("watch", "no transcripts in the default folders; pass a file or folder")
    missing = [path for path in paths if not path.exists()]
    awaited = [path for path in missing if not args.once and (not args.paths or _TRANSCRIPTS in path.absolute().parts)]
    if args.paths and missing == paths and not awaited:  # before a database is created for it
        return fail(
            "watch", f"{paths[0]}: no such file or folder; check the path, or pass none to wait for the first session"
        )
    try:
        db_path = _native.resolve_db_path(args.db_path)
        with ExitStack() as bar, stop_event() as stop:
            printer = _Printer(once=args.once, as_json=args.json, bar=bar, awaited=[str(path) for path in awaited])
            if not args.json and not args.once:
                print_flushed(f"Following {', '.join(map(str, paths))} into {db_path}. Press Ctrl-C to stop.")
                if awaited:
                    print_flushed(f"Waiting for the first session of {_native.TRANSCRIPT_AGENTS}")
            progress = bar.enter_context(progress_bar("Reading", stop.is_set))
            watch_transcripts(
                paths,
                db_path,
                report=printer.show,
                go_on=lambda: not stop.is_set(),
                progress=progress,
                once=args.once,
                **transcript_settings()._asdict(),
            )
    except (_native.StorageError, ValueError, OSError) as error:
        return fail("watch", error)
    return 1 if args.once and printer.problems else 0


def coverage(report: WatchReport) -> str:
    """The coverage counts as text."""
    if report["runs"] == 0:
        return "no tool use yet"
    text = f"hooks saw {report['hooks_saw']:,} of {report['runs']:,}, {report['recovered']:,} recovered"
    others = report["runs"] - report["hooks_saw"] - report["recovered"]
    return f"{text}, {others:,} from other sources" if others else text


class _Printer:
    """Prints reports to stdout and problems to stderr; with JSON everything goes to stdout."""

    def __init__(self, *, once: bool, as_json: bool, bar: ExitStack, awaited: list[str]) -> None:
        """``awaited``: folders that may not exist yet; their absence is not reported."""
        self._awaited = awaited
        self._once = once
        self._as_json = as_json
        self._bar = bar
        self._live = LiveLine(sys.stdout)
        self.problems = 0

    def show(self, report: WatchReport) -> None:
        event = report["event"]
        if event == "problem" and report["path"] in self._awaited and not Path(report["path"] or "").exists():
            return
        self.problems += event == "problem"
        if event in ("caught_up", "ended"):
            self._bar.close()
        if self._as_json:
            line = json.dumps({k: v for k, v in report.items() if v is not None}, ensure_ascii=False)
            print_flushed(escape_controls(line))
        elif event == "coverage" and self._live.enabled:
            self._live.show(coverage(report))
        else:
            self._live.clear()
            if event in ("caught_up", "coverage", "ended"):
                print_flushed(self._text(report))
            else:
                print(self._text(report), file=sys.stderr, flush=True)
            if event == "caught_up" and not self._once:
                print_flushed(coverage(report))

    @staticmethod
    def _text(report: WatchReport) -> str:
        match report["event"]:
            case "caught_up":
                files = f"{report['files']:,} file{'' if report['files'] == 1 else 's'}"
                return f"Caught up with {files}, {report['bytes'] / 1e6:,.1f} MB new"
            case "coverage" | "ended":
                return coverage(report)
            case "problem":
                return f"session-buddy watch: {report['path']}: {report['reason']}"
            case "database_waits":
                return f"session-buddy watch: waiting for the database: {report['reason']}"
            case "database_back":
                return "session-buddy watch: the database is writable again"
            case "database_replaced":
                return "session-buddy watch: the database was replaced; reading all transcripts again"
            case other:
                return other
