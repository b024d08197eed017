"""Options and name lookups shared by the commands that connect to a server: address, CA certificates, token."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from session_buddy.client import DEFAULT_URL
from session_buddy.client._endpoint import TOKEN_VARIABLE

P = ParamSpec("P")
T = TypeVar("T")

MAX_TOKEN_BYTES = 8192  # the server's limit
MAX_LOOKUPS = 8  # concurrent DNS lookups


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """--url, --token-file and --ca-file. No option takes a token itself: other users can see the command line (ps)."""
    parser.add_argument(
        "--url",
        default=DEFAULT_URL,
        help="server address: ws://, wss://, http://, https:// or host:port (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file whose first word is the bearer token; read again when the server rejects the token "
        f"(default: the token in {TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="PEM file with CA certificates to trust (default: those of the system)",
    )


def token_source(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | Callable[[], str] | None:
    """The bearer token, or a function that reads it. Raises OSError or ValueError if the file holds none."""
    if file is None:
        return environment.get(TOKEN_VARIABLE) or None

    def read() -> str:
        with file.open("rb") as opened:
            words = opened.read(MAX_TOKEN_BYTES).split(maxsplit=1)
        if not words:
            raise ValueError(f"no token in {file}: its first word must be the token")
        try:
            return words[0].decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"no token in {file}: its first word must be ASCII") from None

    read()
    return read


class DetachedThreads(ThreadPoolExecutor):
    """Default executor of the event loop, for DNS lookups: one daemon thread each, not joined at the end.

    A lookup cannot be interrupted, and asyncio.run and the interpreter both join the threads of other executors: an
    unreachable DNS server would delay the exit after Ctrl-C by half a minute.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # the base class never starts a thread
        self._free = threading.BoundedSemaphore(MAX_LOOKUPS)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start immediately; the future fails with OSError while MAX_LOOKUPS lookups are running."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                self._free.release()
                future.set_exception(error)
            else:
                self._free.release()
                future.set_result(result)

        future.set_running_or_notify_cancel()
        if self._free.acquire(blocking=False):
            threading.Thread(target=work, name="session-buddy-lookup", daemon=True).start()
        else:
            future.set_exception(OSError(f"{MAX_LOOKUPS} DNS lookups are still unanswered; check the DNS server"))
        return future
