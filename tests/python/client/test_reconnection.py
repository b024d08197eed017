"""Reconnection of `session_buddy.client`: retries, backoff, close codes, and errors that end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import socket
import threading
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection

from session_buddy.client import (
    Client,
    ClientError,
    ConnectionFailedError,
    ConnectionLostError,
    ProtocolError,
    RefusedError,
    RequestError,
    RequestTimeoutError,
    State,
    StateChange,
    UnauthorizedError,
    _link,
    as_wire,
    connect,
)
from session_buddy.storage.skills_storage import SkillsStorage
from support.client_library import confirm, first, number_of, scripted, until, update_message
from support.histories import fill, invocations
from support.processes import DEADLINE, Server
from support.reverse_proxy import free_port


class Closing:
    """Serves a connection with a confirmation and an update with the number of the connection, and closes it."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.connections = 0

    async def __call__(self, socket: ServerConnection) -> None:
        self.connections += 1
        await confirm(socket)
        await socket.send(update_message(self.connections))
        await socket.close(self.code)


def is_part_of(part: list[Any], whole: list[Any]) -> bool:
    """Whether `part` is a contiguous slice of `whole`."""
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))


async def test_killed_and_restarted_ten_times_it_misses_nothing_that_was_broadcast(db_path: Path) -> None:
    fill(db_path, invocations("pytest-run", 1))
    got: list[Any] = []
    states: list[State] = []
    stop = threading.Event()

    def record() -> None:
        """Records continuously, so that hardly two broadcasts are equal."""
        with SkillsStorage(db_path, busy_timeout=DEADLINE) as storage:
            while not stop.wait(0.005):
                storage.store_invocation("pytest-run", session_id="s", completed=True, duration_seconds=1.0)

    async def follow(client: Client) -> None:
        async for update in client.subscribe():
            got.append(as_wire(update))

    async def plain_client(server: Server) -> list[Any]:
        """What a plain WebSocket client receives, up to the kill."""
        received: list[Any] = []
        async with websockets.connect(server.url) as socket:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    message = json.loads(await socket.recv())
                    received.append({"timestamp": message["timestamp"], **message["data"]})
                    if len(received) == 8:
                        server.process.send_signal(signal.SIGKILL)
        return received

    async def one_life(client: Client) -> None:
        lives = states.count(State.CONNECTED)
        server = Server(db_path, port=port, interval="20ms")
        await asyncio.to_thread(server.__enter__)
        try:
            await until(lambda: states.count(State.CONNECTED) == lives + 1, "it has reconnected")
            before = len(got)
            await until(lambda: len(got) > before, "it is subscribed again")
            received = await plain_client(server)
            await until(lambda: client.state is State.RECONNECTING, "it noticed the kill")
            # The last broadcast may have been sent to only one of the two.
            await until(lambda: is_part_of(received[:-1], got[before:]), "it has all that the plain client has")
        finally:
            server.stop(signal.SIGKILL)

    port = free_port()
    writer = threading.Thread(target=record)
    writer.start()
    try:
        first_life = Server(db_path, port=port)
        with first_life:
            client = connect(
                first_life.url, first_delay=0.05, max_delay=0.2, on_state=lambda change: states.append(change.state)
            )
            await client.__aenter__()
            follower = asyncio.create_task(follow(client))
        for _ in range(10):
            await one_life(client)
        await client.aclose()
        await follower
    finally:
        stop.set()
        writer.join()


async def test_what_was_sent_just_before_the_end_of_a_connection_is_read() -> None:
    sent = 0

    async def in_bursts(socket: ServerConnection) -> None:
        nonlocal sent
        await confirm(socket)
        for _ in range(random.randrange(1, 12)):
            sent += 1
            await socket.send(update_message(sent))
        socket.transport.close()  # after the queued messages, and without a closing handshake

    numbers: list[int] = []
    async with scripted(in_bursts) as url, connect(url, first_delay=0.001, max_delay=0.001) as client:
        async for update in client.subscribe():
            numbers.append(number_of(update))
            if len(numbers) >= 100:
                break
    assert numbers == list(range(1, len(numbers) + 1))


async def test_subscriptions_and_requests_survive_a_reconnect(db_path: Path) -> None:
    fill(db_path, invocations("rare", 1), *[invocations(f"often-{number}", 2) for number in range(12)])
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(db_path))
        async with connect(server.url, first_delay=0.01, max_delay=0.05) as client:
            updates, sessions = client.subscribe("rare"), client.subscribe_sessions()
            await first(updates)
            await first(sessions)
            server.stop(signal.SIGTERM)
            await until(lambda: client.state is State.RECONNECTING, "it is reconnecting")
            asked = asyncio.create_task(client.get_metrics("rare"))
            stack.enter_context(Server(db_path, port=server.port))
            assert (await asked).total_invocations == 1
            while (await first(updates)).top_skills[0].skill_name != "rare":
                pytest.fail("the new connection is subscribed to something else")
            await first(sessions)


async def test_a_server_that_confirms_and_then_fails_is_not_retried_forever() -> None:
    failing = Closing(1011)
    async with scripted(failing) as url, connect(url, first_delay=0.001, max_attempts=3) as client:

        async def read_all() -> None:
            async for _ in client.subscribe():
                pass

        with pytest.raises(ConnectionFailedError, match=r"after 3 attempts: .*1011"):
            await asyncio.wait_for(read_all(), DEADLINE)
    assert failing.connections == 4


async def test_a_server_that_sends_pings_and_reads_no_answer_is_left_before_the_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_link, "MAX_UNSENT_BYTES", 1 << 16)
    left = asyncio.Event()

    async def floods(socket: ServerConnection) -> None:
        await confirm(socket)
        transport = socket.transport
        transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        transport.pause_reading()
        ping = b"\x89\x7d" + bytes(125)
        while not transport.is_closing():
            if transport.get_write_buffer_size() < 1 << 16:
                transport.write(ping * 500)
            await asyncio.sleep(0)
        left.set()

    async with scripted(floods, ping_interval=None) as url, connect(url) as client:
        reader = asyncio.ensure_future(first(client.subscribe()))
        try:
            await asyncio.wait_for(left.wait(), DEADLINE)
        finally:
            reader.cancel()


async def test_updates_before_a_subscription_is_confirmed_do_not_belong_to_it() -> None:
    connections = 0

    async def sends_too_early(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await socket.send(update_message(-1))
        await confirm(socket)
        await socket.send(update_message(connections))
        await socket.close(1012)

    async with scripted(sends_too_early) as url, connect(url, first_delay=0.001) as client:
        updates = client.subscribe("numbered")
        assert [number_of(await first(updates)) for _ in range(4)] == [1, 2, 3, 4]


async def test_no_server_at_any_address_of_a_name_is_reported_as_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", port)) for last in (1, 2)]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: addresses)
    with pytest.raises(ConnectionFailedError, match=f"no server is listening at localhost:{port}"):
        async with connect(f"ws://localhost:{port}"):
            pass


async def test_requests_during_repeated_reconnects_are_all_answered() -> None:
    dice = random.Random(20260214)

    async def breaks(socket: ServerConnection) -> None:
        await confirm(socket, "unsubscribe")
        for _ in range(dice.randrange(40)):
            request = json.loads(await socket.recv())
            await socket.send(json.dumps({"type": "pong", "request_id": request["request_id"]}))
        socket.transport.abort()

    async with scripted(breaks) as url, connect(url, first_delay=0.001, max_delay=0.001) as client:

        async def ask() -> None:
            for _ in range(20):
                await client.ping()

        await asyncio.wait_for(asyncio.gather(*(ask() for _ in range(30))), DEADLINE)


async def test_a_subscription_may_begin_while_there_is_no_connection(filled_db: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server(filled_db))
        async with connect(server.url, first_delay=0.01, max_delay=0.05) as client:
            server.stop(signal.SIGKILL)
            await until(lambda: client.state is State.RECONNECTING, "it is reconnecting")
            updates = [client.subscribe("mypy"), client.subscribe(), client.subscribe("")]
            waiting = [asyncio.create_task(first(one)) for one in updates]
            await asyncio.sleep(0)
            stack.enter_context(Server(filled_db, port=server.port))
            assert [skill.skill_name for skill in (await waiting[0]).top_skills] == ["mypy"]
            assert len((await waiting[1]).top_skills) == 2
            with pytest.raises(RequestError):
                await waiting[2]


async def test_the_first_attempt_fails_immediately_by_default(filled_db: Path) -> None:
    port = free_port()
    with pytest.raises(ConnectionFailedError, match=f"no server is listening at localhost:{port}") as caught:
        await connect(f"localhost:{port}").__aenter__()
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, ClientError)
    client = connect(f"localhost:{port}", first_attempts=None, first_delay=0.01, max_delay=0.05)
    entering = asyncio.create_task(client.__aenter__())
    await asyncio.sleep(0)
    with Server(filled_db, port=port):
        assert await asyncio.wait_for(entering, DEADLINE) is client
        await client.ping()
        await client.aclose()


async def test_it_gives_up_after_so_many_attempts_and_every_waiter_gets_the_error(filled_db: Path) -> None:
    changes: list[StateChange] = []
    with Server(filled_db) as server:
        async with connect(server.url, max_attempts=3, first_delay=0.02, on_state=changes.append) as client:
            updates, sessions = client.subscribe(buffer=1), client.subscribe_sessions()
            await first(updates)
            await first(sessions)
            server.stop(signal.SIGKILL)
            with pytest.raises(ConnectionFailedError, match="after 3 attempts"):
                async for _ in updates:
                    pass
            with pytest.raises(ConnectionFailedError):
                async for _ in sessions:
                    pass
            with pytest.raises(ConnectionFailedError):
                await client.get_metrics("mypy")
            with pytest.raises(ConnectionFailedError):
                await first(client.subscribe())
    states = [change.state for change in changes]
    assert states == [State.CONNECTING, State.CONNECTED, *[State.RECONNECTING] * 3, State.CLOSED]
    lost = [change for change in changes if change.state is State.RECONNECTING]
    assert [change.attempt for change in lost] == [0, 1, 2]
    for change in lost:
        assert isinstance(change.reason, ConnectionLostError)
        assert change.retry_in is not None
        assert 0 <= change.retry_in <= 0.02 * 2**change.attempt


async def test_retry_delays_back_off_with_jitter_up_to_their_limit() -> None:
    port = free_port()
    waits: list[list[float]] = []
    for _ in range(3):
        changes: list[StateChange] = []
        with pytest.raises(ConnectionFailedError):
            await connect(
                f"127.0.0.1:{port}", first_attempts=8, first_delay=0.001, max_delay=0.02, on_state=changes.append
            ).__aenter__()
        waits.append([change.retry_in for change in changes if change.retry_in is not None])
    assert len({tuple(one) for one in waits}) == 3
    for one in waits:
        assert len(one) == 7
        assert all(0 <= wait <= min(0.02, 0.001 * 2**number) for number, wait in enumerate(one))


async def test_a_first_connection_with_one_attempt_is_not_attempted_again() -> None:
    changes: list[StateChange] = []
    with pytest.raises(ConnectionFailedError, match=r"^no connection: "):
        await connect(f"127.0.0.1:{free_port()}", first_attempts=1, on_state=changes.append).__aenter__()
    assert not [change for change in changes if change.retry_in is not None]


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 3000])
async def test_it_reconnects_after_a_transient_close_code(code: int) -> None:
    async with scripted(Closing(code)) as url, connect(url, first_delay=0.001) as client:
        updates = client.subscribe()
        assert [number_of(await first(updates)) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("code", "error"),
    [(4401, UnauthorizedError), *[(code, RefusedError) for code in (1002, 1003, 1007, 1008, 1009)]],
)
async def test_it_gives_up_after_a_permanent_close_code(code: int, error: type[RefusedError]) -> None:
    connections = 0

    async def closes(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await confirm(socket)
        await socket.send(update_message(7))
        await socket.close(code, "because\u202e")

    async with scripted(closes) as url, connect(url, first_delay=0.001) as client:
        updates = client.subscribe()
        assert number_of(await first(updates)) == 7
        with pytest.raises(error, match=f"{code}: because $") as caught:
            await first(updates)
        assert caught.value.close_code == code
    assert connections == 1


async def test_retry_after_of_a_full_server_is_honoured() -> None:
    changes: list[StateChange] = []
    rejections = 0

    def reject_twice(connection: ServerConnection, request: Any) -> Any:
        nonlocal rejections
        if rejections == 2:
            return None
        rejections += 1
        response = connection.respond(503, "")
        response.headers["Retry-After"] = "1" if rejections == 1 else "soon"
        return response

    async def handler(socket: ServerConnection) -> None:
        await confirm(socket, "unsubscribe")
        await socket.wait_closed()

    async with (
        scripted(handler, process_request=reject_twice) as url,
        connect(url, first_attempts=None, first_delay=0.001, max_delay=1.5, on_state=changes.append),
    ):
        pass
    waits = [change.retry_in for change in changes if change.retry_in is not None]
    assert [0, 1] <= [int(wait) for wait in reversed(waits)] == [0, 1]


@pytest.mark.parametrize("status", [301, 308, 400, 404, 426])
async def test_other_responses_and_redirects_end_it_and_the_token_is_sent_nowhere_else(status: int) -> None:
    elsewhere: list[str | None] = []

    async def never(socket: ServerConnection) -> None:
        raise AssertionError("no connection is accepted here")

    def note(connection: ServerConnection, request: Any) -> Any:
        elsewhere.append(request.headers.get("Authorization"))
        return connection.respond(500, "")

    async with scripted(never, process_request=note) as other:

        def answer(connection: ServerConnection, request: Any) -> Any:
            response = connection.respond(status, '{"detail": "no"}')
            response.headers["Location"] = other
            return response

        async with scripted(never, process_request=answer) as url:
            with pytest.raises(RefusedError, match=f"HTTP {status}: no$") as caught:
                await connect(url, token="secret", first_attempts=None).__aenter__()
    assert caught.value.status == status
    assert elsewhere == []


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        "{}",
        '"text"',
        "[" * 100_000,
        '{"type": "metrics_update"}',
        '{"type": "metrics_update", "timestamp": "yesterday", "data": {"top_skills": [], "anomalies": []}}',
        '{"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": {"top_skills": {}, "anomalies": []}}',
        '{"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": {"top_skills": [1], "anomalies": []}}',
        update_message(1).replace("0.0", "NaN"),
        update_message(1).replace("0.0", '"0"'),
        "x" * 3000,
    ],
)
async def test_messages_outside_the_api_end_it_with_a_clear_error(message: str) -> None:
    async def sends(socket: ServerConnection) -> None:
        await confirm(socket)
        await socket.send(message)
        await socket.wait_closed()

    async with scripted(sends) as url, connect(url, max_message_bytes=200_000 if "[[" in message else 2000) as client:
        with pytest.raises(ProtocolError):
            await first(client.subscribe())


async def test_messages_and_keys_of_later_versions_are_ignored() -> None:
    async def sends(socket: ServerConnection) -> None:
        await confirm(socket)
        await socket.send('{"type": "weather", "data": [1]}')
        message = json.loads(update_message(3))
        message["more"] = message["data"]["more"] = message["data"]["top_skills"][0]["more"] = {}
        await socket.send(json.dumps(message))
        await socket.wait_closed()

    async with scripted(sends) as url, connect(url) as client:
        assert number_of(await first(client.subscribe())) == 3


async def test_a_server_that_never_answers_times_out() -> None:
    async def silent(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with scripted(silent) as url:
        with pytest.raises(ConnectionFailedError, match="did not answer"):
            await connect(url, request_timeout=0.05).__aenter__()


async def test_a_request_without_an_answer_times_out() -> None:
    async def forgetful(socket: ServerConnection) -> None:
        await confirm(socket, "unsubscribe")
        await socket.wait_closed()

    async with scripted(forgetful) as url, connect(url, request_timeout=0.2) as client:
        with pytest.raises(RequestTimeoutError, match=r"ping within 0\.2 seconds") as caught:
            await client.ping()
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(RequestTimeoutError):
            await first(client.subscribe())


async def test_a_server_that_hangs_is_noticed(filled_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_buddy.client._link.PING_SECONDS", 0.3)
    with Server(filled_db) as server:
        async with connect(server.url, first_delay=0.01) as client:
            updates = client.subscribe()
            await first(updates)
            server.process.send_signal(signal.SIGSTOP)
            await until(lambda: client.state is State.RECONNECTING, "it is reconnecting")
            server.process.send_signal(signal.SIGCONT)
            await until(lambda: client.state is State.CONNECTED, "it is connected again")
            await first(updates)


async def test_an_exception_of_on_state_stops_nothing(served: Server, caplog: pytest.LogCaptureFixture) -> None:
    def raises(change: StateChange) -> None:
        raise RuntimeError("of the program")

    async with connect(served.url, on_state=raises) as client:
        await first(client.subscribe())
    assert "on_state raised" in caplog.text
