"""Addresses, keywords and subscriptions that `session_buddy.client` accepts or rejects."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from session_buddy.client import (
    InvalidURLError,
    RefusedError,
    connect,
)
from session_buddy.client._endpoint import Endpoint
from support.certificates import Certificates
from support.client_library import first
from support.processes import Server


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
