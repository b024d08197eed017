"""Databases as another program reads, writes and locks them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .processes import DEADLINE


def execute(db_path: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows that the statement returns; what it changes is committed."""
    with contextlib.closing(sqlite3.connect(db_path, timeout=DEADLINE)) as database, database:
        return database.execute(statement, values).fetchall()


def rows(db_path: Path, columns: str = "skill_name, completed, error_type") -> list[tuple[Any, ...]]:
    """These columns of all invocations, in the order in which they were stored."""
    return execute(db_path, f"SELECT {columns} FROM skill_invocation ORDER BY id")


@contextlib.contextmanager
def locked(db_path: Path, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """Another program keeps the database locked: for writers, or for readers, too, if `mode` is EXCLUSIVE."""
    with contextlib.closing(sqlite3.connect(db_path, isolation_level=None, timeout=DEADLINE)) as connection:
        connection.execute(f"BEGIN {mode}")
        yield connection
