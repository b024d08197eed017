"""docs/explanation/reliability.md names every test of this folder, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.paths import ROOT

FOLDER = Path(__file__).parent
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
PAGE = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")


def test_every_test_of_this_folder_is_named_and_no_other() -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *WITHOUT, str(FOLDER)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    collected = {line.rpartition("/")[2] for line in listing.splitlines() if "::" in line}
    collected = {name for name in collected if not name.startswith(Path(__file__).name)}
    assert collected
    assert set(re.findall(r"`(test_\w+\.py::[^`]+)`", PAGE)) == collected
