"""`session-buddy record` and the options that all session-buddy commands share."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

import session_buddy
from session_buddy.cli import main as cli


def run(*arguments: str) -> tuple[int, str, str]:
    result = subprocess.run(
        [sys.executable, "-m", "session_buddy.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def stored(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT id, skill_name, session_id, completed, duration_seconds, error_type, invoked_at"
            " FROM skill_invocation"
        ).fetchall()


def test_record_stores_and_prints_the_id(db_path: Path) -> None:
    status, output, errors = run(
        "record", "pytest-run", "--duration", "2500ms", "--failed", "--session", "S", "--error-type", "timeout",
        "--at", "2026-02-10T12:00:00Z", "--db-path", str(db_path),
    )  # fmt: skip
    assert (status, output, errors) == (0, "1\n", f"Recorded in {db_path}\n")
    assert stored(db_path) == [(1, "pytest-run", "S", 0, 2.5, "timeout", "2026-02-10T12:00:00Z")]


def test_a_database_below_a_missing_folder_is_an_error_and_nothing_is_created(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nosuch" / "skills.db"
    assert cli.main(["record", "a", "--db-path", str(path)]) == 1
    assert f'the folder "{path.parent}" does not exist; create it, or correct the path' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_record_uses_the_database_of_the_server(isolated_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["record", "a"]) == 0
    ((_, name, session, completed, duration, error, _),) = stored(
        isolated_environment / "data" / "session-buddy" / "skills.db"
    )
    assert (name, session, completed, duration, error) == ("a", "shell", 1, None, None)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["record"], 2, "required: NAME"),
        (["record", "a", "--duration", "soon"], 2, "'soon' is not a duration"),
        (["record", "a", "--at", "soon"], 2, "'soon' is not a timestamp"),
        (["record", ""], 2, "skill_name"),
        (["record", "a", "--db-path", "/dev/null/skills.db"], 1, "/dev/null/skills.db"),
        (["record", "a", "--error-type", "timeout"], 2, "--error-type requires --failed"),
        (["record", "a", "--at", f"{date.today().year + 1}-12-31"], 2, "is in the future"),
        (["recrod", "a"], 2, "invalid choice: 'recrod'; did you mean 'record'?"),
        (["hooks", "instal"], 2, "invalid choice: 'instal'; did you mean 'install'?"),
        (["zzz"], 2, "invalid choice: 'zzz' (choose from "),
    ],
)
def test_errors_are_one_clear_line_and_a_status(
    arguments: list[str], status: int, message: str, isolated_environment: Path
) -> None:
    ended, output, errors = run(*arguments)
    assert ended == status, errors
    assert output == ""
    lines = errors.rstrip("\n").splitlines()
    assert message in lines[-1]
    assert ": error: " in lines[-1]
    assert all(line.startswith(("usage:", " ")) for line in lines[:-1])


def test_a_time_is_accepted_up_to_now_plus_clock_skew(db_path: Path) -> None:
    for seconds in (-1, 20):
        at = (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()
        assert cli.main(["record", "a", "--at", at, "--db-path", str(db_path)]) == 0
    assert len(stored(db_path)) == 2


def test_without_arguments_it_prints_its_help() -> None:
    status, output, errors = run()
    assert (status, errors) == (0, "")
    assert output.startswith("usage: session-buddy [-h] [--version] COMMAND ...")
    assert "    record " in output


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "session_buddy", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stdout) == (0, f"session-buddy {session_buddy.__version__}\n")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"session-buddy {session_buddy.__version__}\n"
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    for name in ("serve", "loadtest", *cli._COMMANDS):
        assert f"    {name} " in text


@pytest.mark.parametrize("name", [*cli._COMMANDS, "serve", "loadtest"])
def test_every_command_of_the_help_exists_under_its_name(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        assert cli.main([name, "--help"]) == 0
    assert f"usage: session-buddy {name} " in capfd.readouterr().out.replace("Usage", "usage")


def test_help_imports_only_what_it_needs() -> None:
    script = (
        "import sys\nfrom session_buddy.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'asyncio', 'rich', 'websockets'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch, db_path: Path) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("session_buddy.cli.record.run", interrupted)
    assert cli.main(["record", "a", "--db-path", str(db_path)]) == 130


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "skill_name must be 1 to 256 bytes"),
        (["a\nb"], "skill_name must be 1 to 256 bytes"),
        (["x" * 257], "skill_name must be 1 to 256 bytes"),
        (["\udcff"], "skill_name must be valid UTF-8"),
        (["a", "--session", ""], "session_id must be 1 to 1024 bytes of UTF-8 without NUL"),
        (["a", "--duration", "100000001"], "duration_seconds must be a number of seconds from 0 to 100000000"),
    ],
)
def test_an_invalid_value_creates_no_database(arguments: list[str], message: str, db_path: Path) -> None:
    status, _, errors = run("record", *arguments, "--db-path", str(db_path))
    assert (status, db_path.exists()) == (2, False)
    assert errors.startswith(f"session-buddy record: error: {message}")
    assert errors.count("\n") == 1
