"""`session_buddy.client` against real servers: what it delivers, how it reconnects, and that it releases everything."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import psutil
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from session_buddy.client import (
    ActiveSession,
    Anomaly,
    Client,
    ClientClosedError,
    ClientError,
    ConnectionFailedError,
    ConnectionLostError,
    ForbiddenError,
    InvalidURLError,
    MetricsUpdate,
    ProtocolError,
    RefusedError,
    RequestError,
    RequestTimeoutError,
    SessionUpdate,
    State,
    StateChange,
    TopSkill,
    UnauthorizedError,
    UnknownSkillError,
    _link,
    as_wire,
    connect,
    connect_sync,
)
from session_buddy.client._endpoint import Endpoint
from session_buddy.client._link import Link
from session_buddy.storage.skills_storage import SkillsStorage
from support.certificates import Certificates
from support.histories import fill, invocations
from support.processes import DEADLINE, Server, wait_until
from support.reverse_proxy import free_port
from support.schemas import validated
from support.streams import behave, make_database
from support.tokens import READER, SCRAPER, SECRET, signed, write_secret

HOSTILE = [
    "../../etc/passwd",
    'a"b\\c',
    "[red]not red[/red]",
    "\u202eevil",
    "名前",
    "e\u0301\u200b",
    "\U0001f680" * 64,
    " ",
    "null",
]


async def first(updates: Any) -> Any:
    """The first item of a subscription."""
    return await asyncio.wait_for(updates.__anext__(), DEADLINE)


async def until(condition: Callable[[], bool], what: str) -> None:
    """`wait_until` for coroutines."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"timed out waiting for: {what}"
        await asyncio.sleep(0.005)


@pytest.fixture
def served(filled_db: Path) -> Iterator[Server]:
    """A server with two skills."""
    with Server(filled_db) as server:
        yield server


def update_message(number: int) -> str:
    """A metrics_update with a number."""
    skill = {
        "skill_name": "numbered",
        "invocation_count": number,
        "completed_count": 0,
        "avg_duration": 0.0,
        "last_invocation_at": "2026-02-10T12:00:00Z",
    }
    data = {"top_skills": [skill], "anomalies": []}
    return json.dumps({"type": "metrics_update", "timestamp": "2026-02-10T12:00:00Z", "data": data})


def number_of(update: MetricsUpdate) -> int:
    return update.top_skills[0].invocation_count


async def confirm(socket: ServerConnection, wanted: str = "subscribe") -> None:
    """Answers a client's requests, up to one of this type."""
    kinds = {"subscribe": "subscription_confirmed", "unsubscribe": "unsubscribed"}
    while True:
        request = json.loads(await socket.recv())
        answer = {"type": kinds[request["type"]], "message": "x", "request_id": request["request_id"]}
        await socket.send(json.dumps(answer))
        if request["type"] == wanted:
            return


@contextlib.asynccontextmanager
async def scripted(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    """A server whose connections `handler` serves; yields the URL."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


def connections_to(port: int) -> int:
    """The connections of this process."""
    return sum(
        1
        for connection in psutil.Process().net_connections("tcp")
        if connection.raddr and connection.raddr.port == port and connection.status != psutil.CONN_CLOSE_WAIT
    )


# ---- What it delivers


async def test_updates_are_typed_and_equal_to_the_messages_of_the_server(served: Server) -> None:
    async with connect(served.url) as client, websockets.connect(served.url) as plain:
        update = await first(client.subscribe())
        assert isinstance(update, MetricsUpdate)
        assert {(skill.skill_name, skill.invocation_count, skill.completed_count) for skill in update.top_skills} == {
            ("pytest-run", 8, 7),
            ("mypy", 2, 2),
        }
        skill = update.top_skills[0]
        assert isinstance(skill, TopSkill)
        assert skill.completion_rate == 7 / 8
        assert skill.avg_duration == pytest.approx(5.2)
        assert abs(update.timestamp - datetime.now(timezone.utc)) < timedelta(seconds=DEADLINE)
        assert skill.last_invocation_at.utcoffset() == timedelta(0)
        with pytest.raises(FrozenInstanceError):
            skill.invocation_count = 9  # type: ignore[misc]
        assert as_wire(update)["top_skills"] == json.loads(await plain.recv())["data"]["top_skills"]


async def test_one_several_or_all_skills_can_be_subscribed_to(served: Server) -> None:
    async with connect(served.url) as client:
        for names in (["mypy"], ["mypy", "pytest-run"], ["mypy", "never-ran"], ["never-ran"], []):
            async with client.subscribe(*names) as updates:
                got = {skill.skill_name for skill in (await first(updates)).top_skills}
            assert got == {"mypy", "pytest-run"} & set(names or ["mypy", "pytest-run"])


async def test_anomalies_come_with_their_details_where_asked_for_and_above_the_deviation(db_path: Path) -> None:
    make_database(db_path)
    behave(db_path, failing=["mypy"])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            (bare,) = (await first(client.subscribe())).anomalies
            (anomaly,) = (await first(client.subscribe(details=True))).anomalies
            assert isinstance(anomaly, Anomaly)
            assert bare.details is None
            assert anomaly.details is not None
            assert (anomaly.skill_name, anomaly.anomaly_type) == ("mypy", "performance_drop")
            assert anomaly.observed_value < anomaly.baseline_value == 1.0
            assert anomaly.details.z_score == -anomaly.deviation_score
            assert anomaly.details.observed_samples == 20
            assert [(error.error_type, error.count) for error in anomaly.details.common_errors] == [("timeout", 16)]
            assert anomaly.details.since <= datetime.now(timezone.utc)
            above = client.subscribe("mypy", min_deviation=anomaly.deviation_score + 1)
            assert (await first(above)).anomalies == ()
            validated(
                {
                    "type": "metrics_update",
                    "timestamp": "2026-02-10T12:00:00Z",
                    "data": {"top_skills": [], "anomalies": [as_wire(anomaly), as_wire(bare)]},
                }
            )


async def test_active_sessions_are_sent_immediately_and_when_they_change(served: Server) -> None:
    async with connect(served.url) as client:
        sessions, too = client.subscribe_sessions(), client.subscribe_sessions()
        (session,) = (await first(sessions)).active_sessions
        assert isinstance(session, ActiveSession)
        assert (session.session_id, session.invocations, session.completed) == ("session-1", 10, 9)
        assert (await first(too)).active_sessions == (session,)
        fill(served.db_path, invocations("ruff-check", 1, session_id="session-2"))
        for subscription in (sessions, too):
            while len((changed := await first(subscription)).active_sessions) < 2:
                assert isinstance(changed, SessionUpdate)


async def test_hostile_names_come_back_as_they_are(db_path: Path) -> None:
    fill(db_path, *[invocations(name, 1) for name in HOSTILE])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            assert {skill.skill_name for skill in (await first(client.subscribe())).top_skills} == set(HOSTILE)
            for name in HOSTILE:
                assert (await client.get_metrics(name)).skill_name == name
                (skill,) = (await first(client.subscribe(name))).top_skills
                assert skill.skill_name == name
            for name in ("", "a\nb", "x" * 257):
                with pytest.raises(RequestError) as caught:
                    await client.get_metrics(name)
                assert caught.value.code == "invalid_skill_name"
                with pytest.raises(RequestError):
                    await first(client.subscribe(name))
            with pytest.raises(ValueError, match="surrogates"):
                client.subscribe("\ud800")


async def test_lifetime_metrics_of_a_skill_and_of_one_that_is_unknown(served: Server) -> None:
    async with connect(served.url) as client:
        metrics = await client.get_metrics("pytest-run")
        assert (metrics.total_invocations, metrics.completion_rate) == (8, 7 / 8)
        assert metrics.avg_duration_seconds == pytest.approx(5.2)
        assert metrics.last_invocation_at is not None
        with pytest.raises(UnknownSkillError, match="no-such-skill") as caught:
            await client.get_metrics("no-such-skill")
        assert caught.value.code == "invalid_skill_name"
        assert isinstance(caught.value, LookupError)
        assert 0 < await client.ping() < DEADLINE


async def test_responses_are_matched_to_requests_in_any_order() -> None:
    async def answers_backwards(socket: ServerConnection) -> None:
        await confirm(socket, "unsubscribe")
        requests = [json.loads(await socket.recv()) for _ in range(8)]
        for request in reversed(requests):
            data = {
                "skill_name": request["skill_name"],
                "total_invocations": 1,
                "completion_rate": 1.0,
                "avg_duration_seconds": 0.0,
                "last_invocation_at": None,
            }
            answer = {"type": "metrics_response", "data": data, "request_id": request["request_id"]}
            await socket.send(json.dumps(answer))
        await socket.wait_closed()

    async with scripted(answers_backwards) as url, connect(url) as client:
        names = [f"skill-{number}" for number in range(8)]
        answers = await asyncio.gather(*map(client.get_metrics, names))
        assert [answer.skill_name for answer in answers] == names


# ---- Addresses


@pytest.mark.parametrize(
    ("given", "websocket", "http"),
    [
        ("ws://localhost:8765", "ws://localhost:8765/", "http://localhost:8765"),
        ("http://localhost:8765/", "ws://localhost:8765/", "http://localhost:8765"),
        ("https://example.org/ws", "wss://example.org/ws", "https://example.org"),
        ("wss://example.org:1/ws?x=1", "wss://example.org:1/ws?x=1", "https://example.org:1"),
        ("ws://example.org/buddy/ws", "ws://example.org/buddy/ws", "http://example.org/buddy"),
        ("https://example.org/buddy/?x=/ws", "wss://example.org/buddy/?x=/ws", "https://example.org/buddy"),
        ("ws://example.org/news", "ws://example.org/news", "http://example.org/news"),
        ("localhost:1234", "ws://localhost:1234/", "http://localhost:1234"),
        ("example.org", "ws://example.org:8765/", "http://example.org:8765"),
        ("[::1]:99", "ws://[::1]:99/", "http://[::1]:99"),
        ("http://[::1]/", "ws://[::1]/", "http://[::1]"),
        (" ws://localhost:1 ", "ws://localhost:1/", "http://localhost:1"),
    ],
)
def test_addresses_are_understood(given: str, websocket: str, http: str) -> None:
    endpoint = Endpoint.parse(given)
    assert (endpoint.websocket_url, endpoint.http_url) == (websocket, http)


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "ws://", "ws://x:y", "ws://x:99999", "ws://a b", "ws://x/#f", "ws://x\n/"]
)
def test_other_addresses_are_rejected(url: str) -> None:
    with pytest.raises(InvalidURLError):
        connect(url)


def test_credentials_in_an_address_are_rejected_and_not_repeated() -> None:
    for url in ("ws://me:hunter2@localhost", "ftp://me:hunter2@localhost", "ws://me:hunter2@localhost:x"):
        with pytest.raises(InvalidURLError) as caught:
            connect(url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "keywords",
    [
        {"first_attempts": 0},
        {"max_attempts": -1},
        {"first_delay": 0},
        {"max_delay": float("inf")},
        {"connect_timeout": float("nan")},
        {"request_timeout": -1},
        {"max_message_bytes": 0},
        {"token": "two words"},
        {"token": ""},
        {"token": "line\r\nX-Evil: 1"},
        {"ca_file": "x.pem"},
        {"tls": ssl.create_default_context()},
    ],
)
def test_keywords_out_of_their_range_are_rejected(keywords: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(keywords))):
        connect("localhost", **keywords)


async def test_invalid_subscriptions_are_rejected(served: Server) -> None:
    async with connect(served.url) as client:
        for keywords in ({"buffer": 0}, {"min_deviation": -1}, {"min_deviation": float("nan")}):
            with pytest.raises(ValueError, match=next(iter(keywords))):
                client.subscribe(**keywords)
        with pytest.raises(ValueError, match="at most 50"):
            client.subscribe(*[f"skill-{number}" for number in range(51)])
        with pytest.raises(TypeError):
            client.subscribe(["a", "b"])  # type: ignore[arg-type]


async def test_tls_needs_a_trusted_certificate_authority(filled_db: Path, certificates: Certificates) -> None:
    with Server(filled_db, *certificates.options) as server:
        for url in (server.url, server.url.replace("wss://", "https://")):
            async with connect(url, ca_file=certificates.authority_file) as client:
                assert (await first(client.subscribe())).top_skills
        async with connect(server.url, tls=certificates.client_context()) as client:
            await client.ping()
        with pytest.raises(RefusedError, match="certificate"):
            await connect(server.url, first_attempts=None).__aenter__()
        with pytest.raises(RefusedError, match="TLS") as caught:
            await connect(server.url.replace("wss://", "ws://"), first_attempts=None).__aenter__()
        assert caught.value.status == 400
        with pytest.raises(OSError, match="missing"):
            connect(server.url, ca_file="missing.pem")


# ---- Tokens


@pytest.fixture
def guarded(filled_db: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that accepts one token, with the scope `read`."""
    file = write_secret(tmp_path / "tokens", f"{READER} read\n{SCRAPER} metrics\n")
    with Server(filled_db, "--auth-token-file", str(file), "--auth-timeout", "200ms") as server:
        yield server


async def test_a_token_authenticates_and_is_never_shown(guarded: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="session_buddy")
    async with connect(guarded.url, token=READER) as client:
        assert (await first(client.subscribe())).top_skills
        assert READER not in repr(client)
        assert READER not in repr(vars(client))
    async with connect(guarded.url, token=lambda: f"{READER}\n") as client:
        await client.ping()
    assert READER not in caplog.text


@pytest.mark.parametrize(
    ("token", "error", "status"),
    [(None, UnauthorizedError, None), ("wrong", UnauthorizedError, 401), (SCRAPER, ForbiddenError, 403)],
)
async def test_a_rejected_token_is_not_sent_again(
    guarded: Server, token: str | None, error: type[RefusedError], status: int | None
) -> None:
    changes: list[StateChange] = []
    with pytest.raises(error) as caught:
        await connect(guarded.url, token=token, first_attempts=None, on_state=changes.append).__aenter__()
    assert caught.value.status == status
    assert caught.value.close_code == (4401 if status is None else None)
    assert "wrong" not in str(caught.value)
    assert [change.state for change in changes] == [State.CONNECTING, State.CLOSED]
    assert changes[-1].reason is caught.value


def jwt_server(db_path: Path) -> Server:
    return Server(db_path, "--jwt-leeway", "0", env={"SESSION_BUDDY_JWT_SECRET": SECRET})


async def test_an_expired_token_ends_it(filled_db: Path) -> None:
    with jwt_server(filled_db) as server:
        async with connect(server.url, token=signed(exp=int(time.time()) + 3)) as client:
            with pytest.raises(UnauthorizedError, match="expired"):
                async for _ in client.subscribe():
                    pass
            assert client.state is State.CLOSED
            with pytest.raises(UnauthorizedError):
                await client.ping()


async def test_an_expired_token_is_renewed_by_a_function(filled_db: Path) -> None:
    changes: list[StateChange] = []
    lifetimes = iter([3, 3600])
    current = signed(exp=int(time.time()) + next(lifetimes))

    def token() -> str:
        nonlocal current
        if State.CONNECTED in [change.state for change in changes]:
            current = signed(exp=int(time.time()) + 3600)
        return current

    with jwt_server(filled_db) as server:
        async with connect(server.url, token=token, on_state=changes.append, first_delay=0.01) as client:
            updates = client.subscribe()
            while [change.state for change in changes].count(State.CONNECTED) < 2:
                await first(updates)
            await first(updates)


async def test_a_function_whose_tokens_are_all_rejected_is_not_called_forever(guarded: Server) -> None:
    shown: list[str] = []

    def token() -> str:
        shown.append(f"wrong-{len(shown)}")
        return shown[-1]

    with pytest.raises(UnauthorizedError):
        await connect(guarded.url, token=token, first_attempts=None, first_delay=0.01).__aenter__()
    assert len(shown) <= 4


# ---- Reconnection


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
    connections = 0

    async def fails(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await confirm(socket)
        await socket.send(update_message(connections))
        await socket.close(1011)

    async with scripted(fails) as url, connect(url, first_delay=0.001, max_attempts=3) as client:

        async def read_all() -> None:
            async for _ in client.subscribe():
                pass

        with pytest.raises(ConnectionFailedError, match=r"after 3 attempts: .*1011"):
            await asyncio.wait_for(read_all(), DEADLINE)
    assert connections == 4


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
        assert len(one) == 8
        assert all(0 <= wait <= min(0.02, 0.001 * 2**number) for number, wait in enumerate(one))


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 3000])
async def test_it_reconnects_after_a_transient_close_code(code: int) -> None:
    connections = 0

    async def closes(socket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await confirm(socket)
        await socket.send(update_message(connections))
        await socket.close(code)

    async with scripted(closes) as url, connect(url, first_delay=0.001) as client:
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
    refusals = 0

    def reject_twice(connection: ServerConnection, request: Any) -> Any:
        nonlocal refusals
        if refusals == 2:
            return None
        refusals += 1
        response = connection.respond(503, "")
        response.headers["Retry-After"] = "1" if refusals == 1 else "soon"
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


# ---- Readers


async def flood(socket: ServerConnection) -> None:
    """Sends a hundred updates as fast as possible."""
    await confirm(socket)
    for number in range(100):
        await socket.send(update_message(number))
    await socket.wait_closed()


@pytest.mark.parametrize("buffer", [1, 5])
async def test_a_slow_reader_keeps_the_newest_and_sees_how_many_it_missed(buffer: int) -> None:
    async with scripted(flood) as url, connect(url) as client, client.subscribe(buffer=buffer) as updates:
        await until(lambda: updates.dropped == 100 - buffer, "all updates have arrived")
        assert [number_of(await first(updates)) for _ in range(buffer)] == list(range(100 - buffer, 100))


async def test_a_reader_that_keeps_up_misses_nothing() -> None:
    async with scripted(flood) as url, connect(url) as client:
        updates = client.subscribe(buffer=100)
        assert [number_of(await first(updates)) for _ in range(100)] == list(range(100))
        assert updates.dropped == 0


async def test_a_stalled_reader_does_not_delay_others(served: Server) -> None:
    async with connect(served.url) as client:
        stalled, other = client.subscribe(buffer=1), client.subscribe("mypy")
        await first(stalled)
        for _ in range(5):
            await first(other)
            await client.ping()


async def test_concurrent_subscriptions_are_independent(db_path: Path) -> None:
    fill(db_path, invocations("rare", 1), *[invocations(f"often-{number}", 2) for number in range(12)])
    with Server(db_path) as server:
        async with connect(server.url) as client:
            every, one = client.subscribe(), client.subscribe("rare")
            for _ in range(3):
                assert len((await first(every)).top_skills) == 10
                assert [skill.skill_name for skill in (await first(one)).top_skills] == ["rare"]
            assert connections_to(server.port) == 2
            await every.aclose()
            with pytest.raises(StopAsyncIteration):
                await every.__anext__()
            third = client.subscribe("often-1")
            for _ in range(3):
                assert [skill.skill_name for skill in (await first(one)).top_skills] == ["rare"]
                assert [skill.skill_name for skill in (await first(third)).top_skills] == ["often-1"]
            await one.aclose()
            await until(lambda: connections_to(server.port) == 1, "its connection is closed")
    await until(lambda: connections_to(server.port) == 0, "all connections are closed")


async def test_an_abandoned_subscription_ends_by_itself() -> None:
    asked: list[str] = []

    async def notes(socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            asked.append(request["type"])
            kind = {"subscribe": "subscription_confirmed", "unsubscribe": "unsubscribed"}[request["type"]]
            await socket.send(json.dumps({"type": kind, "message": "x", "request_id": request["request_id"]}))
            if request["type"] == "subscribe":
                await socket.send(update_message(1))

    async with scripted(notes) as url, connect(url) as client:
        async for _ in client.subscribe():
            break
        gc.collect()
        await until(lambda: asked == ["unsubscribe", "subscribe", "unsubscribe"], "the server got all requests")


async def test_a_subscription_that_follows_another_one_is_not_ended_with_it(served: Server) -> None:
    async with connect(served.url) as client:
        async with client.subscribe("mypy") as updates:
            await first(updates)
        following = client.subscribe("pytest-run")
        for _ in range(3):
            assert [skill.skill_name for skill in (await first(following)).top_skills] == ["pytest-run"]
        assert connections_to(served.port) == 1


async def test_abandoned_loops_share_one_connection(served: Server) -> None:
    async with connect(served.url) as client:
        for _ in range(10):
            async for update in client.subscribe("mypy"):
                assert [skill.skill_name for skill in update.top_skills] == ["mypy"]
                assert connections_to(served.port) == 1
                break


async def test_a_cancelled_wait_loses_no_update(served: Server) -> None:
    async with connect(served.url) as client:
        updates = client.subscribe("mypy")
        for _ in range(20):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(updates.__anext__(), 0.001)
        assert (await first(updates)).top_skills


# ---- The end


@pytest.mark.parametrize("moment", ["entering", "reading", "asking", "coming back", "closing"])
async def test_cancelled_at_any_moment_it_leaves_nothing_behind(filled_db: Path, moment: str) -> None:
    before = asyncio.all_tasks()
    with Server(filled_db) as server:

        async def work(reached: asyncio.Event) -> None:
            if moment == "entering":
                reached.set()
            async with connect(server.url, first_delay=5) as client:
                async with client.subscribe() as updates, client.subscribe("mypy") as others:
                    await updates.__anext__()
                    await others.__anext__()
                    if moment == "coming back":
                        server.process.send_signal(signal.SIGKILL)
                        while client.state is not State.RECONNECTING:
                            await asyncio.sleep(0.005)
                    elif moment == "asking":
                        server.process.send_signal(signal.SIGSTOP)
                        asyncio.get_running_loop().call_later(0.05, reached.set)
                        await client.ping()
                    if moment != "closing":
                        reached.set()
                        async for _ in updates:
                            pass
                reached.set()

        reached = asyncio.Event()
        working = asyncio.create_task(work(reached))
        await asyncio.wait_for(reached.wait(), DEADLINE)
        working.cancel()
        await asyncio.wait([working])
        assert working.cancelled()
        assert asyncio.all_tasks() == before
        await until(lambda: connections_to(server.port) == 0, "its connections are closed")


async def test_a_close_that_is_cancelled_in_its_first_turn_leaves_nothing_behind(served: Server) -> None:
    before = asyncio.all_tasks()
    client = connect(served.url)
    await client.__aenter__()
    await first(client.subscribe("mypy"))
    others = client.subscribe("pytest-run")
    await first(others)
    await others.aclose()  # its connection is closing, too

    async def close() -> None:
        asyncio.get_running_loop().call_soon(
            closing.cancel
        )  # before the task that the close starts runs for the first time
        await client.aclose()

    closing = asyncio.create_task(close())
    await asyncio.wait([closing])
    assert closing.cancelled()
    assert asyncio.all_tasks() == before
    assert client.state is State.CLOSED
    await until(lambda: connections_to(served.port) == 0, "its connections are closed")


async def test_a_close_that_comes_just_as_the_connection_is_ready_ends(
    served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asyncio.all_tasks()
    original = Link._resubscribe

    async def closed_meanwhile(link: Link, socket: ClientConnection) -> None:
        await original(link, socket)
        ending.extend(link.stop())

    ending: list[asyncio.Task[None]] = []
    monkeypatch.setattr(Link, "_resubscribe", closed_meanwhile)
    with pytest.raises(ClientClosedError):
        await asyncio.wait_for(connect(served.url).__aenter__(), DEADLINE)
    assert all(task.cancelled() for task in ending)
    assert asyncio.all_tasks() == before


async def test_a_client_that_is_closed_says_so(served: Server) -> None:
    changes: list[StateChange] = []
    client = connect(served.url, on_state=changes.append)
    with pytest.raises(ClientClosedError):
        client.subscribe()
    async with client:
        updates = client.subscribe()
        await first(updates)
        never = client.subscribe_sessions()
        await first(never)
        waiting = asyncio.ensure_future(first(never))
        await asyncio.sleep(0)
    async for _ in updates:  # the queued updates, then the end
        pass
    with pytest.raises(StopAsyncIteration):
        await waiting
    assert client.state is State.CLOSED
    with pytest.raises(ClientClosedError):
        await client.ping()
    with pytest.raises(ClientClosedError):
        await client.__aenter__()
    await client.aclose()
    assert [change.state for change in changes] == [State.CONNECTING, State.CONNECTED, State.CLOSED]


async def test_a_client_that_is_being_closed_begins_nothing_more(served: Server) -> None:
    before = asyncio.all_tasks()
    async with connect(served.url) as client:
        await first(client.subscribe("mypy"))
        reading = client.subscribe("mypy")
        await first(reading)
        another = client.subscribe("pytest-run")
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        with pytest.raises(ClientClosedError):
            await first(another)
        with pytest.raises(ClientClosedError):
            client.subscribe()
        await closing
        assert asyncio.all_tasks() == before
    await until(lambda: connections_to(served.port) == 0, "all connections are closed")
    never_entered = connect(served.url)
    await never_entered.aclose()
    with pytest.raises(ClientClosedError):
        await never_entered.__aenter__()


# ---- For threads


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
