"""The generated option tables match the program, and the page of commands lists every command."""

from __future__ import annotations

import re
import subprocess
import sys

from session_buddy import _native
from support.paths import ROOT

REFERENCE = ROOT / "docs" / "reference"


def rows(page: str) -> list[str]:
    """The names in the first columns of the tables of a page."""
    return re.findall(r"^\| `(\w+)` \|", (REFERENCE / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_what_is_generated_from_the_options_is_current() -> None:
    command = [sys.executable, ROOT / "scripts" / "write_options.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_has_one_row() -> None:
    assert rows("configuration.md") == [option["name"] for option in _native.options()]


def test_every_command_has_one_row() -> None:
    command = [sys.executable, "-m", "session_buddy", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(rows("command-line.md")) == sorted(re.findall(r"^    ([a-z]+) ", text, re.MULTILINE))
