"""The generated demo data, and the command that serves it."""

from __future__ import annotations

import json
import math
import random
import re
import signal
import socket
import sqlite3
import statistics
import sys
import urllib.request
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.sync.client import connect

from session_buddy.cli.main import main
from session_buddy.demo import SKILLS, LiveFeed, make_history
from session_buddy.demo.history import work_rhythm
from session_buddy.demo.live import BAD_SKILL
from session_buddy.demo.skills import Row
from session_buddy.demo.transcript import make_transcript
from session_buddy.ingest import import_transcripts
from support.processes import Program

NOW = 1_770_904_800.0
ERRORS = {"exit_code", "interrupted", "rejected", "timeout", "tool_error"}


def moment(row: Row) -> float:
    return datetime.fromisoformat(str(row["invoked_at"]).replace("Z", "+00:00")).timestamp()


def seconds(rows: Sequence[Row]) -> list[float]:
    return [cast("float", row["duration_seconds"]) for row in rows]


@pytest.fixture(scope="module")
def history() -> list[Row]:
    return make_history(random.Random(7), NOW)


# ---- The history


def test_it_is_a_day_of_a_dozen_skills_in_the_order_of_time(history: list[Row]) -> None:
    times = [moment(row) for row in history]
    assert times == sorted(times)
    assert times[0] + 0.001 >= NOW - 24 * 3600
    assert times[-1] <= NOW
    assert {row["skill_name"] for row in history} == {skill.name for skill in SKILLS}
    assert len(SKILLS) == 12
    assert 1000 < len(history) < 12_000


@pytest.mark.parametrize("seed", range(20))
def test_every_day_has_enough_of_every_skill_and_a_busy_last_hour(seed: int) -> None:
    rows = make_history(random.Random(seed), NOW + seed * 4321)
    counts = Counter(row["skill_name"] for row in rows)
    assert min(counts[skill.name] for skill in SKILLS) >= 5
    recent = [row for row in rows if moment(row) > NOW + seed * 4321 - 3600]
    assert sum(row["skill_name"] == BAD_SKILL for row in recent) >= 5


def test_the_same_seed_makes_the_same_day(history: list[Row]) -> None:
    assert make_history(random.Random(7), NOW) == history
    assert make_history(random.Random(8), NOW) != history


def test_sessions_are_many_and_hold_together(history: list[Row]) -> None:
    sessions: dict[Any, list[float]] = {}
    for row in history:
        sessions.setdefault(row["session_id"], []).append(moment(row))
    long_ones = [times for times in sessions.values() if len(times) > 20]
    assert len(long_ones) >= 5
    assert all(times[-1] - times[0] < 6 * 3600 for times in long_ones)


def test_rates_and_durations_are_those_of_the_profiles() -> None:
    rows = [row for seed in range(10) for row in make_history(random.Random(seed), NOW)]
    for skill in SKILLS:
        own = [row for row in rows if row["skill_name"] == skill.name]
        rate = sum(bool(row["completed"]) for row in own) / len(own)
        assert abs(rate - skill.success_rate) < 4 * math.sqrt(0.25 / len(own))
        logs = [math.log(value) for value in seconds(own) if value > 0]
        assert statistics.fmean(logs) == pytest.approx(math.log(skill.median_seconds), abs=0.2)
        assert statistics.stdev(logs) == pytest.approx(skill.spread, abs=0.2)


def test_only_failures_have_an_error_type_and_it_is_a_known_one(history: list[Row]) -> None:
    assert {row["error_type"] for row in history if row["completed"]} == {None}
    failed = {row["error_type"] for row in history if not row["completed"]}
    assert len(failed) >= 3
    assert failed <= ERRORS


def test_people_work_by_day() -> None:
    assert work_rhythm(3) < 0.1 < 0.8 < work_rhythm(10.5)
    assert work_rhythm(13) < work_rhythm(10.5)
    assert all(0 < work_rhythm(hour / 4) <= 1 for hour in range(96))


def test_the_transcript_shows_what_needs_evidence(db_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    path.write_text("\n".join(make_transcript(random.Random(7), NOW)) + "\n")
    summary = import_transcripts([path], db_path)
    assert summary["unreadable_lines"] == summary["foreign_files"] == 0
    assert {"npm test", "pytest-run", "mypy", "agent:code-reviewer", "mcp__postgres__query"} <= set(
        summary["recorded_by_skill"]
    )
    with sqlite3.connect(db_path) as database:
        outcomes = dict(
            database.execute(
                "SELECT iif(coalesce(marks, 0) & 1, 'unknown', iif(completed, 'completed', 'failed')), count(*)"
                " FROM skill_invocation LEFT JOIN session_buddy_mark ON invocation_id = id"
                " WHERE skill_name IN ('npm test', 'pytest-run', 'mypy', 'agent:code-reviewer') GROUP BY 1"
            )
        )
    assert min(outcomes[outcome] for outcome in ("unknown", "completed", "failed")) >= 5
    assert make_transcript(random.Random(7), NOW) == path.read_text().splitlines()


# ---- The live feed


def play(feed: LiveFeed, until: float) -> list[tuple[float, Row]]:
    rows = []
    at = feed.pause()
    while at < until:
        rows.append((at, feed.next_row(at, NOW + at)))
        at += feed.pause()
    return rows


def test_the_bad_skill_is_bad_for_its_time_and_then_recovers() -> None:
    feed = LiveFeed(random.Random(1), per_second=5, bad_after=600, bad_for=600)
    rows = play(feed, 1800)
    assert len(rows) == pytest.approx(5 * 1800, rel=0.05)

    def rate(low: float, high: float) -> float:
        own = [bool(row["completed"]) for at, row in rows if row["skill_name"] == BAD_SKILL and low <= at < high]
        assert len(own) > 100
        return sum(own) / len(own)

    def median(low: float, high: float) -> float:
        return statistics.median(
            seconds([row for at, row in rows if row["skill_name"] == BAD_SKILL and low <= at < high])
        )

    assert rate(0, 600) > 0.8
    assert rate(600, 1200) < 0.4
    assert rate(1200, 1800) > 0.8
    assert median(600, 1200) > 2 * median(0, 600)
    others = [bool(row["completed"]) for at, row in rows if row["skill_name"] != BAD_SKILL and 600 <= at < 1200]
    assert sum(others) / len(others) > 0.9


def test_the_feed_has_several_sessions_at_a_time_and_changes_them() -> None:
    rows = play(LiveFeed(random.Random(1), per_second=2, bad_after=60, bad_for=60), 1800)
    assert len({row["session_id"] for _, row in rows[:50]}) >= 3
    assert len({row["session_id"] for _, row in rows}) > 5


def test_every_live_row_has_the_current_time() -> None:
    rows = play(LiveFeed(random.Random(1), per_second=2, bad_after=0, bad_for=0), 60)
    assert [moment(row) for _, row in rows] == pytest.approx([NOW + at for at, _ in rows], abs=0.002)


# ---- The command


def demo(*options: str) -> Program:
    return Program([sys.executable, "-m", "session_buddy.cli.main", "demo", *options])


def count_rows(db_path: Path) -> int:
    with sqlite3.connect(db_path) as connection:
        (count,) = connection.execute("SELECT count(*) FROM skill_invocation").fetchone()
        return int(count)


def test_without_a_server_it_only_feeds(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--no-server", "--seed", "7", "--rate", "100", "--duration", "0.5", "--db-path", str(db_path)]
    assert main(["demo", *options]) == 0
    output = capsys.readouterr().out
    assert "ws://" not in output
    made = int(output.split()[1].replace(",", ""))
    added = int(output.split("Added ")[1].split()[0])
    assert made > 1000
    assert added > 5
    assert count_rows(db_path) == made + added


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_leaves_nothing_behind(number: signal.Signals) -> None:
    with demo("--port", "0", "--update-interval", "0.05", "--rate", "50", "--bad-after", "0") as program:
        folder = Path(program.wait_for(r"^Generated [\d,]+ invocations of 15 skills").rsplit(" in ", 1)[1]).parent
        assert folder.is_dir()
        page = program.wait_for(r"^Dashboard +http://localhost:\d+/").split()[1]
        port = int(program.wait_for(r"^WebSocket +ws://localhost:\d+").split("localhost:")[1].split()[0])
        program.wait_for(r"^Health +http://localhost:\d+/healthz")
        program.wait_for(r"^Python .*ws://localhost:\d+")
        program.wait_for(r"^Node .*ws://localhost:\d+")
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=10) as response:
            assert response.status == 200
        with urllib.request.urlopen(page, timeout=10) as response:
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
        with connect(f"ws://localhost:{port}", proxy=None) as client:
            messages = [json.loads(client.recv(timeout=10)) for _ in range(2)]
        assert [message["type"] for message in messages] == ["metrics_update"] * 2
        top = messages[-1]["data"]["top_skills"]
        assert len(top) == 10
        assert BAD_SKILL in {skill["skill_name"] for skill in top}
        assert program.stop(number) == 0
        assert any(line.startswith("Added ") for line in program.drain())
    assert not folder.exists()


def test_a_taken_port_is_an_error_before_anything_is_made(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--host", "127.0.0.1", "--port", str(port), "--db-path", str(db_path)]) == 1
    errors = capsys.readouterr().err
    assert errors == f"session-buddy demo: port {port} is in use: choose another one with --port, or 0 for a free one\n"
    assert not db_path.exists()


def test_a_free_port_is_used_and_named_where_the_default_one_is_in_use(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("session_buddy.cli.demo.PORT", port)
        assert main(["demo", "--host", "127.0.0.1", "--duration", "0.05"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"Port {port} is in use; using a free one instead (--port selects one).\n")
    served = re.search(r"^Dashboard +http://127\.0\.0\.1:(\d+)/$", output, re.MULTILINE)
    assert served
    assert served[1] not in ("0", str(port))


def test_an_existing_file_is_replaced_only_with_force(db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db_path.write_text("precious")
    options = ["demo", "--no-server", "--duration", "0.05", "--db-path", str(db_path)]
    assert main(options) == 1
    assert "already exists" in capsys.readouterr().err
    assert db_path.read_text() == "precious"
    assert main([*options, "--force"]) == 0
    assert count_rows(db_path) > 1000


@pytest.mark.parametrize("options", [["--rate", "0"], ["--bad-after", "-1"], ["--duration", "inf"], ["--port", "x"]])
def test_wrong_usage_is_status_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", *options])
    assert ended.value.code == 2
    capsys.readouterr()
