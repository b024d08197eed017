"""`kill -9` of a writer and of the server at random moments: nothing that was acknowledged is lost or duplicated."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from session_buddy.storage.skills_storage import SkillsStorage
from support import recorder
from support.processes import native_binary, wait_until
from support.watched_server import INTERVAL, WatchedServer, counts

KILLS = 200  # in total; of the writer or of the server, at random
PARALLEL_TESTS = 4  # the number of tests that share them, so that they can run in parallel
LONGEST_START = 0.1  # seconds; a process that is to be killed early is killed within this time
MAX_STORED = 20  # invocations between two kills otherwise
SKILL = "pytest-run"

# Forked children start with everything imported.
fork_server = multiprocessing.get_context("forkserver")
fork_server.set_forkserver_preload(["support.recorder"])


class Writer:
    """Stores invocations endlessly, into the same database as the writer before it."""

    def __init__(self, database: Path, acknowledged: Path) -> None:
        arguments = (str(database), SKILL, str(acknowledged))
        self._process: BaseProcess = fork_server.Process(target=recorder.record_without_end, args=arguments)
        self._process.start()

    def kill(self) -> None:
        assert self._process.exitcode is None, "the writer exited without being killed"
        self._process.kill()
        self._process.join()


class KilledServer:
    """Does not wait until it listens: it may be killed during startup, too."""

    def __init__(self, database: Path) -> None:
        command = [native_binary(), "--port", "0", "--db-path", str(database), "--update-interval", INTERVAL]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def kill(self) -> None:
        assert self._process.poll() is None, f"the server exited without being killed: {self._process.communicate()}"
        self._process.kill()
        self._process.communicate()


@pytest.mark.parametrize("seed", range(PARALLEL_TESTS))
async def test_what_was_acknowledged_survives_kill_9(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    database, log = tmp_path / "skills.db", tmp_path / "acknowledged"
    SkillsStorage(database).close()
    start: dict[str, Callable[[], Any]] = {
        "writer": lambda: Writer(database, log),
        "server": lambda: KilledServer(database),
    }
    alive = {name: begin() for name, begin in start.items()}
    killed = {"writer": 0, "server": 0}
    try:
        for _ in range(KILLS // PARALLEL_TESTS):
            wait_for_a_random_moment(chance, log)
            name = chance.choice(["writer", "server"])
            alive.pop(name).kill()
            killed[name] += 1
            alive[name] = start[name]()
        wait_for_more(log, 1)
    finally:
        for process in alive.values():
            process.kill()

    assert sum(killed.values()) == KILLS // PARALLEL_TESTS
    done = acknowledged(log)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = [session for (session,) in connection.execute("SELECT session_id FROM skill_invocation")]
        lifetime = connection.execute("SELECT total_invocations FROM skill_metrics").fetchall()
    print(f"killed {killed}, acknowledged {len(done)}, stored {len(stored)}")
    assert len(stored) == len(set(stored)), "stored twice"
    assert set(done) <= set(stored), "acknowledged and lost"
    # Each writer may have been killed between storing and acknowledging.
    assert len(stored) - len(done) <= killed["writer"] + 1
    assert len(done) > KILLS // PARALLEL_TESTS
    assert lifetime == [(len(stored),)]
    async with WatchedServer(database) as server:
        assert counts(server.latest) == {SKILL: len(stored)}


def wait_for_a_random_moment(chance: random.Random, log: Path) -> None:
    """During startup, or during the work that follows it."""
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, LONGEST_START))
    else:
        wait_for_more(log, chance.randint(1, MAX_STORED))


def wait_for_more(log: Path, number: int) -> None:
    """Until that many further invocations were acknowledged."""
    wanted = len(acknowledged(log)) + number
    wait_until(lambda: len(acknowledged(log)) >= wanted, f"{wanted} invocations are acknowledged", pause=0.001)


def acknowledged(log: Path) -> list[str]:
    """The sessions in complete lines: the last line may be half written."""
    return log.read_text().rpartition("\n")[0].split() if log.exists() else []
