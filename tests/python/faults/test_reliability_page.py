"""docs/reliability.md names tests that exist, and all tests of this folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

FOLDER = Path(__file__).parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_of_this_folder_is_named_and_no_other() -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(FOLDER)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    collected = {line.rpartition("/")[2] for line in listing.splitlines() if "::" in line}
    collected = {name for name in collected if not name.startswith(Path(__file__).name)}
    assert collected
    assert set(re.findall(r"`(test_\w+\.py::[^`]+)`", PAGE)) == collected


def test_the_cpp_tests_it_names_exist() -> None:
    named = re.findall(r"`([A-Z]\w+)\.([a-z]\w+)`", PAGE)
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "cpp").rglob("*_test.cpp"))
    named = [(suite, name) for suite, name in named if suite != "SkillsStorage"]  # a class of the package
    assert named
    for suite, name in named:
        assert re.search(rf"^TEST_F\({suite}, {name}\)", sources, re.MULTILINE), f"{suite}.{name}"
