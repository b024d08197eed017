"""The write-ahead log is removed while programs have the database open, and another program opens it next.

The programs that have it open are stopped (SIGSTOP) meanwhile, so that the other one is certain to be first.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy import _native
from support.histories import fill, invocations
from support.hook_events import post, run_hook
from support.http_api import ask
from support.ingestion import INVOCATIONS, invocation, send
from support.processes import Server, wait_until
from support.recorder import Recorder

WAL = ("-wal",)
WAL_AND_SHM = ("-wal", "-shm")
ACKNOWLEDGED = 20
DAY = 86400.0
NUMBERS = itertools.count()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Suspends the process meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        wait_until(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "it has stopped")
    else:
        time.sleep(0.1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def remove(db_path: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        Path(f"{db_path}{suffix}").unlink()


def rows(db_path: Path) -> int:
    """The number of rows; -1 where the database cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(db_path, timeout=1)) as database:
            return int(database.execute("SELECT count(*) FROM skill_invocation").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1


def is_intact(db_path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        return bool(database.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


def hook(db_path: Path) -> int:
    """Stores a row."""
    done = run_hook(post(f"use-{next(NUMBERS)}"), db_path)
    assert (done.returncode, done.stderr) == (0, b"")
    return 1


def reader(db_path: Path) -> int:
    rows(db_path)
    return 0


def backup(db_path: Path) -> int:
    """`.backup` of the sqlite3 program."""
    with (
        contextlib.closing(sqlite3.connect(db_path, timeout=1)) as source,
        contextlib.closing(sqlite3.connect(":memory:")) as copy,
        contextlib.suppress(sqlite3.DatabaseError),
    ):
        source.backup(copy)
    return 0


def dry_run(db_path: Path) -> int:
    command = [sys.executable, "-m", "session_buddy.cli.main", "prune", "--keep", "30d", "--dry-run"]
    subprocess.run([*command, "--db-path", str(db_path)], capture_output=True, check=False)
    return 0


@pytest.mark.parametrize(
    ("suffixes", "by_symlink"), [(WAL, False), (WAL_AND_SHM, False), (WAL, True)], ids=["wal", "wal_and_shm", "link"]
)
def test_what_a_server_acknowledged_survives_the_next_program_that_opens_the_file(
    suffixes: tuple[str, ...], by_symlink: bool, tmp_path: Path
) -> None:
    db_path = tmp_path / "skills.db"
    named = db_path
    if by_symlink:
        (tmp_path / "elsewhere").mkdir()
        named = tmp_path / "elsewhere" / "link.db"
        named.symlink_to(db_path)
    fill(db_path, invocations("before", 1))
    expected = 1
    # The server's cycle cannot notice it: the interval is longer than any test waits.
    with Server(named, interval="60s") as server:
        for next_program in (reader, hook, backup, dry_run):
            assert send(server, INVOCATIONS, [invocation() for _ in range(ACKNOWLEDGED)])[0] == 202
            with stopped(server.process.pid):
                remove(db_path, suffixes)
                expected += ACKNOWLEDGED + next_program(db_path)
            wait_until(
                lambda wanted=expected: rows(db_path) == wanted,
                f"{expected} rows after {next_program.__name__}",
                pause=0.1,
            )
        assert is_intact(db_path)
        assert send(server, INVOCATIONS, [invocation()])[0] == 202
        assert rows(db_path) == expected + 1


@pytest.mark.parametrize("suffixes", [WAL, WAL_AND_SHM], ids=["wal", "wal_and_shm"])
@pytest.mark.parametrize("next_program", [reader, hook])
def test_what_a_storage_acknowledged_survives_the_next_program_that_opens_the_file(
    suffixes: tuple[str, ...], next_program: Callable[[Path], int], tmp_path: Path
) -> None:
    db_path = tmp_path / "skills.db"
    with Recorder(db_path) as recorder:
        for _ in range(3):
            recorder.record("pytest-run")
        with stopped(recorder.process.pid):
            remove(db_path, suffixes)
            expected = 3 + next_program(db_path)
        recorder.record("pytest-run")
        hook(db_path)  # drains the spool
        assert rows(db_path) == expected + 2
        assert is_intact(db_path)


@pytest.mark.parametrize("suffixes", [WAL, WAL_AND_SHM], ids=["wal", "wal_and_shm"])
def test_pruning_keeps_the_rows_of_a_removed_wal_and_of_the_next_hook(
    suffixes: tuple[str, ...], tmp_path: Path
) -> None:
    db_path = tmp_path / "skills.db"
    old = datetime.now(timezone.utc) - timedelta(days=60)
    fill(db_path, invocations("old", 300, newest=old), invocations("new", 2))
    steps = 0

    def progress(_done: int, _total: int) -> bool:
        nonlocal steps
        steps += 1
        if steps == 3:
            hook(db_path)
            remove(db_path, suffixes)
            hook(db_path)
        return True

    _native.prune(str(db_path), 30 * DAY, progress=progress)
    assert steps > 3
    hook(db_path)  # drains the spool
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        kept = database.execute("SELECT count(*) FROM skill_invocation WHERE skill_name <> 'old'").fetchone()[0]
    assert kept == 2 + 3
    assert is_intact(db_path)


@pytest.mark.parametrize("seconds_between", [0.0, 0.005, 0.05, 0.6])
@pytest.mark.parametrize("push", [[], ["--push"]], ids=["interval", "push"])
def test_a_database_that_is_replaced_after_its_wal_was_removed_is_not_damaged(
    push: list[str], seconds_between: float, db_path: Path
) -> None:
    fill(db_path, invocations("pytest-run", 10))
    with Server(db_path, *push, interval="1s") as server:
        wait_until(lambda: skills(server) == ["pytest-run"], "the first database is served")
        other = db_path.with_name("other.db")
        fill(other, invocations("mypy", 3))
        remove(db_path, WAL_AND_SHM)
        time.sleep(seconds_between)  # a person, or a script, replaces the file in two steps
        other.replace(db_path)
        wait_until(lambda: skills(server) == ["mypy"], "the second database is served")
        wait_until(lambda: cached(db_path) == ["mypy"], "the server writes to it")
    assert is_intact(db_path)
    assert rows(db_path) == 3


def skills(server: Server) -> list[str]:
    response = ask(server, "/api/v1/skills")
    return [skill["skill_name"] for skill in response.body["skills"]] if response.status == 200 else []


def cached(db_path: Path) -> list[str]:
    """The skills whose live metrics the server has written."""
    with contextlib.closing(sqlite3.connect(db_path, timeout=5)) as database:
        return [name for (name,) in database.execute("SELECT skill_name FROM skill_metrics_cache ORDER BY 1")]
