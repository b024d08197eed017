"""docs/deploy/nginx.conf with Debian's nginx, a server behind it, and clients that reconnect as in the contract."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import websockets
from websockets.exceptions import ConnectionClosedError, WebSocketException

from support import contract
from support.certificates import Certificates, common_name
from support.histories import fill, invocations
from support.processes import DEADLINE, Program, Server, wait_until
from support.reverse_proxy import DeployedNginx
from support.schemas import Client, Message
from support.tokens import READER, write_secret

Start = Callable[..., tuple[Server, DeployedNginx]]


@pytest.fixture
def start(filled_db: Path, certificates: Certificates, tmp_path: Path) -> Iterator[Start]:
    """Starts a server with these options behind nginx, with these times in its configuration."""
    with ExitStack() as running:

        def both(*options: str, **times: str) -> tuple[Server, DeployedNginx]:
            server = running.enter_context(Server(filled_db, *options))
            proxy = DeployedNginx(tmp_path / "nginx", certificates, server.port, **times)
            return server, running.enter_context(proxy)

        yield both


# ---- Plain requests


def test_only_public_paths_are_forwarded(start: Start, certificates: Certificates) -> None:
    _, proxy = start()
    context = certificates.client_context()
    with urllib.request.urlopen(f"https://localhost:{proxy.port}/healthz", context=context, timeout=DEADLINE) as answer:
        assert json.load(answer)["status"] == "ok"
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["Server"] == "nginx"
    with urllib.request.urlopen(f"https://localhost:{proxy.port}/", context=context, timeout=DEADLINE) as answer:
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for hidden in ("/readyz", "/metrics", "/hooks/claude-code", "/assets", "/index.html"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"https://localhost:{proxy.port}{hidden}", context=context, timeout=DEADLINE)


def test_plain_http_is_sent_to_https(start: Start) -> None:
    _, proxy = start()
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain_port, timeout=DEADLINE)
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (301, "https://localhost/healthz")


def test_an_address_that_exceeds_the_rate_is_rejected(start: Start, certificates: Certificates) -> None:
    _, proxy = start()
    connection = http.client.HTTPSConnection(
        "localhost", proxy.port, timeout=DEADLINE, context=certificates.client_context()
    )
    statuses = set()
    for _ in range(1000):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        statuses.add(answer.status)
        if answer.status != 200:
            break
    assert statuses == {200, 429}
    assert answer.headers["Content-Type"] == "text/html"  # an error of nginx itself: the server's errors are JSON


# ---- Connections


async def test_the_server_sees_the_address_that_nginx_saw(start: Start, certificates: Certificates) -> None:
    server, proxy = start("--behind-proxy", "--trusted-proxies", "127.0.0.1", "--log-level", "debug")
    async with Client(
        proxy.url,
        ssl=certificates.client_context(),
        host="127.0.0.1",
        local_addr=("127.0.0.2", 0),
        additional_headers={"X-Forwarded-For": "203.0.113.7"},
    ) as client:
        await client.receive_type("metrics_update")
        line = await asyncio.to_thread(server.wait_for, "client .* connected")
    assert "client 127.0.0.2 through 127.0.0.1:" in line


async def test_tokens_and_the_public_origin_pass_through_nginx(
    start: Start, certificates: Certificates, tmp_path: Path
) -> None:
    token_file = write_secret(tmp_path / "tokens", READER)
    _, proxy = start("--behind-proxy", "--auth-token-file", str(token_file))
    context = certificates.client_context()
    header = {"Authorization": f"Bearer {READER}"}
    for options in ({"additional_headers": header}, {"subprotocols": [f"bearer.{READER}"]}):
        async with Client(proxy.url, ssl=context, origin=f"https://localhost:{proxy.port}", **options) as client:
            await client.receive_type("metrics_update")
    with pytest.raises(websockets.InvalidStatus, match="401"):
        await websockets.connect(proxy.url, ssl=context, additional_headers={"Authorization": "Bearer wrong-token"})
    with pytest.raises(websockets.InvalidStatus, match="403"):
        await websockets.connect(proxy.url, ssl=context, additional_headers=header, origin="https://evil.example")


@pytest.mark.parametrize(("ping_interval", "stays"), [("500ms", True), ("30s", False)])
async def test_pings_keep_a_quiet_client_beyond_the_read_timeout(
    start: Start, certificates: Certificates, ping_interval: str, stays: bool
) -> None:
    _, proxy = start("--ping-interval", ping_interval, proxy_read_timeout="2s")
    async with Client(proxy.url, ssl=certificates.client_context(), ping_interval=None) as client:
        await client.ask({"type": "unsubscribe"})
        receiving = asyncio.ensure_future(client.receive())
        # The test is that nothing happens for this long.
        done, _ = await asyncio.wait([receiving], timeout=5 if stays else DEADLINE)
        if stays:
            assert not done
            receiving.cancel()
            await asyncio.wait([receiving])
            assert await client.ask({"type": "ping"}) == {"type": "pong"}
        else:
            with pytest.raises(ConnectionClosedError):
                await receiving


# ---- Clients that resubscribe


class PythonFollower:
    """Subscribes after each connect, and reconnects as the contract's JavaScript does."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._url = url
        self._context = context

    async def follow(self) -> None:
        """Up to five consecutive attempts, each delay a second longer than the one before."""
        attempts = 0
        while attempts < 5:
            try:
                async with Client(self._url, ssl=self._context) as client:
                    attempts = 0
                    await client.send({"type": "subscribe", "skill_name": "pytest-run"})
                    async for message in client:
                        self._messages.put_nowait(message)
            except (OSError, WebSocketException):
                pass
            attempts += 1
            await asyncio.sleep(attempts)

    async def next_of(self, message_type: str) -> Message:
        """The next message of this type."""
        while True:
            message = await asyncio.wait_for(self._messages.get(), DEADLINE)
            if message["type"] == message_type:
                return message


class NodeFollower:
    """The contract's code as a program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    async def next_of(self, message_type: str) -> Message:
        """The next message of this type."""
        return await asyncio.to_thread(contract.next_message, self.program, message_type)


async def next_skills(follower: PythonFollower | NodeFollower) -> dict[str, int]:
    """The skills of the next update, with their invocations."""
    update = await follower.next_of("metrics_update")
    return {skill["skill_name"]: skill["invocation_count"] for skill in update["data"]["top_skills"]}


def reconnecting_code(proxy: DeployedNginx) -> str:
    """The contract's code, for another address, with the line that subscribes."""
    code = contract.code("Reconnection Logic", proxy.port)
    subscribe = "ws.send(JSON.stringify({ type: 'subscribe', skill_name: 'pytest-run' }));"
    for old, new in (
        (f"ws://localhost:{proxy.port}", proxy.url),
        ("console.log('Connected');", f"console.log('Connected');\n{subscribe}"),
    ):
        assert code.count(old) == 1
        code = code.replace(old, new)
    return code


@asynccontextmanager
async def followers(
    proxy: DeployedNginx, certificates: Certificates, folder: Path
) -> AsyncIterator[tuple[PythonFollower, NodeFollower]]:
    """Both followers, connected and subscribed."""
    python = PythonFollower(proxy.url, certificates.client_context())
    task = asyncio.create_task(python.follow())
    authority = str(certificates.authority_file)
    with contract.node_program(folder, reconnecting_code(proxy), NODE_EXTRA_CA_CERTS=authority) as program:
        both = (python, NodeFollower(program))
        for follower in both:
            await follower.next_of("subscription_confirmed")
            assert await next_skills(follower) == {"pytest-run": 8}
        yield both
    task.cancel()
    await asyncio.wait([task])


async def renew_certificate(proxy: DeployedNginx, certificates: Certificates) -> None:
    """Gives nginx a new certificate and waits until new connections get it."""
    certificates.install("renewed")
    proxy.reload()
    context = certificates.client_context()
    await asyncio.to_thread(
        wait_until, lambda: common_name(context, proxy.port) == "renewed", "nginx shows its new certificate"
    )


async def test_a_reload_leaves_connections_with_the_old_workers(start: Start, certificates: Certificates) -> None:
    _, proxy = start()
    async with Client(proxy.url, ssl=certificates.client_context()) as client:
        await client.receive_type("metrics_update")
        await renew_certificate(proxy, certificates)
        assert await client.ask({"type": "ping"}) == {"type": "pong"}


async def test_clients_whose_old_worker_ends_are_subscribed_again(
    start: Start, filled_db: Path, certificates: Certificates, tmp_path: Path
) -> None:
    _, proxy = start(worker_shutdown_timeout="1s")
    async with followers(proxy, certificates, tmp_path) as both:
        await renew_certificate(proxy, certificates)
        for follower in both:
            await follower.next_of("subscription_confirmed")
        fill(filled_db, invocations("pytest-run", 5), invocations("mypy", 5))
        for follower in both:
            while await next_skills(follower) != {"pytest-run": 13}:
                pass
        assert "@close 1006" in both[1].program.seen


async def test_clients_of_a_server_that_restarts_are_subscribed_again(
    start: Start, filled_db: Path, certificates: Certificates, tmp_path: Path
) -> None:
    server, proxy = start()
    async with followers(proxy, certificates, tmp_path) as both:
        # Not on this thread, which serves a client that the server waits for.
        assert await asyncio.to_thread(server.stop, signal.SIGTERM) == 0
        fill(filled_db, invocations("pytest-run", 5), invocations("mypy", 5))
        with Server(filled_db, port=server.port):
            for follower in both:
                await follower.next_of("subscription_confirmed")
                assert await next_skills(follower) == {"pytest-run": 13}
            assert "@close 1001" in both[1].program.seen
