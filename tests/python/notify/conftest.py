"""Fixtures of the tests of `session-buddy notify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Server
from support.streams import behave, make_database


@pytest.fixture
def failing(db_path: Path) -> Path:
    """A database in which mypy fails and ruff-check does not."""
    make_database(db_path)
    behave(db_path, failing=["mypy"], well=["ruff-check"])
    return db_path


@pytest.fixture
def served(failing: Path) -> Iterator[Server]:
    with Server(failing, interval="50ms") as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "notify.json"
