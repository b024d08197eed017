"""Compares the examples that tests run with the text of the API description v1.0."""

from __future__ import annotations

import pytest

from support import contract
from support.markdown import blocks
from support.recorded import SPEC


@pytest.mark.parametrize("section", contract.SECTIONS)
def test_example_is_that_of_the_description(section: str) -> None:
    def bare(text: str) -> list[str]:
        # Ignores blank lines and indentation; two spaces before a comment are one in the description.
        return [" ".join(line.split()) for line in text.splitlines() if line.strip()]

    described = [block for block in blocks(SPEC) if block.headings and block.headings[-1] == section]
    copied = contract.examples(section)
    assert [(block.language, bare(block.text)) for block in copied] == [
        (block.language, bare(block.text)) for block in described
    ]


def test_no_example_of_these_sections_is_left_out() -> None:
    parents = {"Connection", "Message Types", "Usage Examples"}
    described = {
        block.headings[-1]
        for block in blocks(SPEC)
        if parents & set(block.headings) or block.headings[-1] == "Reconnection Logic"
    }
    assert described == set(contract.SECTIONS)
