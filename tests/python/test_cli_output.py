"""Output that cannot be written: a full disk behind a redirection, a closed pipe."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from conftest import entry_points, native_binary
from session_buddy.storage.skills_storage import SkillsStorage

PROGRAM = entry_points()["session-buddy serve"][0]


@pytest.fixture
def recorded(db_path: Path) -> Path:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("black", session_id="s", completed=True, duration_seconds=1.0)
    return db_path


def status_and_error(command: Sequence[str | Path], output: str) -> tuple[int, str]:
    with Path(output).open("wb") as stream:
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ["record", "pytest-run"],
        ["backtest", "--json"],
        ["prune", "--keep", "90d", "--dry-run"],
        ["serve", "--print-config"],
        ["serve", "--help"],
    ],
    ids=" ".join,
)
def test_output_that_cannot_be_written_is_one_line_and_status_1(recorded: Path, arguments: list[str]) -> None:
    database = [] if "--help" in arguments else ["--db-path", recorded]
    status, error = status_and_error([PROGRAM, *arguments, *database], "/dev/full")
    assert (status, error.count("\n")) == (1, 1)
    assert error.endswith("error: cannot write the output: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_the_native_program_fails_where_its_config_file_is_printed_in_part(db_path: Path) -> None:
    status, error = status_and_error([native_binary(), "--print-config", "--db-path", db_path], "/dev/full")
    assert (status, error.strip().endswith("cannot write the output: No space left on device")) == (1, True)


def test_a_closed_pipe_ends_a_command_silently(recorded: Path) -> None:
    with subprocess.Popen(
        [PROGRAM, "backtest", "--json", "--db-path", recorded],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
