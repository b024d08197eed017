"""The option `compression`: permessage-deflate for clients that offer it, in both directions."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from support.histories import fill, invocations
from support.processes import Server
from support.raw_client import PING_MESSAGE, Opcode, RawClient, frame

DEFLATED = 0b100  # the reserved bit of a compressed message
FIRST_BYTE = 0x80 | DEFLATED << 4 | Opcode.TEXT
END = b"\x00\x00\xff\xff"  # the tail that RFC 7692 removes
OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate"}
MAX_MESSAGE_BYTES = 1024


def deflate(text: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(END)


def inflate(payload: bytes, window_bits: int = 15) -> bytes:
    """Inflates each message with a new window (no context takeover)."""
    return zlib.decompress(payload + END + b"\x01\x00\x00\xff\xff", -window_bits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database")
    fill(path / "skills.db", *(invocations(f"skill-{i}", 3) for i in range(10)))
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server(folder / "skills.db", "--compression", "--max-message-bytes", str(MAX_MESSAGE_BYTES)) as running:
        yield running


def test_compression_is_off_by_default(folder: Path) -> None:
    with Server(folder / "skills.db") as server, RawClient(server.port) as client:
        assert "sec-websocket-extensions" not in client.handshake(OFFER).headers


def test_a_client_that_does_not_offer_it_gets_plain_messages(server: Server) -> None:
    with RawClient(server.port) as client:
        assert "sec-websocket-extensions" not in client.handshake().headers
        first, payload = next(client.read_raw_frames())
    assert first == 0x80 | Opcode.TEXT
    assert json.loads(payload)["type"] == "metrics_update"


@pytest.mark.parametrize("window_bits", [12, 15])
def test_a_broadcast_is_compressed_without_context_takeover(server: Server, window_bits: int) -> None:
    with RawClient(server.port) as client:
        offer = f"permessage-deflate; server_max_window_bits={window_bits}"
        agreed = client.handshake({"Sec-WebSocket-Extensions": offer}).headers["sec-websocket-extensions"]
        assert "server_no_context_takeover" in agreed
        assert f"server_max_window_bits={window_bits}" in agreed
        frames = client.read_raw_frames()
        for _ in range(3):
            first, payload = next(frames)
            assert first == FIRST_BYTE
            text = inflate(payload, window_bits)
            assert json.loads(text)["type"] == "metrics_update"
            assert len(payload) < len(text) / 3


def test_short_answers_are_sent_as_they_are(server: Server) -> None:
    with RawClient(server.port) as client:
        client.handshake(OFFER)
        client.send(frame(Opcode.TEXT, PING_MESSAGE))
        answers = ((first, payload) for first, payload in client.read_raw_frames() if first != FIRST_BYTE)
        first, payload = next(answers)
    assert first == 0x80 | Opcode.TEXT
    assert json.loads(payload) == {"type": "pong"}


def test_messages_of_the_client_may_be_compressed_or_not_and_come_in_fragments(server: Server) -> None:
    compressed = deflate(PING_MESSAGE)
    with RawClient(server.port) as client:
        client.handshake(OFFER)
        client.send(frame(Opcode.TEXT, compressed, rsv=DEFLATED))
        client.send(frame(Opcode.TEXT, PING_MESSAGE))
        client.send(frame(Opcode.TEXT, compressed[:5], rsv=DEFLATED, fin=False))
        client.send(frame(Opcode.CONTINUATION, compressed[5:]))
        pongs = [payload for first, payload in frames_until(client, 3) if first != FIRST_BYTE]
    assert [json.loads(payload) for payload in pongs] == [{"type": "pong"}] * 3


def frames_until(client: RawClient, plain: int) -> Iterator[tuple[int, bytes]]:
    """Reads up to this many frames of plain text; returns them and the compressed ones between them."""
    for first, payload in client.read_raw_frames():
        yield first, payload
        plain -= first != FIRST_BYTE
        if plain == 0:
            return


BAD_MESSAGES = {
    "a bomb": (deflate(bytes(900_000)), 1009),
    "one byte beyond the limit": (deflate(b" " * (MAX_MESSAGE_BYTES + 1)), 1009),
    "no deflated data": (b"\xff\xff\xff", 1007),
    "not UTF-8 once it is inflated": (deflate(b'"\xff"'), 1007),
}


@pytest.mark.parametrize(("payload", "code"), BAD_MESSAGES.values(), ids=BAD_MESSAGES)
def test_a_bad_compressed_message_closes_with_the_code_of_its_fault(server: Server, payload: bytes, code: int) -> None:
    assert len(payload) <= MAX_MESSAGE_BYTES
    with RawClient(server.port) as client:
        client.handshake(OFFER)
        client.send(frame(Opcode.TEXT, payload, rsv=DEFLATED))
        assert client.read_close() == code


def test_the_largest_message_is_read_compressed(server: Server) -> None:
    text = PING_MESSAGE + b" " * (MAX_MESSAGE_BYTES - len(PING_MESSAGE))
    with RawClient(server.port) as client:
        client.handshake(OFFER)
        client.send(frame(Opcode.TEXT, deflate(text), rsv=DEFLATED))
        assert [json.loads(p) for first, p in frames_until(client, 1) if first != FIRST_BYTE] == [{"type": "pong"}]


@pytest.mark.parametrize(
    "extension",
    [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=12),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_max_window_bits=True),
    ],
    ids=["with nothing", "with the package's own offer", "with the offer of browsers"],
)
async def test_the_websockets_library_reads_it(server: Server, extension: ClientPerMessageDeflateFactory) -> None:
    async with websockets.connect(server.url, compression=None, extensions=[extension]) as client:
        assert [e.name for e in client.protocol.extensions] == ["permessage-deflate"]
        await client.send(json.dumps({"type": "subscribe", "skill_name": "skill-3"}))
        assert (await next_of(client, "subscription_confirmed"))["skill_name"] == "skill-3"
        for _ in range(3):
            update = await next_of(client, "metrics_update")
        assert [skill["skill_name"] for skill in update["data"]["top_skills"]] == ["skill-3"]


async def next_of(client: websockets.ClientConnection, kind: str) -> Any:
    while (message := json.loads(await asyncio.wait_for(client.recv(), 20)))["type"] != kind:
        pass
    return message
