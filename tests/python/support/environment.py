"""Restricts the environment of a program: its permissions, its disk or its clock."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from . import tools

# Without these capabilities file permissions apply to root, too.
_OVERRIDING = "-dac_override,-dac_read_search"


def bound_by_permissions() -> list[str]:
    """The start of a command line for a program to which write protection applies, even when run as root."""
    return ["setpriv", "--bounding-set", _OVERRIDING] if os.geteuid() == 0 else []


def ignoring_file_size_limits() -> list[str]:
    """The start of a command line for a program that gets EFBIG instead of SIGXFSZ at the limit of a file's size."""
    return ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mounts a file system of that size on `folder`; yields False where this user may not mount one."""
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(file: Path) -> None:
    """Writes zeros to `file` until nothing more fits on its file system."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while stream.write(bytes(size)):
                    pass


class WallClock:
    """The wall clock of a program started with `environment`; `set` shifts it immediately."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(timedelta())

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(tools.libfaketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset: timedelta) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset.total_seconds():+.0f}\n")
        new.replace(self._file)
