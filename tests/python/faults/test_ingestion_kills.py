"""`kill -9` of hooks, server and watch at random moments of a replay: nothing acknowledged is lost or duplicated."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.hook_events import Event, post, pre
from support.processes import DEADLINE, native_binary, wait_until
from support.reverse_proxy import free_port
from support.transcripts import result, use, write

KILLS = 100  # in total; a random one of a hook, the server or the watch
PARALLEL_TESTS = 4  # the number of tests that share them, so that they can run in parallel
LONGEST_HOOK = 0.01  # seconds; a hook is killed within this time
LONGEST_PAUSE = 0.2  # seconds between two kills of the others
SOURCES = ["hook", "request", "transcript", "all"]


class Replay:
    """Endless tool uses, each of a different tool, reported through one source or through all of them."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.database = folder / "skills.db"
        self.transcript = folder / "projects" / "session.jsonl"
        self.port = free_port()
        self.acknowledged: list[str] = []  # tools
        self.hooks_killed = 0
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self._chance = chance
        self._threads = [threading.Thread(target=self._send_endlessly, args=(source,)) for source in SOURCES]

    def __enter__(self) -> Replay:
        write(self.transcript, use(0, "first", "first"), result(1, "first"))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(DEADLINE)
        assert not self.failures, self.failures

    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _send_endlessly(self, source: str) -> None:
        try:
            for number in itertools.count():
                if self.over.is_set():
                    return
                tool = f"{source}-{number}"
                self._send(source, tool)
                self.acknowledged.append(tool)
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def _send(self, source: str, tool: str) -> None:
        begins, ends = pre(tool, tool), post(tool, tool)
        if source in ("hook", "all"):
            self._run_hook(begins)
        if source in ("request", "all"):
            self._request(begins)
            self._request(ends)
        if source in ("transcript", "all"):
            # In one write, as Claude Code does it; durations do not matter to this test.
            write(self.transcript, use(1, tool, tool), result(2, tool))
            time.sleep(0.002)
        if source in ("hook", "all"):
            self._run_hook(ends)

    def _run_hook(self, event: Event) -> None:
        """Runs the hook until one ends without being killed."""
        command = [native_binary("session-buddy-hook"), "--db-path", str(self.database)]
        while True:
            process = subprocess.Popen(command, stdin=subprocess.PIPE)
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(event).encode())
                process.stdin.close()
            if self._chance.random() < 0.1 and not self.over.is_set():
                time.sleep(self._chance.uniform(0, LONGEST_HOOK))
                process.kill()
            status = process.wait(DEADLINE)
            if status == 0:
                return
            assert status == -9, f"a hook ended with {status}"
            self.hooks_killed += 1

    def _request(self, event: Event) -> None:
        """Sends the request until it is answered."""
        end = time.monotonic() + DEADLINE
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)) as sender:
                    sender.request("POST", "/hooks/claude-code", json.dumps(event))
                    answer = sender.getresponse()
                    text = answer.read()
                assert answer.status == http.client.ACCEPTED, text
                return
            assert time.monotonic() < end, "no server was restarted"
            time.sleep(0.01)

    def start_server(self) -> subprocess.Popen[bytes]:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--max-connections-per-second", "100000"]
        command = [native_binary(), *options, "--db-path", str(self.database), "--log-level", "error"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def start_watch(self, *options: str) -> subprocess.Popen[bytes]:
        program = str(Path(sys.executable).parent / "session-buddy")
        command = [program, "watch", *options, "--db-path", str(self.database), str(self.transcript.parent)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@contextlib.contextmanager
def killed_at_random(
    chance: random.Random, start: dict[str, Callable[[], subprocess.Popen[bytes]]]
) -> Iterator[Callable[[], None]]:
    """Yields a function that kills a random one of them after a while and restarts it."""
    alive = {name: begin() for name, begin in start.items()}

    def kill_one() -> None:
        time.sleep(chance.uniform(0, LONGEST_PAUSE))
        name = chance.choice(list(start))
        process = alive[name]
        assert process.poll() is None, f"{name} exited without being killed: {process.communicate()}"
        process.kill()
        process.communicate()
        alive[name] = start[name]()

    try:
        yield kill_one
    finally:
        for process in alive.values():
            process.kill()
            process.communicate()


def stored(database: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows: list[tuple[str, int]] = connection.execute(
            "SELECT skill_name, count(*) FROM skill_invocation GROUP BY 1"
        ).fetchall()
    return dict(rows)


@pytest.mark.parametrize("seed", range(PARALLEL_TESTS))
def test_what_was_acknowledged_survives_kill_9_of_the_process_that_ingested_it(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    others_killed = 0
    with Replay(tmp_path, chance) as replay:
        start: dict[str, Any] = {"server": replay.start_server, "watch": replay.start_watch}
        with killed_at_random(chance, start) as kill_one:
            while (
                replay.hooks_killed + others_killed < KILLS // PARALLEL_TESTS
                or min(others_killed, replay.hooks_killed) < 5
            ):
                kill_one()
                others_killed += 1
            replay.over.set()
            wait_until(lambda: not replay.is_running(), "everything is sent")
        spool = Path(f"{replay.database}-spool")
        server = replay.start_server()
        try:
            wait_until(lambda: not spool.exists() or not any(spool.glob("*.json")), "the spool is drained")
        finally:
            server.kill()
            server.communicate()
        assert replay.start_watch("--once").wait(DEADLINE) == 0
    found = stored(replay.database)
    print(f"killed {others_killed} and {replay.hooks_killed} hooks, sent {len(replay.acknowledged)}")
    assert set(found.values()) == {1}, "stored twice"
    assert set(replay.acknowledged) <= set(found), "acknowledged and lost"
    assert set(found) <= {*replay.acknowledged, "first"}
