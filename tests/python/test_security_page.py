"""docs/security.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from support.paths import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"


def test_the_python_tests_it_names_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    for file, name in named:
        text = Path(TESTS / "python" / file).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), f"{file}::{name}"


def test_the_cpp_tests_it_names_exist() -> None:
    named = re.findall(r"`([A-Z]\w+)\.([a-z]\w+)`", PAGE)
    assert len(named) > 10
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (TESTS / "cpp").rglob("*_test.cpp"))
    for suite, name in named:
        assert re.search(rf"^TEST(_F|_P)?\({suite}, {name}\)", sources, re.MULTILINE), f"{suite}.{name}"
