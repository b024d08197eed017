"""``session-buddy import``: imports recorded sessions of agents into the database."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from session_buddy import _native
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import fail
from session_buddy.cli._running import EXIT_INTERRUPTED, progress_bar, stop_on_interrupt
from session_buddy.cli._transcripts import add_transcript_arguments, transcript_settings
from session_buddy.ingest import ImportSummary, SkillCorrections, import_transcripts, transcript_roots

SHOWN_SKILLS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        f"Reads {_native.TRANSCRIPT_AGENTS} transcripts and records each skill invocation in them. Repeating the "
        "import adds only new invocations, and corrects those of which the transcripts know more. A command that the "
        "user typed as /name counts as the skill of that name. Prompts, arguments, outputs and error texts are not "
        "stored."
    )
    parser.epilog = (
        "Exit status: 0 done, 1 a file or the database could not be read or written, 2 wrong usage, 130 interrupted."
    )
    add_transcript_arguments(parser)
    parser.add_argument(
        "--reclassify",
        action="store_true",
        help="also correct names, outcomes and durations that an earlier version recorded",
    )
    parser.add_argument("--dry-run", action="store_true", help="with --reclassify: show what would change, by skill")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(args: argparse.Namespace) -> int:
    """Import, print the summary, return the exit status."""
    paths: list[Path] = args.paths or transcript_roots()
    if args.dry_run and not args.reclassify:
        return fail("import", "error: --dry-run needs --reclassify: any other import only adds what is missing", 2)
    if not paths:
        return fail("import", "no transcripts in the default folders; pass a file or folder")
    try:
        db_path = _native.resolve_db_path(args.db_path)
        if args.reclassify and not Path(db_path).exists():
            return fail("import", f"no database {db_path} to reclassify; check --db-path")
        with stop_on_interrupt() as stopped, progress_bar("Reading", stopped) as progress:
            summary = import_transcripts(
                paths,
                db_path,
                progress=progress,
                reclassify=args.reclassify,
                dry_run=args.dry_run,
                **transcript_settings()._asdict(),
            )
    except (_native.StorageError, ValueError, OSError) as error:
        return fail("import", error)
    for problem in summary["problems"]:
        print(f"session-buddy import: {problem['path']}: {problem['reason']}", file=sys.stderr)
    if args.json:
        print(escape_controls(json.dumps({"db_path": db_path, **summary}, indent=2, ensure_ascii=False)))
    elif summary["files"] or not summary["problems"]:  # a wrong path is reported above, and no database was opened
        print_summary(summary, db_path, dry_run=args.dry_run)
    if summary["bad_durations"]:
        print(
            f"Left out  {summary['bad_durations']:,} durations (durationMs) outside 0 to "
            f"{_native.MAX_DURATION_SECONDS:.0f} s; their invocations are recorded without one"
        )
    if summary["stopped"]:
        return EXIT_INTERRUPTED
    return 1 if summary["problems"] else 0


def print_summary(summary: ImportSummary, db_path: str, *, dry_run: bool = False) -> None:
    """Print what was read, recorded and skipped, and why."""
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
        f"file{'' if summary['foreign_files'] == 1 else 's'} without a line of {_native.TRANSCRIPT_AGENTS}": (
            summary["foreign_files"] - sum(summary["foreign_by_agent"].values())
        ),
        **{
            f"file{'' if files == 1 else 's'} of {agent}": files for agent, files in summary["foreign_by_agent"].items()
        },
    }
    print(
        f"Read      {summary['lines']:,} lines in {summary['files']:,} file{'' if summary['files'] == 1 else 's'} "
        f"({summary['bytes'] / 1e6:,.1f} MB)"
    )
    done = "Would record" if dry_run else "Recorded "
    print(f"{done} {summary['recorded']:,} of {summary['found']:,} invocations in {db_path}")
    if summary["expired"]:
        print(f"Expired   {summary['expired']:,} invocations whose end was not reported within hook_timeout")
    if summary["unknown_outcomes"]:
        print(f"Unknown   {summary['unknown_outcomes']:,} of these have an unknown outcome")
    if summary["corrected"]:
        rows = f"{summary['corrected']:,} row{'' if summary['corrected'] == 1 else 's'}"
        print(f"{'Would correct' if dry_run else 'Corrected'} {rows}:")
        for one in summary["corrections"]:
            print(f"            {one['skill_name']}: {describe_corrections(one)}")
    elif dry_run:
        print("Would correct no row")
    print("Skipped   " + (", ".join(f"{count:,} {why}" for why, count in left_out.items() if count) or "nothing"))
    if summary["incomplete_lines"]:
        print(f"Waiting   {summary['incomplete_lines']:,} incomplete last lines: import again later")
    if summary["unreadable_lines"]:
        print(f"Unread    {summary['unreadable_lines']:,} lines that are not JSON or too long:")
        for line in summary["unreadable"]:
            print(f"            {line['path']}: {line['reason']}")
    if summary["stopped"]:
        print("Stopped before the end; import again to continue.")


def describe_corrections(one: SkillCorrections) -> str:
    """What changed in the rows of one skill."""
    changes = [f"{count:,} {change}" for change, count in sorted(one["outcomes"].items())]
    for count, what in (
        (one["error_types"], "with another error type"),
        (one["renamed"], "renamed"),
        (one["durations"], "with another duration"),
    ):
        if count:
            changes.append(f"{count:,} {what}")
    return f"{one['rows']:,} row{'' if one['rows'] == 1 else 's'}: {', '.join(changes) or 'other session or time'}"
