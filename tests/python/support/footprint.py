"""The resources of a server's process: file descriptors and memory."""

from __future__ import annotations

import psutil

from .processes import Program, wait_until

MEGABYTE = 1 << 20


def descriptors(program: Program) -> int:
    count: int = psutil.Process(program.process.pid).num_fds()
    return count


def resident(program: Program) -> int:
    """Resident memory, in bytes."""
    size: int = psutil.Process(program.process.pid).memory_info().rss
    return size


def wait_for_descriptors(program: Program, wanted: int) -> None:
    """Waits until the process has exactly so many descriptors open."""
    wait_until(lambda: descriptors(program) == wanted, f"{wanted} descriptors; they are {descriptors(program)}")
