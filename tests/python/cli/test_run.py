"""`session-buddy run`: the command is not affected, and the database gets one row without its arguments and output."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integrations.test_crackerjack import phases
from session_buddy.cli import main as cli
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import locked, rows
from support.processes import Program

RUN = [sys.executable, "-m", "session_buddy.cli.main", "run"]
PYTHON = [sys.executable, "-c"]

# Prints when it is ready and which signal came; then exits with 7.
SIGNAL_HANDLER = """
import os, signal, sys
def caught(number, frame):
    os.write(1, f"caught {signal.Signals(number).name}\\n".encode())  # print() is not reentrant
    sys.exit(7)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, caught)
print("ready", flush=True)
while True:
    signal.pause()
"""


def run(
    db_path: Path, *arguments: str, options: tuple[str, ...] = (), **keywords: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, "--db-path", str(db_path), *options, "--", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **keywords,
    )


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def make_tool(folder: Path, name: str, script: str = "exit 0") -> Path:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    tool.chmod(0o755)
    return tool


def test_input_output_and_status_are_those_of_the_command(db_path: Path) -> None:
    script = "import sys; print(sys.stdin.read()[::-1]); print('oops', file=sys.stderr); sys.exit(3)"
    done = run(db_path, *PYTHON, script, input="abc")
    assert (done.returncode, done.stdout, done.stderr) == (3, "cba\n", "oops\n")
    assert rows(db_path) == [(Path(sys.executable).name, 0, "exit_code")]


def test_arguments_reach_the_command_as_they_are(db_path: Path) -> None:
    arguments = ["--name", "", "a b", "$HOME", "--", "ü", "--db-path"]
    done = run(db_path, *PYTHON, "import sys; print(sys.argv[1:])", *arguments)
    assert done.stdout == f"{arguments}\n"


def test_bytes_that_are_not_text_reach_the_command_too(db_path: Path) -> None:
    script = b"import os, sys; print(os.fsencode(sys.argv[1]))"
    done = subprocess.run(
        [*RUN, "--db-path", str(db_path), "--", sys.executable, "-c", script, b"\xff\xfe"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"b'\\xff\\xfe'\n"
    assert rows(db_path, "completed") == [(1,)]


def test_the_row_says_when_it_began_and_how_long_it_took(db_path: Path) -> None:
    done = run(db_path, *PYTHON, "import time; print(time.time()); time.sleep(0.05); print(time.time())")
    first, last = map(float, done.stdout.split())
    ((began, seconds),) = rows(db_path, "(julianday(invoked_at) - 2440587.5) * 86400, duration_seconds")
    assert began <= first + 0.001
    assert seconds >= last - first
    assert seconds < 30


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["pytest", "-q"], "pytest-run"),
        (["ruff", "--quiet", "check", "."], "ruff-check"),
        (["sh", "-c", "cd / && mypy ."], "mypy"),
        (["env", "A=b c", "pytest", "it's"], "pytest-run"),
        (["./deploy", "now"], "deploy"),
        (["true"], "true"),
    ],
)
def test_a_known_tool_names_the_skill_and_any_other_its_program(
    db_path: Path, tools: Path, command: list[str], name: str
) -> None:
    for tool in ("pytest", "ruff", "mypy", "deploy"):
        make_tool(tools, tool)
    done = run(db_path, *command, cwd=tools)
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(db_path) == [(name, 1, None)]


def test_the_option_tools_adds_a_tool(db_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tools / "just"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("SESSION_BUDDY_TOOLS", "just test=just-test")
    assert run(db_path, "just", "test").returncode == 0
    monkeypatch.setenv("SESSION_BUDDY_TOOLS", "no rule")
    assert run(db_path, "just", "test").returncode == 0
    assert rows(db_path, "skill_name") == [("just-test",), ("just:test",)]


def test_options_name_skill_session_and_phase(db_path: Path) -> None:
    options = ("--name", "gate", "--session", "nightly", "--phase", "review")
    assert run(db_path, "true", options=options).returncode == 0
    columns = "skill_name, session_id, workflow_path, workflow_phase, workflow_step_id"
    assert rows(db_path, columns) == [("gate", "nightly", None, "review", None)]


@phases
def test_phases_of_crackerjack_become_phases_of_a_workflow(db_path: Path, phase: str, stored: str) -> None:
    assert run(db_path, "true", options=("--phase", phase)).returncode == 0
    columns = "session_id, workflow_path, workflow_phase, workflow_step_id"
    assert rows(db_path, columns) == [("shell", "crackerjack", stored, phase)]


def test_the_separator_may_be_left_out(db_path: Path) -> None:
    done = subprocess.run([*RUN, "--db-path", str(db_path), "sh", "-c", "exit 4"], timeout=60, check=False)
    assert done.returncode == 4
    assert rows(db_path) == [("sh", 0, "exit_code")]


def test_a_command_that_is_not_there_ends_with_127(db_path: Path) -> None:
    done = run(db_path, "no-such-command-4711")
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "session-buddy run: no-such-command-4711: command not found\n"
    assert rows(db_path) == [("no-such-command-4711", 0, "tool_error")]


def test_a_file_that_cannot_be_executed_ends_with_126(db_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("text", encoding="utf-8")
    done = run(db_path, str(file))
    assert (done.returncode, done.stderr) == (126, f"session-buddy run: {file}: Permission denied\n")
    assert rows(db_path) == [("data", 0, "tool_error")]


@pytest.mark.parametrize(
    ("number", "error_type"),
    [(signal.SIGTERM, "interrupted"), (signal.SIGINT, "interrupted"), (signal.SIGSEGV, "tool_error")],
)
def test_a_command_that_a_signal_killed_ends_with_128_and_its_number(
    db_path: Path, number: signal.Signals, error_type: str
) -> None:
    done = run(db_path, "sh", "-c", f"kill -{number.value} $$")
    assert (done.returncode, done.stderr) == (128 + number, "")
    assert rows(db_path) == [("sh", 0, error_type)]


@contextlib.contextmanager
def catching(db_path: Path) -> Iterator[Program]:
    with Program([*RUN, "--db-path", str(db_path), "--", *PYTHON, SIGNAL_HANDLER]) as program:
        program.wait_for("^ready$")
        yield program


@pytest.mark.parametrize(
    ("name", "error_type"),
    [
        ("SIGINT", "interrupted"),
        ("SIGTERM", "interrupted"),
        ("SIGHUP", "interrupted"),
        ("SIGQUIT", "interrupted"),
        ("SIGUSR1", "exit_code"),
        ("SIGUSR2", "exit_code"),
    ],
)
def test_signals_are_passed_on_and_the_invocation_is_stored(db_path: Path, name: str, error_type: str) -> None:
    with catching(db_path) as program:
        assert program.stop(signal.Signals[name]) == 7
        assert program.drain() == [f"caught {name}"]
    assert rows(db_path) == [(Path(sys.executable).name, 0, error_type)]


def test_signals_that_were_ignored_stay_ignored(db_path: Path) -> None:
    script = "import signal; print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)"
    words = [*RUN, "--db-path", str(db_path), "--", *PYTHON, script]
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "True\n"


def test_a_command_starts_with_no_signal_blocked_or_ignored(db_path: Path) -> None:
    done = run(db_path, "grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status")
    masks = {name: int(bits, 16) for name, bits in (line.split(":") for line in done.stdout.splitlines())}
    assert masks["SigBlk"] == 0
    assert masks["SigIgn"] & 0x7FFFFFFF == 0  # those above are reserved by the C library


# The child is a session leader with the pseudo-terminal as its terminal, as a shell in a window.
@contextlib.contextmanager
def in_terminal(words: list[str]) -> Iterator[tuple[int, int]]:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(words[0], words)
    try:
        yield pid, terminal
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        os.close(terminal)


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # how Linux reports that the other end is closed
            more = b""
        assert more, seen
        seen += more
    return seen


def test_ctrl_c_reaches_the_command_once(db_path: Path) -> None:
    counts = """
import os, signal, sys
seen = []
def interrupted(number, frame):
    seen.append(number)
    os.write(1, b"interrupted\\n")  # print() is not reentrant
def ended(number, frame):
    os.write(1, f"count {len(seen)}\\n".encode())
    sys.exit()
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGUSR1, ended)
print("ready", flush=True)
while True:
    signal.pause()
"""
    with in_terminal([*RUN, "--db-path", str(db_path), "--", *PYTHON, counts]) as (pid, terminal):
        read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        read_until(terminal, b"interrupted")
        os.kill(pid, signal.SIGUSR1)  # takes the same way as a second SIGINT would, after it
        read_until(terminal, b"count 1")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    assert rows(db_path, "completed") == [(1,)]


def test_the_command_has_the_terminal_and_leaves_it_usable(db_path: Path) -> None:
    asks = (
        "import os; print(os.isatty(0), os.isatty(1), os.tcgetpgrp(0) == os.getpgrp()); print('got', input('name? '))"
    )
    wrapped = " ".join(f"'{word}'" if word else "''" for word in [*RUN, "--db-path", str(db_path), "--", *PYTHON])
    script = f'{wrapped} "$1"; read -r line; echo "then $line"'
    with in_terminal(["/bin/sh", "-c", script, "sh", asks]) as (pid, terminal):
        assert b"True True True" in read_until(terminal, b"name? ")
        os.write(terminal, b"buddy\n")
        read_until(terminal, b"got buddy")
        os.write(terminal, b"there\n")
        read_until(terminal, b"then there")
        os.waitpid(pid, 0)
    assert rows(db_path, "completed") == [(1,)]


def test_ctrl_z_stops_both_and_the_shell_continues_both(
    db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    # The typed text, which the terminal echoes, does not contain what the command prints.
    program = tmp_path / "program.py"
    program.write_text(
        # Blocked and waited for: a handler would not run in an input() that begins after the signal came.
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})\n"
        "print('ready', flush=True)\n"
        "signal.sigwait({signal.SIGCONT})\n"
        "print('continued', flush=True)\n"
        "print('got', input(), flush=True)\n",
        encoding="utf-8",
    )
    words = " ".join(f"'{word}'" for word in [*RUN, "--db-path", str(db_path), "--", sys.executable, str(program)])
    with in_terminal(["/bin/bash", "--norc", "--noprofile", "-i"]) as (pid, terminal):
        os.write(terminal, f"{words}\n".encode())
        read_until(terminal, b"ready")
        os.write(terminal, b"\x1a")
        read_until(terminal, b"Stopped")
        os.write(terminal, b"fg\n")
        read_until(terminal, b"continued")
        os.write(terminal, b"after\n")
        read_until(terminal, b"got after")
        os.write(terminal, b"echo $((6 * 7)) is the answer\n")
        read_until(terminal, b"42 is the answer")
        os.write(terminal, b"exit\n")
        os.waitpid(pid, 0)
    assert rows(db_path, "completed") == [(1,)]


def test_a_broken_database_is_a_warning(db_path: Path) -> None:
    db_path.write_bytes(b"not a database" * 100)
    for command, status in ((["true"], 0), (["sh", "-c", "echo out; exit 5"], 5), (["no-such-command-4711"], 127)):
        done = run(db_path, *command)
        assert done.returncode == status
        assert "session-buddy run: warning: the invocation is not stored: " in done.stderr
        assert str(db_path) in done.stderr
    assert db_path.read_bytes() == b"not a database" * 100


def test_a_locked_database_is_a_warning(db_path: Path) -> None:
    SkillsStorage(db_path).close()
    with locked(db_path):
        done = run(db_path, "sh", "-c", "echo out; exit 5")
    assert (done.returncode, done.stdout) == (5, "out\n")
    assert "not stored" in done.stderr
    assert rows(db_path) == []


def test_settings_that_cannot_be_read_are_a_warning(isolated_environment: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("port = [", encoding="utf-8")
    done = subprocess.run(
        [*RUN, "--", "sh", "-c", "exit 5"],
        env={**os.environ, "SESSION_BUDDY_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5
    assert "not stored" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command"),
        (["--"], "no command"),
        (["--name", "", "--", "true"], "argument --name: must be 1 to 256 bytes"),
        (["--session", "", "--", "true"], "argument --session: must be 1 to 1024 bytes"),
        (["--phase", "", "--", "true"], "argument --phase: must be 1 to 1024 bytes"),
        (["--nmae", "x", "--", "true"], "unrecognized arguments: --nmae"),
    ],
)
def test_wrong_usage_runs_nothing(arguments: list[str], message: str) -> None:
    done = subprocess.run([*RUN, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert message in done.stderr


def test_no_word_of_the_command_is_stored_or_logged(db_path: Path) -> None:
    secret = "SECRET-4711"
    script = f"echo {secret}; echo {secret} >&2; cat >/dev/null; exit 1"
    done = run(db_path, "sh", "-c", script, secret, input=secret, env={**os.environ, "TOKEN": secret})
    assert done.stdout == f"{secret}\n"
    assert done.stderr == f"{secret}\n"
    assert rows(db_path) == [("sh", 0, "exit_code")]
    files = list(db_path.parent.iterdir())
    assert not [file for file in files if secret.encode() in file.read_bytes()]


def test_it_leaves_the_calling_process_unchanged(db_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert cli.main(["run", "--db-path", str(db_path), "--", "sh", "-c", "echo out; exit 3"]) == 3
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert capfd.readouterr().out == "out\n"


def test_it_notices_the_end_of_its_command_also_where_another_thread_takes_the_signal(db_path: Path) -> None:
    """A thread that does not block SIGCHLD may get it, and no code waits for it there."""
    over = threading.Event()
    others = [threading.Thread(target=over.wait) for _ in range(4)]
    for thread in others:
        thread.start()
    try:
        for _ in range(5):
            assert cli.main(["run", "--db-path", str(db_path), "--", "true"]) == 0
    finally:
        over.set()
        for thread in others:
            thread.join()
