"""Request smuggling: requests that servers could parse differently get one response, none for the hidden one."""

from __future__ import annotations

import pytest

from support.processes import Server
from support.raw_client import RawClient, answers, request

# The hidden request that must never be answered: /readyz is 200 here, and nothing else in these requests is.
HIDDEN = request(target="/readyz")
CHUNKED_HIDDEN = f"{len(HIDDEN):x}\r\n".encode() + HIDDEN + b"\r\n0\r\n\r\n"


def post(*headers: str, body: bytes = b"", method: str = "POST") -> bytes:
    return request(None, *headers, method=method, target="/nothing") + body


REJECTED = {
    # where the body ends (framing)
    "Content-Length, then Transfer-Encoding": post(
        f"Content-Length: {len(CHUNKED_HIDDEN)}", "Transfer-Encoding: chunked", body=CHUNKED_HIDDEN
    ),
    "Transfer-Encoding, then Content-Length": post(
        "Transfer-Encoding: chunked", "Content-Length: 4", body=b"0\r\n\r\n" + HIDDEN
    ),
    "two lengths": post("Content-Length: 0", f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
    "the same length twice": post(*["Content-Length: 0"] * 2, body=HIDDEN),
    "two lengths in one": post(f"Content-Length: 0, {len(HIDDEN)}", body=HIDDEN),
    "the same length twice in one": post("Content-Length: 0, 0", body=HIDDEN),
    **{
        f"length {length!r}": post(f"Content-Length: {length}", body=HIDDEN)
        for length in ("", "-1", "+1", "0x1", "1e1", "1.0", "1 1", "1;1", '"1"', "\uff11".encode().decode("latin-1"))
    },
    "length 2**64": post(f"Content-Length: {1 << 64}", body=HIDDEN),
    "length beyond the limit": post(f"Content-Length: {(1 << 64) - 1}", body=HIDDEN),
    **{
        f"transfer encoding {coding!r}": post(f"Transfer-Encoding: {coding}", body=body + HIDDEN)
        for body in (b"0\r\n\r\n",)
        for coding in (
            *("chunked", "xchunked", "chunked ", "\tchunked", "Chunked", "chunked, chunked", "chunked, identity"),
            *("identity", "identity, chunked", "gzip, chunked", "chunked;q=1", '"chunked"', "", ",", "chunked\x0b"),
        )
    },
    "two transfer encodings": post("Transfer-Encoding: chunked", "Transfer-Encoding: x", body=b"0\r\n\r\n" + HIDDEN),
    "two transfer encodings, chunked last": post(
        "Transfer-Encoding: x", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN
    ),
    "chunked in HTTP/1.0": request(
        {"Transfer-Encoding": "chunked", "Connection": "keep-alive"}, method="POST", version="HTTP/1.0"
    )
    + b"0\r\n\r\n"
    + HIDDEN,
    "a folded transfer encoding": post("Transfer-Encoding:", " chunked", body=b"0\r\n\r\n" + HIDDEN),
    **{
        f"chunk size {size!r}": post("Transfer-Encoding: chunked", body=size.encode() + b"\r\n" + HIDDEN)
        for size in ("", "x", "-1", "+0", "0x0", " 0", "0 1", "0,", "fffffffffffffffff", "0;=", "ffffffffffffffff")
    },
    "a chunk longer than its size": post("Transfer-Encoding: chunked", body=b"1\r\nab\r\n0\r\n\r\n" + HIDDEN),
    "a chunk that ends in a bare LF": post("Transfer-Encoding: chunked", body=b"1\na\n0\n\n" + HIDDEN),
    "a header in the trailer": post(
        "Transfer-Encoding: chunked", body=b"0\r\nContent-Length: 5\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n" + HIDDEN
    ),
    "a body of GET": post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN, method="GET"),
    "a body of HEAD": post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN, method="HEAD"),
    # where a header ends and what it is called
    **{
        f"{name} before the colon": post(f"Content-Length{blank}: {len(HIDDEN)}", body=HIDDEN)
        for name, blank in (("a blank", " "), ("a tab", "\t"), ("a NUL", "\0"), ("a vertical tab", "\x0b"))
    },
    "a header without a name": post(": x", body=HIDDEN),
    "a header without a colon": post("Content-Length", body=HIDDEN),
    "a blank before the first header": b"GET /nothing HTTP/1.1\r\n Host: localhost\r\n\r\n" + HIDDEN,
    **{
        f"{name} in a header": post(f"X: a{byte}Transfer-Encoding: chunked", body=HIDDEN)
        for name, byte in (("a bare LF", "\n"), ("a bare CR", "\r"), ("a NUL", "\0"), ("an escape", "\x1b"))
    },
    "lines that end in a bare LF": b"GET /nothing HTTP/1.1\nHost: localhost\n\n" + HIDDEN,
    "lines that end in CR CR LF": b"GET /nothing HTTP/1.1\r\r\nHost: localhost\r\r\n\r\r\n" + HIDDEN,
    # the host
    "two hosts": post("Host: elsewhere.example", body=HIDDEN),
    "the same host twice": post("Host: localhost", body=HIDDEN),
    "no host": request({"Host": None}, target="/nothing") + HIDDEN,
    **{
        f"host {host!r}": request({"Host": host}, target="/nothing") + HIDDEN
        for host in ("a b", "a,b", "a/b", "localhost/healthz", "a@b", "a#b", "a?b", "a\\b")
    },
    # the target
    "a complete URL": request(target="http://localhost/healthz") + HIDDEN,
    "a complete URL of another host": request(target="http://elsewhere.example/healthz") + HIDDEN,
    "a host as target": request(target="localhost:80", method="CONNECT") + HIDDEN,
    "an asterisk": request(target="*", method="OPTIONS") + HIDDEN,
    "a blank in the target": request(target="/nothing /healthz") + HIDDEN,
    "a tab behind the method": b"GET\t/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "two blanks behind the method": b"GET  /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    "an empty line before it": b"\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" + HIDDEN,
    # the version
    "HTTP/0.9": b"GET /nothing\r\n" + HIDDEN,
    **{
        f"version {version!r}": request(target="/nothing", version=version) + HIDDEN
        for version in ("HTTP/2.0", "HTTP/1.2", "HTTP/1.10", "HTTP/01.1", "http/1.1", "HTTP/1.1 ", "HTTPS/1.1", "x")
    },
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(193) + HIDDEN,
}


# All others are invalid HTTP.
TOO_LARGE = {"length beyond the limit", "chunk size 'ffffffffffffffff'"}
WITHOUT_LENGTH = {"two transfer encodings, chunked last", "chunked in HTTP/1.0", "a folded transfer encoding"} | {
    name for name in REJECTED if name.startswith("transfer encoding ") and "\\x0b" not in name
}


@pytest.mark.parametrize("name", REJECTED)
def test_an_ambiguous_request_is_rejected_and_the_connection_closed(server: Server, name: str) -> None:
    (answer,) = answers(server.port, REJECTED[name])
    assert answer.status == (413 if name in TOO_LARGE else 411 if name in WITHOUT_LENGTH else 400)
    assert answer.headers["connection"] == "close"
    if name == "a body of HEAD":
        assert not answer.body
    else:
        assert answer.json()["error"]


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        pytest.param(request() + request(target="/nothing") + HIDDEN, [200, 404, 200], id="three in a row"),
        pytest.param(
            post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN) + HIDDEN, [404, 200], id="a body that is a request"
        ),
        pytest.param(request(None, "X: a", " folded") + HIDDEN, [200, 200], id="a folded header"),
        pytest.param(request({"Connection": "close"}) + HIDDEN, [200], id="behind the last"),
        pytest.param(request(version="HTTP/1.0") + HIDDEN, [200], id="behind HTTP/1.0"),
        pytest.param(request({"Host": None}, version="HTTP/1.0"), [200], id="HTTP/1.0 without a host"),
        pytest.param(request({"Content-Length": "0"}) + HIDDEN, [200, 200], id="GET with an empty body"),
    ],
)
def test_unusual_but_unambiguous_requests_are_accepted(server: Server, sent: bytes, statuses: list[int]) -> None:
    assert [answer.status for answer in answers(server.port, sent)] == statuses


def test_a_late_body_is_not_read_as_a_request(server: Server) -> None:
    with RawClient(server.port) as client:
        client.send(post(f"Content-Length: {len(HIDDEN)}"))
        for byte in HIDDEN:
            client.send(bytes([byte]))
        client.half_close()
        assert [answer.status for answer in client.read_responses()] == [404]


CHUNKED = "Transfer-Encoding: chunked"
# The one transfer encoding that ingestion reads; elsewhere it is rejected like any other.
# A folded header is read as RFC 9112 says (5.2), as if its lines were one.
READ_BY_INGESTION = {
    "a folded transfer encoding",
    *(f"transfer encoding {coding!r}" for coding in ("chunked", "chunked ", "\tchunked", "Chunked")),
}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param([CHUNKED], b"2\r\n{}\r\n0\r\n\r\n", 400, id="read, and no hook event"),
        pytest.param(["transfer-encoding:\tCHUNKED "], b"2\r\n{}\r\n0\r\n\r\n", 400, id="with blanks and capitals"),
        pytest.param([CHUNKED], b"2;a=b\r\n{}\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", 400, id="with a trailer"),
    ],
)
def test_a_chunked_ingestion_body_ends_where_the_next_request_begins(
    server: Server, headers: list[str], body: bytes, status: int
) -> None:
    sent = request(None, *headers, method="POST", target="/hooks/claude-code") + body
    assert [answer.status for answer in answers(server.port, sent + HIDDEN)] == [status, 200]


@pytest.mark.parametrize(
    "name", [name for name, sent in REJECTED.items() if b"ransfer-Encoding" in sent and b"/nothing" in sent]
)
def test_an_ambiguous_ingestion_request_is_rejected_and_the_connection_closed(server: Server, name: str) -> None:
    sent = REJECTED[name].replace(b"/nothing", b"/hooks/claude-code", 1)
    responses = answers(server.port, sent)
    if name in READ_BY_INGESTION:
        assert [answer.status for answer in responses] == [400, 200]  # the body is no hook event
    else:
        (answer,) = responses
        assert answer.status in (400, 411, 413)
        assert answer.headers["connection"] == "close"
