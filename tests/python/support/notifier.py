"""`session-buddy notify` as a process, and helpers for its tests."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from session_buddy.client import Anomaly, AnomalyDetails, MetricsUpdate
from session_buddy.notify.episodes import Event
from support.processes import DEADLINE, Program
from support.streams import behave

COMMAND = str(Path(sys.executable).parent / "session-buddy")


DROP = "performance_drop"


def heal(path: Path) -> None:
    behave(path, well=["mypy", "ruff-check"])


def notifier(server: str, state: Path, *arguments: str, env: dict[str, str] | None = None) -> Program:
    """A notifier of deviations that sends an end after a second."""
    words = [COMMAND, "notify", "--url", server, "--state", str(state), "--settle", "1", "--deviations", *arguments]
    return Program(words, env=env)


def run_notify(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "notify", *arguments],
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )


def script(folder: Path, text: str) -> str:
    """A program in this folder, which is its working directory."""
    path = folder / "program"
    path.write_text(f"#!/bin/sh\ncd '{folder}' || exit 9\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


START = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)


def update(seconds: float, *skills: str, since: datetime = START, deviation: float = 3.0) -> MetricsUpdate:
    """An update at so many seconds, with an anomaly of each of these skills."""
    details = AnomalyDetails(80, 20, -deviation, 0.001, since, ())
    anomalies = tuple(Anomaly(skill, DROP, 0.9, 0.5, deviation, details) for skill in skills)
    return MetricsUpdate(START + timedelta(seconds=seconds), (), anomalies)


def event(**changes: Any) -> Event:
    values = {
        "id": "1",
        "event": "started",
        "severity": "WARNING",
        "skill": "mypy",
        "type": DROP,
        "baseline": 0.9,
        "observed": 0.55,
        "deviation": 2.7,
        "since": "2026-02-10T11:40:02Z",
        "timestamp": "2026-02-10T12:00:00Z",
    }
    return Event(**{**values, **changes})
