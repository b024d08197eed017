"""Reads a terminal key by key and restores its mode afterwards."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator

ESCAPE_SECONDS = 0.05  # an ESC byte followed by nothing for this long is the Escape key, not the start of a sequence
MAX_SEQUENCE = 16  # characters; longer sequences are ignored

_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "1~": "home", "7~": "home", "4~": "end", "8~": "end", "5~": "page up", "6~": "page down", "3~": "delete",
}  # fmt: skip
_CONTROLS = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x15": "clear", "\x0c": "redraw"}


class Keys:
    """Decodes terminal input into key names and characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    @property
    def incomplete(self) -> bool:
        """Whether an unfinished escape sequence is buffered."""
        return bool(self._pending)

    def feed(self, data: bytes) -> list[str]:
        """Add input; return the keys completed by it."""
        self._pending += self._decoder.decode(data)
        keys = []
        while self._pending:
            key, length = self._first()
            if length == 0:
                break
            self._pending = self._pending[length:]
            if key:
                keys.append(key)
        return keys

    def flush(self) -> list[str]:
        """End the unfinished sequence: it was the Escape key."""
        pending, self._pending = self._pending, ""
        return ["escape"] if pending else []

    def _first(self) -> tuple[str, int]:
        """The first key (empty: ignored) and its length in characters; length 0: more input is needed."""
        text = self._pending
        if text[0] != "\x1b":
            return _CONTROLS.get(text[0], text[0] if text[0].isprintable() else ""), 1
        if len(text) == 1:
            return "", 0
        if text[1] not in "[O":
            return "escape", 1
        for index, character in enumerate(text[2:MAX_SEQUENCE], 2):
            if "@" <= character <= "~":
                return _SEQUENCES.get(text[2 : index + 1], ""), index + 1
        return ("", 0) if len(text) < MAX_SEQUENCE else ("", len(text))


@contextlib.contextmanager
def reading_keys(pressed: Callable[[str], object], file: int | None = None) -> Iterator[None]:
    """Call ``pressed`` in the running event loop with each key, with echo off.

    Ctrl-C, Ctrl-Z and Ctrl-\\ still raise signals. No-op if stdin is not a terminal.
    """
    number = sys.stdin.fileno() if file is None else file
    if not os.isatty(number):
        yield
        return
    loop = asyncio.get_running_loop()
    keys = Keys()
    waiting: asyncio.TimerHandle | None = None

    def flush() -> None:
        for key in keys.flush():
            pressed(key)

    def read() -> None:
        nonlocal waiting
        if waiting is not None:
            waiting.cancel()
        data = b""
        with contextlib.suppress(BlockingIOError, InterruptedError, OSError):
            data = os.read(number, 1024)
        if not data:  # the terminal is gone
            loop.remove_reader(number)
        for key in keys.feed(data):
            pressed(key)
        if keys.incomplete:
            waiting = loop.call_later(ESCAPE_SECONDS, flush)

    before = termios.tcgetattr(number)
    tty.setcbreak(number, termios.TCSADRAIN)
    loop.add_reader(number, read)
    try:
        yield
    finally:
        loop.remove_reader(number)
        if waiting is not None:
            waiting.cancel()
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(number, termios.TCSADRAIN, before)
