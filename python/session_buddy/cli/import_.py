"""``session-buddy import``: recorded Claude Code sessions into the database."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from session_buddy import _native
from session_buddy.ingest import ImportSummary, import_transcripts, transcript_roots

if TYPE_CHECKING:
    from session_buddy.ingest import Progress

SHOWN_SKILLS = 30
STOPPED = 130  # as a shell tells of a program that SIGINT ended


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = subparsers.add_parser(
        "import",
        allow_abbrev=False,
        description="Reads Claude Code transcripts and records each skill invocation that they hold. "
        "Doing it again adds only what is new. A command that the user typed as /name counts as the skill of that "
        "name, the built-in ones included. Prompts, arguments, outputs and error texts are not stored.",
        epilog="Exit status: 0 done, 1 something could not be read or written, 2 wrong usage, 130 stopped.",
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="a transcript, a project's folder or a folder of projects (default: the projects of CLAUDE_CONFIG_DIR, "
        "~/.claude and ~/.config/claude)",
    )
    parser.add_argument("--db-path", metavar="FILE", help="the database (default: as for the server)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Import, print the summary, return the exit status."""
    paths: list[Path] = args.paths or transcript_roots()
    if not paths:
        return fail("there are no transcripts in the usual places; name a file or folder")
    try:
        db_path = _native.resolve_db_path(args.db_path)
        with stop_on_interrupt() as stopped, progress_bar("Reading", stopped) as progress:
            summary = import_transcripts(paths, db_path, progress=progress, tools=_native.configured_tools())
    except (_native.StorageError, ValueError, OSError) as error:
        return fail(str(error))
    for problem in summary["problems"]:
        print(f"session-buddy import: {problem['path']}: {problem['reason']}", file=sys.stderr)
    if args.json:
        print(json.dumps({"db_path": db_path, **summary}, indent=2, ensure_ascii=False))
    else:
        print_summary(summary, db_path)
    if summary["stopped"]:
        return STOPPED
    return 1 if summary["problems"] else 0


def fail(message: str) -> int:
    """One line on stderr and the status of a failure."""
    print(f"session-buddy import: {message}", file=sys.stderr)
    return 1


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT into a question that can be asked: did it come? The work then ends in order, with its summary."""
    interrupted = False

    def note(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def progress_bar(label: str, stopped: Callable[[], bool]) -> Iterator[Progress]:
    """A bar of the bytes read, on a terminal alone; the callback says stop where ``stopped`` does."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: not stopped()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns: list[Any] = [TextColumn(label), BarColumn(), DownloadColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int) -> bool:
            bar.update(task, completed=done, total=total)
            return not stopped()

        yield advance


def print_summary(summary: ImportSummary, db_path: str) -> None:
    """What was read, recorded and left out, and why, for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    skills = sorted(summary["found_by_skill"].items(), key=lambda item: (-item[1], item[0]))
    if skills:
        table = Table("skill", box=None, pad_edge=False)
        table.add_column("found", justify="right")
        table.add_column("recorded", justify="right")
        for name, found in skills[:SHOWN_SKILLS]:
            table.add_row(name, str(found), str(summary["recorded_by_skill"].get(name, 0)))
        console.print(table)
        if len(skills) > SHOWN_SKILLS:
            print(f"… and {len(skills) - SHOWN_SKILLS} more skills")
        print()
    left_out = {
        "already known": summary["already_known"],
        "not finished yet": summary["unfinished"],
        "repeated in the transcripts": summary["replayed"],
        "without a readable time": summary["without_time"],
        "results without a use": summary["results_without_use"],
    }
    print(
        f"Read      {summary['lines']:,} lines in {summary['files']:,} file{'' if summary['files'] == 1 else 's'} "
        f"({summary['bytes'] / 1e6:,.1f} MB)"
    )
    print(f"Recorded  {summary['recorded']:,} of {summary['found']:,} invocations in {db_path}")
    print("Skipped   " + (", ".join(f"{count:,} {why}" for why, count in left_out.items() if count) or "nothing"))
    if summary["incomplete_lines"]:
        print(f"Waiting   {summary['incomplete_lines']:,} half-written last lines: import again later")
    if summary["unreadable_lines"]:
        print(f"Unread    {summary['unreadable_lines']:,} lines that are no JSON or too long:")
        for line in summary["unreadable"]:
            print(f"            {line['path']}: {line['reason']}")
    if summary["stopped"]:
        print("Stopped before the end; import again to go on.")
