"""What a server's process holds: file descriptors and memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from .processes import DEADLINE, Program

MEGABYTE = 1 << 20


def descriptors(program: Program) -> int:
    count: int = psutil.Process(program.process.pid).num_fds()
    return count


def resident(program: Program) -> int:
    """Bytes of memory."""
    size: int = psutil.Process(program.process.pid).memory_info().rss
    return size


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        time.sleep(0.01)


def wait_for_descriptors(program: Program, wanted: int) -> None:
    """Until it holds exactly so many."""
    wait_until(lambda: descriptors(program) == wanted, f"{wanted} descriptors; they are {descriptors(program)}")
