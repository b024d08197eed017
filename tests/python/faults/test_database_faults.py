"""A server whose database is locked, lost, damaged, replaced or full while a client watches.

Every row of FAULTS is injected into a real server process. The client must keep receiving the metrics of the
row and must never be disconnected, `/readyz` must name the fault while the metrics are stale, and afterwards new
invocations must arrive at that same client.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy.storage.skills_storage import SkillsStorage
from support import environment
from support.histories import fill, invocations
from support.processes import DEADLINE, wait_until
from support.recorder import Recorder
from support.watched_server import WatchedServer, counts

SKILL = "pytest-run"
OLDER = 4  # invocations in the older copy
BEFORE = 6  # invocations when the fault comes
LOCKED_SECONDS = 30.0
WAL_FILES = ("-wal", "-shm")


class Scene:
    """A database in a separate folder, copies of it elsewhere, and a program that writes to it."""

    server: WatchedServer
    lock: sqlite3.Connection

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.folder = folder / "database"
        self.folder.mkdir()
        self.database = self.folder / "skills.db"
        self.older_copy = folder / "older.db"
        self.good_copy = folder / "good.db"
        self.prefix: list[str] = []  # of the server's command line
        self._recorder: Recorder | None = None

    def fill(self) -> None:
        fill(self.database, invocations(SKILL, OLDER))
        self._copy_to(self.older_copy)
        fill(self.database, invocations(SKILL, BEFORE - OLDER))
        self._copy_to(self.good_copy)

    def _copy_to(self, copy: Path) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))

    def recorder(self) -> Recorder:
        """Started once and then left running, with the database open."""
        if self._recorder is None:
            self._recorder = self._stack.enter_context(Recorder(self.database))
        return self._recorder

    def open_lock(self) -> None:
        self.lock = sqlite3.connect(self.database, isolation_level=None, check_same_thread=False, timeout=DEADLINE)
        self._stack.callback(self.lock.close)

    def sidecar(self, suffix: str) -> Path:
        return Path(f"{self.database}{suffix}")

    def remove(self, *suffixes: str) -> None:
        for suffix in suffixes:
            self.sidecar(suffix).unlink(missing_ok=True)

    def replace_database(self, copy: Path) -> None:
        """Atomically renames a complete file to the database's name."""
        new = self.folder / "new"
        shutil.copyfile(copy, new)
        new.replace(self.database)

    def restore(self) -> None:
        """Replaces all files of the database with the good copy."""
        self.remove("", *WAL_FILES)
        self.replace_database(self.good_copy)

    def wait_until_checkpointed(self) -> None:
        """Until the newest rows are in the database file and the WAL is empty."""
        wait_until(lambda: self.sidecar("-wal").stat().st_size == 0, "the WAL is checkpointed")

    def query(self, statement: str) -> Any:
        with contextlib.closing(sqlite3.connect(self.database, timeout=DEADLINE)) as connection:
            return connection.execute(statement).fetchone()[0]

    def wait_until_the_cache_is_updated(self) -> None:
        """Until the server has written its current metrics to skill_metrics_cache."""
        cached = "SELECT sum(invocation_count_1h) FROM skill_metrics_cache WHERE avg_completion_rate_24h NOTNULL"
        actual = "SELECT count(*) FROM skill_invocation WHERE julianday(invoked_at) > julianday('now', '-1 hour')"
        wait_until(lambda: self.query(f"SELECT ({cached}) = ({actual})") == 1, "the cache is up to date")


# ---- Each fault: injected before the yield, repaired after it.

Steps = Iterator[None]


def with_a_writer(scene: Scene) -> None:
    scene.recorder()


def locked(begin: str) -> Callable[[Scene], Steps]:
    """Another writer holds a transaction open."""

    def steps(scene: Scene) -> Steps:
        scene.lock.execute(begin)
        scene.lock.execute(
            "INSERT INTO skill_invocation (skill_name, invoked_at, session_id) VALUES (?, ?, 'locked')",
            (SKILL, datetime.now(timezone.utc).isoformat()),
        )
        yield
        scene.lock.execute("COMMIT")
        scene.database.chmod(0o644)

    return steps


def with_a_wal(scene: Scene) -> None:
    with_a_writer(scene)
    scene.open_lock()


def without_a_wal(scene: Scene) -> None:
    """The server would switch to WAL mode, but the database is read-only."""
    scene.query("PRAGMA journal_mode = DELETE")
    scene.open_lock()
    scene.database.chmod(0o444)
    scene.prefix = environment.bound_by_permissions()


def write_protected(name: str) -> Callable[[Scene], None]:
    """Programs that have the database open can keep writing; the server starts afterwards."""

    def prepare(scene: Scene) -> None:
        scene.recorder()
        target = getattr(scene, name)
        target.chmod(target.stat().st_mode & ~0o222)
        scene.prefix = environment.bound_by_permissions()

    return prepare


def writable_again(scene: Scene) -> Steps:
    assert scene.query("SELECT count(*) FROM skill_metrics_cache WHERE avg_completion_rate_24h NOTNULL") == 0
    yield
    for target in (scene.folder, scene.database):
        target.chmod(target.stat().st_mode | 0o200)
    scene.wait_until_the_cache_is_updated()


def decaying(scene: Scene) -> None:
    """Invocations that leave the last hour one after the other, so that the server always has something to write."""
    scene.recorder()
    seconds = 4 * int(DEADLINE)
    newest = datetime.now(timezone.utc) - timedelta(hours=1) + timedelta(seconds=seconds)
    fill(scene.database, invocations("decaying", seconds, newest=newest))
    scene.prefix = environment.ignoring_file_size_limits()


CACHE_ERROR = "cannot update skill_metrics_cache and skill_anomalies"


def disk_full(scene: Scene) -> Steps:
    scene.wait_until_checkpointed()
    filler = scene.folder / "filler"
    environment.fill_disk(filler)
    wait_until(lambda: "the disk is full" in scene.recorder().ask("refused"), "the writer gets the error")
    scene.server.program.wait_for(f"{CACHE_ERROR}.*the disk is full")
    yield
    filler.unlink()
    scene.wait_until_the_cache_is_updated()


def no_pages_left(scene: Scene) -> Steps:
    """Has the effect of a full disk on a writer, where no file system can be mounted."""
    with contextlib.closing(sqlite3.connect(scene.database, timeout=DEADLINE)) as writer:
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            writer.execute(
                "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, user_query)"
                " VALUES ('refused', datetime('now'), 's', zeroblob(1000000))"
            )
    yield


def own_writes_fail(scene: Scene) -> Steps:
    pid = scene.server.program.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    scene.server.program.wait_for(f"{CACHE_ERROR}.*input/output error")
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    scene.wait_until_the_cache_is_updated()


def moved_away(scene: Scene) -> Steps:
    aside = scene.database.rename(scene.folder / "aside.db")
    yield
    aside.rename(scene.database)


def folder_moved_away(scene: Scene) -> Steps:
    aside = scene.folder.rename(scene.folder.with_name("aside"))
    yield
    aside.rename(scene.folder)


def deleted(*suffixes: str) -> Callable[[Scene], Steps]:
    """The next program that records creates a new one."""

    def steps(scene: Scene) -> Steps:
        scene.remove("", *suffixes)
        yield

    return steps


def replaced_by_a_folder(scene: Scene) -> Steps:
    scene.remove("", *WAL_FILES)
    scene.database.mkdir()
    yield
    scene.database.rmdir()
    scene.replace_database(scene.good_copy)


def replaced(scene: Scene) -> Steps:
    scene.replace_database(scene.older_copy)
    yield


def deleted_and_copied(scene: Scene) -> Steps:
    scene.remove("", *WAL_FILES)
    shutil.copyfile(scene.older_copy, scene.database)
    yield


def copied_over(scene: Scene) -> Steps:
    scene.wait_until_checkpointed()
    shutil.copyfile(scene.older_copy, scene.database)
    yield


def truncated(scene: Scene) -> Steps:
    scene.wait_until_checkpointed()
    os.truncate(scene.database, scene.database.stat().st_size // 2)
    yield
    scene.restore()


def emptied(scene: Scene) -> Steps:
    scene.wait_until_checkpointed()
    os.truncate(scene.database, 0)
    yield


def garbage(first: float, last: float) -> Callable[[Scene], Steps]:
    """Random bytes over that part of the file."""

    def steps(scene: Scene) -> Steps:
        scene.wait_until_checkpointed()
        size = scene.database.stat().st_size
        begin, end = int(size * first), int(size * last)
        with scene.database.open("r+b") as file:
            file.seek(begin)
            file.write(random.Random(1).randbytes(end - begin))
        yield
        scene.restore()

    return steps


def garbage_then_repaired(scene: Scene) -> Steps:
    scene.wait_until_checkpointed()
    scene.database.write_bytes(random.Random(1).randbytes(50_000))
    yield
    shutil.copyfile(scene.good_copy, scene.database)


def removed(*suffixes: str) -> Callable[[Scene], Steps]:
    """Removes the -wal or -shm file; the newest row is in the WAL."""

    def steps(scene: Scene) -> Steps:
        scene.remove(*suffixes)
        yield

    return steps


def shm_emptied(scene: Scene) -> Steps:
    os.truncate(scene.sidecar("-shm"), 0)
    yield


@dataclass(frozen=True)
class Fault:
    name: str
    steps: Callable[[Scene], Steps]
    reason: str  # what /readyz says meanwhile, as a regular expression; empty where it is ready
    served: int = BEFORE  # invocations that the client sees meanwhile
    kept: int = BEFORE  # invocations that are there after the repair
    log: str = ""  # the line that says that the server has noticed
    lasts: float = 0.0  # seconds
    prepare: Callable[[Scene], None] = with_a_writer  # before the server starts
    small_disk: str = ""  # size of a separate file system


FAULTS = [
    Fault("moved_away", moved_away, "is gone"),
    Fault("folder_moved_away", folder_moved_away, "is gone"),
    Fault("deleted", deleted(*WAL_FILES), "is gone", kept=0),
    Fault("deleted_without_its_wal", deleted(), "is gone", kept=0),
    Fault("replaced_by_a_folder", replaced_by_a_folder, "it is a folder"),
    Fault("replaced_by_an_older_copy", replaced, "", served=OLDER, kept=OLDER, log="was replaced"),
    Fault("deleted_and_restored_from_an_older_copy", deleted_and_copied, "", served=OLDER, kept=OLDER),
    Fault("overwritten_by_an_older_copy", copied_over, "", served=OLDER, kept=OLDER),
    Fault("truncated_to_half", truncated, "damaged"),
    Fault("emptied", emptied, "is still being created|keeps it locked", kept=0),
    Fault("overwritten_with_garbage", garbage(0, 1), "not an SQLite database"),
    Fault("second_half_overwritten_with_garbage", garbage(0.5, 1), "damaged"),
    Fault("garbage_then_repaired", garbage_then_repaired, "not an SQLite database"),
    Fault("wal_removed", removed("-wal"), "", log="was removed or emptied"),
    Fault("shm_removed", removed("-shm"), "", log="was removed or emptied"),
    Fault("wal_and_shm_removed", removed(*WAL_FILES), "", log="was removed or emptied"),
    Fault("shm_emptied", shm_emptied, "", log="was removed or emptied"),
    Fault("file_read_only", writable_again, "", prepare=write_protected("database")),
    Fault("folder_read_only", writable_again, "", prepare=write_protected("folder")),
    Fault("disk_full", disk_full, "", prepare=decaying, small_disk="4m"),
    Fault("no_pages_left", no_pages_left, ""),
    Fault("own_writes_fail", own_writes_fail, "", prepare=decaying),
]

LOCKS = [
    Fault("wal_immediate", locked("BEGIN IMMEDIATE"), "", kept=BEFORE + 1, lasts=LOCKED_SECONDS, prepare=with_a_wal),
    Fault("wal_exclusive", locked("BEGIN EXCLUSIVE"), "", kept=BEFORE + 1, lasts=LOCKED_SECONDS, prepare=with_a_wal),
    Fault(
        "no_wal_immediate", locked("BEGIN IMMEDIATE"), "", kept=BEFORE + 1, lasts=LOCKED_SECONDS, prepare=without_a_wal
    ),
    Fault(
        "no_wal_exclusive",
        locked("BEGIN EXCLUSIVE"),
        "another process keeps it locked",
        kept=BEFORE + 1,
        lasts=LOCKED_SECONDS,
        prepare=without_a_wal,
    ),
]


async def check_fault(fault: Fault, folder: Path) -> None:
    """Checks what the client and /readyz see, from before the fault until after its repair."""
    with ExitStack() as stack:
        scene = Scene(folder, stack)
        if fault.small_disk and not stack.enter_context(environment.small_disk(scene.folder, fault.small_disk)):
            pytest.skip("this user may not mount a file system; no_pages_left and own_writes_fail cover it")
        scene.fill()
        fault.prepare(scene)
        async with WatchedServer(scene.database, prefix=scene.prefix) as server:
            scene.server = server
            await server.until(lambda: shown(server) == BEFORE, "the metrics before the fault")
            assert await server.readiness() == ""
            server.forget_seen()

            steps = contextlib.contextmanager(fault.steps)(scene)
            await asyncio.to_thread(steps.__enter__)
            if fault.log:
                await asyncio.to_thread(server.program.wait_for, fault.log)
                await server.next_updates(2)  # from here on /readyz reports it, too
            await server.until_readiness(lambda reason: matches(fault.reason, reason), repr(fault.reason))
            await server.until(lambda: shown(server) == fault.served, f"{fault.served} invocations meanwhile")
            end = time.monotonic() + fault.lasts
            while True:
                await server.next_updates(5)
                assert shown(server) == fault.served
                assert matches(fault.reason, await server.readiness())
                if time.monotonic() >= end:
                    break

            await asyncio.to_thread(steps.__exit__, None, None, None)
            if fault.kept:
                await server.until_readiness(lambda reason: reason == "", "ready")
            await asyncio.to_thread(scene.recorder().record, SKILL)
            await server.until(lambda: shown(server) == fault.kept + 1, "the invocation after the repair")
            assert await server.readiness() == ""
            counts_seen = [seen.get(SKILL, 0) for seen in server.seen]
            assert is_subsequence(counts_seen, [BEFORE, fault.served, fault.kept, fault.kept + 1])
            assert scene.query("PRAGMA integrity_check") == "ok"
            assert scene.query(f"SELECT count(*) FROM skill_invocation WHERE skill_name = '{SKILL}'") == fault.kept + 1
            with SkillsStorage(scene.database) as storage:
                (expected,) = (row for row in storage.get_real_time_metrics() if row["skill_name"] == SKILL)
            (served,) = (row for row in server.latest["data"]["top_skills"] if row["skill_name"] == SKILL)
            assert served == {**expected, "avg_duration": pytest.approx(expected["avg_duration"])}


def shown(server: WatchedServer) -> int:
    return counts(server.latest).get(SKILL, 0)


def matches(pattern: str, reason: str) -> bool:
    return re.search(pattern, reason) is not None if pattern else reason == ""


def is_subsequence(part: list[int], whole: list[int]) -> bool:
    rest = iter(whole)
    return all(any(each == other for other in rest) for each in part)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_fault(fault: Fault, tmp_path: Path) -> None:
    await check_fault(fault, tmp_path)


async def test_locked_for_30_s_with_and_without_a_wal(tmp_path: Path) -> None:
    """All four run at the same time, each with its own server and database."""
    folders = [tmp_path / fault.name for fault in LOCKS]
    for folder in folders:
        folder.mkdir()
    await asyncio.gather(*(check_fault(fault, folder) for fault, folder in zip(LOCKS, folders, strict=True)))
