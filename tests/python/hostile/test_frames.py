"""Frames that break RFC 6455: each ends only its connection, with the close code of the standard."""

from __future__ import annotations

import pytest

from support.processes import Server
from support.raw_client import PING_FRAME, PING_MESSAGE, Opcode, RawClient, close_frame, frame, upgrade_request

PROTOCOL_ERROR, UNSUPPORTED_DATA, INVALID_PAYLOAD, TOO_BIG = 1002, 1003, 1007, 1009
MAX_MESSAGE_BYTES = 1024  # of the server of these tests

KAPPA = "κόσμε".encode()  # characters of two and three bytes

BROKEN_FRAMES = {
    "unmasked text": (frame(Opcode.TEXT, PING_MESSAGE, mask=None), PROTOCOL_ERROR),
    "unmasked ping": (frame(Opcode.PING, mask=None), PROTOCOL_ERROR),
    "unmasked close": (frame(Opcode.CLOSE, mask=None), PROTOCOL_ERROR),
    **{
        f"reserved bits {rsv:03b} on {opcode.name.lower()}": (frame(opcode, rsv=rsv), PROTOCOL_ERROR)
        for rsv in (0b100, 0b010, 0b001, 0b111)
        for opcode in (Opcode.TEXT, Opcode.PING)
    },
    "reserved bits on a continuation": (
        frame(Opcode.TEXT, b"{", fin=False) + frame(Opcode.CONTINUATION, b"}", rsv=0b100),
        PROTOCOL_ERROR,
    ),
    **{f"reserved opcode {opcode:#x}": (frame(opcode), PROTOCOL_ERROR) for opcode in (*range(3, 8), *range(0xB, 0x10))},
    "binary": (frame(Opcode.BINARY, PING_MESSAGE), UNSUPPORTED_DATA),
    **{
        f"fragmented {opcode.name.lower()}": (frame(opcode, fin=False), PROTOCOL_ERROR)
        for opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE)
    },
    **{
        f"{opcode.name.lower()} of {size} bytes": (frame(opcode, bytes(size)), PROTOCOL_ERROR)
        for size in (126, 70000)
        for opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE)
    },
    "continuation of nothing": (frame(Opcode.CONTINUATION, PING_MESSAGE), PROTOCOL_ERROR),
    "continuation after the last fragment": (
        frame(Opcode.TEXT, PING_MESSAGE[:5], fin=False)
        + frame(Opcode.CONTINUATION, PING_MESSAGE[5:])
        + frame(Opcode.CONTINUATION, b"more"),
        PROTOCOL_ERROR,
    ),
    "new message among fragments": (
        frame(Opcode.TEXT, PING_MESSAGE[:5], fin=False) + PING_FRAME,
        PROTOCOL_ERROR,
    ),
    "length of 125 in two bytes": (frame(Opcode.TEXT, bytes(125), length_bytes=2), PROTOCOL_ERROR),
    "length of 65535 in eight bytes": (frame(Opcode.TEXT, bytes(65535), length_bytes=8), PROTOCOL_ERROR),
}

BAD_UTF8 = {
    "a byte that never occurs": [b"\xff"],
    "only a continuation byte": [b"\x80"],
    "an overlong form": [b"\xc0\xaf"],
    "a surrogate": [b"\xed\xa0\x80"],
    "above U+10FFFF": [b"\xf4\x90\x80\x80"],
    "a letter cut off by the end": [b"\xce"],
    "a letter cut off by the end, in the last of two fragments": [b'"', b"\xe2\x82"],
    "a letter cut off by a last fragment that is empty": [b'"\xce', b""],
    "a letter cut off by empty fragments": [b'"\xce', b"", b""],
    "a surrogate split across fragments": [b"\xed", b"\xa0", b"\x80"],
    "a letter that goes wrong in the next fragment": [KAPPA[:1], b"x"],
    "wrong in a fragment that is not the last": [b"\xff", None],
}

BAD_CLOSES = {
    "of one byte": frame(Opcode.CLOSE, b"\x03"),
    **{f"with the code {code}": close_frame(code) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)},
}

BAD_REASONS = {
    "not UTF-8": b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80",
    "cut off": b"\xce",
}

TOO_LONG = {
    "one byte beyond the limit": frame(Opcode.TEXT, b" " * (MAX_MESSAGE_BYTES + 1)),
    "fragments that go beyond it together": frame(Opcode.TEXT, b" " * MAX_MESSAGE_BYTES, fin=False)
    + frame(Opcode.CONTINUATION, b" "),
    "2**31 bytes announced, none sent": frame(Opcode.TEXT, announced=1 << 31),
    "2**63 - 1 bytes announced, none sent": frame(Opcode.TEXT, announced=(1 << 63) - 1),
    "2**63 bytes announced, none sent": frame(Opcode.TEXT, announced=1 << 63),
    "2**64 - 1 bytes announced, none sent": frame(Opcode.TEXT, announced=(1 << 64) - 1),
    "fragments whose sum overflows 64 bits": frame(Opcode.TEXT, b"{", fin=False)
    + frame(Opcode.CONTINUATION, announced=(1 << 64) - 1),
}


def fragments(parts: list[bytes | None]) -> bytes:
    """A text message in these fragments; without a final one where the last is None."""
    frames = [
        frame(Opcode.CONTINUATION if index else Opcode.TEXT, part, fin=index == len(parts) - 1)
        for index, part in enumerate(parts)
        if part is not None
    ]
    return b"".join(frames)


def close_code(server: Server, sent: bytes) -> int | None:
    """The server's close code after these frames from a client whose first message was valid."""
    with RawClient(server.port) as client:
        client.handshake()
        client.send(PING_FRAME)
        client.read_message("pong")
        client.send(sent)
        return client.read_close()


@pytest.mark.parametrize(("sent", "code"), BROKEN_FRAMES.values(), ids=BROKEN_FRAMES)
def test_a_broken_frame_is_closed_with_the_code_of_the_standard(server: Server, sent: bytes, code: int) -> None:
    assert close_code(server, sent) == code


@pytest.mark.parametrize("parts", BAD_UTF8.values(), ids=BAD_UTF8)
def test_text_that_is_not_utf8_is_closed_with_1007(server: Server, parts: list[bytes | None]) -> None:
    assert close_code(server, fragments(parts)) == INVALID_PAYLOAD


@pytest.mark.parametrize("sent", BAD_CLOSES.values(), ids=BAD_CLOSES)
def test_a_bad_close_is_answered_with_1002(server: Server, sent: bytes) -> None:
    assert close_code(server, sent) == PROTOCOL_ERROR


@pytest.mark.parametrize("reason", BAD_REASONS.values(), ids=BAD_REASONS)
def test_a_close_with_a_bad_reason_is_answered_with_1007(server: Server, reason: bytes) -> None:
    assert close_code(server, close_frame(1000, reason)) == INVALID_PAYLOAD


@pytest.mark.parametrize("sent", TOO_LONG.values(), ids=TOO_LONG)
def test_a_message_beyond_the_limit_is_closed_with_1009(server: Server, sent: bytes) -> None:
    assert close_code(server, sent) == TOO_BIG


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4999])
def test_a_good_close_is_answered_with_its_code(server: Server, code: int) -> None:
    assert close_code(server, close_frame(code, KAPPA)) == code


@pytest.mark.parametrize("size", [0, 125])
def test_control_frames_may_come_between_fragments(server: Server, size: int) -> None:
    payload = b"x" * size
    with RawClient(server.port) as client:
        client.handshake()
        client.send(
            frame(Opcode.TEXT, PING_MESSAGE[:5], fin=False)
            + frame(Opcode.PING, payload)
            + frame(Opcode.CONTINUATION, b"", fin=False)
            + frame(Opcode.PONG, payload)
            + frame(Opcode.CONTINUATION, PING_MESSAGE[5:])
        )
        answers = (got for got in client.read_frames() if got[0] == Opcode.PONG or b'"pong"' in got[1])
        assert next(answers) == (Opcode.PONG, payload)
        assert next(answers) == (Opcode.TEXT, b'{"type":"pong"}')


@pytest.mark.parametrize("at", range(1, len(KAPPA)))
def test_a_character_may_be_split_across_fragments(server: Server, at: int) -> None:
    text = b'{"type":"ping","request_id":"' + KAPPA + b'"}'
    cut = text.index(KAPPA) + at
    with RawClient(server.port) as client:
        client.handshake()
        client.send(fragments([text[:cut], text[cut:]]))
        assert client.read_message("pong")["request_id"] == KAPPA.decode()


def test_a_frame_may_come_byte_by_byte(server: Server) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        for byte in PING_FRAME:
            client.send(bytes([byte]))
        client.read_message("pong")
        for byte in frame(Opcode.TEXT, b"", rsv=0b100):
            client.send(bytes([byte]))
        assert client.read_close() == PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(0x3), PROTOCOL_ERROR, id="reserved opcode"),
        pytest.param(frame(Opcode.TEXT, b"\xff"), INVALID_PAYLOAD, id="bad UTF-8"),
        pytest.param(frame(Opcode.TEXT, b" " * (MAX_MESSAGE_BYTES + 1)), TOO_BIG, id="too long"),
        pytest.param(frame(Opcode.BINARY, b"x"), UNSUPPORTED_DATA, id="binary"),
        pytest.param(close_frame(1000), 1000, id="close"),
    ],
)
def test_the_code_reaches_a_client_that_is_still_sending(server: Server, sent: bytes, code: int) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        client.send(sent + b"\x00garbage" * 250_000)  # more than the socket buffers hold: the server has to read it
        client.half_close()
        assert client.read_close() == code


def test_garbage_after_the_handshake_is_closed_with_1002(server: Server) -> None:
    with RawClient(server.port) as client:
        client.handshake()
        client.send(upgrade_request() + bytes(range(256)) * 40)
        assert client.read_close() == PROTOCOL_ERROR
