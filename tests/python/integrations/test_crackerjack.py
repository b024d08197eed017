"""Crackerjack's phases: how they are stored, summed up and reported."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from session_buddy.core.skills_tracker import SkillsTracker
from session_buddy.integrations import CrackerjackIntegration
from session_buddy.integrations.crackerjack import PHASES
from support import databases

COLUMNS = "skill_name, workflow_path, workflow_phase, workflow_step_id, completed, error_type"


def rows(path: Path, columns: str = COLUMNS) -> list[tuple[Any, ...]]:
    return databases.rows(path, columns)


phases = pytest.mark.parametrize(
    ("phase", "stored"),
    [
        ("fast_hooks", "setup"),
        ("tests", "execution"),
        ("comprehensive_hooks", "verification"),
        ("ai_fix", "execution"),
    ],
)


@pytest.fixture
def tracker(db_path: Path) -> Iterator[SkillsTracker]:
    with SkillsTracker("nightly", db_path) as made:
        yield made


@pytest.fixture
def crackerjack(tracker: SkillsTracker) -> CrackerjackIntegration:
    return CrackerjackIntegration(tracker)


@phases
def test_each_phase_is_a_phase_of_a_workflow(
    db_path: Path, tracker: SkillsTracker, crackerjack: CrackerjackIntegration, phase: str, stored: str
) -> None:
    assert crackerjack.get_workflow_phase(phase) == stored
    crackerjack.track_crackerjack_phase(phase, "a", True, 1.5)
    assert tracker.flush()
    assert rows(db_path) == [("a", "crackerjack", stored, phase, 1, None)]


def test_what_was_measured_elsewhere_began_that_long_ago(
    db_path: Path, tracker: SkillsTracker, crackerjack: CrackerjackIntegration
) -> None:
    crackerjack.track_crackerjack_phase("tests", "pytest-run", completed=True, duration_seconds=3600.0)
    assert tracker.flush()
    ((seconds, age),) = rows(db_path, "duration_seconds, (julianday('now') - julianday(invoked_at)) * 86400")
    assert seconds == 3600.0
    assert 3599 < age < 3660


def test_blocks_and_functions_are_measured(
    db_path: Path, tracker: SkillsTracker, crackerjack: CrackerjackIntegration
) -> None:
    @crackerjack.track_crackerjack_phase("ai_fix", "agent")
    async def fix() -> None:
        await asyncio.sleep(0.02)

    async def main() -> None:
        await fix()
        async with crackerjack.track_crackerjack_phase("comprehensive_hooks", "mypy"):
            await asyncio.sleep(0)

    asyncio.run(main())
    with (
        pytest.raises(subprocess.CalledProcessError),
        crackerjack.track_crackerjack_phase("tests", "pytest-run"),
    ):
        subprocess.run([sys.executable, "-c", "exit(1)"], check=True)
    assert tracker.flush()
    assert rows(db_path) == [
        ("agent", "crackerjack", "execution", "ai_fix", 1, None),
        ("mypy", "crackerjack", "verification", "comprehensive_hooks", 1, None),
        ("pytest-run", "crackerjack", "execution", "tests", 0, "CalledProcessError"),
    ]
    ((seconds,), *_) = rows(db_path, "duration_seconds")
    assert 0.02 <= seconds < 30


def test_a_phase_is_summed_up_over_its_session_only(
    db_path: Path, tracker: SkillsTracker, crackerjack: CrackerjackIntegration
) -> None:
    with SkillsTracker("another", db_path) as another:
        CrackerjackIntegration(another).track_crackerjack_phase("tests", "x", True, 9.0)
    crackerjack.track_crackerjack_phase("tests", "pytest-run", True, 4.0)
    crackerjack.track_crackerjack_phase("tests", "pytest-run", False, 1.0, "Exit code 1: 3 failed")
    crackerjack.track_crackerjack_phase("tests", "coverage", False, 1.0, TimeoutError("secret"))
    crackerjack.track_crackerjack_phase("ai_fix", "agent", True, 7.0)  # of the same phase of the workflow
    tracker.track_invocation("other", workflow_phase="execution")()
    assert crackerjack.get_phase_summary("tests") == {
        "phase_name": "tests",
        "workflow_phase": "execution",
        "total_invocations": 3,
        "completed_invocations": 1,
        "completion_rate": pytest.approx(100 / 3),
        "total_duration_seconds": 6.0,
        "avg_duration_seconds": 2.0,
        "tools_used": ["coverage", "pytest-run"],
        "common_failures": {"TimeoutError": 1, "exit_code": 1},
    }
    assert crackerjack.get_phase_summary("fast_hooks") == {
        "phase_name": "fast_hooks",
        "workflow_phase": "setup",
        "total_invocations": 0,
        "completed_invocations": 0,
        "completion_rate": 0.0,
        "total_duration_seconds": 0.0,
        "avg_duration_seconds": 0.0,
        "tools_used": [],
        "common_failures": {},
    }


def test_the_report_has_what_the_command_recorded_too(db_path: Path, crackerjack: CrackerjackIntegration) -> None:
    crackerjack.track_crackerjack_phase("fast_hooks", "ruff-check", True, 0.5)
    command = ["run", "--session", "nightly", "--phase", "tests", "--db-path", str(db_path), "--", "sh", "-c", "exit 1"]
    subprocess.run([sys.executable, "-m", "session_buddy.cli.main", *command], timeout=60, check=False)
    report = json.loads(json.dumps(crackerjack.get_report()))
    assert [phase["phase_name"] for phase in report["phases"]] == list(PHASES)
    assert [phase["total_invocations"] for phase in report["phases"]] == [1, 1, 0, 0]
    assert (report["session_id"], report["total_invocations"], report["completed_invocations"]) == ("nightly", 2, 1)
    assert report["total_duration_seconds"] == sum(phase["total_duration_seconds"] for phase in report["phases"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", report["generated_at"])
    first, blank, *lines = crackerjack.get_crackerjack_workflow_report().splitlines()
    assert first.startswith("Crackerjack in session nightly, ")
    assert blank == ""
    seconds = report["phases"][1]["total_duration_seconds"]
    assert lines == [
        "fast_hooks (setup): 1 of 1 completed (100.0 %), 0.5 s, 0.5 s each",
        "  tools: ruff-check",
        f"tests (execution): 0 of 1 completed (0.0 %), {seconds:.1f} s, {seconds:.1f} s each",
        "  tools: sh",
        "  failures: exit_code (1)",
        "comprehensive_hooks (verification): not run",
        "ai_fix (execution): not run",
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("lint", "a"), ValueError, "unknown Crackerjack phase 'lint'; available: fast_hooks, tests"),
        (("lint", "a", True, 1.0), ValueError, "unknown Crackerjack phase 'lint'"),
        (("tests", "a", True), TypeError, "completed requires duration_seconds"),
        (("tests", "a", None, 1.0), TypeError, "require completed"),
        (("tests", "", True, 1.0), ValueError, "skill_name must be 1 to 256 bytes"),
        (("tests", "a", True, -1.0), ValueError, "duration_seconds must be a number of seconds from 0 to 100000000"),
    ],
)
def test_invalid_values_are_rejected(
    crackerjack: CrackerjackIntegration, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        crackerjack.track_crackerjack_phase(*arguments)
    with pytest.raises(ValueError, match="unknown Crackerjack phase"):
        crackerjack.get_phase_summary("lint")


def test_no_error_message_is_stored_logged_or_reported(
    db_path: Path, tracker: SkillsTracker, crackerjack: CrackerjackIntegration, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "SECRET-4711"
    with caplog.at_level(logging.DEBUG):
        crackerjack.track_crackerjack_phase("tests", "a", False, 1.0, f"{secret}: /home/{secret}")
        crackerjack.track_crackerjack_phase("tests", "a", False, 1.0, RuntimeError(secret))
        with pytest.raises(RuntimeError), crackerjack.track_crackerjack_phase("tests", "a"):
            raise RuntimeError(secret)
        assert secret not in crackerjack.get_crackerjack_workflow_report()
    assert crackerjack.get_phase_summary("tests")["common_failures"] == {"RuntimeError": 2, "tool_error": 1}
    assert not [file for file in db_path.parent.iterdir() if secret.encode() in file.read_bytes()]
    assert secret not in caplog.text
