"""Recorded Claude Code sessions: import them into a skills database, follow them, or load them for a replay.

Only names, times, outcomes and durations are taken from a transcript: no prompts, arguments, outputs or error texts.
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
    "WatchReport",
    "import_transcripts",
    "load_transcripts",
    "transcript_roots",
    "watch_transcripts",
]

Progress = Callable[[int, int], bool]
"""Called now and then with the bytes read and the bytes in all; what is not true stops the reading."""


class Problem(TypedDict):
    """A file, folder or line that could not be read."""

    path: str
    reason: str


class ImportSummary(TypedDict):
    """What was read and what became of it. ``found`` is ``recorded`` and ``already_known`` together."""

    files: int
    bytes: int
    lines: int
    unreadable_lines: int  # not JSON, or longer than 64 MiB
    incomplete_lines: int  # half-written last lines, left for the next time
    progress_lines: int  # they repeat what stands elsewhere
    other_lines: int  # lines of kinds that hold no tool use
    foreign_files: int  # of files: those without a line of Claude Code
    found: int
    typed_commands: int  # of found: typed by the user as /name
    recorded: int
    already_known: int
    unfinished: int  # tool uses without a result yet
    replayed: int  # repeats of a tool use that was met before
    without_time: int
    bad_durations: int  # invocations that were recorded without their duration, as it cannot be one
    results_without_use: int
    found_by_skill: dict[str, int]
    recorded_by_skill: dict[str, int]
    problems: list[Problem]
    unreadable: list[Problem]  # the first 20 of unreadable_lines
    stopped: bool


class WatchReport(TypedDict):
    """What a watch tells, with its figures as of then.

    ``event``: ``caught_up`` once all that lay there at the start is stored; ``coverage`` when the figures changed, at
    most once a second; ``problem`` with ``path`` and ``reason``, once for as long as it lasts; ``database_waits`` with
    a ``reason``, ``database_back``; ``database_replaced``, after which the figures begin anew; ``ended``.
    """

    event: str
    runs: int  # that transcripts told of for the first time
    hooks_saw: int  # of these, known from hooks before
    recovered: int  # of these, known from nobody: stored now
    files: int  # that are followed
    bytes: int  # read so far
    unreadable_lines: int
    unfinished: int  # tool uses without a result yet
    path: str | None
    reason: str | None


class RecordedInvocation(NamedTuple):
    """A run of a skill as a transcript tells it."""

    skill_name: str
    at: float  # seconds since 1970-01-01T00:00:00Z
    session_id: str
    completed: bool
    duration_seconds: float | None
    error_type: str | None


def transcript_roots(*, also_missing: bool = False) -> list[Path]:
    """The ``projects`` folders in the config folders of Claude Code: those that exist, or with ``also_missing`` all.

    These are the folders that ``CLAUDE_CONFIG_DIR`` names (commas between several), else ``~/.claude`` and
    ``~/.config/claude``.
    """
    return _native.transcript_roots(also_missing=also_missing)


def import_transcripts(
    paths: Iterable[str | os.PathLike[str]],
    db_path: str | os.PathLike[str],
    *,
    busy_timeout: float = 5.0,
    progress: Progress | None = None,
    tools: str = "",
) -> ImportSummary:
    """Store every invocation that the transcripts hold and that was not stored by an earlier import.

    ``paths`` are files or folders; of a folder every ``*.jsonl`` at any depth is read. The database is made where it is
    missing. ``busy_timeout``: seconds to wait for a locked database. ``tools``: further known tools, as the option of
    that name takes them. Paths that cannot be read are in ``problems``. Raises ``StorageError``.
    """
    summary = _native.import_transcripts(
        [Path(path) for path in paths], os.fspath(db_path), busy_timeout=busy_timeout, progress=progress, tools=tools
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
) -> None:
    """Follow transcripts as they grow and store what hooks missed, until ``go_on`` says no.

    ``paths`` and ``tools`` are those of ``import_transcripts``; files and folders that come later are found. How far
    each file was read is remembered in the database, so that the next watch goes on from there, however this one
    ended. ``go_on`` is asked several times a second. ``progress`` is called while catching up with the bytes read and
    the bytes in all. With ``once`` it returns when it has caught up. What the callbacks raise ends it. Raises
    ``StorageError`` where the database cannot be used at the start; later, and where it is only locked, it is waited
    for.
    """
    _native.watch_transcripts(
        [Path(path) for path in paths],
        os.fspath(db_path),
        report=cast("Callable[[dict[str, Any]], object]", report),
        go_on=go_on,
        progress=progress,
        once=once,
        tools=tools,
    )


def load_transcripts(
    paths: Iterable[str | os.PathLike[str]], *, progress: Progress | None = None
) -> tuple[list[RecordedInvocation], ImportSummary]:
    """All invocations of the transcripts in the order of time, and what was read. Nothing is stored."""
    rows, summary = _native.load_transcripts([Path(path) for path in paths], progress=progress)
    return [RecordedInvocation(*row) for row in rows], cast("ImportSummary", summary)
