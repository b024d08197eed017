"""Shared by long-running commands: graceful shutdown on signals, a progress bar, concurrent coroutines."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT into a flag to poll, so that the work stops gracefully and still prints its summary."""
    interrupted = False

    def note(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    previous = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def stop_event() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, for a graceful shutdown."""
    event = threading.Event()
    previous = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def progress_bar(
    label: str, stopped: Callable[[], bool], *, in_bytes: bool = True
) -> Iterator[Callable[[int, int], bool]]:
    """A progress bar if stderr is a terminal. The callback takes (done, total) and returns False once ``stopped()``."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: not stopped()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn(label), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def advance(done: int, total: int) -> bool:
            bar.update(task, completed=done, total=total)
            return not stopped()

        yield advance


async def run_until_first_ends(*work: Coroutine[Any, Any, Any]) -> None:
    """Run coroutines concurrently until the first ends, cancel and await the others, raise what the first raised."""
    import asyncio  # imported late: only the commands that are clients need it

    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
