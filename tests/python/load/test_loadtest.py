"""`python -m session_buddy.loadtest`: what it counts, against servers that behave and misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from session_buddy.loadtest import LATE_SECONDS, Histogram, Measurement, main
from support.processes import Program, Server
from support.tokens import READER, write_secret

# ---- Counting


def update(number: int) -> str:
    return json.dumps({"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": {"number": number}})


class Clients:
    """Passes messages to a measurement at the times that a test sets."""

    def __init__(self, count: int) -> None:
        self.measurement = Measurement()
        self.count = count
        self.measurement.begin(set(range(count)))
        self.broadcast("warm", 0.0)  # the first text is not counted: it may have been in flight

    def broadcast(
        self, number: Any, at: float, *, without: tuple[int, ...] = (), spread: float = 0.0, text: str | None = None
    ) -> None:
        for client in range(self.count):
            if client not in without:
                self.measurement.message(client, text or update(number), at + spread * client / (self.count - 1))

    def end(self, at: float) -> Measurement:
        self.broadcast("newest", at)  # nor is the last one
        self.measurement.end(at)
        return self.measurement


def test_a_complete_run_loses_nothing() -> None:
    clients = Clients(4)
    for number in range(10):
        clients.broadcast(number, 1 + number, spread=0.003)
    measured = clients.end(11)
    assert measured.broadcasts == 10
    assert measured.messages == 48
    assert not measured.lost
    assert not measured.errors
    assert measured.spread.count == 10
    assert measured.spread.quantile(0.5) == pytest.approx(0.003, rel=0.06)
    assert measured.gaps.largest == pytest.approx(1.0, abs=0.01)


def test_a_missed_update_is_counted_for_the_client_that_missed_it() -> None:
    clients = Clients(4)
    for number in range(10):
        clients.broadcast(number, 1 + number, without={3: (2,), 4: (2, 3)}.get(number, ()))
    assert clients.end(12).lost == {2: 2, 3: 1}


def test_equal_broadcasts_are_distinguished_by_their_number() -> None:
    clients = Clients(3)
    for step in range(20):
        clients.broadcast(step // 10, 1 + step * 0.05, without=(1,) if step == 4 else ())
    measured = clients.end(3)
    assert measured.broadcasts == 20
    assert measured.lost == {1: 1}


def test_an_update_that_comes_very_late_is_lost_once_and_counted_late() -> None:
    clients = Clients(3)
    clients.broadcast(1, 1, without=(2,))
    clients.broadcast(2, 2 + LATE_SECONDS)
    clients.measurement.message(2, update(1), 3 + LATE_SECONDS)
    measured = clients.end(4 + LATE_SECONDS)
    assert measured.lost == {2: 1}
    assert measured.late == 1


def test_an_update_that_comes_somewhat_late_is_not_lost() -> None:
    clients = Clients(3)
    clients.broadcast(1, 1, without=(2,))
    clients.broadcast(2, 2, without=(2,))
    clients.measurement.message(2, update(1), 3)
    clients.measurement.message(2, update(2), 3)
    measured = clients.end(4)
    assert not measured.lost
    assert measured.spread.largest == pytest.approx(2.0)


def test_what_a_failed_client_misses_is_not_counted_as_lost() -> None:
    clients = Clients(3)
    clients.broadcast(1, 1)
    clients.measurement.client_failed(2)
    clients.broadcast(2, 2, without=(2,))
    measured = clients.end(3)
    assert not measured.lost
    assert measured.broadcasts == 2


def test_only_updates_and_errors_are_counted() -> None:
    clients = Clients(2)
    clients.broadcast(0, 1, text='{"type": "subscription_confirmed"}')
    clients.broadcast(0, 2, text='{"type": "error", "message": "no"}')
    clients.broadcast(0, 3, text="no json")
    clients.broadcast(0, 4, text="[]")
    measured = clients.end(5)
    assert measured.broadcasts == 0
    assert measured.errors == {"the server answered with an error": 1, "a message that is not a JSON object": 2}


def test_memory_is_bounded_in_a_long_run() -> None:
    clients = Clients(2)
    for number in range(5000):
        clients.broadcast(number, 1 + number)
    assert len(clients.measurement._open) < 20
    assert len(clients.measurement._closed) < 200
    assert clients.end(5002).broadcasts == 5000


def test_quantiles_are_within_five_percent() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) == 0.0
    for value in range(1, 10_001):
        histogram.add(value / 1000)
    for share in (0.01, 0.5, 0.95, 0.99, 1.0):
        assert histogram.quantile(share) == pytest.approx(10 * share, rel=0.06)
    assert histogram.summary()["max"] == 10_000
    assert histogram.summary()["mean"] == pytest.approx(5000.5)


# ---- Against servers


class Broadcaster:
    """A server in a separate thread that sends an update to every client every 20 ms."""

    def __init__(
        self, *, interval: float = 0.02, skip: Callable[[int, int], bool] | None = None, **options: Any
    ) -> None:
        self.interval = interval
        self.skip = skip or (lambda _client, _number: False)
        self.options = options
        self.requests: list[Any] = []
        self.accepted = 0

    def __enter__(self) -> Broadcaster:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)))
        self._thread.start()
        assert ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)

    @property
    def url(self) -> str:
        return f"ws://localhost:{self.port}"

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self.clients: dict[int, ServerConnection] = {}
        async with serve(self._accept, "localhost", 0, compression=None, **self.options) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            for extra in server.sockets:
                self.port = extra.getsockname()[1] if extra.family == socket.AF_INET else self.port
            ready.set()
            number = 0
            while not self._over.is_set():
                for client, connection in list(self.clients.items()):
                    if not self.skip(client, number):
                        with contextlib.suppress(Exception):
                            await connection.send(update(number // 5))
                number += 1
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._over.wait(), 0.02)

    async def _accept(self, connection: ServerConnection) -> None:
        client = self.accepted
        self.accepted += 1
        self.clients[client] = connection
        try:
            async for message in connection:
                self.requests.append(json.loads(message))
        finally:
            del self.clients[client]


def report(capsys: pytest.CaptureFixture[str], url: str, *options: str) -> tuple[int, dict[str, Any]]:
    status = main([url, "--json", *options])
    return status, json.loads(capsys.readouterr().out)


def test_all_clients_of_a_good_server_are_ok(capsys: pytest.CaptureFixture[str]) -> None:
    with Broadcaster() as server:
        status, measured = report(capsys, server.url, "--count", "20", "--duration", "1")
    assert status == 0
    assert measured["connected"] == measured["clients"] == 20
    assert measured["failed"] == measured["lost_updates"] == 0
    assert measured["errors"] == {}
    assert measured["broadcasts"] >= 10
    assert measured["messages"] >= 20 * measured["broadcasts"]
    assert measured["seconds"] == pytest.approx(1, abs=0.5)
    assert 0 < measured["spread_ms"]["p50"] <= measured["spread_ms"]["max"]
    assert measured["gap_ms"]["p50"] > 5
    assert measured["bytes"] > 0


def test_a_client_that_misses_updates_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with Broadcaster(skip=lambda client, number: client == 3 and number % 10 == 0) as server:
        status, measured = report(capsys, server.url, "-c", "5", "-d", "1.5")
    assert status == 1
    assert measured["failed"] == 0
    assert measured["clients_with_lost_updates"] == 1
    assert measured["lost_updates"] >= 2


def test_a_connection_that_is_lost_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    def abort(server: Broadcaster, client: int, number: int) -> bool:
        if client == 2 and number > 25:
            server.clients[client].transport.abort()
            return True
        return False

    with Broadcaster() as server:
        server.skip = functools.partial(abort, server)
        status, measured = report(capsys, server.url, "-c", "5", "-d", "2")
    assert status == 1
    assert (measured["connected"], measured["failed"]) == (5, 1)
    assert measured["lost_updates"] == 0
    ((error, count),) = measured["errors"].items()
    assert count == 1
    assert error.startswith("connection lost: ")


def test_a_rejection_is_reported_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    def reject(_connection: ServerConnection, _request: Request) -> Response | None:
        if server.accepted < 3 and len(server.clients) < 3:
            return None
        body = b'{"error": "too_many_clients", "detail": "all 3 slots are in use"}'
        headers = Headers({"Retry-After": "5", "Content-Type": "application/json", "Content-Length": str(len(body))})
        return Response(http.HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable", headers, body)

    server = Broadcaster(process_request=reject)
    with server:
        status, measured = report(capsys, server.url, "-c", "5", "-d", "0.5", "--ramp", "0.5")
    assert status == 1
    assert (measured["connected"], measured["failed"]) == (3, 2)
    assert measured["errors"] == {"rejected with HTTP 503: all 3 slots are in use (retry after 5 s)": 2}
    assert measured["messages"] > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])  # one address, and two that both refuse the connection
def test_a_missing_server_is_reported_immediately(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    status, measured = report(capsys, f"ws://{host}:{port}", "-c", "3", "-d", "60")
    assert time.monotonic() - began < 30
    assert status == 1
    assert measured["errors"] == {"connection refused: no server is listening there": 3}


def test_a_silent_server_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with Broadcaster(skip=lambda _client, _number: True) as server:
        assert main([server.url, "-c", "2", "-d", "0.2"]) == 1
    assert "no client received an update" in capsys.readouterr().err


def test_clients_subscribe_to_the_skill(capsys: pytest.CaptureFixture[str]) -> None:
    with Broadcaster() as server:
        status, _ = report(capsys, server.url, "-c", "3", "-d", "0.5", "--skill", "pytest-run")
    assert status == 0
    assert server.requests == [{"type": "subscribe", "skill_name": "pytest-run"}] * 3


def test_the_human_readable_report(capsys: pytest.CaptureFixture[str]) -> None:
    with Broadcaster() as server:
        assert main([server.url, "-c", "2", "-d", "0.5"]) == 0
    output = capsys.readouterr()
    assert "2 of 2 connected, 0 failed" in output.out
    assert "0 updates, by 0 clients" in output.out
    assert output.err == ""  # the live line is for terminals


@pytest.mark.parametrize(
    "arguments",
    [["http://localhost:8765"], ["-c", "0"], ["-c", "x"], ["-d", "-1"], ["--duration", "inf"], ["--no-such-option"]],
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    capsys.readouterr()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary_and_130(number: signal.Signals) -> None:
    with Broadcaster() as server:
        arguments = ["-m", "session_buddy.loadtest", server.url, "-c", "3", "-d", "600"]
        with Program([sys.executable, *arguments]) as program:
            _wait_until(lambda: len(server.clients) == 3)
            assert program.stop(number) == 130
            lines = program.drain()
    assert any(line.startswith("Clients") for line in lines)
    assert any(line.startswith("Errors") and "none" in line for line in lines)


def test_a_signal_while_connecting_ends_it_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        arguments = ["-m", "session_buddy.loadtest", f"ws://127.0.0.1:{silent.getsockname()[1]}", "-c", "2", "-d", "1"]
        with Program([sys.executable, *arguments]) as program:
            connection, _ = silent.accept()
            with connection:
                assert program.stop(signal.SIGINT) == 130


def _wait_until(condition: Callable[[], bool], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "skills.db", "--max-clients", "20", interval="50ms") as server:
        yield server


def test_the_real_server_loses_nothing(real_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    status, measured = report(capsys, real_server.url, "-c", "20", "-d", "2.5")
    assert measured["errors"] == {}
    assert status == 0
    assert measured["broadcasts"] >= 10


def test_it_sends_its_token_to_a_server_that_requires_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token_file = write_secret(tmp_path / "token", READER + "\n")
    with Server(tmp_path / "skills.db", "--auth-token-file", str(token_file)) as server:
        arguments = [server.url, "--count=3", "--duration=0.5", "--json"]
        assert main([*arguments, "--token-file", str(token_file)]) == 0
        assert json.loads(capsys.readouterr().out)["connected"] == 3
        write_secret(token_file, "another-token")
        assert main([*arguments, "--token-file", str(token_file)]) == 1
        assert "The token is not valid" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--token-file", str(tmp_path / "nowhere")])
    assert "cannot read" in capsys.readouterr().err


def test_the_real_server_rejects_a_client_beyond_the_limit(
    real_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    status, measured = report(capsys, real_server.url, "-c", "21", "-d", "1")
    assert status == 1
    assert (measured["connected"], measured["failed"]) == (20, 1)
    ((error, count),) = measured["errors"].items()
    assert count == 1
    assert error.startswith("rejected with HTTP 503: ")
