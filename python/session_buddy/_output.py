"""Errors of stdout, kept apart from the errors of what a command does."""

from __future__ import annotations

__all__ = ["OutputError", "print_flushed"]


class OutputError(Exception):
    """Stdout cannot be written. Not an OSError, so that handlers of a command's own errors pass it on to main()."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def print_flushed(*lines: str) -> None:
    """Print lines and flush stdout. Raises OutputError."""
    try:
        print(*lines, sep="\n", flush=True)
    except OSError as error:
        raise OutputError(error) from error
