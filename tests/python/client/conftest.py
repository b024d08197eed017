"""Fixtures of the tests of `session_buddy.client`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Server


@pytest.fixture
def served(filled_db: Path) -> Iterator[Server]:
    """A server with two skills."""
    with Server(filled_db) as server:
        yield server
