"""Runs a blocking native call beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

__all__ = ["run_blocking"]


async def run_blocking(function: Callable[[], None]) -> None:
    """Calls `function` in a thread of its own and waits until it is over, whatever happens meanwhile.

    A cancellation is raised only after the call has ended: a start or stop that is half done cannot be left alone. The
    thread is no daemon, so that the interpreter does not go away under it, and not one of the loop's executor, which
    the program may have filled with work of its own.
    """
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:
            failure.append(error)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
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
