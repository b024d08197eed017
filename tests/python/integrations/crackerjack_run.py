"""A real Crackerjack, 0.74 or later. It is not installed for tests: it needs Python 3.13 and more than a gigabyte."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from integrations.test_crackerjack import rows
from session_buddy.core.skills_tracker import SkillsTracker
from session_buddy.integrations.crackerjack import CrackerjackIntegration
from support.paths import ROOT

CRACKERJACK = os.environ["SESSION_BUDDY_TEST_CRACKERJACK"]


def test_the_page_uses_options_that_crackerjack_has() -> None:
    text = (ROOT / "docs" / "integrations" / "CRACKERJACK.md").read_text(encoding="utf-8")
    used = {option for command in re.findall(r"-- crackerjack run (.*)", text) for option in command.split()}
    assert used >= {"--fast", "--run-tests", "--comp"}
    shown = subprocess.run(
        [CRACKERJACK, "run", "--help"], capture_output=True, text=True, timeout=110, check=True
    ).stdout
    assert used <= set(re.findall(r"--[a-z-]+", shown))


def test_a_run_of_crackerjack_is_one_invocation_with_its_status(db_path: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "pyproject.toml").write_text('[project]\nname = "project"\nversion = "0.1.0"\n', encoding="utf-8")
    (project / "tests" / "test_nothing.py").write_text("def test_nothing() -> None:\n    pass\n", encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    options = ["--phase", "tests", "--session", "nightly", "--db-path", str(db_path)]
    command = [CRACKERJACK, "run", "--run-tests", "--skip-hooks", "--no-config-updates"]
    done = subprocess.run(
        [sys.executable, "-m", "session_buddy.cli.main", "run", *options, "--", *command],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=110,
        check=False,
    )
    # Without a network Crackerjack cannot set up its tests and exits with an error: the row must match its status.
    assert b"running" in done.stdout.lower()
    passed = done.returncode == 0
    outcome = (1, None) if passed else (0, "exit_code")
    assert rows(db_path) == [("crackerjack", "crackerjack", "execution", "tests", *outcome)]
    with SkillsTracker("nightly", db_path) as tracker:
        summary = CrackerjackIntegration(tracker).get_phase_summary("tests")
    assert (summary["total_invocations"], summary["tools_used"]) == (1, ["crackerjack"])
    assert summary["total_duration_seconds"] > 0.1
