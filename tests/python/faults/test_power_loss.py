"""What a power loss may leave of the write-ahead log: its start, then nothing, zeros or other bytes."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from session_buddy.storage.skills_storage import SkillsStorage
from support.recorder import Recorder
from support.watched_server import WatchedServer

STORED = 30
POWER_LOSSES = 20
chance = random.Random(1)

REST: dict[str, Callable[[int], bytes]] = {
    "nothing": lambda size: b"",
    "zeros": bytes,
    "something_else": chance.randbytes,
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A database file that was never checkpointed, and its WAL."""
    folder = tmp_path_factory.mktemp("disk")
    database = folder / "skills.db"
    SkillsStorage(database).close()
    with Recorder(database) as recorder:
        for number in range(STORED):
            recorder.record(f"skill-{number}")
        file = shutil.copyfile(database, folder / "file")
        log = Path(f"{database}-wal").read_bytes()
    return file, log


def after_power_loss(folder: Path, disk: tuple[Path, bytes], kept: int, rest: Callable[[int], bytes]) -> Path:
    """The database when `kept` bytes of the WAL reached the disk."""
    file, log = disk
    database = folder / "skills.db"
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(file, database)
    Path(f"{database}-wal").write_bytes(log[:kept] + rest(len(log) - kept))
    return database


@pytest.mark.parametrize("rest", REST)
def test_the_newest_invocations_may_be_lost_but_the_database_is_intact(
    rest: str, disk: tuple[Path, bytes], tmp_path: Path
) -> None:
    size = len(disk[1])
    left = []
    for kept in sorted([0, size, *(chance.randrange(size) for _ in range(POWER_LOSSES))]):
        database = after_power_loss(tmp_path, disk, kept, REST[rest])
        with contextlib.closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            names = [name for (name,) in connection.execute("SELECT skill_name FROM skill_invocation ORDER BY id")]
        assert names == [f"skill-{number}" for number in range(len(names))], "the first ones, without a gap"
        left.append(len(names))
    assert left == sorted(left)
    assert left[0] == 0
    assert left[-1] == STORED


async def test_the_server_serves_what_is_left(disk: tuple[Path, bytes], tmp_path: Path) -> None:
    database = after_power_loss(tmp_path, disk, len(disk[1]) // 2, REST["something_else"])
    async with WatchedServer(database) as server:
        assert await server.readiness() == ""
        with SkillsStorage(database) as storage:
            assert 0 < len(server.latest["data"]["top_skills"]) == len(storage.get_real_time_metrics())
