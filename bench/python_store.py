"""Stores rows with Python's sqlite3, for comparison with `store_many`. Called by storage_bench.

usage: python_store.py DATABASE ROWS.csv

The database already has the schema and the triggers; the settings are those of the native store. Prints the seconds of
one transaction, including the commit.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
import time
from pathlib import Path


def main() -> None:
    database, rows = sys.argv[1:]
    with Path(rows).open(encoding="utf-8", newline="") as file:
        values = [
            (skill, at, session, path or None, int(completed), float(seconds), error or None)
            for skill, at, session, path, completed, seconds, error in csv.reader(file)
        ]
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -8192")
    start = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, workflow_path, completed, duration_seconds,"
        " error_type, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, datetime('now'))",
        values,
    )
    connection.execute("COMMIT")
    print(time.perf_counter() - start)
    connection.close()


if __name__ == "__main__":
    main()
