"""Runs every code block of the documentation. PLAN says how; a block that is not in it fails a test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import pytest
import websockets
import yaml

from session_buddy.notify.body import Body
from session_buddy.notify.episodes import Event
from support import tools
from support.histories import fill, invocations
from support.markdown import Block, blocks
from support.paths import JS, ROOT, SCHEMAS
from support.processes import Program, Server
from support.reverse_proxy import Nginx, free_port
from support.schemas import Client, documents, validated
from support.tokens import write_secret

EVENT = Event("1", "started", "WARNING", "mypy", "performance_drop", 0.9, 0.5, 2.7, *["2026-02-10T12:00:00Z"] * 2)

Runner = Callable[[Block, Path], object]


def environment(home: Path) -> dict[str, str]:
    """The environment of a shell in a new home folder, with this interpreter's programs first on PATH."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SESSION_BUDDY_", "CLAUDE_"))
    }
    return {**kept, "HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def on_port(text: str, port: int) -> str:
    return text.replace("8765", str(port))


@contextlib.contextmanager
def serving(home: Path, *options: str) -> Iterator[Server]:
    path = home / "served.db"
    fill(path, invocations("pytest-run", 8, completed=7), invocations("ruff-check", 3))
    with Server(path, *options) as server:
        yield server


def bash(script: str, home: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def python(script: str, home: Path) -> str:
    """Output of a program, which must exit with 0 and log nothing above INFO: an exception in a callback is logged."""
    file = home / "snippet.py"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(file)],
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    warnings = [line for line in done.stderr.splitlines() if not line.startswith(("DEBUG ", "INFO "))]
    assert (done.returncode, warnings) == (0, []), f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# ---- Runners of a block


def drawing(block: Block, home: Path) -> None:
    """A drawing: nothing to run."""
    assert block.language == "text"


def make_target(block: Block, home: Path) -> None:
    """The target exists, and make knows its dependencies."""
    (command,) = block.text.splitlines()
    target = re.fullmatch(r"make ([a-z-]+)", command)
    assert target, command
    database = subprocess.run(
        ["make", "-C", str(ROOT), "--print-data-base", "--question", "help"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert re.search(rf"^{target[1]}:", database, re.MULTILINE), f"make has no target {target[1]}"


def cmake_presets(block: Block, home: Path) -> None:
    """Each preset exists for the step in which it is used. (`make asan` builds with presets.)"""
    for command in block.text.splitlines():
        match = re.fullmatch(r"(cmake|cmake --build|ctest) --preset (\w+)", command)
        assert match, command
        step = {"cmake": "configure", "cmake --build": "build", "ctest": "test"}[match[1]]
        listed = subprocess.run(
            ["cmake", f"--list-presets={step}"],
            cwd=ROOT,
            env=environment(home),
            capture_output=True,
            text=True,
            check=True,
        )
        assert f'"{match[2]}"' in listed.stdout


def shell_without_server(block: Block, home: Path) -> str:
    """Without a server, in an empty home."""
    return bash(block.text, home)


def shell_records(block: Block, home: Path) -> None:
    """Records into the database in the home folder: one row for each command."""
    bash(block.text, home)
    (database,) = home.rglob("skills.db")
    assert rows_in(database) == len(re.findall(r"^(?:session-buddy record|recorded )", block.text, re.MULTILINE))


def shell_prunes(block: Block, home: Path) -> None:
    """Deletes only the old rows from the database in the home folder."""
    old = datetime.now(timezone.utc) - timedelta(days=100)
    path = home / ".session-buddy" / "skills.db"
    path.parent.mkdir()
    fill(path, invocations("pytest-run", 8, newest=old), invocations("pytest-run", 3))
    assert "Deleted 8 invocations" in bash(block.text, home)
    assert rows_in(path) == 3


def shell_corrects(block: Block, home: Path) -> None:
    """Corrects rows; a dry run changes nothing."""
    path = home / ".session-buddy" / "skills.db"
    path.parent.mkdir()
    fill(path, invocations("pytset-run", 4))
    assert [line.split(" in ")[0] for line in bash(block.text, home).splitlines()] == [
        "Renamed 4 invocations of pytset-run to pytest-run",
        "Forgot invocation 3 of pytest-run",
        "Would forget 3 invocations of pytest-run",
    ]
    assert rows_in(path) == 3


def shell_runs(block: Block, home: Path) -> None:
    """Wraps commands, with stand-ins that print their command line. Each one is stored as a completed row."""
    commands = [line.split(" -- ")[1] for line in block.text.splitlines() if line.startswith("session-buddy run ")]
    (home / "bin").mkdir()
    for command in commands:
        stand_in = home / "bin" / command.split()[0]
        if not stand_in.exists() and stand_in.name != "sh":
            stand_in.write_text('#!/bin/sh\necho called as "${0##*/}" "$@"\n', encoding="utf-8")
            stand_in.chmod(0o755)
    output = bash(f"PATH=$PWD/bin:$PATH\n{block.text}", home)
    assert output.splitlines() == [f"called as {command}" for command in commands if not command.startswith("sh ")]
    (database,) = home.rglob("skills.db")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT completed FROM skill_invocation").fetchall() == [(1,)] * len(commands)


def shell_with_server(block: Block, home: Path) -> None:
    with serving(home) as server:
        bash(on_port(block.text, server.port), home)


def query(block: Block, home: Path) -> str:
    """Output of commands that send requests to a server; an HTTP error fails them."""
    with serving(home) as server:
        return bash(on_port(block.text, server.port).replace("curl -sS", "curl -sS --fail"), home)


def shell_queries(block: Block, home: Path) -> None:
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


def shell_sends_conditional_requests(block: Block, home: Path) -> None:
    assert query(block, home) == "304\n"


def problem(block: Block, home: Path) -> None:
    """An HTTP error that its schema validates."""
    jsonschema.validate(json.loads(block.text), documents()[SCHEMAS / "http" / "http_error.json"])


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


def shell_serves(block: Block, home: Path) -> None:
    """A server in the foreground: it listens, serves, and exits on Ctrl-C with status 0."""
    port = free_port()
    program = Program(["bash", "-c", f"exec {on_port(block.text, port).strip()}"], cwd=home, env=environment(home))
    with program:
        program.wait_for("listening on")
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=10) as response:
            assert json.load(response)["status"] == "ok"
        assert program.stop(signal.SIGINT) == 0


def shell_serves_tls(block: Block, home: Path) -> None:
    """The same over TLS, with the certificate that the block creates."""
    port = free_port()
    script = on_port(block.text, port).replace("session-buddy serve", "exec session-buddy serve")
    program = Program(["bash", "-ec", script], cwd=home, env=environment(home))
    with program:
        program.wait_for(f"listening on wss://127.0.0.1:{port}")
        context = ssl.create_default_context(cafile=str(home / "cert.pem"))
        with urllib.request.urlopen(f"https://localhost:{port}/healthz", context=context, timeout=10) as response:
            assert json.load(response)["status"] == "ok"
        assert program.stop(signal.SIGINT) == 0


TOKEN = "5f0c8b1f7e9d4a26b3c8d7e6f5a49382"  # of the examples


def status_with(token: str, port: int) -> int:
    """Status of an HTTP request with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"http://localhost:{port}/healthz", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def shell_serves_tokens(block: Block, home: Path) -> None:
    """A server that requires the token that the block creates."""
    port = free_port()
    script = on_port(block.text, port).replace("session-buddy serve", "exec session-buddy serve")
    with Program(["bash", "-ec", script], cwd=home, env=environment(home)) as program:
        program.wait_for(f"listening on ws://127.0.0.1:{port}")
        assert status_with((home / "tokens").read_text().strip(), port) == 200
        assert status_with(TOKEN, port) == 401
        assert program.stop(signal.SIGINT) == 0


def token_file(block: Block, home: Path) -> None:
    """A token file that authenticates the token, and the token "secret" by its digest."""
    file = write_secret(home / "tokens", block.text)
    with serving(home, "--auth-token-file", str(file)) as server:
        assert [status_with(token, server.port) for token in (TOKEN, "secret", "other")] == [200, 200, 401]


def write_session(home: Path) -> None:
    """Writes a transcript with one tool use into the default folder."""
    folder = home / ".claude" / "projects" / "example"
    folder.mkdir(parents=True)
    use = {"type": "tool_use", "id": "toolu_01", "name": "Read", "input": {"file_path": "a.py"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_01", "content": "text"}
    lines = [
        {
            "type": "assistant",
            "timestamp": "2026-02-10T12:00:00.000Z",
            "sessionId": "s1",
            "uuid": "u1",
            "message": {"role": "assistant", "content": [use]},
        },
        {
            "type": "user",
            "timestamp": "2026-02-10T12:00:01.500Z",
            "sessionId": "s1",
            "uuid": "u2",
            "parentUuid": "u1",
            "message": {"role": "user", "content": [result]},
        },
    ]
    (folder / "s1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def shell_imports(block: Block, home: Path) -> None:
    """Imports transcripts from the home folder, twice."""
    write_session(home)
    for _ in range(2):
        bash(block.text, home)
    (database,) = home.rglob("skills.db")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT skill_name, completed, duration_seconds FROM skill_invocation").fetchall()
    assert rows == [("Read", 1, 1.5)]


def shell_registers_hooks(block: Block, home: Path) -> None:
    """Installs hooks in the settings of the home folder and removes them again, with the settings file."""
    program = home / "bin" / "session-buddy-hook"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    output = bash(f"PATH={program.parent}:$PATH\n{block.text}", home)
    settings = home / ".claude" / "settings.json"
    assert not settings.exists()
    assert output.count(f"Installed in {settings}\n") == 2
    assert len(list(settings.parent.glob("settings.json.*.bak"))) == 1


def shell_installs_a_hook(block: Block, home: Path) -> None:
    """The settings in the home folder name the hook program or the server."""
    bash(block.text, home)
    settings = (home / ".claude" / "settings.json").read_text(encoding="utf-8")
    assert "session-buddy-hook" in settings or "/hooks/claude-code" in settings


def shell_runs_a_hook(block: Block, home: Path) -> None:
    """Stores one event as one row, without output."""
    assert bash(block.text, home) == ""
    assert rows_in(home / "skills.db") == 1


def shell_submits(block: Block, home: Path) -> None:
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


def shell_watches(block: Block, home: Path) -> None:
    """Follows the transcripts in the home folder and exits on Ctrl-C with status 0."""
    write_session(home)
    with Program(["bash", "-c", f"exec {block.text.strip()}"], cwd=home, env=environment(home)) as program:
        program.wait_for("^hooks saw 0 of 1, 1 recovered$")
        assert program.stop(signal.SIGINT) == 0


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
    bash(f"{sys.executable} -m pytest -q -p no:cacheprovider .", home)
    with contextlib.closing(sqlite3.connect(home / "skills.db")) as connection:
        rows = connection.execute("SELECT skill_name, completed, duration_seconds FROM skill_invocation").fetchall()
    assert [row[:2] for row in rows] == [("pytest-run", 1)]
    assert 0 < rows[0][2] < 60


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


def message(block: Block, home: Path) -> None:
    """A message, of either direction, that its schema validates."""
    validated(block.text)


def notification(block: Block, home: Path) -> None:
    """An event in the format of the notifier."""
    data = json.loads(block.text)
    assert Event.from_dict(data).as_dict() == data


def notification_template(block: Block, home: Path) -> None:
    """A template that the notifier accepts, applied to an event."""
    assert "mypy: performance_drop" in json.loads(Body(block.text)(EVENT))["text"]


def settings(block: Block, home: Path) -> None:
    """A config file that the server reads; every key has an effect."""
    file = home / "config.toml"
    file.write_text(block.text, encoding="utf-8")
    shown = bash(f"python -m session_buddy.websocket_server --config {file} --print-config", home)
    for key in re.findall(r"^(\w+) =", block.text, re.MULTILINE):
        (line,) = [line for line in shown.splitlines() if re.match(rf"#?\s*{key} =", line)]
        assert "config.toml" in line, line


def statements(block: Block, home: Path) -> None:
    """SQL on a new database; the last statement returns rows."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        *first, last = [text for text in block.text.split(";") if text.strip()]
        for text in first:
            connection.execute(text)
        assert connection.execute(last).fetchall()


def rows_in(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute("SELECT COUNT(*) FROM skill_invocation").fetchone()[0]
        return count


def insertion(block: Block, home: Path) -> None:
    """SQL that adds a row to a new database."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(block.text)
        connection.commit()
    assert rows_in(path) == 2


def python_inserts(block: Block, home: Path) -> None:
    """A program that adds rows to the skills.db in its folder."""
    path = home / "skills.db"
    fill(path, invocations("mypy", 1))
    python(block.text, home)
    assert rows_in(path) > 1


async def reverse_proxy(block: Block, home: Path) -> None:
    """nginx accepts the block; a client and a page of the public name reach the server through it, others do not."""
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    with serving(home, "--behind-proxy", "--allow-host", "your-host") as server:
        config = (
            f"{user}pid {home}/nginx.pid;\nevents {{}}\n"
            f"http {{\n  access_log off;\n  include {home}/conf.d/*.conf;\n  server {{\n    listen 127.0.0.1:{port};\n"
            f"{on_port(block.text, server.port)}\n  }}\n}}\n"
        )
        with Nginx(home, config, port):
            async with Client(f"ws://127.0.0.1:{port}/ws", open_timeout=30) as client:
                await client.receive_type("metrics_update")
                assert (await client.ask({"type": "ping", "request_id": "x"})) == {"type": "pong", "request_id": "x"}
            public = {"host": "127.0.0.1", "port": port}
            async with Client("ws://your-host/ws", **public, origin="http://your-host") as client:
                await client.receive_type("metrics_update")
            for url, origin in (("ws://your-host/ws", "http://evil.example"), ("ws://other-host/ws", None)):
                with pytest.raises(websockets.InvalidStatus, match="403"):
                    await websockets.connect(url, **public, origin=origin)


def location_below_a_path(block: Block, home: Path) -> None:
    """nginx accepts the block instead of its locations, and serves everything below the path."""
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    with serving(home) as server:
        config = (
            f"{user}pid {home}/nginx.pid;\nevents {{}}\n"
            f"http {{\n  access_log off;\n  include {home}/conf.d/*.conf;\n"
            f"  upstream session_buddy {{ server 127.0.0.1:{server.port}; }}\n"
            f"  server {{\n    listen 127.0.0.1:{port};\n    proxy_set_header Host localhost;\n{block.text}\n  }}\n}}\n"
        )
        with Nginx(home, config, port):
            for path in ("", "assets/app.js", "api/v1/skills"):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/skills/{path}", timeout=30) as answer:
                    assert answer.status == 200
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)


def shell_with_promtool(block: Block, home: Path) -> None:
    """Runs in a copy of the files that the block names."""
    folder = home / "docs" / "monitoring"
    shutil.copytree(ROOT / "docs" / "monitoring", folder)
    assert "SUCCESS" in bash(f"PATH={Path(tools.promtool()).parent}:$PATH\n{block.text}", home)


def alertmanager_config(block: Block, home: Path) -> None:
    """Alertmanager accepts the configuration and sends critical alerts to the receiver."""
    file = home / "alertmanager.yml"
    file.write_text(block.text, encoding="utf-8")
    output = bash(f"{tools.amtool()} check-config {file}", home)
    assert "SUCCESS" in output
    assert "1 inhibit rules" in output
    assert "mail" in bash(f"{tools.amtool()} config routes test --config.file={file} severity=critical", home)


def grafana_provisioning(block: Block, home: Path) -> None:
    """YAML with the keys that Grafana requires."""
    settings = yaml.safe_load(block.text)
    assert settings["apiVersion"] == 1
    (entry,) = settings.get("providers") or settings["datasources"]
    assert {"name", "type"} <= set(entry)


# ---- The runner of each block, in the order of the page

PLAN: dict[str, list[tuple[str, Runner]]] = {
    "CHANGELOG.md": [],
    "CONTRIBUTING.md": [("bash", cmake_presets)],
    "README.md": [
        ("text", drawing),
        ("bash", make_target),
        ("bash", make_target),
        ("bash", shell_records),
        ("bash", shell_serves),
    ],
    "docs/README.md": [],
    "docs/api/HTTP_API.md": [("bash", shell_queries), ("bash", shell_sends_conditional_requests), ("json", problem)],
    "docs/api/PROMETHEUS.md": [("yaml", scrape_config), *[("bash", shell_with_server)] * 2],
    "docs/api/WEBSOCKET_API.md": [
        ("javascript", node_client),
        ("python", python_client),
        *[("json", message)] * 23,
        ("javascript", node_client_reconnects),
        ("bash", shell_serves_tls),
        ("bash", shell_serves_tokens),
        ("text", token_file),
        ("javascript", node_client_with_token),
        ("python", python_client_with_token),
        ("nginx", reverse_proxy),
        ("bash", shell_with_server),
        ("python", python_without_server),
    ],
    "docs/explanation/anomaly-calibration.md": [],
    "docs/explanation/anomaly-detection.md": [],
    "docs/explanation/architecture.md": [("text", drawing), ("text", drawing), ("text", drawing)],
    "docs/explanation/performance.md": [("bash", make_target)],
    "docs/explanation/reliability.md": [],
    "docs/explanation/security.md": [],
    "docs/getting-started.md": [
        ("bash", make_target),
        ("bash", make_target),
        ("bash", shell_records),
        ("bash", shell_serves),
        ("python", python_client),
        ("javascript", node_script),
    ],
    "docs/glossary.md": [],
    "docs/how-to/alerts.md": [
        ("bash", shell_with_server),
        ("json", notification),
        ("json", notification_template),
    ],
    "docs/how-to/clients.md": [
        ("python", python_client),
        ("python", python_client),
        ("bash", shell_with_server),
    ],
    "docs/how-to/dashboard.md": [],
    "docs/how-to/deployment.md": [("nginx", location_below_a_path)],
    "docs/how-to/embedding.md": [("python", python_without_server)],
    "docs/how-to/grafana.md": [("yaml", grafana_provisioning), ("yaml", grafana_provisioning)],
    "docs/how-to/hooks.md": [
        ("bash", shell_registers_hooks),
        ("bash", shell_installs_a_hook),
        ("bash", shell_runs_a_hook),
        ("bash", shell_installs_a_hook),
    ],
    "docs/how-to/maintenance.md": [("bash", shell_prunes), ("bash", shell_corrects)],
    "docs/how-to/prometheus.md": [
        ("bash", shell_with_promtool),
        ("yaml", alertmanager_config),
        ("python", python_without_server),
    ],
    "docs/how-to/recording.md": [("bash", shell_records), ("bash", shell_runs), ("python", python_without_server)],
    "docs/how-to/transcripts.md": [("bash", shell_imports), ("bash", shell_watches)],
    "docs/integrations/CRACKERJACK.md": [
        ("bash", shell_runs),
        ("bash", shell_runs),
        ("python", python_without_server),
        ("python", python_conftest),
        ("bash", shell_records),
        ("sql", statements),
    ],
    "docs/reference/command-line.md": [],
    "docs/reference/configuration.md": [("toml", settings)],
    "docs/reference/dependencies.md": [],
    "docs/reference/ingestion.md": [
        ("bash", shell_submits),
        ("json", ingestion_answer),
        ("json", ingestion_answer),
    ],
    "docs/storage/V4_SCHEMA.md": [("sql", insertion), ("python", python_inserts)],
}

STEPS = [(name, index, runner) for name, steps in PLAN.items() for index, (_, runner) in enumerate(steps)]


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_page_has_a_plan() -> None:
    assert [page.relative_to(ROOT).as_posix() for page in pages()] == sorted(PLAN, key=lambda name: ("/" in name, name))


@pytest.mark.parametrize("name", PLAN)
def test_every_block_is_in_the_plan(name: str) -> None:
    found = [f"line {block.line}: {block.language}" for block in blocks(ROOT / name)]
    assert [entry.split(": ")[1] for entry in found] == [language for language, _ in PLAN[name]], found


@pytest.mark.parametrize(
    ("name", "index", "runner"), STEPS, ids=[f"{name}-{index}-{runner.__name__}" for name, index, runner in STEPS]
)
async def test_block(name: str, index: int, runner: Runner, tmp_path: Path) -> None:
    result = runner(blocks(ROOT / name)[index], tmp_path)
    if result is not None and hasattr(result, "__await__"):
        await result


def test_a_program_whose_callback_fails_or_whose_event_never_comes_fails(tmp_path: Path) -> None:
    (example,) = [
        block.text for block in blocks(ROOT / "docs" / "how-to" / "embedding.md") if block.language == "python"
    ]
    with pytest.raises(AssertionError, match="KeyError: 'nosuch'"):
        python(example.replace('snapshot["data"]', 'snapshot["nosuch"]').replace("timeout=30", "timeout=1"), tmp_path)
    with pytest.raises(AssertionError, match="TimeoutError"):
        python(example.replace("seen.set()", "pass").replace("timeout=30", "timeout=1"), tmp_path)


def test_the_readme_of_the_package_has_no_relative_link_or_picture_and_every_code_block() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatch_fancy_pypi_readme"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    assert code.findall(done.stdout) == code.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", code.sub("", done.stdout))
    assert [target for target in targets if not target.startswith(("http://", "https://"))] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    def anchor(title: str) -> str:
        return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")

    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, fragment = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), f"{page.name}: {target}"
        if fragment:
            titles = re.findall(r"^#{1,6} +(.+?)\s*$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert fragment in {anchor(title) for title in titles}, f"{page.name}: {target}"
