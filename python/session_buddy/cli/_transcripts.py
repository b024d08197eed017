"""Arguments shared by the commands that read transcripts."""

from __future__ import annotations

import argparse
from pathlib import Path

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
