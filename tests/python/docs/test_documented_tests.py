"""The tests that docs/explanation/security.md and reliability.md name exist."""

from __future__ import annotations

import re

import pytest

from support.paths import ROOT

DOCS = ROOT / "docs" / "explanation"
PYTHON = ROOT / "tests" / "python"
CPP = ROOT / "tests" / "cpp"
PAGES = pytest.mark.parametrize("page", ["security.md", "reliability.md"])
CLASSES = {"SkillsStorage"}  # of the package: what follows their dot is not a test


@PAGES
def test_the_python_tests_it_names_exist(page: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)(?:\[\w+\])?`", (DOCS / page).read_text(encoding="utf-8"))
    assert len(named) > 10
    for file, name in named:
        (path,) = PYTHON.rglob(file)
        assert re.search(rf"^(async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


@PAGES
def test_the_cpp_tests_it_names_exist(page: str) -> None:
    named = re.findall(r"`([A-Z]\w+)\.([a-z]\w+)`", (DOCS / page).read_text(encoding="utf-8"))
    named = [(suite, name) for suite, name in named if suite not in CLASSES]
    assert named
    sources = "\n".join(path.read_text(encoding="utf-8") for path in CPP.rglob("*_test.cpp"))
    for suite, name in named:
        assert re.search(rf"^TEST(_F|_P)?\({suite}, {name}\)", sources, re.MULTILINE), f"{suite}.{name}"
