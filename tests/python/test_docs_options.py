"""The table of options in the README is that of the program."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from support.paths import ROOT

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def documented() -> dict[str, tuple[str, str]]:
    """Default and range of each option, as the README writes them."""
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    return {name: (default.strip().strip("`"), span.strip()) for name, default, span in rows}


def server(option: str) -> str:
    command = [sys.executable, "-m", "session_buddy.websocket_server", option]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def number(text: str) -> float:
    """`24 h` and `50000` as a number."""
    value, _, unit = text.partition(" ")
    return float(value) * (UNITS[unit] if unit else 1)


def test_every_option_has_its_row_and_its_default() -> None:
    actual = dict(re.findall(r"^(?:# )?(\w+) = (\S+)", server("--print-config"), re.MULTILINE))
    rows = documented()
    assert list(rows) == list(actual)
    for name, value in actual.items():
        default = rows[name][0]
        if name == "db_path":
            assert default == "see below"
        elif re.fullmatch(r"[\d.]+", value):
            assert number(default) == pytest.approx(float(value)), name
        else:
            assert default == value.strip('"'), name


def test_every_range_is_that_of_the_help() -> None:
    text = " ".join(server("--help").split())
    for name, (_, span) in documented().items():
        if not span:
            continue
        low, high = span.split(" to ")
        unit = high.partition(" ")[2]
        flag = f"--{name.replace('_', '-')} "
        described = re.search(rf"{re.escape(flag)}.*?\(([\d.]+) to ([\d.]+)", text)
        assert described, flag
        assert number(high) == pytest.approx(float(described[2])), name
        assert number(low if " " in low else f"{low} {unit}".strip()) == pytest.approx(float(described[1])), name
