"""One server for each module, with limits that are quick to reach, and a well-behaved client that stays connected."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import isolate_environment
from support.bystander import Bystander
from support.histories import fill, invocations
from support.processes import Server

# Short, so that tests which wait for them are quick; far longer than anything that must not time out.
OPTIONS = (
    *("--handshake-timeout", "2s", "--idle-timeout", "2s"),
    *("--max-connections-per-second", "100000", "--max-message-bytes", "1024"),
)
# Updates come every 100 ms; this is for a machine that is busy with other tests.
MAX_GAP = 10.0  # seconds


@pytest.fixture(scope="module", autouse=True)
def private_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Does for servers of a module what isolated_environment does for each test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        isolate_environment(tmp_path_factory.mktemp("environment"), monkeypatch)
        yield


@contextmanager
def hostile_server(folder: Path, *options: str) -> Iterator[Server]:
    """The native server; after all tests it must still be running and have logged no failure."""
    path = folder / "skills.db"
    fill(path, invocations("pytest-run", 3))
    with Server(path, *options) as server:
        yield server
        assert server.process.poll() is None, "the server has exited"
        if server.url.startswith("ws:"):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=20) as answer:
                assert answer.status == 200
        assert server.stop() == 0
        server.drain()
        assert [line for line in server.seen if re.search(r" error | failed: ", line)] == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with hostile_server(tmp_path_factory.mktemp("server"), *OPTIONS) as server:
        yield server


@pytest.fixture(scope="module")
def module_bystander(server: Server) -> Iterator[Bystander]:
    with Bystander(server.url) as bystander:
        yield bystander
        assert bystander.longest_gap < MAX_GAP


@pytest.fixture(autouse=True)
def bystander(request: pytest.FixtureRequest) -> Iterator[Bystander | None]:
    """Must keep receiving updates after the test, where the test uses the module's server."""
    if "server" not in request.fixturenames:
        yield None
        return
    bystander: Bystander = request.getfixturevalue("module_bystander")
    yield bystander
    bystander.expect_update()
