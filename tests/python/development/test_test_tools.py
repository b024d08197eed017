"""scripts/test-tools with a fake apt-get, whose packages hold the same files as those of Debian 12 and 13."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="there is no dpkg")

COMMON = {"nginx": ["usr/sbin/nginx"], "prometheus-alertmanager": ["usr/bin/amtool"]}
DEBIAN_12 = {**COMMON, "prometheus": ["usr/bin/prometheus", "usr/bin/promtool"]}
DEBIAN_13 = {**COMMON, "prometheus": ["usr/bin/prometheus"], "promtool": ["usr/bin/promtool"]}
PROGRAMS = ["usr/bin/amtool", "usr/bin/prometheus", "usr/bin/promtool", "usr/sbin/nginx"]

APT_GET = """#!/bin/sh
package=$3
[ -d "$PACKAGES/$package" ] || { echo "E: Unable to locate package $package" >&2; exit 100; }
mkdir -p "$PACKAGES/$package/DEBIAN"
printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: none\\nDescription: none\\n' "$package" \
    > "$PACKAGES/$package/DEBIAN/control"
dpkg-deb --build "$PACKAGES/$package" "${package}_1_all.deb" >/dev/null
"""


class Tree:
    """A source tree with only that script, and a machine without the programs."""

    def __init__(self, folder: Path, packages: dict[str, list[str]]) -> None:
        self._folder = folder
        self._bin = folder / "bin"
        self.tools = folder / "tree" / "build" / "tools"
        script = folder / "tree" / "scripts" / "test-tools"
        script.parent.mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "test-tools", script)
        self._script = script
        for package in ("tests/js", "clients/js", "dashboard"):
            (folder / "tree" / package / "node_modules").mkdir(parents=True)
            (folder / "tree" / package / "package-lock.json").touch()
        for package, programs in packages.items():
            for program in programs:
                file = folder / "packages" / package / program
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("#!/bin/sh\n", encoding="utf-8")
                file.chmod(0o755)
        self._bin.mkdir()
        shell = ("bash", "cat", "dirname", "env", "mkdir", "mktemp", "mv", "rm", "sh", "tar", "touch")
        for name in (*shell, "dpkg", "dpkg-deb"):
            (self._bin / name).symlink_to(shutil.which(name) or name)
        for name, text in {"apt-get": APT_GET, "npm": "#!/bin/sh\n"}.items():
            (self._bin / name).write_text(text, encoding="utf-8")
            (self._bin / name).chmod(0o755)
        (folder / "tmp").mkdir()

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._script)],
            env={
                "PATH": str(self._bin),
                "PACKAGES": str(self._folder / "packages"),
                "TMPDIR": str(self._folder / "tmp"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def remaining_files(self) -> list[str]:
        """Every file in build/tools, and the remaining temporary files."""
        files = [path for path in self.tools.rglob("*") if path.is_file()]
        return sorted(
            [
                *(str(path.relative_to(self.tools)) for path in files),
                *(path.name for path in (self._folder / "tmp").iterdir()),
            ]
        )


@pytest.mark.parametrize("packages", [DEBIAN_12, DEBIAN_13], ids=["debian 12", "debian 13"])
def test_every_program_is_unpacked_and_nothing_else_stays(tmp_path: Path, packages: dict[str, list[str]]) -> None:
    tree = Tree(tmp_path, packages)
    done = tree.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert tree.remaining_files() == PROGRAMS


def test_a_program_that_no_package_has_is_an_error_each_time(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {**DEBIAN_13, "promtool": ["usr/share/doc"]})
    for _ in range(2):
        done = tree.run()
        assert done.returncode == 1
        assert "None of the packages has usr/bin/promtool" in done.stderr


def test_a_package_that_is_not_downloaded_is_an_error_with_the_message_of_apt(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {"nginx": ["usr/sbin/nginx"]})
    done = tree.run()
    assert done.returncode == 1
    assert "E: Unable to locate package prometheus" in done.stderr
    assert tree.remaining_files() == ["usr/sbin/nginx"]


def test_a_second_run_downloads_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path, DEBIAN_13)
    tree.run()
    shutil.rmtree(tmp_path / "packages")
    (tmp_path / "bin" / "npm").unlink()
    done = tree.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
