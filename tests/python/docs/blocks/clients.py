"""Programs in Python and JavaScript."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from docs.blocks.running import TOKEN, bash, on_port, python, rows_in, serving
from support import tools
from support.histories import fill, invocations
from support.markdown import Block
from support.paths import JS, ROOT
from support.processes import Program, Server
from support.schemas import validated
from support.tokens import write_secret


def python_client(block: Block, home: Path) -> None:
    """A client that exits and prints something."""
    with serving(home) as server:
        assert python(on_port(block.text, server.port), home)


def python_client_with_token(block: Block, home: Path) -> None:
    """The same, with a server that requires a token."""
    file = write_secret(home / "tokens", TOKEN)
    with serving(home, "--auth-token-file", str(file)) as server:
        assert python(on_port(block.text, server.port), home)


def python_without_server(block: Block, home: Path) -> None:
    """A program that needs no server, exits and prints something."""
    assert python(block.text, home)


def python_conftest(block: Block, home: Path) -> None:
    """A conftest.py: pytest runs with it, and the run is stored in the database."""
    (home / "conftest.py").write_text(block.text, encoding="utf-8")
    (home / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    bash(f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {sys.executable} -m pytest -q -p no:cacheprovider .", home)
    with contextlib.closing(sqlite3.connect(home / "skills.db")) as connection:
        rows = connection.execute("SELECT skill_name, completed, duration_seconds FROM skill_invocation").fetchall()
    assert [row[:2] for row in rows] == [("pytest-run", 1)]
    assert 0 < rows[0][2] < 60


def python_inserts(block: Block, home: Path) -> None:
    """A program that adds rows to the skills.db in its folder."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    python(block.text, home)
    assert rows_in(path) > 1


def node_client(block: Block, home: Path) -> None:
    """A client that keeps running: it receives two updates, and nothing fails."""
    script = home / "snippet.js"
    with serving(home) as server:
        script.write_text(on_port(block.text, server.port), encoding="utf-8")
        with Program([tools.node(), str(JS / "harness.mjs"), str(script)]) as program:
            updates = 0
            while updates < 2:
                message = validated(program.wait_for("^@message ").removeprefix("@message "))
                updates += message["type"] == "metrics_update"
            assert program.process.poll() is None


def node_script(block: Block, home: Path) -> None:
    """A complete program: unchanged if Node has a built-in WebSocket, else with the package ws, as the page says."""
    line = "import WebSocket from 'ws';"
    assert line in (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    (home / "node_modules").symlink_to(JS / "node_modules")
    script = home / "snippet.mjs"
    version = subprocess.run([tools.node(), "--version"], capture_output=True, text=True, check=True).stdout
    lines = [] if int(version.removeprefix("v").split(".")[0]) >= 22 else [line]
    with serving(home) as server:
        script.write_text("\n".join([*lines, on_port(block.text, server.port)]), encoding="utf-8")
        with Program([tools.node(), str(script)]) as program:
            program.wait_for("pytest-run")
            assert program.process.poll() is None


def node_client_with_token(block: Block, home: Path) -> None:
    """A client that a server authenticates by its token, and that another server rejects with a reason."""
    script = home / "snippet.js"
    for token, line in ((TOKEN, "^@message "), (TOKEN[::-1], "^rejected: The token is not valid")):
        file = write_secret(home / "tokens", token)
        with serving(home, "--auth-token-file", str(file)) as server:
            script.write_text(on_port(block.text, server.port), encoding="utf-8")
            with Program([tools.node(), str(JS / "harness.mjs"), str(script)]) as program:
                program.wait_for(line)


def node_client_reconnects(block: Block, home: Path) -> None:
    """The same, and it reconnects after a restart of the server."""
    script = home / "snippet.js"
    with serving(home) as server:
        script.write_text(on_port(block.text, server.port), encoding="utf-8")
        with Program([tools.node(), str(JS / "harness.mjs"), str(script)]) as program:
            program.wait_for("^@message ")
            server.stop()
            program.wait_for("^@close 1001$")
            with Server(server.db_path, port=server.port):
                program.wait_for("^@message ")
