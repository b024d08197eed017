"""Chromium against a running server: the examples of the API description inside a page, and pages of other origins."""

from __future__ import annotations

import http.server
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from support import contract
from support.browser import Events, opened
from support.histories import fill, invocations
from support.processes import Server, wait_until
from support.schemas import validated
from support.web import served

PAGE = """<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><link rel="icon" href="data:,"><title>Example</title></head>
  <body>
    <table id="skills"></table>
    <script>
      function updateTopSkillsTable(skills) {
        const table = document.getElementById('skills');
        table.replaceChildren(...skills.map((skill) => {
          const row = document.createElement('tr');
          row.textContent = `${skill.skill_name} ${skill.invocation_count}`;
          return row;
        }));
        console.log('table', table.textContent);
      }
      function highlightAnomalies(anomalies) { console.log('anomalies', JSON.stringify(anomalies)); }
      function sendAlert(alert) { console.log('alert', JSON.stringify(alert)); }
    </script>
    <script>
%s
    </script>
  </body>
</html>
"""


@contextmanager
def page_of(script: str) -> Iterator[str]:
    """The URL of a page with this script, on a free port of loopback."""

    class Serving(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (PAGE % script).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with served(Serving) as port:
        yield f"http://127.0.0.1:{port}/"


@contextmanager
def running(browser: Browser, code: str) -> Iterator[Events]:
    """A page with this script."""
    with page_of(code) as url, opened(browser, url) as events:
        yield events


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "skills.db"
    fill(path, invocations("pytest-run", 42, completed=38), invocations("mypy", 2))
    with Server(path) as server:
        yield server


def next_message(page: Events) -> dict[str, Any]:
    return validated(page.wait_for("^@message ").removeprefix("@message "))


def test_connecting(browser: Browser, server: Server) -> None:
    with running(browser, contract.code("Connecting to WebSocket Server", server.port)) as page:
        page.wait_for("^@console Connected to Session-Buddy WebSocket$")
        assert next_message(page)["data"]["top_skills"][0]["skill_name"] == "pytest-run"
        page.wait_for("^@console Received: ")
        server.stop()
        page.wait_for("^@console WebSocket connection closed$")


def test_live_dashboard(browser: Browser, server: Server) -> None:
    with running(browser, contract.code("Example 1: Live Dashboard", server.port)) as page:
        page.wait_for(r"^@console table pytest-run 42\s*mypy 2$")
        fill(server.db_path, invocations("ruff-check", 50))
        page.wait_for(r"^@console table ruff-check 50")


def test_alert_integration(browser: Browser, server: Server) -> None:
    fill(server.db_path, invocations("broken", 10, completed=5))
    with running(browser, contract.code("Example 3: Alert Integration", server.port)) as page:
        alert = json.loads(page.wait_for("^@console alert ").removeprefix("@console alert "))
        assert (alert["severity"], alert["skill"], alert["type"]) == ("WARNING", "broken", "performance_drop")


def test_reconnection(browser: Browser, server: Server) -> None:
    with running(browser, contract.code("Reconnection Logic", server.port)) as page:
        page.wait_for("^@console Connected$")
        assert server.stop(signal.SIGTERM) == 0
        page.wait_for(r"^@console Reconnecting\.\.\. \(1/5\)$")
        with Server(server.db_path, port=server.port):
            page.wait_for("^@console Connected$")


# With Authorization the browser sends a preflight request first.
USES_THE_SERVER = """
const host = `localhost:${location.search.slice(1)}`;
const socket = new WebSocket(`ws://${host}`);
socket.onopen = () => console.log('socket opened');
socket.onerror = () => console.log('socket failed');
fetch(`http://${host}/healthz`, { headers: { Authorization: 'Bearer x' } })
  .then((response) => response.json())
  .then((body) => console.log('read', body.status), () => console.log('not read'));
"""


@pytest.mark.parametrize("allowed", [False, True])
def test_another_origin_must_be_allowed(browser: Browser, tmp_path: Path, allowed: bool) -> None:
    with page_of(USES_THE_SERVER) as url:
        origin = url.replace("127.0.0.1", "evil.test").rstrip("/")
        with Server(tmp_path / "skills.db", *(["--allow-origin", origin] if allowed else [])) as server:
            with opened(browser, f"{origin}/?{server.port}") as page:
                outcomes = {page.wait_for("^@console (socket |read|not read)") for _ in range(2)}
            if allowed:
                assert outcomes == {"@console socket opened", "@console read ok"}
            else:
                assert outcomes == {"@console socket failed", "@console not read"}
                assert f"for its Origin '{origin}'" in server.wait_for("requests are rejected")


# Every name below localhost is loopback, and Chromium keeps up to six connections to each name open.
FILLS_THE_CONNECTIONS = """
for (let name = 0; name < 25; name++)
  for (let request = 0; request < 6; request++)
    fetch(`http://n${name}.localhost:${location.search.slice(1)}/healthz?${request}`, { cache: 'no-store' })
      .catch(() => console.log('rejected'));
"""


def test_a_page_of_another_origin_does_not_hold_the_connections_of_an_address(browser: Browser, tmp_path: Path) -> None:
    with (
        page_of(FILLS_THE_CONNECTIONS) as url,
        Server(tmp_path / "skills.db") as server,
        opened(browser, f"{url.replace('127.0.0.1', 'evil.test')}?{server.port}") as page,
    ):
        for _ in range(150):  # over max_clients_per_address
            page.wait_for("^@console rejected$")
        began = time.monotonic()
        wait_until(lambda: connects(f"ws://[::1]:{server.port}"), "another client connects", pause=0.1)
        assert time.monotonic() - began < 5.0


def connects(url: str) -> bool:
    try:
        with connect(url, open_timeout=2) as websocket:
            return bool(websocket.recv(timeout=2))
    except (OSError, WebSocketException):
        return False


@pytest.mark.parametrize("allowed", [False, True])
def test_a_rebound_name_must_be_allowed(browser: Browser, tmp_path: Path, allowed: bool) -> None:
    with Server(tmp_path / "skills.db", *(["--allow-host", "rebind.test"] if allowed else [])) as server:
        url = f"http://rebind.test:{server.port}/readyz"
        with opened(browser, url) as page:
            assert page.wait_for("^@response .*/readyz$") == f"@response {200 if allowed else 403} {url}"
