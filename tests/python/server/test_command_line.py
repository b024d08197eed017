"""The server from a shell: the same options, help, output and exit statuses for every entry point."""

from __future__ import annotations

import collections
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import websockets.sync.client as websocket_client

import session_buddy
from session_buddy import _native
from support.processes import ServerProcess, entry_points


def run(command: list[str], *arguments: str) -> tuple[int, str, str]:
    with ServerProcess([*command, *arguments]) as process:
        return process.finish()


def test_help_is_the_same_everywhere_but_for_the_name_that_was_typed() -> None:
    texts = {name: subprocess.check_output([*command, "--help"]).decode() for name, command in entry_points().items()}
    names = {name: text.splitlines()[0] for name, text in texts.items()}
    assert names.pop("session-buddy serve") == "Usage: session-buddy serve [OPTIONS]"
    assert set(names.values()) == {"Usage: session-buddy-server [OPTIONS]"}
    assert len({text.partition("\n")[2] for text in texts.values()}) == 1, texts.keys()
    text = texts["binary"]
    for served in ("WebSocket", "dashboard", "HTTP API", "/metrics"):
        assert served in text
    for option in _native.options():
        # A secret is shown as the variable that sets it.
        shown = option["variable"] if option["kind"] == "secret" else option["flag"]
        assert re.search(rf"^  {shown}\b", text, re.MULTILINE), shown
    for flag in ("--config", "--print-config", "--version", "--help"):
        assert flag in text
    assert max(map(len, text.splitlines())) <= 100
    for line in text.splitlines():  # the placeholder of an option is separated from its description
        if re.match(r"  (-|SESSION_)", line):
            assert re.match(r"  (-h, )?\S+( (N|FILE|TEXT|TIME|LIST|WORD))?(  |$)", line), line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(server_command: list[str], number: signal.Signals, db_path: Path) -> None:
    with ServerProcess([*server_command, "--port", "0", "--db-path", str(db_path)]) as process:
        ports = process.wait_until_listening()
        assert process.line == f"listening on ws://127.0.0.1:{ports[0]} ws://[::1]:{ports[0]}\n"
        with websocket_client.connect(f"ws://127.0.0.1:{ports[0]}") as client:
            client.recv(timeout=20)
            process.signal(number)
            collections.deque(client, maxlen=0)  # receives until the server closes
            assert client.close_code == 1001
        status, output, errors = process.finish()
    assert status == 0, errors
    assert output == ""
    assert "Traceback" not in errors


def test_a_second_signal_does_not_wait(server_command: list[str], db_path: Path) -> None:
    """A client that never answers the close frame would delay the shutdown for a minute."""
    arguments = ["--port", "0", "--db-path", str(db_path), "--shutdown-timeout", "60"]
    with ServerProcess([*server_command, *arguments]) as process:
        port = process.wait_until_listening()[0]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            stream = client.makefile("rb")
            assert b"101" in stream.readline()
            process.signal(signal.SIGINT)
            # When no new connection is accepted the shutdown has begun: the first signal has arrived.
            while not rejects(port):
                pass
            process.signal(signal.SIGINT)
            status, _, _ = process.finish()
    assert status == 128 + signal.SIGINT


def rejects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prot", "1"], "unknown option --prot; did you mean --port?"),
        (["--colour=blue"], "unknown option --colour; --help lists them"),
        (["stray"], "unexpected argument 'stray'"),
        (["--port"], "--port"),
        (["--port", "http"], "--port must be an integer from 0 to 65535, not 'http'"),
        (["--port=70000"], "--port must be an integer from 0 to 65535, not 70000"),
        (["--update-interval", "0"], "--update-interval must be from 0.01 to 3600 seconds, not '0'"),
        (["--host", ""], "--host must be a non-empty string"),
        (["--replace-triggers=perhaps"], "--replace-triggers must be true or false, not 'perhaps'"),
        (["--ping-timeout", "5"], "ping_timeout must be more than ping_interval (20 seconds), not 5"),
        (["--config", "/nowhere.toml"], "cannot read the config file /nowhere.toml: No such file or directory"),
        (["--db-path", ":memory:"], "--db-path must be the path of a file, not ':memory:'"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(server_command: list[str], arguments: list[str], message: str) -> None:
    status, output, errors = run(server_command, *arguments)
    assert status == 2
    assert output == ""
    assert errors.startswith("session-buddy-server: error: ")
    assert message in errors
    assert errors.count("\n") == 1


def test_a_taken_port_is_status_1_and_one_line(server_command: list[str], db_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output, errors = run(
            server_command, "--host", "127.0.0.1", "--port", str(port), "--db-path", str(db_path), "--log-level", "off"
        )
    assert (status, output) == (1, "")
    assert errors == (
        f"session-buddy-server: error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop the other program or choose another port with --port\n"
    )


def test_an_unusable_database_is_status_1_and_one_line(server_command: list[str], db_path: Path) -> None:
    db_path.write_bytes(b"no database at all, certainly not one of SQLite" * 50)
    status, output, errors = run(server_command, "--port", "0", "--db-path", str(db_path), "--log-level", "off")
    assert (status, output) == (1, "")
    assert errors.startswith("session-buddy-server: error: ")
    assert str(db_path) in errors
    assert errors.count("\n") == 1


def test_version(server_command: list[str]) -> None:
    assert run(server_command, "--version") == (0, f"session-buddy-server {session_buddy.__version__}\n", "")


def test_help_wins_over_other_mistakes(server_command: list[str]) -> None:
    status, output, errors = run(server_command, "--nonsense", "-h")
    assert (status, errors) == (0, "")
    assert output.startswith("Usage: ")


def test_logs_go_to_stderr_at_the_level_asked_for(server_command: list[str], db_path: Path) -> None:
    arguments = [*server_command, "--port", "0", "--db-path", str(db_path), "--log-level", "debug"]
    with ServerProcess(arguments) as process:
        process.wait_until_listening()
        process.signal(signal.SIGTERM)
        status, output, errors = process.finish()
    assert (status, output) == (0, "")
    lines = errors.splitlines()
    assert lines
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (debug|info|warning|error) session_buddy\.\w+: ", line)


def test_python_gets_its_signal_handlers_back(db_path: Path) -> None:
    """Run in a separate process, because signal handlers belong to the process."""
    script = f"""
import os, signal, threading, time
from session_buddy.cli.serve import main
def mine(number, frame): raise SystemError("mine")
signal.signal(signal.SIGTERM, mine)
def stop_soon():
    while True:
        time.sleep(0.01)
        if len(os.listdir('/proc/self/task')) > 3:
            os.kill(os.getpid(), signal.SIGINT)
            return
threading.Thread(target=stop_soon).start()
assert main(["--port", "0", "--db-path", {str(db_path)!r}]) == 0
for number, kind in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemError)):
    try:
        os.kill(os.getpid(), number)
        time.sleep(10)
    except kind:
        print("mine again")
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("mine again\nmine again\n")
