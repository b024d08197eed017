"""Ingestion of transcripts, the session files of agents: import them into a database, follow them, or load them.

Only names, times, outcomes and durations are read from a transcript: no prompts, arguments, outputs or error texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, cast

from session_buddy import _native

__all__ = [
    "ImportSummary",
    "Problem",
    "Progress",
    "RecordedInvocation",
    "SkillCorrections",
    "WatchReport",
    "import_transcripts",
    "load_transcripts",
    "transcript_roots",
    "watch_transcripts",
]

Progress = Callable[[int, int], bool]
"""Called periodically with the bytes read and the total bytes; a false result stops the reading."""


class Problem(TypedDict):
    """A file, folder or line that could not be read."""

    # <fields Problem>
    path: str
    reason: str
    # </fields>


class SkillCorrections(TypedDict):
    """How rows of one skill changed that were in the database before the import."""

    # <fields SkillCorrections>
    skill_name: str  # before the import
    rows: int
    outcomes: dict[str, int]  # of rows: with another outcome, such as `completed → failed`
    renamed: int  # of rows: with another skill name
    error_types: int  # of rows: failed before and after, for another reason
    durations: int  # of rows: with another duration, or an upper bound now
    # </fields>


class ImportSummary(TypedDict):
    """Counts of an import. ``found`` is the sum of ``recorded`` and ``already_known``."""

    # <fields ImportSummary>
    files: int
    bytes: int
    lines: int
    unreadable_lines: int  # not JSON, or longer than 64 MiB
    incomplete_lines: int  # incomplete last lines, left for the next import
    progress_lines: int  # duplicates of other lines
    other_lines: int  # lines of types without tool uses
    foreign_files: int  # of files: those without any line of a known agent
    foreign_by_agent: dict[str, int]  # of foreign_files: those of other agents
    found: int
    typed_commands: int  # of found: slash commands typed by the user
    recorded: int
    already_known: int
    unfinished: int  # tool uses without a result yet
    replayed: int  # duplicates of a tool use read before
    without_time: int
    bad_durations: int  # invocations recorded without their invalid duration
    results_without_use: int
    found_by_skill: dict[str, int]
    recorded_by_skill: dict[str, int]
    corrected: int  # rows that better evidence changed
    expired: int  # invocations without an end, recorded in addition to recorded
    unknown_outcomes: int  # of recorded and expired
    corrections: list[SkillCorrections]  # by skill
    problems: list[Problem]
    unreadable: list[Problem]  # the first 20 of unreadable_lines
    stopped: bool
    # </fields>


class WatchReport(TypedDict):
    """A report of a watch, with its current counts.

    ``event``: ``caught_up`` once all data present at the start is stored; ``coverage`` when the counts changed, at most
    once a second; ``problem`` with ``path`` and ``reason``, once while it lasts; ``database_waits`` with a ``reason``,
    ``database_back``; ``database_replaced``, which resets the counts; ``ended``.
    """

    # <fields WatchReport>
    event: str
    runs: int  # invocations read from transcripts for the first time
    hooks_saw: int  # of runs: already recorded by hooks
    recovered: int  # of runs: recorded by the watch, because no other source had
    files: int  # being followed
    bytes: int  # read since the start
    unreadable_lines: int
    unfinished: int  # tool uses without a result yet
    path: str | None
    reason: str | None
    # </fields>


class RecordedInvocation(NamedTuple):
    """An invocation as loaded from a transcript, for a replay; not stored yet."""

    skill_name: str
    at: float  # seconds since 1970-01-01T00:00:00Z
    session_id: str
    completed: bool
    duration_seconds: float | None
    error_type: str | None


def transcript_roots(*, also_missing: bool = False) -> list[Path]:
    """The folders in which agents store transcripts that exist, or with ``also_missing`` all of them.

    For Claude Code they are the ``projects`` in the config folders listed in ``CLAUDE_CONFIG_DIR`` (comma-separated),
    else in ``~/.claude`` and ``~/.config/claude``.
    """
    return _native.transcript_roots(also_missing=also_missing)


def import_transcripts(
    paths: Iterable[str | os.PathLike[str]],
    db_path: str | os.PathLike[str],
    *,
    busy_timeout: float = 5.0,
    progress: Progress | None = None,
    tools: str = "",
    builtin_commands: bool = False,
    hook_timeout: float = 3600.0,
    reclassify: bool = False,
    dry_run: bool = False,
) -> ImportSummary:
    """Store all invocations of the transcripts that are not stored yet, and correct those that they know better.

    ``paths`` are files or folders; folders are searched recursively for ``*.jsonl``. The database is created if
    missing. ``busy_timeout``: seconds to wait for a locked database. ``tools``: additional developer tools, in the
    format of the option of that name; ``builtin_commands`` and ``hook_timeout`` (in seconds) as the options of these
    names. With ``reclassify``, rows that an earlier version recorded get their name, outcome and duration from the
    transcripts, too; with ``dry_run``, nothing is stored, and the summary counts what would be. Unreadable paths are
    listed in ``problems``. Raises ``StorageError``.
    """
    summary = _native.import_transcripts(
        [Path(path) for path in paths],
        os.fspath(db_path),
        busy_timeout=busy_timeout,
        progress=progress,
        tools=tools,
        builtin_commands=builtin_commands,
        hook_timeout=hook_timeout,
        reclassify=reclassify,
        dry_run=dry_run,
    )
    return cast("ImportSummary", summary)


def watch_transcripts(
    paths: Iterable[str | os.PathLike[str]],
    db_path: str | os.PathLike[str],
    *,
    report: Callable[[WatchReport], object],
    go_on: Callable[[], bool],
    progress: Callable[[int, int], object] | None = None,
    once: bool = False,
    tools: str = "",
    builtin_commands: bool = False,
    hook_timeout: float = 3600.0,
) -> None:
    """Follow transcripts as they grow and store what hooks missed, until ``go_on`` returns False.

    ``paths``, ``tools``, ``builtin_commands`` and ``hook_timeout`` are those of ``import_transcripts``; new files and
    folders are detected. The read offset of each file is stored in the database, so that the next watch resumes there,
    also after a crash. ``go_on`` is polled several times a second. ``progress`` is called with the bytes read and the
    total bytes while catching up. With ``once``, the function returns once it has caught up. Exceptions of the
    callbacks end it. Raises ``StorageError`` if the database cannot be used at the start; a locked database, or a later
    failure, is retried.
    """
    _native.watch_transcripts(
        [Path(path) for path in paths],
        os.fspath(db_path),
        report=cast("Callable[[dict[str, Any]], object]", report),
        go_on=go_on,
        progress=progress,
        once=once,
        tools=tools,
        builtin_commands=builtin_commands,
        hook_timeout=hook_timeout,
    )


def load_transcripts(
    paths: Iterable[str | os.PathLike[str]], *, progress: Progress | None = None
) -> tuple[list[RecordedInvocation], ImportSummary]:
    """All invocations of the transcripts in chronological order, and the counts. Nothing is stored."""
    rows, summary = _native.load_transcripts([Path(path) for path in paths], progress=progress)
    return [RecordedInvocation(*row) for row in rows], cast("ImportSummary", summary)
