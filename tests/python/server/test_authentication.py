"""Authentication: tokens and JSON Web Tokens, in a header, a subprotocol or the first message of a real client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conftest import ServerFactory
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.histories import fill, invocations
from support.processes import DEADLINE, Server, ServerProcess, native_binary, wait_until
from support.raw_client import PING_FRAME, Opcode, RawClient, close_frame, frame
from support.schemas import Client, validated
from support.tokens import READER, SCRAPER, SECRET, ec_key, pem, rsa_key, signed, write_secret

# Rejections are not delayed, except in tests of the delay.
QUICK = {"max_auth_failures_per_second": 1000}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    digest = hashlib.sha256(SCRAPER.encode()).hexdigest()
    return write_secret(tmp_path / "tokens", f"# who may come in\n\n{READER}\nsha256:{digest} metrics # Prometheus\n")


@pytest.fixture
async def guarded(server_factory: ServerFactory, token_file: Path) -> RealTimeMetricsServer:
    """A running server that requires one of the tokens in `token_file`."""
    server = server_factory(auth_token_file=token_file, **QUICK)
    await server.__aenter__()
    return server


def url_of(server: RealTimeMetricsServer) -> str:
    return f"ws://localhost:{server.port}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    """Status, headers and body of an HTTP request."""
    request = urllib.request.Request(f"http://localhost:{port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


async def close_of(connection: Any) -> tuple[int, str]:
    """Close code and reason, once the server has closed."""

    async def read_until_closed() -> None:
        while True:
            validated(await connection.recv())

    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(read_until_closed(), DEADLINE)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


# ---- Sources of a token


async def test_a_token_in_the_header_gets_updates(guarded: RealTimeMetricsServer) -> None:
    async with Client(url_of(guarded), additional_headers=bearer(READER)) as client:
        assert (await client.receive())["type"] == "metrics_update"


async def test_a_token_as_subprotocol_gets_updates_and_is_chosen(guarded: RealTimeMetricsServer) -> None:
    async with Client(url_of(guarded), subprotocols=["chat", f"bearer.{READER}"]) as client:
        assert client.connection.subprotocol == f"bearer.{READER}"
        assert (await client.receive())["type"] == "metrics_update"


async def test_a_token_as_first_message_is_confirmed_and_gets_updates(guarded: RealTimeMetricsServer) -> None:
    async with Client(url_of(guarded)) as client:
        await client.send({"type": "auth", "token": READER, "request_id": "1"})
        # The confirmation comes first: a client that has not authenticated is sent nothing.
        assert await client.receive() == {"type": "authenticated", "message": "Authenticated", "request_id": "1"}
        assert (await client.receive())["type"] == "metrics_update"


def first_message_and(token: str, *behind: bytes) -> bytes:
    """A first message with this token, and the bytes that follow in the same segment."""
    return frame(Opcode.TEXT, json.dumps({"type": "auth", "token": token}).encode()) + b"".join(behind)


def test_a_message_right_after_the_first_one_is_answered_after_it(tmp_path: Path, token_file: Path) -> None:
    with (
        Server(tmp_path / "skills.db", "--auth-token-file", str(token_file), interval="1h") as server,
        RawClient(server.port) as client,
    ):
        client.handshake()
        client.send(first_message_and(READER, *[PING_FRAME] * 3))
        frames = client.read_frames()
        answers = [json.loads(next(frames)[1])["type"] for _ in range(4)]
    assert answers == ["authenticated", "pong", "pong", "pong"]


@pytest.mark.parametrize(
    ("end", "code"),
    [(close_frame(1000), 1000), (frame(Opcode.TEXT, rsv=0b010), 1002), (frame(Opcode.BINARY), 1003)],
    ids=["a close", "a broken frame", "a binary frame"],
)
def test_a_client_that_ends_right_after_its_first_message_gets_its_close(
    tmp_path: Path, token_file: Path, end: bytes, code: int
) -> None:
    with Server(tmp_path / "skills.db", "--auth-token-file", str(token_file)) as server:
        for _ in range(20):
            with RawClient(server.port) as client:
                client.handshake()
                client.send(first_message_and(READER, end))
                assert client.read_close() == code
        with RawClient(server.port) as client:
            client.handshake()
            client.send(first_message_and(READER))
            assert client.read_message("authenticated")


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        (bearer("wrong-token"), 401, "unauthorized"),
        (bearer(""), 401, "unauthorized"),
        ({"Authorization": f"Basic {base64.b64encode(READER.encode()).decode()}"}, 401, "unauthorized"),
        ({"Authorization": READER}, 401, "unauthorized"),
        (bearer(READER.upper()), 401, "unauthorized"),
        (bearer(READER[:-1]), 401, "unauthorized"),
        (bearer(hashlib.sha256(SCRAPER.encode()).hexdigest()), 401, "unauthorized"),
        (bearer(SCRAPER), 403, "insufficient_scope"),
    ],
)
async def test_a_header_that_is_not_accepted_is_answered_by_http(
    guarded: RealTimeMetricsServer, headers: dict[str, str], status: int, error: str
) -> None:
    with pytest.raises(InvalidStatus) as rejected:
        await websockets.connect(url_of(guarded), additional_headers=headers)
    response = rejected.value.response
    assert response.status_code == status
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="session-buddy", error=')
    assert json.loads(response.body)["error"] == error


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"type": "auth", "token": "wrong-token"}, "The token is not valid"),
        ({"type": "auth", "token": SCRAPER}, "The token lacks the scope read"),
        ({"type": "auth", "token": ""}, "The first message must be of type auth, with a token"),
        ({"type": "auth", "token": 1}, "The first message must be of type auth, with a token"),
        ({"type": "auth"}, "The first message must be of type auth, with a token"),
        ({"type": "subscribe", "skill_name": None}, "The first message must be of type auth, with a token"),
        ({"type": "ping"}, "The first message must be of type auth, with a token"),
        ("nonsense", "The first message must be of type auth, with a token"),
    ],
)
async def test_a_first_message_that_is_not_accepted_is_closed_with_4401(
    guarded: RealTimeMetricsServer, first: dict[str, Any] | str, reason: str
) -> None:
    async with Client(url_of(guarded)) as client:
        await client.send(first)
        assert await close_of(client.connection) == (4401, reason)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("wrong-token", "The token is not valid"),
        (SCRAPER, "The token lacks the scope read"),
        ("", 'Malformed Authorization header: expected "Authorization: Bearer <token>"'),
    ],
)
async def test_a_subprotocol_that_is_not_accepted_is_closed_with_4401(
    guarded: RealTimeMetricsServer, token: str, reason: str
) -> None:
    async with Client(url_of(guarded), subprotocols=[f"bearer.{token}"]) as client:
        assert await close_of(client.connection) == (4401, reason)


async def test_a_token_as_subprotocol_counts_for_websockets_only(guarded: RealTimeMetricsServer) -> None:
    for token in (READER, "wrong-token"):
        offer = {"Sec-WebSocket-Protocol": f"bearer.{token}"}
        assert (await asyncio.to_thread(get, guarded.port, "/ws", offer))[0] == 426
        with pytest.raises(InvalidStatus) as rejected:
            await websockets.connect(f"{url_of(guarded)}/nowhere", subprotocols=[f"bearer.{token}"])
        assert rejected.value.response.status_code == 404


async def test_a_token_behind_a_hash_sign_is_not_cut_short(tmp_path: Path) -> None:
    file = write_secret(tmp_path / "tokens", f"{READER}#{SCRAPER}\n")
    with pytest.raises(ValueError, match="line 1: a token consists of letters"):
        await RealTimeMetricsServer(port=0, db_path=tmp_path / "skills.db", auth_token_file=file).start()


async def test_one_address_behind_a_proxy_takes_no_more_than_its_slots(
    server_factory: ServerFactory, token_file: Path
) -> None:
    settings = {"auth_token_file": token_file, "behind_proxy": True, "max_clients_per_address": 3}
    async with contextlib.AsyncExitStack() as stack, server_factory(**settings, max_http_connections=20) as server:

        def client(address: str, **options: Any) -> Any:
            headers = {"X-Forwarded-For": address, **options}
            return stack.enter_async_context(Client(url_of(server), additional_headers=headers))

        for _ in range(3):
            await client("203.0.113.9")
        with pytest.raises(InvalidStatus, match="429"):
            await client("203.0.113.9")
        assert (await (await client("203.0.113.10", **bearer(READER))).receive())["type"] == "metrics_update"


async def test_a_token_in_the_url_is_ignored(server_factory: ServerFactory, token_file: Path) -> None:
    async with (
        server_factory(auth_token_file=token_file, auth_timeout=0.2) as server,
        Client(f"{url_of(server)}/?token={READER}&access_token={READER}") as client,
    ):
        assert await close_of(client.connection) == (4401, "Authentication timed out")


async def test_a_silent_client_is_closed_after_auth_timeout(server_factory: ServerFactory, token_file: Path) -> None:
    async with server_factory(auth_token_file=token_file, auth_timeout=0.2) as server:
        begin = time.monotonic()
        async with Client(url_of(server)) as client:
            assert await close_of(client.connection) == (4401, "Authentication timed out")
        assert time.monotonic() - begin >= 0.2


async def test_a_message_too_long_for_a_token_is_closed_with_1009(guarded: RealTimeMetricsServer) -> None:
    async with Client(url_of(guarded)) as client:
        await client.send({"type": "auth", "token": "x" * 10_000})
        assert (await close_of(client.connection))[0] == 1009


async def test_unauthenticated_clients_take_no_slot(server_factory: ServerFactory, token_file: Path) -> None:
    async with (
        server_factory(auth_token_file=token_file, max_clients=1) as server,
        Client(url_of(server)) as waiting,
        Client(url_of(server), additional_headers=bearer(READER)) as client,
    ):
        assert (await client.receive())["type"] == "metrics_update"
        await waiting.send({"type": "auth", "token": READER})
        assert await close_of(waiting.connection) == (1013, "Connection limit reached: max_clients (1)")


async def test_without_authentication_every_token_is_accepted(server: RealTimeMetricsServer) -> None:
    async with Client(url_of(server), subprotocols=["bearer.any"], additional_headers=bearer("any")) as client:
        assert client.connection.subprotocol == "bearer.any"
        assert (await client.ask({"type": "auth", "token": "any"}))["type"] == "authenticated"


async def test_updates_flow_to_many_clients_with_tokens(guarded: RealTimeMetricsServer) -> None:
    fill(Path(guarded.db_path), invocations("pytest-run", 3))
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(url_of(guarded), additional_headers=bearer(READER)))
            for _ in range(20)
        ]
        for client in clients:
            while not (update := await client.receive())["data"]["top_skills"]:
                pass
            assert update["data"]["top_skills"][0]["skill_name"] == "pytest-run"


# ---- HTTP


async def test_health_needs_no_token_and_the_reason_of_readyz_does(guarded: RealTimeMetricsServer) -> None:
    assert (await asyncio.to_thread(get, guarded.port, "/healthz"))[0] == 200
    database = Path(guarded.db_path)
    database.write_bytes(b"not a database" * 1000)

    def reason(headers: dict[str, str]) -> Callable[[], Any]:
        return lambda: get(guarded.port, "/readyz", headers)[2].get("reason")

    await asyncio.to_thread(wait_until, lambda: reason({})() is not None, "/readyz reports the fault")
    assert await asyncio.to_thread(reason({})) == "authentication required"
    for token in (READER, SCRAPER):
        assert (await asyncio.to_thread(reason(bearer(token)))) not in (None, "authentication required")


async def test_a_wrong_token_is_rejected_on_every_path(guarded: RealTimeMetricsServer) -> None:
    for path in ("/healthz", "/readyz", "/", "/nowhere"):
        status, headers, body = await asyncio.to_thread(get, guarded.port, path, bearer("wrong-token"))
        assert (status, body["error"], body["detail"]) == (401, "unauthorized", "The token is not valid")
        assert headers["WWW-Authenticate"] == 'Bearer realm="session-buddy", error="invalid_token"'


async def test_a_missing_token_is_not_reported_as_invalid(guarded: RealTimeMetricsServer) -> None:
    status, headers, body = await asyncio.to_thread(get, guarded.port, "/api/v1/skills")
    assert (status, body["error"]) == (401, "unauthorized")
    assert headers["WWW-Authenticate"] == 'Bearer realm="session-buddy"'


# ---- JSON Web Tokens


def forged(header: dict[str, Any], payload: dict[str, Any], key: bytes) -> str:
    """An HMAC token that PyJWT refuses to create."""

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    body = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(payload).encode())}"
    return f"{body}.{encoded(hmac.new(key, body.encode(), hashlib.sha256).digest())}"


RSA = rsa_key()
EC = ec_key()
HOUR = 3600
NOT_VALID = "The token is not valid"


def now() -> int:
    return int(time.time())


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
async def test_a_signed_token_is_accepted(server_factory: ServerFactory, tmp_path: Path, algorithm: str) -> None:
    if algorithm == "HS256":
        key: Any = SECRET
        settings: dict[str, Any] = {"jwt_secret": SECRET}
    else:
        key = RSA if algorithm == "RS256" else EC
        public = tmp_path / "public.pem"
        public.write_text(pem(key))
        settings = {"jwt_public_key": public}
    async with server_factory(**settings, **QUICK) as server:
        async with Client(url_of(server), additional_headers=bearer(signed(key, algorithm))) as client:
            assert (await client.receive())["type"] == "metrics_update"
        for wrong, its_algorithm in [(rsa_key(), "RS256"), (ec_key(), "ES256"), (SECRET[::-1], "HS256")]:
            status, _, body = await asyncio.to_thread(
                get, server.port, "/healthz", bearer(signed(wrong, its_algorithm))
            )
            assert (status, body["detail"]) == (401, NOT_VALID)


async def test_a_key_with_a_short_coordinate_is_a_key(server_factory: ServerFactory, tmp_path: Path) -> None:
    key = ec_key()
    while key.public_key().public_numbers().x >= 1 << 248:  # one in 256 begins with a zero byte
        key = ec_key()
    public = tmp_path / "public.pem"
    public.write_text(pem(key))
    async with server_factory(jwt_public_key=public) as server:
        assert await answer_to(server, signed(key, "ES256")) == (0, "authenticated")


@pytest.mark.parametrize("key", [RSA, EC], ids=["RS256", "ES256"])
async def test_a_public_key_is_never_used_as_a_secret(server_factory: ServerFactory, tmp_path: Path, key: Any) -> None:
    public = tmp_path / "public.pem"
    public.write_text(pem(key))
    payload = {"exp": now() + HOUR}
    async with server_factory(jwt_public_key=public, **QUICK) as server:
        for secret in (pem(key), pem(key).strip(), ""):
            token = forged({"alg": "HS256", "typ": "JWT"}, payload, secret.encode())
            status, _, body = await asyncio.to_thread(get, server.port, "/healthz", bearer(token))
            assert (status, body["detail"]) == (401, NOT_VALID)


def ours(**changes: Any) -> str:
    """A valid token for `jwt_server`, unless a claim is overridden."""
    return signed(**{"aud": "dashboards", "iss": "https://id.example.org", **changes})


def tampered() -> str:
    head, body, signature = ours().split(".")
    payload = json.loads(base64.urlsafe_b64decode(body + "=="))
    payload["exp"] += 1
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b'=').decode()}.{signature}"


REJECTED: dict[str, tuple[Callable[[], str], str]] = {
    "alg none": (lambda: ours(key=None, algorithm="none"), NOT_VALID),
    "alg none with a signature": (
        lambda: forged({"alg": "none"}, {"exp": now() + HOUR}, SECRET.encode()),
        NOT_VALID,
    ),
    "alg nONE": (lambda: forged({"alg": "nONE"}, {"exp": now() + HOUR}, SECRET.encode()), NOT_VALID),
    "alg HS512": (lambda: ours(algorithm="HS512"), NOT_VALID),
    "an extension that must be understood": (
        lambda: ours(headers={"crit": ["b64"], "b64": False}),
        NOT_VALID,
    ),
    "another secret": (lambda: ours(key=SECRET + "x"), NOT_VALID),
    "no signature": (lambda: ours().rpartition(".")[0] + ".", NOT_VALID),
    "a changed payload": (tampered, NOT_VALID),
    "an array for claims": (lambda: forged({"alg": "HS256"}, [1], SECRET.encode()), NOT_VALID),  # type: ignore[arg-type]
    "no exp": (lambda: ours(exp=None), "The token has no expiry (exp)"),
    "exp beyond all times": (
        lambda: forged({"alg": "HS256"}, {"exp": 1e300}, SECRET.encode()),
        "The token's expiry (exp) is not a number of seconds",
    ),
    "exp beyond the leeway": (lambda: ours(exp=now() - 60), "The token has expired"),
    "nbf beyond the leeway": (lambda: ours(nbf=now() + 60), "The token is not valid yet (nbf)"),
    "nbf a text": (lambda: ours(nbf="soon"), "The token is not valid yet (nbf)"),
    "no aud": (lambda: ours(aud=None), "The token is for another audience (aud)"),
    "another aud": (lambda: ours(aud="others"), "The token is for another audience (aud)"),
    "several other aud": (lambda: ours(aud=["others", "all"]), "The token is for another audience (aud)"),
    "no iss": (lambda: ours(iss=None), "The token is from another issuer (iss)"),
    "another iss": (lambda: ours(iss="https://evil.example"), "The token is from another issuer (iss)"),
    "no scope of ours": (lambda: ours(scope="openid"), "The token lacks the scope read"),
    "another scope of ours": (lambda: ours(scope="metrics write"), "The token lacks the scope read"),
}
ACCEPTED: dict[str, Callable[[], str]] = {
    "exp within the leeway": lambda: ours(exp=now() - 10),
    "nbf within the leeway": lambda: ours(nbf=now() + 10),
    "one aud of several": lambda: ours(aud=["others", "dashboards"]),
    "read among the scopes": lambda: ours(scope="openid read"),
    "claims of others": lambda: ours(roles={"admin": True}, email="a@example.org"),
}


@pytest.fixture
async def jwt_server(server_factory: ServerFactory) -> RealTimeMetricsServer:
    server = server_factory(
        jwt_secret=SECRET, jwt_audience="dashboards", jwt_issuer="https://id.example.org", jwt_leeway=30, **QUICK
    )
    await server.__aenter__()
    return server


async def answer_to(server: RealTimeMetricsServer, token: str) -> tuple[int, str]:
    """Close code and reason for a token in the first message; 0 where it is accepted."""
    async with Client(url_of(server)) as client:
        await client.send({"type": "auth", "token": token})
        with contextlib.suppress(ConnectionClosed):
            return 0, (await client.receive())["type"]
        return await close_of(client.connection)


async def test_each_fault_of_a_token_is_rejected_with_its_reason(jwt_server: RealTimeMetricsServer) -> None:
    found = {name: await answer_to(jwt_server, make()) for name, (make, _) in REJECTED.items()}
    assert found == {name: (4401, reason) for name, (_, reason) in REJECTED.items()}


async def test_valid_tokens_are_accepted(jwt_server: RealTimeMetricsServer) -> None:
    found = {name: await answer_to(jwt_server, make()) for name, make in ACCEPTED.items()}
    assert found == dict.fromkeys(ACCEPTED, (0, "authenticated"))


async def test_a_token_with_an_audience_is_rejected_by_a_server_without_one(server_factory: ServerFactory) -> None:
    async with server_factory(jwt_secret=SECRET, **QUICK) as server:
        assert await answer_to(server, signed(aud="another")) == (4401, "The token is for another audience (aud)")
        assert await answer_to(server, signed()) == (0, "authenticated")


async def test_a_client_stays_as_long_as_its_token_and_longer_with_a_new_one(server_factory: ServerFactory) -> None:
    async with server_factory(jwt_secret=SECRET, jwt_leeway=0, **QUICK) as server:
        short = signed(exp=time.time() + 4)
        async with (
            Client(url_of(server), additional_headers=bearer(short)) as leaving,
            Client(url_of(server), additional_headers=bearer(short)) as staying,
        ):
            assert await staying.ask({"type": "auth", "token": "x", "request_id": "a"}) == {
                "type": "error",
                "message": "The token is not valid",
                "code": "unauthorized",
                "request_id": "a",
            }
            assert (await staying.ask({"type": "auth", "token": signed()}))["type"] == "authenticated"
            assert await close_of(leaving.connection) == (4401, "The token has expired")
            assert (await staying.ask({"type": "ping"}))["type"] == "pong"


async def test_a_token_that_expires_in_thousands_of_years_is_valid_now(server_factory: ServerFactory) -> None:
    async with (
        server_factory(jwt_secret=SECRET) as server,
        Client(url_of(server), additional_headers=bearer(signed(exp=253_402_300_799))) as client,
    ):
        assert (await client.ask({"type": "ping"}))["type"] == "pong"
        assert (await client.receive_type("metrics_update"))["type"] == "metrics_update"


def test_the_secret_of_the_environment_counts_for_binary_and_module(tmp_path: Path) -> None:
    with Server(tmp_path / "a.db", env={"SESSION_BUDDY_JWT_SECRET": SECRET}) as server:
        assert get(server.port, "/healthz", bearer(signed()))[0] == 200
        assert get(server.port, "/healthz", bearer("wrong-token"))[0] == 401
    arguments = [native_binary(), "--port=0", "--db-path", str(tmp_path / "b.db")]
    with ServerProcess(arguments, env={**os.environ, "SESSION_BUDDY_JWT_SECRET": SECRET}) as process:
        port = process.wait_until_listening()[0]
        assert get(port, "/healthz", bearer(signed()))[0] == 200
        assert get(port, "/healthz", bearer("wrong-token"))[0] == 401


async def test_the_secret_of_the_environment_counts_for_the_python_class(
    server_factory: ServerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_JWT_SECRET", SECRET)
    async with server_factory(**QUICK) as server:
        assert server.settings["jwt_secret"] == "(hidden)"
        assert await answer_to(server, signed()) == (0, "authenticated")
        assert (await answer_to(server, "wrong-token"))[0] == 4401
    monkeypatch.delenv("SESSION_BUDDY_JWT_SECRET")
    monkeypatch.setenv("SESSION_BUDDY_AUTH_TOKEN_FILE", "/nowhere/tokens")
    with pytest.raises(ValueError, match="cannot read the token file /nowhere/tokens"):
        await server_factory().start()
    monkeypatch.delenv("SESSION_BUDDY_AUTH_TOKEN_FILE")
    monkeypatch.setenv("SESSION_BUDDY_JWT_SECRET", "")
    with pytest.raises(ValueError, match="SESSION_BUDDY_JWT_SECRET is set and empty"):
        server_factory()


# ---- Reloading


async def test_sighup_accepts_new_tokens_and_closes_the_connections_of_removed_ones(
    tmp_path: Path, token_file: Path
) -> None:
    with Server(tmp_path / "skills.db", "--auth-token-file", str(token_file)) as server:
        second = "second-7a0c4e9b1d6f3825"

        async def reload(text: str, mode: int = 0o600) -> str:
            write_secret(token_file, text, mode)
            server.process.send_signal(signal.SIGHUP)
            return await asyncio.to_thread(server.wait_for, "tokens reloaded|previous certificates and tokens")

        async with Client(server.url, additional_headers=bearer(READER)) as reader:
            await reload(f"{READER}\n{second}\n")
            async with Client(server.url, additional_headers=bearer(second)) as other:
                assert (await other.receive())["type"] == "metrics_update"

                assert "there is no token in it" in await reload("# no token\n")
                assert "others can read or change it (mode 0644)" in await reload(READER, 0o644)
                assert (await reader.ask({"type": "ping"}))["type"] == "pong"

                await reload(f"{second}\n")
                assert await close_of(reader.connection) == (4401, "The token is no longer accepted")
                assert (await other.ask({"type": "ping"}))["type"] == "pong"
                await reload(f"{second} metrics\n")  # it no longer has the scope `read`
                assert (await close_of(other.connection))[0] == 4401
        assert server.stop() == 0


async def test_the_python_class_reloads_tokens(guarded: RealTimeMetricsServer, token_file: Path) -> None:
    async with Client(url_of(guarded), additional_headers=bearer(READER)) as client:
        token_file.write_text("others-3b8d2f6c0a9e5174\n")
        await guarded.reload()
        assert (await close_of(client.connection))[0] == 4401
    token_file.unlink()
    with pytest.raises(ValueError, match=r"cannot read the token file .*: No such file or directory"):
        await guarded.reload()


# ---- Logs, and the delay of rejections


async def test_rejections_are_logged_with_the_peer_and_never_with_the_token(tmp_path: Path, token_file: Path) -> None:
    wrong = "wrong-9e1f7c3a5b2d8046"
    jwt = signed(exp=now() - HOUR)
    with Server(
        tmp_path / "skills.db",
        "--log-level=debug",
        "--max-auth-failures-per-second=1000",
        "--auth-token-file",
        str(token_file),
        env={"SESSION_BUDDY_JWT_SECRET": SECRET},
    ) as server:
        for token in (wrong, jwt):
            assert (await asyncio.to_thread(get, server.port, "/healthz", bearer(token)))[0] == 401
            async with Client(server.url, subprotocols=[f"bearer.{token}"]) as client:
                assert (await close_of(client.connection))[0] == 4401
            async with Client(server.url) as client:
                await client.send({"type": "auth", "token": token})
                assert (await close_of(client.connection))[0] == 4401
        async with Client(server.url, additional_headers=bearer(READER)) as client:
            assert (await client.ask({"type": "auth", "token": wrong}))["code"] == "unauthorized"
        assert server.stop() == 0
    server.drain()
    output = "\n".join(server.seen)
    rejections = [line for line in output.splitlines() if "authentication of" in line]
    assert len(rejections) == 7
    assert all(" authentication of 127.0.0.1:" in line or " authentication of [::1]:" in line for line in rejections), (
        rejections
    )
    assert sum("The token has expired" in line for line in rejections) == 3
    for secret in (wrong, jwt, jwt.split(".")[2], READER, SCRAPER, SECRET):
        assert secret not in output


def test_rejections_beyond_the_rate_are_delayed_and_good_tokens_are_not(tmp_path: Path, token_file: Path) -> None:
    options = ["--auth-token-file", str(token_file), "--max-auth-failures-per-second=5", "--auth-timeout=500ms"]
    with Server(tmp_path / "skills.db", *options) as server:
        begin = time.monotonic()
        for _ in range(8):
            assert get(server.port, "/healthz", bearer("wrong-token"))[0] == 401
        # A burst of five, then one every 0.2 seconds.
        assert time.monotonic() - begin >= 0.55
        assert get(server.port, "/healthz", bearer(READER))[0] == 200
