"""Clients that are slow, stop midway or vanish: they lose their connection and no other client does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hostile.conftest import hostile_server
from support.bystander import Bystander
from support.certificates import Certificates, client_hello
from support.footprint import MEGABYTE, descriptors, resident, wait_for_descriptors
from support.histories import fill, invocations
from support.processes import Server
from support.raw_client import PING_FRAME, Opcode, RawClient, frame, request, upgrade_request

REQUEST_TIMEOUT = 0.5  # seconds, of the server below: timeouts of the first request and of each later one
BYTE_INTERVAL = REQUEST_TIMEOUT / 10  # between two bytes of a slow client


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its parameter, where a test gives one, is the time after which a silent WebSocket is dropped."""
    with hostile_server(
        tmp_path_factory.mktemp("server"),
        *("--handshake-timeout", f"{REQUEST_TIMEOUT}s", "--idle-timeout", f"{REQUEST_TIMEOUT}s"),
        *("--write-timeout", "500ms", "--ping-interval", "200ms"),
        *("--ping-timeout", getattr(request, "param", "1s")),
        *("--max-connections-per-second", "100000"),
    ) as server:
        yield server


@pytest.fixture
def idle_descriptors(server: Server, bystander: Bystander) -> Iterator[int]:
    """Descriptors of the server with only the bystander connected; their number has to return to this."""
    bystander.expect_update()
    before = descriptors(server)
    yield before
    wait_for_descriptors(server, before)


def send_slowly(client: RawClient, data: bytes) -> bool:
    """Sends the bytes slowly, one by one. Returns whether the server aborts the connection before all are sent."""
    for byte in data:
        try:
            client.send(bytes([byte]))
        except ConnectionError:
            return True
        if client.gone(within=BYTE_INTERVAL):
            return True
    return False


ANSWERED = request(target="/healthz")


@pytest.mark.parametrize(
    ("immediately", "slowly"),
    [
        pytest.param(b"", upgrade_request(), id="the header of the first request"),
        pytest.param(ANSWERED, upgrade_request(), id="the header of the next request"),
        pytest.param(request({"Content-Length": "1000"}, method="POST"), b"x" * 1000, id="a body"),
        pytest.param(
            request({"Transfer-Encoding": "chunked"}, method="POST"), b"1\r\nx\r\n" * 100, id="a body in chunks"
        ),
        pytest.param(
            request({"Transfer-Encoding": "chunked"}, method="POST") + b"0\r\n", b"X: y\r\n" * 100, id="a trailer"
        ),
    ],
)
def test_a_request_sent_byte_by_byte_is_aborted(
    server: Server, idle_descriptors: int, immediately: bytes, slowly: bytes
) -> None:
    with RawClient(server.port) as client:
        client.send(immediately)
        if immediately == ANSWERED:
            assert client.read_response() is not None
        begun = time.monotonic()
        assert send_slowly(client, slowly)
        assert time.monotonic() - begun > REQUEST_TIMEOUT / 2, "aborted before the timeout"


def test_a_tls_handshake_sent_byte_by_byte_is_aborted(tmp_path: Path, certificates: Certificates) -> None:
    context = certificates.client_context()
    with (
        hostile_server(tmp_path, "--handshake-timeout", f"{REQUEST_TIMEOUT}s", *certificates.options) as server,
        Bystander(server.url, tls=context) as bystander,
    ):
        bystander.expect_update()
        held = descriptors(server)
        with RawClient(server.port) as client:
            begun = time.monotonic()
            assert send_slowly(client, client_hello(context))
            assert time.monotonic() - begun > REQUEST_TIMEOUT / 2, "aborted before the timeout"
        wait_for_descriptors(server, held)
        bystander.expect_update()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(upgrade_request()[:40], id="half a header"),
        pytest.param(request({"Content-Length": "10"}, method="POST"), id="no body"),
        pytest.param(request({"Content-Length": "10"}, method="POST") + b"12345", id="half a body"),
        pytest.param(request({"Transfer-Encoding": "chunked"}, method="POST") + b"ff\r\n", id="no chunk"),
        pytest.param(request() + request()[:20], id="half a second request"),
        pytest.param(request(), id="no second request"),
    ],
)
def test_a_request_that_never_ends_is_aborted(server: Server, idle_descriptors: int, sent: bytes) -> None:
    with RawClient(server.port) as client:
        client.send(sent)
        begun = time.monotonic()
        assert client.gone()
        assert time.monotonic() - begun > REQUEST_TIMEOUT / 2, "aborted before the timeout"


def stay_silent(client: RawClient) -> None:
    pass


def leave_a_frame_open(client: RawClient) -> None:
    client.send(frame(Opcode.TEXT, b"{", announced=1000))


def break_the_protocol_and_stay(client: RawClient) -> None:
    client.send(frame(Opcode.TEXT, rsv=7))
    assert client.read_close() == 1002


def close_and_stay(client: RawClient) -> None:
    client.send(frame(Opcode.CLOSE, b"\x03\xe8"))
    assert client.read_close() == 1000


@pytest.mark.parametrize("behave", [stay_silent, leave_a_frame_open, break_the_protocol_and_stay, close_and_stay])
def test_a_websocket_that_goes_silent_is_dropped(
    server: Server, idle_descriptors: int, behave: Callable[[RawClient], None]
) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        client.send(PING_FRAME)
        client.read_message("pong")
        behave(client)
        wait_for_descriptors(server, idle_descriptors)  # while the client's end is still open


def test_a_half_open_connection_is_dropped(server: Server, idle_descriptors: int) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        client.drop_incoming_packets()
        wait_for_descriptors(server, idle_descriptors)
        assert not client.gone(within=BYTE_INTERVAL), "only the server knows that the connection has ended"


@pytest.mark.parametrize("end", ["reset", "half_close"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(upgrade_request()[:60], id="half a handshake"),
        pytest.param(upgrade_request(), id="a handshake whose answer is not awaited"),
        pytest.param(request() * 50, id="requests whose answers are not awaited"),
    ],
)
def test_a_connection_that_ends_in_its_handshake_is_released(
    server: Server, idle_descriptors: int, sent: bytes, end: str
) -> None:
    with RawClient(server.port) as client:
        client.send(sent)
        wait_for_descriptors(server, idle_descriptors + 1)
        getattr(client, end)()
        wait_for_descriptors(server, idle_descriptors)


# So long that the server notices the end of the connection, not the silence after it.
@pytest.mark.parametrize("server", ["60s"], indirect=True)
@pytest.mark.parametrize("end", ["reset", "half_close"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="between frames"),
        pytest.param(PING_FRAME[:1], id="in a frame's first bytes"),
        pytest.param(PING_FRAME[:4], id="in a frame's mask"),
        pytest.param(PING_FRAME[:-1], id="in a frame's payload"),
        pytest.param(frame(Opcode.TEXT, b"{", fin=False), id="between fragments"),
        pytest.param(frame(Opcode.PING, b"x" * 100)[:-1], id="in a ping"),
        pytest.param(frame(Opcode.CLOSE, b"\x03\xe8")[:-1], id="in a close"),
        pytest.param(PING_FRAME * 50, id="with answers not taken"),
    ],
)
def test_a_websocket_that_ends_in_mid_frame_is_released(
    server: Server, idle_descriptors: int, sent: bytes, end: str
) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        client.send(sent)
        getattr(client, end)()
        wait_for_descriptors(server, idle_descriptors)
        wait_for_descriptors(server, idle_descriptors)


def send_until_stuck(client: RawClient, data: bytes) -> None:
    """Sends until the server stops reading (backpressure), which must be long before its memory is full."""
    client.socket.settimeout(0.3)
    sent = 0
    try:
        while sent < 64 * MEGABYTE:
            sent += client.socket.send(data)
    except (TimeoutError, ConnectionError):
        return
    raise AssertionError("the server accepts any amount")


@pytest.mark.parametrize("as_websocket", [False, True], ids=["HTTP", "WebSocket"])
def test_a_client_that_stops_reading_is_dropped_and_uses_little_memory(tmp_path: Path, as_websocket: bool) -> None:
    """Each update is larger than all socket buffers between server and client."""
    skills = [f"{number:03}-{'x' * 240}" for number in range(800)]
    fill(tmp_path / "skills.db", *(invocations(skill, 1) for skill in skills))
    with (
        hostile_server(
            tmp_path,
            *("--top-skills", "1000", "--write-timeout", "1s", "--ping-timeout", "60s"),
            *("--max-connections-per-second", "100000"),
        ) as server,
        Bystander(server.url) as bystander,
    ):
        bystander.expect_update()
        held, size = descriptors(server), resident(server)
        with RawClient(server.port, receive_buffer=4096) as client:
            if as_websocket:
                client.handshake()
            else:
                send_until_stuck(client, request() * 100)
            wait_for_descriptors(server, held)
            grown = resident(server) - size
        bystander.expect_update()
        assert grown < 8 * MEGABYTE


def test_pings_beyond_the_rate_and_then_a_broken_frame_leave_no_connection_behind(tmp_path: Path) -> None:
    options = ("--max-messages-per-second", "10", "--ping-interval", "200ms", "--ping-timeout", "500ms")
    with Server(tmp_path / "skills.db", *options, "--shutdown-timeout", "60s") as server:
        for pings in range(15, 35):
            with RawClient(server.port) as client:
                client.handshake()
                # The server closes because of the pings while it is still reading; the next frame makes the read fail.
                client.send(frame(Opcode.PING) * pings + frame(Opcode.CONTINUATION))
                client.half_close()
                assert client.gone()
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 30, "the server waits for a connection that no client ends"
