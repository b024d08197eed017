"""scripts/system-packages with a fake apt: the packages it installs, and its errors where one is not available."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.paths import ROOT

SCRIPT = ROOT / "scripts" / "system-packages"

pytestmark = pytest.mark.skipif(not Path("/etc/debian_version").exists(), reason="apt is used on Debian only")

# apt's output on Debian 13 for a package that others name in Conflicts: `show` succeeds with no output.
APT_CACHE = """#!/bin/sh
case "$1 $2" in
    show*) ;;
    policy*) grep -qx "$2" "$APT/offered" && candidate=1.0-1 || candidate='(none)'
             [ -e "$APT/updated" ] || exit 0
             printf '%s:\\n  Installed: (none)\\n  Candidate: %s\\n  Version table:\\n' "$2" "$candidate" ;;
esac
"""
APT_GET = """#!/bin/sh
echo "$DEBCONF_NOWARNINGS $*" >> "$APT/called"
if [ "$1" = update ]; then touch "$APT/updated"; fi
"""
DPKG_QUERY = """#!/bin/sh
for package; do :; done
if grep -qx "$package" "$APT/installed"; then printf installed; else exit 1; fi
"""
PYTHON = "#!/bin/sh\nexit 0\n"
ID = "#!/bin/sh\necho 0\n"

BUILD = [
    *("libsqlite3-dev", "libsqlitecpp-dev", "zlib1g-dev", "nlohmann-json3-dev", "libsimdjson-dev", "libspdlog-dev"),
    *("libcli11-dev", "libtomlplusplus-dev", "prometheus-cpp-dev", "libssl-dev", "libcjose-dev", "ca-certificates"),
]


class Apt:
    """A Debian machine on which the script runs as root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, text in {
            "apt-cache": APT_CACHE,
            "apt-get": APT_GET,
            "dpkg-query": DPKG_QUERY,
            "python3": PYTHON,
            "c++": PYTHON,
            "id": ID,
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)

    def run(self, group: str, *, offered: Iterable[str], installed: Iterable[str]) -> subprocess.CompletedProcess[str]:
        for name, packages in {"offered": offered, "installed": installed}.items():
            (self._folder / name).write_text("".join(f"{package}\n" for package in packages), encoding="utf-8")
        return subprocess.run(
            [str(SCRIPT), group],
            env={"PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}", "APT": str(self._folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        """The calls of apt-get."""
        file = self._folder / "called"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    @property
    def asked_for(self) -> list[str]:
        """The packages that it installed."""
        (call,) = [call for call in self.calls if " install " in call]
        return [word for word in call.split(" install ")[1].split() if not word.startswith("-") and "=" not in word]


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    return Apt(tmp_path)


def test_a_package_without_a_candidate_is_replaced_by_its_alternative(apt: Apt) -> None:
    done = apt.run("build", offered=["libboost1.83-dev", "libboost1.88-dev"], installed=BUILD)
    assert (done.returncode, done.stderr) == (0, "")
    assert apt.asked_for == ["libboost1.83-dev"]
    assert "libboost1.83-dev       Asio and Beast" in done.stdout


def test_the_preferred_package_is_installed_where_the_release_has_it(apt: Apt) -> None:
    apt.run("build", offered=["libboost1.83-dev", "libboost1.81-dev"], installed=BUILD)
    assert apt.asked_for == ["libboost1.81-dev"]


def test_nothing_is_installed_where_everything_is_present(apt: Apt) -> None:
    done = apt.run("build", offered=[], installed=[*BUILD, "libboost1.88-dev"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert apt.calls == []


def test_a_library_that_the_release_lacks_is_left_to_cmake(apt: Apt) -> None:
    done = apt.run("build", offered=[], installed=[name for name in BUILD if name != "libsqlitecpp-dev"])
    assert (done.returncode, done.stderr) == (0, "")
    assert not any(" install " in call for call in apt.calls)


@pytest.mark.parametrize("package", ["libssl-dev", "libcjose-dev"])
def test_what_cmake_never_fetches_is_an_error_where_the_release_lacks_it(apt: Apt, package: str) -> None:
    done = apt.run("build", offered=["libboost-dev"], installed=[name for name in BUILD if name != package])
    assert done.returncode == 1
    assert f"No package source of this system has {package}" in done.stderr


def test_debconf_is_silent_and_a_busy_apt_is_waited_for(apt: Apt) -> None:
    apt.run("build", offered=["libssl-dev"], installed=[name for name in BUILD if name != "libssl-dev"])
    (install,) = [call for call in apt.calls if " install " in call]
    assert install.startswith("yes ")
    assert "DPkg::Lock::Timeout=" in install


def test_the_package_lists_are_read_once(apt: Apt) -> None:
    apt.run("build", offered=["libssl-dev", "zlib1g-dev"], installed=[])
    assert len([call for call in apt.calls if " update" in call]) == 1
