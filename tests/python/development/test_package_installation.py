"""cmake/InstallPackages.cmake, which installs the npm packages of the dashboard for a build, with a fake npm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support import tools
from support.paths import ROOT

NPM = """#!/bin/sh
mkdir -p node_modules && rm -f node_modules/.complete && echo "$*" > node_modules/.package-lock.json
exit $STATUS
"""


@pytest.fixture(name="folder")
def package(tmp_path: Path) -> Path:
    npm = tmp_path / "npm"
    npm.write_text(NPM, encoding="utf-8")
    npm.chmod(0o755)
    (tmp_path / "dashboard" / "node_modules").mkdir(parents=True)
    (tmp_path / "dashboard" / "package-lock.json").touch()
    return tmp_path / "dashboard"


def install(folder: Path, status: int = 0) -> int:
    """Installs the packages with an npm that ends with this status; returns the status of CMake."""
    script = ROOT / "cmake" / "InstallPackages.cmake"
    npm = f"{tools.cmake()};-E;env;STATUS={status};{folder.parent / 'npm'}"
    done = subprocess.run(
        [tools.cmake(), f"-DFOLDER={folder}", f"-DNPM={npm}", "-P", str(script)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def test_a_build_installs_only_what_it_uses(folder: Path) -> None:
    assert install(folder) == 0
    assert (folder / "node_modules" / ".package-lock.json").read_text(encoding="utf-8").startswith("ci --omit=dev ")


def test_a_build_keeps_the_packages_that_tests_use(folder: Path) -> None:
    complete = folder / "node_modules" / ".complete"
    complete.touch()
    os.utime(folder / "package-lock.json", (0, 0))
    assert install(folder) == 0
    assert complete.exists()


def test_a_build_installs_again_after_a_change_of_the_versions(folder: Path) -> None:
    complete = folder / "node_modules" / ".complete"
    complete.touch()
    os.utime(complete, (0, 0))
    assert install(folder) == 0
    assert not complete.exists()


def test_a_failure_of_npm_stops_the_build(folder: Path) -> None:
    assert install(folder, status=1) != 0
