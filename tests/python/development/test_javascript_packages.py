"""clients/js and dashboard: their tests, also against this server, and whether generated files are current."""

from __future__ import annotations

import sys
from pathlib import Path

from support import tools
from support.paths import ROOT
from support.processes import Program

CLIENT = ROOT / "clients" / "js"
DASHBOARD = ROOT / "dashboard"
DEADLINE = 180.0  # seconds; includes ten restarts of a server


def run(folder: Path, *command: str) -> None:
    """Runs a script of a package whose dependencies are installed; shows its output where it fails."""
    tools.node_packages(folder)
    env = {"SESSION_BUDDY_SERVER": str(Path(sys.executable).parent / "session-buddy-server"), "NO_COLOR": "1"}
    with Program([tools.npm(), *command], cwd=folder, env=env) as program:
        lines = program.drain(DEADLINE)
        assert program.process.wait() == 0, "\n".join(lines)


def test_the_client_against_a_server_that_is_restarted_and_others() -> None:
    run(CLIENT, "run", "build")
    run(CLIENT, "test")


def test_the_types_of_the_client_are_those_of_the_schemas() -> None:
    run(CLIENT, "run", "types", "--", "--check")


def test_the_logic_of_the_dashboard_and_what_its_build_makes() -> None:
    run(DASHBOARD, "test")
