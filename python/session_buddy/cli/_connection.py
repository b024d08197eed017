"""What commands that are clients of a server have in common: its address, certificate and token."""

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

MAX_TOKEN_BYTES = 8192  # as the server takes them
MAX_LOOKUPS = 8  # of names, that may hang at a time


def add_connection_arguments(parser: argparse.ArgumentParser) -> None:
    """Address, token and authorities. No flag takes a token: every user of a machine sees the command lines of all."""
    parser.add_argument(
        "--url", default=DEFAULT_URL, help="the server: ws://, wss://, http://, https:// or host:port (%(default)s)"
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"file that begins with the token to show; read again when the server no longer accepts it "
        f"(default: the token in {TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="PEM file with the authorities that sign the server's certificate"
    )


def token_source(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | Callable[[], str] | None:
    """The token to show. Raises OSError or ValueError where the file holds none."""
    if file is None:
        return environment.get(TOKEN_VARIABLE) or None

    def read() -> str:
        with file.open("rb") as opened:
            words = opened.read(MAX_TOKEN_BYTES).split(maxsplit=1)
        if not words:
            raise ValueError(f"there is no token in {file}")
        try:
            return words[0].decode("ascii")
        except UnicodeDecodeError:
            raise ValueError(f"what {file} begins with is no token") from None

    read()
    return read


class DetachedThreads(ThreadPoolExecutor):
    """The default executor of a loop, for lookups of names: a thread each, that nobody waits for at the end.

    A lookup cannot be interrupted, and asyncio.run and the interpreter both wait for the threads of other executors: a
    name server that is away would hold up Ctrl-C for half a minute.
    """

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # none of its own is ever begun
        self._free = threading.BoundedSemaphore(MAX_LOOKUPS)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begins at once; fails with OSError where too many hang."""
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
            future.set_exception(OSError(f"{MAX_LOOKUPS} lookups of names got no answer yet"))
        return future
