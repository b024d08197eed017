"""Blocks of commands that need no server."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import sqlite3
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

from docs.blocks.running import bash, environment, rows_in
from support import tools
from support.databases import execute
from support.histories import fill, invocations
from support.hook_events import pre, run_hook
from support.markdown import Block
from support.paths import ROOT
from support.processes import Program
from support.transcripts import result, use, write


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
        listed = bash(f"cd {ROOT}\ncmake --list-presets={step}", home)
        assert f'"{match[2]}"' in listed


def records(block: Block, home: Path) -> None:
    """Records into the database in the home folder: one row for each command."""
    bash(block.text, home)
    (database,) = home.rglob("skills.db")
    assert rows_in(database) == len(re.findall(r"^(?:session-buddy record|recorded )", block.text, re.MULTILINE))


def prunes(block: Block, home: Path) -> None:
    """Deletes only the old rows from the database in the home folder."""
    old = datetime.now(timezone.utc) - timedelta(days=100)
    path = home / ".session-buddy" / "skills.db"
    path.parent.mkdir()
    fill(path, invocations("pytest-run", 8, newest=old), invocations("pytest-run", 3))
    assert "Deleted 8 invocations" in bash(block.text, home)
    assert rows_in(path) == 3


def corrects(block: Block, home: Path) -> None:
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


def lists_alerts(block: Block, home: Path) -> None:
    """Lists the alerts of the default database, which has none."""
    path = home / ".session-buddy" / "skills.db"
    path.parent.mkdir()
    fill(path, invocations("mypy", 4))
    assert bash(block.text, home).startswith("No open alerts in ")


def backtests_budgets(block: Block, home: Path) -> None:
    """Counts the alerts of several budgets in the default database, which has none."""
    path = home / ".session-buddy" / "skills.db"
    path.parent.mkdir()
    fill(path, invocations("mypy", 4))
    counts = [line.split() for line in bash(block.text, home).splitlines()[1:4]]
    assert counts == [["1/week", "0"], ["1/month", "0"], ["1/day", "0"]]


def runs(block: Block, home: Path) -> None:
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


def write_session(home: Path) -> None:
    """Writes a transcript with one tool use into the default folder."""
    write(home / ".claude" / "projects" / "example" / "s1.jsonl", use(0, "t1", "Read"), result(1.5, "t1"))


def imports(block: Block, home: Path) -> None:
    """Imports transcripts from the home folder, twice."""
    write_session(home)
    for _ in range(2):
        bash(block.text, home)
    (database,) = home.rglob("skills.db")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT skill_name, completed, duration_seconds FROM skill_invocation").fetchall()
    assert rows == [("Read", 1, 1.5)]


def reclassifies(block: Block, home: Path) -> None:
    """Corrects a row of the home folder as an earlier version recorded it; the dry run changes nothing."""
    write_session(home)
    bash("session-buddy import", home)
    (database,) = home.rglob("skills.db")
    execute(database, "UPDATE session_buddy_source SET evidence = NULL")
    execute(database, "UPDATE skill_invocation SET completed = 0, error_type = 'tool_error'")
    output = bash(block.text, home)
    assert "Would correct 1 row:\n            Read: 1 row: 1 failed → completed" in output
    assert "Corrected 1 row:\n            Read: 1 row: 1 failed → completed" in output


def explains(block: Block, home: Path) -> None:
    """Explains the row and the open invocation in the home folder."""
    write_session(home)
    bash("session-buddy import", home)
    (database,) = home.rglob("skills.db")
    assert run_hook(pre("t2", "Grep"), database).returncode == 0
    output = bash(block.text.replace("1284", "1"), home)
    assert output.count("#1  Read  completed") == 2
    assert "open  Grep  not ended yet" in output


def watches(block: Block, home: Path) -> None:
    """Follows the transcripts in the home folder and exits on Ctrl-C with status 0."""
    write_session(home)
    with Program(["bash", "-c", f"exec {block.text.strip()}"], cwd=home, env=environment(home)) as program:
        program.wait_for("^hooks saw 0 of 1, 1 recovered$")
        assert program.stop(signal.SIGINT) == 0


def registers_hooks(block: Block, home: Path) -> None:
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


def installs_a_hook(block: Block, home: Path) -> None:
    """The settings in the home folder name the hook program or the server."""
    bash(block.text, home)
    settings = (home / ".claude" / "settings.json").read_text(encoding="utf-8")
    assert "session-buddy-hook" in settings or "/hooks/claude-code" in settings


def runs_a_hook(block: Block, home: Path) -> None:
    """Stores one event as one row, without output."""
    assert bash(block.text, home) == ""
    assert rows_in(home / "skills.db") == 1


def with_promtool(block: Block, home: Path) -> None:
    """Runs in a copy of the files that the block names."""
    folder = home / "docs" / "monitoring"
    shutil.copytree(ROOT / "docs" / "monitoring", folder)
    assert "SUCCESS" in bash(f"PATH={Path(tools.promtool()).parent}:$PATH\n{block.text}", home)
