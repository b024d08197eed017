"""Arguments shared by the commands that read transcripts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from session_buddy import _native
from session_buddy.cli._options import add_db_path


def add_transcript_arguments(parser: argparse.ArgumentParser) -> None:
    """PATH… and --db-path."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help=f"transcript file, project folder or folder of projects (default: {_native.TRANSCRIPT_FOLDERS})",
    )
    add_db_path(parser)


class TranscriptSettings(NamedTuple):
    """The options that decide what a transcript is stored as; keyword arguments of the functions that read them."""

    tools: str
    builtin_commands: bool
    hook_timeout: float


def transcript_settings() -> TranscriptSettings:
    """Those of the environment and the config file. Raises ValueError if one is invalid."""
    settings = _native.configured_settings()
    return TranscriptSettings(
        str(settings["tools"]), bool(settings["builtin_commands"]), float(settings["hook_timeout"])
    )
