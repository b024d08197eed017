"""What a test can do to the surroundings of a program: take its powers, its disk or its clock."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from . import tools

# Root without these is bound by permissions like everybody else.
_OVERRIDING = "-dac_override,-dac_read_search"


def bound_by_permissions() -> list[str]:
    """The beginning of a command line for a program that may not write what is write-protected."""
    return ["setpriv", "--bounding-set", _OVERRIDING] if os.geteuid() == 0 else []


def ignoring_file_size_limits() -> list[str]:
    """The beginning of a command line for a program that sees an error, not a signal, where a file may not grow."""
    return ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of that size on `folder`; False where this user may not mount one."""
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
    """The wall clock of a program that is started with `environment`: off by what was last set, at once."""

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
