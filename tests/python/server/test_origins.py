"""Allowed origins, with Python's websockets and urllib; the C++ tests cover the rules for origins and host names."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import websockets

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.paths import SCHEMAS
from support.processes import ServerProcess
from support.schemas import Client, documents

APP = "https://app.example.org"
EVIL = "https://app.example.org.evil.example"


def rejection(body: bytes | str) -> dict[str, Any]:
    """The body of a rejected request, validated against its schema."""
    parsed: dict[str, Any] = json.loads(body)
    jsonschema.Draft202012Validator(documents()[SCHEMAS / "http" / "http_error.json"]).validate(parsed)
    return parsed


async def rejection_reason(server: RealTimeMetricsServer, **options: Any) -> dict[str, Any]:
    with pytest.raises(websockets.InvalidStatus) as rejected:
        await websockets.connect(f"ws://127.0.0.1:{server.port}", **options)
    assert rejected.value.response.status_code == 403
    assert rejected.value.response.body is not None
    return rejection(bytes(rejected.value.response.body))


@pytest.mark.parametrize("origin", [None, "http://localhost:3000"])
async def test_programs_and_pages_of_loopback_connect(server: RealTimeMetricsServer, origin: str | None) -> None:
    async with Client(f"ws://127.0.0.1:{server.port}", origin=origin) as client:
        await client.receive_type("metrics_update")


async def test_pages_of_other_origins_do_not_connect(server: RealTimeMetricsServer) -> None:
    body = await rejection_reason(server, origin=APP)
    assert body["error"] == "origin_not_allowed"
    assert "--allow-origin" in body["detail"]


async def test_pages_of_the_named_origins_connect(server_factory: ServerFactory) -> None:
    async with server_factory(allow_origin=f"https://*.example.com, {APP}") as server:
        async with Client(f"ws://127.0.0.1:{server.port}", origin=APP) as client:
            await client.receive_type("metrics_update")
        assert (await rejection_reason(server, origin=EVIL))["error"] == "origin_not_allowed"


async def test_an_unknown_host_name_is_rejected(server_factory: ServerFactory) -> None:
    async with server_factory(allow_host="metrics.example.org") as server:
        here = {"host": "127.0.0.1", "port": server.port}
        async with Client("ws://metrics.example.org/ws", **here, origin="http://metrics.example.org") as client:
            await client.receive_type("metrics_update")
        with pytest.raises(websockets.InvalidStatus) as rejected:
            await websockets.connect("ws://rebind.example/ws", **here, origin="http://rebind.example")
        body = rejection(bytes(rejected.value.response.body or b""))
        assert body["error"] == "host_not_allowed"
        assert "--allow-host" in body["detail"]


async def test_plain_requests_follow_the_same_rules(server_factory: ServerFactory) -> None:
    def get(server: RealTimeMetricsServer, **headers: str) -> tuple[int, str | None]:
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/healthz", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.headers["Access-Control-Allow-Origin"]
        except urllib.error.HTTPError as rejected:
            rejection(rejected.read())
            return rejected.code, rejected.headers["Access-Control-Allow-Origin"]

    async with server_factory(allow_origin=APP, allow_host="metrics.example.org") as server:
        assert get(server) == (200, None)
        assert get(server, Origin=APP) == (200, APP)
        assert get(server, Origin=EVIL) == (403, None)
        assert get(server, Host="metrics.example.org:8443") == (200, None)
        assert get(server, Host="rebind.example") == (403, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--allow-origin=*"], "allow_origin must not contain '*': it would allow every web page to read the metrics"),
        (
            ["--allow-origin", APP, "--allow-origin", f"{APP}/"],
            f"allow_origin must not contain '{APP}/': leave out the path",
        ),
        (["--allow-host=*"], "allow_host must not contain '*': it would allow DNS rebinding from any web page"),
    ],
)
def test_a_wrong_item_is_wrong_usage(
    server_command: list[str], db_path: Path, arguments: list[str], message: str
) -> None:
    with ServerProcess([*server_command, "--port=0", "--db-path", str(db_path), *arguments]) as process:
        status, output, errors = process.finish()
    assert (status, output) == (2, "")
    assert errors.startswith(f"session-buddy-server: error: {message}")
    assert errors.count("\n") == 1


def test_a_wrong_item_is_a_value_error_in_python(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"allow_origin must not contain 'example\.org': write it with its scheme"):
        RealTimeMetricsServer(db_path=tmp_path / "x.db", allow_origin="example.org")
    with pytest.raises(TypeError, match="allow_host must be a str, not list"):
        RealTimeMetricsServer(db_path=tmp_path / "x.db", allow_host=["example.org"])  # type: ignore[arg-type]
