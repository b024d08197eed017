"""A status line that is rewritten on a terminal; no output otherwise."""

from __future__ import annotations

import shutil
from typing import TextIO

__all__ = ["LiveLine"]


class LiveLine:
    """Writes to ``stream`` only if it is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.enabled = stream.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line, truncated to the terminal width."""
        if self.enabled:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\x1b[K{text[:width]}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Remove the line before other output."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = False
