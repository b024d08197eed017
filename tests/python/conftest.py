"""Fixtures of every test module: an isolated environment, databases, servers and the commands as processes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.certificates import Certificates
from support.histories import fill, invocations
from support.processes import entry_points

ServerFactory = Callable[..., RealTimeMetricsServer]


def isolate_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `root` hold the user's directories, and removes settings from the environment variables."""
    for name in list(os.environ):
        if name.startswith("SESSION_BUDDY_") and not name.startswith("SESSION_BUDDY_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # programs buffer their output as they do for their users
    monkeypatch.setenv("XDG_CONFIG_HOME", str(root / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(root / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(root / "state"))


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps tests from the settings and the data directory of the user that runs them. Returns the temporary one."""
    root = tmp_path_factory.mktemp("environment")
    isolate_environment(root, monkeypatch)
    return root


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """The path of a database that does not exist yet."""
    return tmp_path / "skills.db"


@pytest.fixture
def filled_db(db_path: Path) -> Path:
    """A database of two skills."""
    fill(db_path, invocations("pytest-run", 8, completed=7), invocations("mypy", 2))
    return db_path


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def server_factory(db_path: Path) -> Iterator[ServerFactory]:
    """Makes servers on a free port with a short update interval; keyword arguments override. Stops them at the end."""
    made: list[RealTimeMetricsServer] = []

    def make(**settings: Any) -> RealTimeMetricsServer:
        server = RealTimeMetricsServer(**{"port": 0, "db_path": db_path, "update_interval": 0.05, **settings})
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop_now()


@pytest_asyncio.fixture
async def server(server_factory: ServerFactory) -> AsyncIterator[RealTimeMetricsServer]:
    """A running server over an empty database."""
    async with server_factory() as running:
        yield running


@pytest.fixture(params=["binary", "python -m session_buddy.websocket-server", "session-buddy serve"])
def server_command(request: pytest.FixtureRequest) -> list[str]:
    """The start of a command line, for each entry point that differs in more than its name."""
    return entry_points()[request.param]
