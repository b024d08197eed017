"""`session_buddy.client` for threads: blocking calls, timeouts and interrupts."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from session_buddy.client import (
    ClientClosedError,
    ConnectionFailedError,
    MetricsUpdate,
    RequestTimeoutError,
    State,
    StateChange,
    UnknownSkillError,
    connect_sync,
)
from support.histories import fill, invocations
from support.processes import DEADLINE, Server, wait_until
from support.reverse_proxy import free_port


def test_threads_share_a_client(served: Server) -> None:
    threads = threading.active_count()
    with connect_sync(served.url) as client:
        seen: dict[str, list[MetricsUpdate]] = {"mypy": [], "pytest-run": []}

        def follow(name: str) -> None:
            for update in client.subscribe(name):
                seen[name].append(update)
                client.get_metrics(name)

        followers = [threading.Thread(target=follow, args=(name,)) for name in seen]
        for follower in followers:
            follower.start()
        wait_until(lambda: all(len(updates) >= 3 for updates in seen.values()), "both threads get updates")
        assert client.state is State.CONNECTED
        assert client.ping() > 0
    for follower in followers:
        follower.join(DEADLINE)
        assert not follower.is_alive()
    for name, updates in seen.items():
        assert {skill.skill_name for update in updates for skill in update.top_skills} == {name}
    assert threading.active_count() == threads
    with pytest.raises(ClientClosedError):
        client.ping()


def test_a_thread_can_wait_with_a_timeout(served: Server) -> None:
    with connect_sync(served.url) as client:
        sessions = client.subscribe_sessions()
        assert sessions.receive().active_sessions
        with pytest.raises(RequestTimeoutError):
            sessions.receive(timeout=0.05)
        fill(served.db_path, invocations("mypy", 1, session_id="another"))
        assert sessions.receive(timeout=DEADLINE).active_sessions
        sessions.close()
        with pytest.raises(ClientClosedError):
            sessions.receive()
        assert list(sessions) == []
        with pytest.raises(UnknownSkillError):
            client.get_metrics("no-such-skill")


def test_threads_get_the_reason_where_there_is_no_server(filled_db: Path) -> None:
    threads = threading.active_count()
    with pytest.raises(ConnectionFailedError, match="no server is listening"):
        connect_sync(f"localhost:{free_port()}").__enter__()
    with Server(filled_db) as server, connect_sync(server.url, max_attempts=0) as client:
        updates = client.subscribe()
        next(updates)
        server.stop(signal.SIGKILL)
        with pytest.raises(ConnectionFailedError):
            for _ in updates:
                pass
    assert threading.active_count() == threads


def test_a_reader_in_the_main_thread_can_be_interrupted(served: Server) -> None:
    with connect_sync(served.url) as client:
        updates = client.subscribe("never-ran", buffer=1)
        next(updates)
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            list(updates)
        timer.join()
        client.ping()


def test_on_state_cannot_block_its_own_thread(served: Server) -> None:
    errors: list[BaseException] = []

    def asks(change: StateChange) -> None:
        if change.state is State.CONNECTED:
            assert client.state is State.CONNECTED
            for ask in (client.ping, client.subscribe, client.close):
                with pytest.raises(RuntimeError, match="another thread") as caught:
                    ask()
                errors.append(caught.value)

    client = connect_sync(served.url, on_state=asks)
    with client:
        wait_until(lambda: len(errors) == 3, "all calls have failed")
        assert client.ping() > 0
