"""Programs that tests drive.

A missing one skips its tests, unless SESSION_BUDDY_TEST_STRICT is set, as in `make test`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
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

    The package on PyPI has a script that runs it: a signal would end the script, and Node would keep running.
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
    """Skips unless the dependencies of the package in this folder are installed, those for development included."""
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    if not all((folder / "node_modules" / name).is_dir() for name in wanted):
        _missing(f"what {folder.name}/package.json names")


def python_tool(name: str) -> str:
    """A program of a Python package."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or _missing(name)


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
    """Prometheus's tool that checks metrics, configurations and rules."""
    return _unpacked("usr/bin/promtool")


def amtool() -> str:
    """Alertmanager's tool that checks its configuration."""
    return _unpacked("usr/bin/amtool")


def _unpacked(path: str) -> str:
    """A program on the PATH, or from a Debian package that scripts/test-tools unpacked."""
    file = BUILD / "tools" / path
    return shutil.which(file.name) or (str(file) if file.exists() else None) or _missing(file.name)


def bench_program(name: str) -> Path:
    """One of those in bench/wire."""
    program = BUILD / "release" / "bench" / "wire" / name
    return program if program.exists() else _missing(f"{program.relative_to(BUILD.parent)}")


def cpp_tests() -> Path:
    program = BUILD / "release" / "tests" / "cpp" / "session_buddy_tests"
    return program if program.exists() else _missing(str(program.relative_to(BUILD.parent)))


def compile_commands() -> Path:
    file = BUILD / "release" / "compile_commands.json"
    return file if file.exists() else _missing(str(file.relative_to(BUILD.parent)))


def systemd_analyze() -> str:
    return shutil.which("systemd-analyze") or _missing("systemd-analyze")


def libfaketime() -> Path:
    """The library that, preloaded, changes the time a program sees; for multi-threaded programs."""
    for library in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return library
    _missing("libfaketime")
