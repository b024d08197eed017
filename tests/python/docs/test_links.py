"""Links of the documentation have targets, also in the README as a package index shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.markdown import pages
from support.paths import ROOT


def test_the_readme_of_the_package_has_no_relative_link_or_picture_and_every_code_block() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatch_fancy_pypi_readme"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(done.stdout) == code.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", code.sub("", done.stdout))
    assert [target for target in targets if not target.startswith(("http://", "https://"))] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    def anchor(title: str) -> str:
        return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")

    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, fragment = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if fragment:
            titles = re.findall(r"^#{1,6} +(.+?)\s*$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in {anchor(title) for title in titles}, f"{page.name}: {target}"
