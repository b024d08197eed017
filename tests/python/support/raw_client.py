"""A raw client: it sends any bytes, valid or not, and reports the response and how the connection ended."""

from __future__ import annotations

import ctypes
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import cycle
from typing import Any

from .processes import DEADLINE

SO_ATTACH_FILTER = 26  # the value on Linux, on every architecture that Python's wheels support
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
# The headers of a valid handshake.
UPGRADE_HEADERS = {
    "Host": "localhost",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class Opcode(IntEnum):
    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    announced: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """A frame, valid or not: `announced` is the length in its header, written in 0, 2 or 8 `length_bytes`."""
    length = len(payload) if announced is None else announced
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 1 << 16 else 8
    field = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode, (0x80 if mask else 0) | field])
    head += {0: b"", 2: struct.pack("!H", length & 0xFFFF), 8: struct.pack("!Q", length)}[length_bytes]
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ key for byte, key in zip(payload, cycle(mask), strict=False))


# A ping message of the API, which answers with a pong.
PING_MESSAGE = b'{"type":"ping"}'
PING_FRAME = frame(Opcode.TEXT, PING_MESSAGE)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(Opcode.CLOSE, struct.pack("!H", code) + reason)


def request(
    headers: Mapping[str, str | None] | None = None,
    *more: str,
    method: str = "GET",
    target: str = "/healthz",
    version: str = "HTTP/1.1",
) -> bytes:
    """A request with a host, these headers (None omits one), and the header lines `more`, unchanged."""
    lines = [
        f"{name}: {value}" for name, value in {"Host": "localhost", **(headers or {})}.items() if value is not None
    ]
    return "\r\n".join([f"{method} {target} {version}", *lines, *more, "", ""]).encode("latin-1")


def upgrade_request(
    headers: Mapping[str, str | None] | None = None, *more: str, target: str = "/", **line: str
) -> bytes:
    """The same for a WebSocket handshake, which is valid unless something is changed."""
    return request({**UPGRADE_HEADERS, **(headers or {})}, *more, target=target, **line)


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection to a server on this machine. Every wait for the server ends after DEADLINE with an error."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer
            )  # the time since the connection was opened
        self.socket.connect(("127.0.0.1", port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._input = self.socket.makefile("rb")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._input.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def handshake(self, headers: Mapping[str, str | None] | None = None) -> Response:
        """Upgrades the connection to a WebSocket."""
        self.send(upgrade_request(headers))
        response = self.read_response()
        assert response is not None
        assert response.status == 101
        return response

    def read_response(self) -> Response | None:
        """The next response to a request other than HEAD; None where the server closes the connection instead."""
        start = self._input.readline()
        if not start:
            return None
        headers = {}
        while line := self._input.readline().rstrip(b"\r\n"):
            name, value = line.decode("latin-1").split(": ", 1)
            headers[name.lower()] = value
        length = int(headers.get("content-length", 0))
        return Response(int(start.split()[1]), headers, self._input.read(length))

    def read_responses(self) -> list[Response]:
        """All responses up to the end of the connection, which must be closed gracefully: a reset is an error."""
        return list(iter(self.read_response, None))

    def read_frames(self) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of each frame of the server, up to the end of the connection."""
        return ((first & 0x0F, payload) for first, payload in self.read_raw_frames())

    def read_raw_frames(self) -> Iterator[tuple[int, bytes]]:
        """The same, with the whole first byte of each frame: FIN, reserved bits and opcode."""
        while head := self._input.read(2):
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._input.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._input.read(8))
            yield head[0], self._input.read(length)

    def read_close(self) -> int | None:
        """The server's close code, None where its close frame has none. Then the connection must end gracefully."""
        for opcode, payload in self.read_frames():
            if opcode == Opcode.CLOSE:
                assert self._input.read() == b"", "something came after the close"
                return struct.unpack("!H", payload[:2])[0] if payload else None
        raise AssertionError("the connection ended without a close")

    def read_message(self, wanted: str) -> Any:
        """The next text message of this type; others are dropped."""
        for opcode, payload in self.read_frames():
            if opcode == Opcode.TEXT and (message := json.loads(payload))["type"] == wanted:
                return message
        raise AssertionError(f"the connection ended without {wanted}")

    def gone(self, within: float = DEADLINE) -> bool:
        """Whether the server ends the connection within this time, in any way; what it sends is dropped."""
        end = time.monotonic() + within
        try:
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(1 << 16):
                    return True
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)
        return False

    def drop_incoming_packets(self) -> None:
        """From now on the kernel drops what the server sends, as if the cable were cut; the server gets no error."""
        code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0, which drops the packet
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def half_close(self) -> None:
        """Shuts down sending; the client keeps reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with an RST, as a machine does after a crash and reboot."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def answers(port: int, sent: bytes) -> list[Response]:
    """All responses until the server closes, at the latest when the client stops sending."""
    with RawClient(port) as client:
        client.send(sent)
        client.half_close()
        return client.read_responses()
