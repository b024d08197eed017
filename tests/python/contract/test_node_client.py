"""Node's ws against a running server: tests/js/client.test.mjs, and its messages against the schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tools
from support.histories import fill, invocations
from support.paths import JS
from support.processes import Program, Server
from support.schemas import validated


@pytest.mark.parametrize("options", [(), ("--compression",)], ids=["plain", "compressed"])
def test_the_tests_in_javascript(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = tmp_path / "skills.db"
    fill(path, invocations("pytest-run", 8, completed=7), invocations("mypy", 2))
    command = [tools.node(), "--test", "--test-reporter=tap", str(JS / "client.test.mjs")]
    with (
        Server(path, "--ping-interval", "200ms", *options) as server,
        Program(command, env={"SERVER_URL": server.url}) as program,
    ):
        lines = program.drain()
        status = program.process.wait()
    assert status == 0, "\n".join(lines)
    # Output of a test file comes as TAP comments.
    received = [validated(line.split("@message ", 1)[1]) for line in lines if "@message " in line]
    assert {message["type"] for message in received} >= {
        "metrics_update",
        "session_update",
        "subscription_confirmed",
        "sessions_subscribed",
        "metrics_response",
        "pong",
        "error",
    }
