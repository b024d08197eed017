"""Programs that tests drive.

A missing one skips its tests, unless SESSION_BUDDY_TEST_STRICT is set, as in `make test`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from .paths import BUILD, JS


def _missing(what: str) -> NoReturn:
    message = f"{what} is not there; `make test` installs it"
    if os.environ.get("SESSION_BUDDY_TEST_STRICT"):
        pytest.fail(message)
    pytest.skip(message)


@cache
def node() -> str:
    """Node itself, with the packages of tests/js installed.

    From PyPI comes a script that runs it: a signal would end the script and leave Node behind.
    """
    program = shutil.which("node")
    if program is None:
        _missing("Node")
    if not (JS / "node_modules" / "ws").is_dir():
        _missing("the npm package ws")
    return subprocess.check_output([program, "--print", "process.execPath"], text=True).strip()


def npm() -> str:
    return shutil.which("npm") or _missing("npm")


def node_packages(folder: Path) -> None:
    """What the package in this folder needs must be installed in it."""
    if not (folder / "node_modules").is_dir():
        _missing(f"what {folder.name}/package.json names")


def cmake() -> str:
    return shutil.which("cmake") or _missing("CMake")


def chromium() -> str:
    for name in ("chromium", "google-chrome", "chromium-browser"):
        program = shutil.which(name)
        if program is not None:
            return program
    _missing("Chromium")


def nginx() -> str:
    return _unpacked("usr/sbin/nginx")


def prometheus() -> str:
    return _unpacked("usr/bin/prometheus")


def promtool() -> str:
    """What comes with Prometheus to check metrics, configurations and rules."""
    return _unpacked("usr/bin/promtool")


def amtool() -> str:
    """What comes with Alertmanager to check its configuration."""
    return _unpacked("usr/bin/amtool")


def _unpacked(path: str) -> str:
    """A program on the PATH, or else of a Debian package that scripts/test-tools unpacked."""
    file = BUILD / "tools" / path
    return shutil.which(file.name) or (str(file) if file.exists() else None) or _missing(file.name)


def bench_program(name: str) -> Path:
    """One of those in bench/wire."""
    program = BUILD / "release" / "bench" / "wire" / name
    return program if program.exists() else _missing(f"{program.relative_to(BUILD.parent)}")


def compile_commands() -> Path:
    file = BUILD / "release" / "compile_commands.json"
    return file if file.exists() else _missing(str(file.relative_to(BUILD.parent)))


def systemd_analyze() -> str:
    return shutil.which("systemd-analyze") or _missing("systemd-analyze")


def libfaketime() -> Path:
    """The library that, loaded before all others, shows a program another time; for programs with threads."""
    for library in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return library
    _missing("libfaketime")
