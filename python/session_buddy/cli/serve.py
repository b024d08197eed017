"""``session-buddy serve``: passes the command line to the native server, which prints and handles signals."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from session_buddy import _native

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "session-buddy-server") -> int:
    """Runs the server until SIGINT or SIGTERM; returns 0 stopped, 1 could not start, 2 wrong usage.

    Args:
        arguments: The options, without the program name; None: those of this process.
        program: Program name in the help.
    """
    given = sys.argv[1:] if arguments is None else arguments
    sys.stdout.flush()  # the native side writes to the same descriptor, bypassing Python's buffer
    return _native.run_server_command([os.fsencode(argument) for argument in given], program)
