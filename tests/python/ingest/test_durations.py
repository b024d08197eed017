"""The maximum duration: every source rejects longer ones, and every metric ignores longer ones in the database."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from session_buddy import _native
from session_buddy.anomaly import Detector
from session_buddy.cli.main import main
from session_buddy.core.skills_tracker import SkillsTracker
from session_buddy.realtime.metrics_exporter import PrometheusExporter
from session_buddy.storage.skills_storage import SkillsStorage
from support.hook_events import post, run_hook
from support.http_api import get
from support.ingestion import INVOCATIONS, invocation, send
from support.processes import DEADLINE, Server, wait_until
from support.transcripts import result, use, write

LONGEST = 100_000_000.0
RULE = "must be a number of seconds from 0 to 100000000"


def write_rows(db_path: Path, *durations: object, skill: str = "odd", at: datetime | None = None) -> None:
    """Rows as another program writes them: completed, in the phase "build", with any value as duration."""
    moment = (at or datetime.now(timezone.utc)).isoformat()
    with contextlib.closing(sqlite3.connect(db_path, timeout=10)) as connection, connection:
        connection.executemany(
            "INSERT INTO skill_invocation (skill_name, invoked_at, session_id, completed, duration_seconds,"
            " workflow_phase) VALUES (?, ?, 's', 1, ?, 'build')",
            [(skill, moment, duration) for duration in durations],
        )


def test_the_maximum_duration_is_the_same_everywhere() -> None:
    assert _native.MAX_DURATION_SECONDS == LONGEST


# ---- Ingestion


def into_storage(db_path: Path, seconds: float) -> None:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("a", session_id="s", completed=True, duration_seconds=seconds)


def into_storage_as_one_of_many(db_path: Path, seconds: float) -> None:
    with SkillsStorage(db_path) as storage:
        storage.store_many([{"skill_name": "a", "session_id": "s", "completed": True, "duration_seconds": seconds}])


def into_tracker(db_path: Path, seconds: float) -> None:
    with contextlib.closing(SkillsTracker("s", db_path)) as tracker:
        tracker.track_invocation("a")(completed=True, duration_seconds=seconds)


def into_exporter(_: Path, seconds: float) -> None:
    PrometheusExporter().record_invocation("a", None, True, seconds)


def into_detector(_: Path, seconds: float) -> None:
    Detector().update("a", True, seconds)


@pytest.mark.parametrize("seconds", [100_000_001, 1e308, float("inf"), float("nan"), -1])
@pytest.mark.parametrize(
    "store", [into_storage, into_storage_as_one_of_many, into_tracker, into_exporter, into_detector]
)
def test_python_rejects_an_invalid_duration(
    store: Callable[[Path, float], None], seconds: float, db_path: Path
) -> None:
    store(db_path, LONGEST)
    with pytest.raises(ValueError, match=f"duration(_seconds)? {RULE}"):
        store(db_path, seconds)


def test_record_rejects_a_duration_beyond_the_maximum(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "a", "--duration", "1158d", "--db-path", str(db_path)]) == 2
    assert f"duration_seconds {RULE}, not 100051200" in capsys.readouterr().err
    assert main(["record", "a", "--duration", "1157d", "--db-path", str(db_path)]) == 0


def test_a_post_with_a_duration_beyond_the_maximum_names_its_field(db_path: Path) -> None:
    with Server(db_path) as server:
        records = [invocation(duration_seconds=LONGEST), invocation(duration_seconds=LONGEST + 1)]
        status, answer, _ = send(server, INVOCATIONS, records)
        assert (status, answer["field"], answer["index"]) == (400, "duration_seconds", 1)
        assert answer["detail"] == f"duration_seconds {RULE}"


def test_a_hook_stores_the_invocation_without_its_duration_and_logs_the_field(
    db_path: Path, isolated_environment: Path
) -> None:
    run_hook(post("t1", duration_ms=LONGEST * 1000), db_path)
    log = isolated_environment / "state" / "session-buddy" / "hook.log"
    assert not log.exists() or "duration_ms" not in log.read_text(encoding="utf-8")
    run_hook(post("t2", duration_ms=LONGEST * 1000 + 1), db_path)
    assert f"duration_ms, in seconds, {RULE}" in log.read_text(encoding="utf-8")
    with contextlib.closing(sqlite3.connect(db_path)) as connection:
        assert connection.execute("SELECT duration_seconds FROM skill_invocation ORDER BY id").fetchall() == [
            (LONGEST,),
            (None,),
        ]


def test_an_import_stores_the_invocation_with_the_time_between_and_counts_it(
    tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = write(
        tmp_path / "t.jsonl", use(1, "t1", "Glob"), {**result(3, "t1"), "toolUseResult": {"durationMs": 1e12}}
    )
    assert main(["import", str(transcript), "--db-path", str(db_path)]) == 0
    assert "Left out  1 durations (durationMs) outside 0 to 100000000 s" in capsys.readouterr().out
    with contextlib.closing(sqlite3.connect(db_path)) as connection:
        assert connection.execute("SELECT duration_seconds FROM skill_invocation").fetchall() == [(2.0,)]


# ---- Rows of other programs

INVALID = [*[1e308] * 20, 1e9, LONGEST + 1, -5.0, float("inf"), float("-inf"), "NaN", "Infinity", "5.0 s", b"5"]


def totals(server: Server) -> tuple[float, int] | None:
    """Sum and count of the durations in /metrics; None without any."""
    with urllib.request.urlopen(f"http://localhost:{server.port}/metrics", timeout=DEADLINE) as answer:
        text = answer.read().decode()
    labels = r'\{skill_name="odd",workflow_phase="build"\}'
    found = re.findall(rf"^skill_duration_seconds_(?:sum|count){labels} (\S+)$", text, re.MULTILINE)
    return (float(found[1]), int(found[0])) if found else None


def check_metrics(server: Server, count: int) -> None:
    """Checks the metrics of `count` invocations: three took 5 s, and the durations of the others are not counted."""
    (skill,) = get(server, "skills")["skills"]
    assert (skill["window"]["invocation_count"], skill["window"]["avg_duration"]) == (count, 5.0)
    assert (skill["lifetime"]["total_invocations"], skill["lifetime"]["avg_duration_seconds"]) == (count, 5.0)
    points = [point for point in get(server, "series", skill_name="odd")["points"] if point["invocation_count"]]
    assert sum(point["invocation_count"] for point in points) == count
    assert {point["avg_duration"] for point in points} == {5.0}
    (phase,) = get(server, "skill", skill_name="odd")["phases"]
    assert (phase["invocation_count"], phase["avg_duration"]) == (count, 5.0)
    assert totals(server) == (15.0, 3)


@pytest.mark.parametrize("while_it_runs", [False, True])
def test_invalid_durations_are_not_counted_but_their_invocations_are(db_path: Path, while_it_runs: bool) -> None:
    SkillsStorage(db_path).close()
    if not while_it_runs:
        write_rows(db_path, *INVALID, 5.0, 5.0, 5.0)
    with Server(db_path) as server:
        if while_it_runs:
            write_rows(db_path, *INVALID[:10])
            write_rows(db_path, *INVALID[10:], 5.0, 5.0, 5.0)
        count = len(INVALID) + 3
        wait_until(
            lambda: [skill["lifetime"]["total_invocations"] for skill in get(server, "skills")["skills"]] == [count],
            "all rows are counted",
        )
        check_metrics(server, count)
    with SkillsStorage(db_path) as storage:
        metrics = storage.get_metrics("odd")
        assert metrics is not None
        assert (metrics.total_invocations, metrics.avg_duration_seconds) == (count, 5.0)
        assert metrics.total_duration_seconds == 15.0
        (phase,) = storage.get_effectiveness_by_phase()
        assert (phase.timed_count, phase.avg_completion_time) == (3, 5.0)


def test_totals_that_an_earlier_version_summed_up_to_infinity_are_recomputed(db_path: Path) -> None:
    SkillsStorage(db_path).close()
    write_rows(db_path, 5.0, 5.0, 5.0)
    with Server(db_path) as server:
        wait_until(lambda: totals(server) == (15.0, 3), "the totals are there")
    with contextlib.closing(sqlite3.connect(db_path)) as connection, connection:
        connection.execute("UPDATE session_buddy_totals SET duration_seconds = 9e999")
    with Server(db_path) as server:
        check_metrics(server, 3)


# ---- Rows from the future


def test_a_row_from_the_future_counts_as_now_also_in_lifetime_metrics(db_path: Path) -> None:
    SkillsStorage(db_path).close()
    write_rows(db_path, 1.0, at=datetime(2099, 1, 1, tzinfo=timezone.utc))
    begun = datetime.now(timezone.utc) - timedelta(seconds=1)
    with Server(db_path) as server:

        def is_now(text: str) -> bool:
            return begun <= datetime.fromisoformat(text.replace("Z", "+00:00")) <= datetime.now(timezone.utc)

        (skill,) = get(server, "skills")["skills"]
        assert is_now(skill["lifetime"]["last_invocation_at"])
        assert is_now(skill["window"]["last_invocation_at"])
        one = get(server, "skill", skill_name="odd")
        assert is_now(one["lifetime"]["last_invocation_at"])
        assert is_now(one["first_invocation_at"])
