"""Output that cannot be written: a full disk behind a redirection, a closed pipe."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from session_buddy.storage.skills_storage import SkillsStorage
from support.processes import Server, entry_points, native_binary
from support.transcripts import result, use, write

PROGRAM = entry_points()["session-buddy serve"][0]


@pytest.fixture
def recorded(db_path: Path) -> Path:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("black", session_id="s", completed=True, duration_seconds=1.0)
    return db_path


def status_and_error(command: Sequence[str | Path], output: str) -> tuple[int, str]:
    # As in a shell: with PYTHONUNBUFFERED a failed write leaves nothing in the buffer that could fail a second time.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path(output).open("wb") as stream:
        done = subprocess.run(
            command, stdout=stream, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=environment
        )
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["record", "pytest-run"],
        ["import"],
        ["watch"],
        ["watch", "--json"],
        ["watch", "--once"],
        ["replay", "--speed", "1000"],
        ["backtest"],
        ["backtest", "--json"],
        ["prune", "--keep", "90d"],
        ["prune", "--keep", "90d", "--dry-run"],
        ["forget", "black"],
        ["rename", "black", "ruff"],
        ["demo", "--no-server", "--force", "--duration", "1"],
        ["hooks", "status"],
        ["serve", "--print-config"],
        ["serve", "--help"],
        ["record", "--help"],
        ["--help"],
        ["--version"],
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_one_line_and_status_1(
    recorded: Path, tmp_path: Path, arguments: list[str]
) -> None:
    if arguments[0] in ("import", "watch", "replay"):
        transcript = tmp_path / "projects" / "project" / "session-1.jsonl"
        write(transcript, use(1, "one", "Bash", command="pytest"), result(2, "one"))
        arguments = [*arguments, str(transcript)]
    database = [] if {"--help", "--version", "status"} & set(arguments) else ["--db-path", recorded]
    assert_one_line_and_status_1([*arguments, *database])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--once"], ["--once", "--json"]], ids=" ".join)
def test_a_view_that_cannot_be_written_is_one_line_and_status_1(recorded: Path, arguments: list[str]) -> None:
    with Server(recorded) as server:
        assert_one_line_and_status_1(["top", *arguments, "--url", f"ws://127.0.0.1:{server.port}"])


def assert_one_line_and_status_1(arguments: Sequence[str | Path]) -> None:
    status, error = status_and_error([PROGRAM, *arguments], "/dev/full")
    assert (status, error.count("\n")) == (1, 1), error
    assert error.endswith("error: cannot write the output: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_the_native_program_fails_where_its_config_file_is_printed_in_part(db_path: Path) -> None:
    status, error = status_and_error([native_binary(), "--print-config", "--db-path", db_path], "/dev/full")
    assert (status, error.strip().endswith("cannot write the output: No space left on device")) == (1, True)


@pytest.mark.parametrize("command", ["backtest", "replay"])
def test_a_closed_pipe_ends_a_command_silently(recorded: Path, tmp_path: Path, command: str) -> None:
    transcript = write(tmp_path / "session-1.jsonl", use(1, "one", "Bash", command="pytest"), result(2, "one"))
    arguments = ["--json"] if command == "backtest" else [transcript, "--speed", "1000"]
    with subprocess.Popen(
        [PROGRAM, command, *arguments, "--db-path", recorded],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
