"""Runs a blocking native call without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

__all__ = ["run_blocking"]


async def run_blocking(function: Callable[[], None]) -> None:
    """Call `function` on a separate thread and wait until it returns.

    A cancellation is deferred until then: a start or stop cannot be abandoned halfway. The thread is not a daemon, so
    that the interpreter does not shut down during the call, and not from the loop's executor, whose threads may all be
    busy.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:
            failure.append(error)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: no one is waiting
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=work, name="session-buddy-call", daemon=False).start()
    cancelled: asyncio.CancelledError | None = None
    while not done.is_set():
        try:
            await done.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    if failure:
        raise failure[0]
