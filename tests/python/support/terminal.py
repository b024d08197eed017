"""A program on a pseudo-terminal; a terminal emulator (pyte) renders its output."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import io
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Mapping, Sequence

import pyte
import pytest

from .processes import DEADLINE, wait_until


def text_of_terminal(monkeypatch: pytest.MonkeyPatch, stream: str, *, columns: int) -> io.StringIO:
    """What this process writes to sys.stdout or sys.stderr, which seems to be a terminal."""

    class Text(io.StringIO):
        def isatty(self) -> bool:
            return True

    text = Text()
    monkeypatch.setattr(sys, stream, text)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    return text


class Terminal:
    """`with Terminal([...]) as terminal:` starts it; it is killed at the end, if it still runs."""

    def __init__(
        self, arguments: Sequence[str], *, columns: int = 120, lines: int = 30, env: Mapping[str, str] | None = None
    ) -> None:
        self._arguments = list(arguments)
        self._env = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self._screen)
        self._lock = threading.Lock()
        self.output = b""
        self.errors = b""

    def __enter__(self) -> Terminal:
        self._master, self._slave = os.openpty()
        self._set_size(self._screen.columns, self._screen.lines)
        self.modes = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            self._arguments,
            stdin=self._slave,
            stdout=self._slave,
            stderr=subprocess.PIPE,
            env=self._env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that keys such as Ctrl-C are signals
        )
        self._readers = [threading.Thread(target=reader, daemon=True) for reader in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self._slave)
        for reader in self._readers:
            reader.join(DEADLINE)
        os.close(self._master)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with contextlib.suppress(OSError):
            while data := os.read(self._master, 65536):
                with self._lock:
                    self.output += data
                    self._stream.feed(decoder.decode(data))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.errors += line

    @property
    def screen_lines(self) -> list[str]:
        """The lines on the screen, without trailing blanks."""
        with self._lock:
            return [line.rstrip() for line in self._screen.display]

    def wait_for(self, wanted: str | Callable[[list[str]], bool]) -> list[str]:
        """The lines on the screen, once they contain the text or `wanted` returns true."""
        seen: list[str] = []

        def is_shown() -> bool:
            nonlocal seen
            seen = self.screen_lines
            return wanted in "\n".join(seen) if isinstance(wanted, str) else wanted(seen)

        try:
            wait_until(is_shown, str(wanted), pause=0.02)
        except AssertionError as error:
            shown = "\n".join(seen)
            raise AssertionError(f"{error}\n{shown}\n{self.errors.decode(errors='replace')}") from None
        return seen

    def press(self, keys: str) -> None:
        """Types the keys."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
        self._set_size(columns, lines)
        self.process.send_signal(signal.SIGWINCH)

    def end(self) -> int:
        """Waits for its end; returns the exit status."""
        status = self.process.wait(DEADLINE)
        self._readers[1].join(DEADLINE)
        wait_until(lambda: not self._unread(), "all output is read")
        return status

    def is_restored(self) -> bool:
        """Whether echo, cursor and screen are restored."""
        output = self.output
        cursor = output.rfind(b"\x1b[?25h") > output.rfind(b"\x1b[?25l") or b"\x1b[?25l" not in output
        screen = output.rfind(b"\x1b[?1049l") > output.rfind(b"\x1b[?1049h") or b"\x1b[?1049h" not in output
        return cursor and screen and termios.tcgetattr(self._slave) == self.modes

    def _unread(self) -> int:
        waiting = fcntl.ioctl(self._master, termios.FIONREAD, struct.pack("i", 0))
        return int(struct.unpack("i", waiting)[0])

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
