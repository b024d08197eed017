"""Invalid upgrade requests: rejected with the status of the standard, and the connection is closed gracefully."""

from __future__ import annotations

import pytest

from support.processes import Server
from support.raw_client import KEY, PING_FRAME, UPGRADE_HEADERS, RawClient, answers, request, upgrade_request

# Without one of these it is not an upgrade: 426. Without one of the others it is a bad request: 400.
REJECTED = {
    **{
        f"without {name}": (upgrade_request({name: None}), 426 if name in ("Connection", "Upgrade") else 400)
        for name in UPGRADE_HEADERS
    },
    **{
        f"{name} twice": (upgrade_request(None, f"{name}: {value}"), 400)
        for name, value in UPGRADE_HEADERS.items()
        if name != "Connection"  # a list, which may be split over several headers
    },
    "Host twice, one of another": (upgrade_request(None, "Host: elsewhere.example"), 400),
    "a second key": (upgrade_request(None, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
    "Upgrade to something else": (upgrade_request({"Upgrade": "h2c"}), 426),
    "Connection without the upgrade": (upgrade_request({"Connection": "keep-alive"}), 426),
    **{
        f"version {version!r}": (upgrade_request({"Sec-WebSocket-Version": version}), 426)
        for version in ("8", "14", "")
    },
    **{
        f"key {key!r}": (upgrade_request({"Sec-WebSocket-Key": key}), 400)
        for key in ("", "x", KEY[:-2], KEY[:-1], KEY + "=", KEY * 2, KEY.replace("=", "A"))
    },
    "key of 5000 bytes": (upgrade_request({"Sec-WebSocket-Key": "x" * 5000}), 400),
    "HTTP/1.0": (upgrade_request(version="HTTP/1.0"), 426),
    "HTTP/1.2": (upgrade_request(version="HTTP/1.2"), 400),
    "HTTP/2.0": (upgrade_request(version="HTTP/2.0"), 400),
    "POST": (upgrade_request(method="POST"), 405),
    "a method in lower case": (upgrade_request(method="get"), 405),
    "with a body": (upgrade_request({"Content-Length": "5"}) + b"hello", 400),
    "with a chunked body": (upgrade_request({"Transfer-Encoding": "chunked"}) + b"0\r\n\r\n", 411),
    "expecting 100-continue": (upgrade_request({"Expect": "100-continue"}), 417),
    "a frame behind it": (upgrade_request() + PING_FRAME, 400),
    "a request behind it": (upgrade_request() + request(target="/readyz"), 400),
    "garbage behind it": (upgrade_request() + b"\xff\x00", 400),
    "at another path": (upgrade_request(target="/healthz"), 404),
    "at a complete URL": (upgrade_request(target="http://localhost/ws"), 400),
}
# The connection stays open: an HTTP client may send a valid request next.
KEPT_OPEN = {"without Connection", "without Upgrade", "Upgrade to something else", "Connection without the upgrade"}
KEPT_OPEN |= {"POST", "a method in lower case", "at another path"}


@pytest.mark.parametrize("name", REJECTED)
def test_a_bad_upgrade_request_is_rejected(server: Server, name: str) -> None:
    sent, status = REJECTED[name]
    (answer,) = answers(server.port, sent)
    assert answer.status == status
    assert answer.json()["error"], "the reason, in JSON"
    assert ("close" in answer.headers.get("connection", "")) == (name not in KEPT_OPEN)


def test_a_wrong_version_is_answered_with_the_supported_one(server: Server) -> None:
    (answer,) = answers(server.port, upgrade_request({"Sec-WebSocket-Version": "8"}))
    assert answer.status == 426
    assert answer.headers["sec-websocket-version"] == "13"
    assert answer.headers["upgrade"] == "websocket"


def test_the_same_client_is_accepted_with_a_valid_request(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(upgrade_request({"Upgrade": None}))
        answer = client.read_response()
        assert answer is not None
        assert answer.status == 426
        client.handshake()
        client.send(PING_FRAME)
        client.read_message("pong")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(upgrade_request({"Connection": "keep-alive, UPGRADE", "Upgrade": "WebSocket"}), id="case"),
        pytest.param(upgrade_request(None, "X-Unknown: " + "x" * 4000), id="a long header"),
        pytest.param(upgrade_request(None, "Sec-WebSocket-Extensions: permessage-deflate; x=,"), id="a bad extension"),
        pytest.param(upgrade_request(None, "Sec-WebSocket-Extensions: a", "Sec-WebSocket-Extensions: b"), id="two"),
        pytest.param(upgrade_request(None, "Sec-WebSocket-Protocol: unknown, other"), id="an unknown protocol"),
    ],
)
def test_unusual_but_valid_requests_are_accepted(server: Server, sent: bytes) -> None:
    with RawClient(server.port) as client:
        client.send(sent)
        answer = client.read_response()
        assert answer is not None
        assert answer.status == 101
        assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert not {"sec-websocket-extensions", "sec-websocket-protocol"} & set(answer.headers)
