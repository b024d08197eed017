"""Recorded Claude Code sessions: import them into a skills database, or load them for a replay.

Only names, times, outcomes and durations are taken from a transcript: no prompts, arguments, outputs or error texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypedDict, cast

from session_buddy import _native

__all__ = [
    "ImportSummary",
    "Problem",
    "Progress",
    "RecordedInvocation",
    "import_transcripts",
    "load_transcripts",
    "transcript_roots",
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
    found: int
    typed_commands: int  # of found: typed by the user as /name
    recorded: int
    already_known: int
    unfinished: int  # tool uses without a result yet
    replayed: int  # repeats of a tool use that was met before
    without_time: int
    results_without_use: int
    found_by_skill: dict[str, int]
    recorded_by_skill: dict[str, int]
    problems: list[Problem]
    unreadable: list[Problem]  # the first 20 of unreadable_lines
    stopped: bool


class RecordedInvocation(NamedTuple):
    """A run of a skill as a transcript tells it."""

    skill_name: str
    at: float  # seconds since 1970-01-01T00:00:00Z
    session_id: str
    completed: bool
    duration_seconds: float | None
    error_type: str | None


def transcript_roots() -> list[Path]:
    """The ``projects`` folders that exist in the config folders of Claude Code.

    These are the folders that ``CLAUDE_CONFIG_DIR`` names (commas between several), else ``~/.claude`` and
    ``~/.config/claude``.
    """
    return _native.transcript_roots()


def import_transcripts(
    paths: Iterable[str | os.PathLike[str]],
    db_path: str | os.PathLike[str],
    *,
    busy_timeout: float = 5.0,
    progress: Progress | None = None,
) -> ImportSummary:
    """Store every invocation that the transcripts hold and that was not stored by an earlier import.

    ``paths`` are files or folders; of a folder every ``*.jsonl`` at any depth is read. The database is made where it is
    missing. ``busy_timeout``: seconds to wait for a locked database. Paths that cannot be read are in ``problems``.
    Raises ``StorageError``.
    """
    summary = _native.import_transcripts(
        [Path(path) for path in paths], os.fspath(db_path), busy_timeout=busy_timeout, progress=progress
    )
    return cast("ImportSummary", summary)


def load_transcripts(
    paths: Iterable[str | os.PathLike[str]], *, progress: Progress | None = None
) -> tuple[list[RecordedInvocation], ImportSummary]:
    """All invocations of the transcripts in the order of time, and what was read. Nothing is stored."""
    rows, summary = _native.load_transcripts([Path(path) for path in paths], progress=progress)
    return [RecordedInvocation(*row) for row in rows], cast("ImportSummary", summary)
