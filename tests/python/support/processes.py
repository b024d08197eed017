"""Programs as context managers whose output is waited for line by line."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import session_buddy

DEADLINE = 40.0  # seconds that any single wait may take before the test fails
LINES_SHOWN = 400  # of a program's output, where a test fails


def wait_until(condition: Callable[[], bool], what: str, pause: float = 0.01) -> None:
    """Polls the condition every `pause` seconds until it is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"timed out waiting for: {what}"
        time.sleep(pause)


class Program:
    """A running program. Its standard output and error are one stream of lines."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.arguments = list(arguments)
        self._cwd = cwd
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []

    def __enter__(self) -> Program:
        self.process = subprocess.Popen(
            self.arguments,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def wait_for(self, wanted: str | Callable[[str], bool], deadline: float = DEADLINE) -> str:
        """The first line, not yet consumed, that contains `wanted` as a regular expression or for which it is true."""
        matches = (lambda line: re.search(wanted, line) is not None) if isinstance(wanted, str) else wanted
        end = time.monotonic() + deadline
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(self._report(f"no such line in {deadline} s: {wanted}")) from None
            if line is None:
                self._lines.put(None)
                raise AssertionError(self._report(f"ended with {self.process.wait()} before the line came: {wanted}"))
            self.seen.append(line)
            if matches(line):
                return line

    def drain(self, deadline: float = DEADLINE) -> list[str]:
        """All lines up to the program's end."""
        lines: list[str] = []
        end = time.monotonic() + deadline
        while (line := self._lines.get(timeout=max(0.0, end - time.monotonic()))) is not None:
            lines.append(line)
            self.seen.append(line)
        return lines

    def stop(self, how: signal.Signals = signal.SIGTERM, deadline: float = DEADLINE) -> int:
        """Sends the signal, waits for the end and gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(timeout=deadline)
        self._reader.join(timeout=deadline)
        return status

    def _report(self, message: str) -> str:
        return "\n".join([f"{' '.join(self.arguments)}: {message}", "last output:", *self.seen[-LINES_SHOWN:]])


def native_binary(name: str = "session-buddy-server") -> str:
    """The native program of the package under test."""
    # An instrumented package is in a separate folder with its binaries; PYTHONPATH names it.
    bin_folder = Path(session_buddy.__file__).parents[1] / "bin"
    binary = (bin_folder if bin_folder.is_dir() else Path(sysconfig.get_path("scripts"))) / name
    assert binary.exists(), f"{binary} is not installed"
    return str(binary)


def entry_points() -> dict[str, list[str]]:
    """Every way to start the server from a shell."""
    return {
        "binary": [native_binary()],
        "python -m session_buddy.websocket-server": [sys.executable, "-m", "session_buddy.websocket-server"],
        "python -m session_buddy.websocket_server": [sys.executable, "-m", "session_buddy.websocket_server"],
        "session-buddy serve": [str(Path(sysconfig.get_path("scripts")) / "session-buddy"), "serve"],
    }


class Server(Program):
    """The native server on a free port of loopback, listening once it is entered; `prefix` precedes its command."""

    port: int

    def __init__(
        self,
        db_path: Path,
        *options: str,
        port: int = 0,
        interval: str = "100ms",
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.db_path = db_path
        arguments = ["--port", str(port), "--db-path", str(db_path), "--update-interval", interval, *options]
        super().__init__([*prefix, native_binary(), *arguments], cwd=db_path.parent, env=env)

    def __enter__(self) -> Server:
        super().__enter__()
        line = self.wait_for(r"listening on wss?://")
        self.port = int(line.rsplit(":", 1)[1])
        self._scheme = "wss" if "wss://" in line else "ws"
        return self

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self.port}"


class ServerProcess:
    """A server command as a process; `ports` are those of its "listening on" line, after it was printed."""

    def __init__(self, arguments: Sequence[str], **options: Any) -> None:
        self.process = subprocess.Popen(
            list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        self._watchdog = threading.Timer(DEADLINE, self.process.kill)
        self._watchdog.start()
        self.line = ""

    def wait_until_listening(self) -> list[int]:
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        if not self.line.startswith(("listening on ws://", "listening on wss://")):
            raise AssertionError(f"did not listen: {self.line!r}, {self.finish()}")
        return [int(port) for port in re.findall(r":(\d+)(?=\s)", self.line)]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self) -> tuple[int, str, str]:
        """Waits for the end; returns status, rest of the output, error output."""
        try:
            output, errors = self.process.communicate(timeout=DEADLINE)
        finally:
            self._watchdog.cancel()
        return self.process.returncode, output, errors

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.finish()
