"""Blocks that start a server, send requests to one, or configure what is in front of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets
import yaml

from docs.blocks.running import TOKEN, bash, environment, on_port, serving
from support.markdown import Block
from support.processes import Program
from support.reverse_proxy import Nginx, free_port
from support.schemas import Client
from support.tokens import write_secret


@contextlib.contextmanager
def in_the_foreground(block: Block, home: Path, scheme: str = "ws") -> Iterator[int]:
    """Port of the server that the block starts as its last command; afterwards it exits on Ctrl-C with status 0."""
    port = free_port()
    script = on_port(block.text, port).replace("session-buddy serve", "exec session-buddy serve")
    with Program(["bash", "-ec", script], cwd=home, env=environment(home)) as program:
        program.wait_for(f"listening on {scheme}://127.0.0.1:{port}")
        yield port
        assert program.stop(signal.SIGINT) == 0


def serves(block: Block, home: Path) -> None:
    """A server in the foreground."""
    with (
        in_the_foreground(block, home) as port,
        urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=10) as response,
    ):
        assert json.load(response)["status"] == "ok"


def serves_tls(block: Block, home: Path) -> None:
    """The same over TLS, with the certificate that the block creates."""
    with in_the_foreground(block, home, "wss") as port:
        context = ssl.create_default_context(cafile=str(home / "cert.pem"))
        with urllib.request.urlopen(f"https://localhost:{port}/healthz", context=context, timeout=10) as response:
            assert json.load(response)["status"] == "ok"


def status_with(token: str, port: int) -> int:
    """Status of an HTTP request with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://localhost:{port}/healthz", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def serves_tokens(block: Block, home: Path) -> None:
    """A server that requires the token that the block creates."""
    with in_the_foreground(block, home) as port:
        assert [status_with(token, port) for token in ((home / "tokens").read_text().strip(), TOKEN)] == [200, 401]


def token_file(block: Block, home: Path) -> None:
    """A token file that authenticates the token, and the token "secret" by its digest."""
    file = write_secret(home / "tokens", block.text)
    with serving(home, "--auth-token-file", str(file)) as server:
        assert [status_with(token, server.port) for token in (TOKEN, "secret", "other")] == [200, 200, 401]


def with_server(block: Block, home: Path) -> None:
    with serving(home) as server:
        bash(on_port(block.text, server.port), home)


def query(block: Block, home: Path) -> str:
    """Output of commands that send requests to a server; an HTTP error fails them."""
    with serving(home) as server:
        return bash(on_port(block.text, server.port).replace("curl -sS", "curl -sS --fail"), home)


def queries(block: Block, home: Path) -> None:
    """Each command prints a JSON object."""
    decoder = json.JSONDecoder()
    output = query(block, home)
    answers = []
    while output:
        answer, end = decoder.raw_decode(output)
        answers.append(answer)
        output = output[end:].lstrip()
    assert len(answers) == block.text.count("curl ")
    assert "pytest-run" in json.dumps(answers)


def sends_conditional_requests(block: Block, home: Path) -> None:
    assert query(block, home) == "304\n"


def submits(block: Block, home: Path) -> None:
    """A request whose records the server stores."""
    with serving(home) as server:
        assert json.loads(bash(on_port(block.text, server.port), home)) == {"stored": 1, "known": 0}


def ingestion_answer(block: Block, home: Path) -> None:
    """The server's answer to a similar request is the one on the page."""
    wanted = json.loads(block.text)
    records = [{"skill_name": "x", "session_id": "s", "completed": True} for _ in range(wanted.get("index", 0) + 1)]
    if "field" in wanted:
        records[-1][wanted["field"]] = -1
    with serving(home) as server:
        request = urllib.request.Request(
            f"http://localhost:{server.port}/api/v1/invocations",
            json.dumps(records).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            assert json.load(answer) == wanted


def scrape_config(block: Block, home: Path) -> None:
    """Each target of the Prometheus configuration exports metrics at the default path."""
    targets = [
        target
        for job in yaml.safe_load(block.text)["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert targets
    with serving(home) as server:
        for target in targets:
            with urllib.request.urlopen(f"http://{on_port(target, server.port)}/metrics", timeout=10) as response:
                assert b"skill_invocations_total{" in response.read()


def nginx(home: Path, server: str, http: str = "") -> Nginx:
    """nginx with these directives in its server block and in its http block."""
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    config = (
        f"{user}pid {home}/nginx.pid;\nevents {{}}\nhttp {{\n  access_log off;\n  include {home}/conf.d/*.conf;\n"
        f"{http}\n  server {{\n    listen 127.0.0.1:{port};\n{server}\n  }}\n}}\n"
    )
    return Nginx(home, config, port)


async def reverse_proxy(block: Block, home: Path) -> None:
    """nginx accepts the block; a client and a page of the public name reach the server through it, others do not."""
    with (
        serving(home, "--behind-proxy", "--allow-host", "your-host") as server,
        nginx(home, on_port(block.text, server.port)) as proxy,
    ):
        async with Client(f"ws://127.0.0.1:{proxy.port}/ws", open_timeout=30) as client:
            await client.receive_type("metrics_update")
            assert (await client.ask({"type": "ping", "request_id": "x"})) == {"type": "pong", "request_id": "x"}
        public = {"host": "127.0.0.1", "port": proxy.port}
        async with Client("ws://your-host/ws", **public, origin="http://your-host") as client:
            await client.receive_type("metrics_update")
        for url, origin in (("ws://your-host/ws", "http://evil.example"), ("ws://other-host/ws", None)):
            with pytest.raises(websockets.InvalidStatus, match="403"):
                await websockets.connect(url, **public, origin=origin)


def location_below_a_path(block: Block, home: Path) -> None:
    """nginx accepts the block instead of its locations, and serves everything below the path."""
    with serving(home) as server:
        upstream = f"  upstream session_buddy {{ server 127.0.0.1:{server.port}; }}"
        with nginx(home, f"    proxy_set_header Host localhost;\n{block.text}", upstream) as proxy:
            for path in ("", "assets/app.js", "api/v1/skills"):
                with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/skills/{path}", timeout=30) as answer:
                    assert answer.status == 200
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/", timeout=30)
