"""CMake's errors for missing build dependencies: they name the dependency and its package."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from support import tools
from support.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("ninja") is None, reason="there is no Ninja")

SMALL_PROJECT = ROOT / "tests" / "cmake" / "dependencies"  # a project with every library of the server and nothing else


def configure(source: Path, build: Path, *options: str, **environment: str) -> str:
    """Runs a configuration that must fail; returns its errors."""
    done = subprocess.run(
        [tools.cmake(), "-S", str(source), "-B", str(build), "-G", "Ninja", *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    return " ".join(done.stderr.split())


def test_all_missing_system_libraries_are_named_with_their_packages(tmp_path: Path) -> None:
    # An empty path stands for a library that was not found.
    absent = (
        "-DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON",
        "-DCJOSE_INCLUDE_DIR=",
        "-DCMAKE_DISABLE_FIND_PACKAGE_Python=ON",
    )
    errors = configure(ROOT, tmp_path, *absent, "-DSESSION_BUDDY_BUILD_PYTHON=ON")
    assert "Not found: OpenSSL 3.0 or later, with its headers; cjose, with its headers; Python 3.10 or later" in errors
    assert "Debian, Ubuntu apt-get install libssl-dev libcjose-dev python3-dev Fedora dnf install" in errors


def test_installed_libraries_are_not_named(tmp_path: Path) -> None:
    errors = configure(SMALL_PROJECT, tmp_path, "-DCJOSE_INCLUDE_DIR=")
    assert "Not found: cjose, with its headers. Please install: Debian, Ubuntu apt-get install libcjose-dev" in errors


def test_a_library_that_can_be_neither_found_nor_fetched_is_named_early_and_once(tmp_path: Path) -> None:
    start = time.monotonic()
    nowhere = "http://127.0.0.1:1"
    errors = configure(
        SMALL_PROJECT, tmp_path, "-DCMAKE_DISABLE_FIND_PACKAGE_ZLIB=ON", https_proxy=nowhere, HTTPS_PROXY=nowhere
    )
    assert time.monotonic() - start < 60
    assert "ZLIB: this system has no recent enough version" in errors
    assert "https://github.com does not answer" in errors
    assert "scripts/system-packages build" in errors
    assert "zlib1g-dev" in errors
    assert errors.count("CMake Error") == 1


def test_a_missing_compiler_is_named_with_its_package(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ninja").symlink_to(shutil.which("ninja") or "ninja")
    errors = configure(ROOT, tmp_path / "build", PATH=str(programs), CXX="")
    assert "No C++ compiler was found. Please install one: g++ on Debian" in errors
    assert errors.count("CMake Error") == 1


def test_the_packages_named_are_those_that_are_installed_for_a_build() -> None:
    named = (ROOT / "cmake" / "Dependencies.cmake").read_text(encoding="utf-8")
    script = (ROOT / "scripts" / "system-packages").read_text(encoding="utf-8")
    installed = script.partition("debian_build() {")[2].partition("\n}")[0]
    packages = [line.split('" ')[1].split()[0] for line in installed.splitlines() if '" ' in line]
    assert len(packages) > 10
    assert [package for package in packages if package not in named] == ["ca-certificates"]


def test_the_installation_page_names_the_packages_that_are_installed_for_a_build() -> None:
    named = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    for package in (
        "g++",
        "python3-venv",
        "python3-dev",
        "libssl-dev",
        "libcjose-dev",
        "scripts/system-packages build",
    ):
        assert package in named, package
