"""`session-buddy replay`: the order and the times of its rows, with a fake clock."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from session_buddy.cli.main import main
from session_buddy.ingest import RecordedInvocation
from session_buddy.ingest.replay import MINIMUM_PASS_SECONDS, Replay, schedule
from support.processes import Program
from support.transcripts import result, use, write

START = 2_000_000_000.0


def recorded(name: str, at: float, duration: float | None = None, *, completed: bool = True) -> RecordedInvocation:
    return RecordedInvocation(name, at, "session-1", completed, duration, None if completed else "exit_code")


class FakeEnvironment:
    """A clock that only advances while a caller waits, and a store that records the times of writes."""

    def __init__(self, *, stop_at: float = float("inf")) -> None:
        self.now = START
        self.stop_at = START + stop_at
        self.written: list[tuple[float, dict[str, Any]]] = []
        self.calls = 0

    def wait(self, seconds: float) -> bool:
        assert seconds >= 0
        if self.now + seconds >= self.stop_at:
            self.now = self.stop_at
            return True
        self.now += seconds
        return False

    def store_many(self, invocations: Iterable[dict[str, Any]]) -> None:
        self.calls += 1
        self.written += [(self.now - START, row) for row in invocations]

    def replay(self, invocations: Iterable[RecordedInvocation], speed: float, max_gap: float = 0) -> Replay:
        return Replay(schedule(invocations, speed, max_gap), self, now=lambda: self.now, wait=self.wait)

    def moments(self) -> list[tuple[str, Any]]:
        """What was written when; the stored times must agree."""
        for at, row in self.written:
            stored = datetime.fromisoformat(row["invoked_at"].replace("Z", "+00:00")).timestamp() - START
            assert stored == pytest.approx(at, abs=0.002)
        return [(row["skill_name"], pytest.approx(at)) for at, row in self.written]


def test_rows_are_written_when_they_ended_divided_by_the_speed() -> None:
    environment = FakeEnvironment()
    replay = environment.replay(
        [recorded("long", 1000, 120), recorded("short", 1030, 30), recorded("typed", 1300)], speed=60
    )
    assert replay.run()
    assert environment.moments() == [("short", 0.0), ("long", 1.0), ("typed", 4.0)]
    assert replay.progress.written == 3


def test_everything_but_the_time_is_as_recorded() -> None:
    environment = FakeEnvironment()
    environment.replay([recorded("a", 5, 2.5, completed=False)], speed=10).run()
    ((_, row),) = environment.written
    assert row == {
        "skill_name": "a",
        "invoked_at": "2033-05-18T03:33:20.000Z",
        "session_id": "session-1",
        "completed": False,
        "duration_seconds": 2.5,
        "error_type": "exit_code",
    }


def test_long_pauses_are_shortened() -> None:
    environment = FakeEnvironment()
    environment.replay([recorded("a", 0), recorded("b", 50), recorded("c", 100_050)], speed=10, max_gap=200).run()
    assert environment.moments() == [("a", 0.0), ("b", 5.0), ("c", 25.0)]


def test_what_is_due_together_is_one_transaction() -> None:
    environment = FakeEnvironment()
    environment.replay([recorded(str(i), 7) for i in range(50)], speed=1).run()
    assert environment.calls == 1
    assert len(environment.written) == 50


def test_a_slow_store_does_not_delay_the_replay_permanently() -> None:
    environment = FakeEnvironment()
    store_many = environment.store_many

    def slow(invocations: Iterable[dict[str, Any]]) -> None:
        store_many(invocations)
        environment.now += 2.5 if environment.calls == 1 else 0

    environment.store_many = slow  # type: ignore[method-assign]
    environment.replay([recorded(str(i), i) for i in range(5)], speed=1).run()
    assert [at for at, _ in environment.written] == pytest.approx([0, 2.5, 2.5, 3, 4])


def test_a_loop_starts_again_at_the_end() -> None:
    environment = FakeEnvironment(stop_at=25)
    replay = environment.replay([recorded("a", 0), recorded("b", 10)], speed=1)
    assert not replay.run(loop=True)
    assert environment.moments() == [("a", 0), ("b", 10), ("a", 10), ("b", 20), ("a", 20)]
    assert replay.progress.passes == 2


def test_a_loop_of_one_moment_does_not_spin() -> None:
    environment = FakeEnvironment(stop_at=3.5 * MINIMUM_PASS_SECONDS)
    environment.replay([recorded("a", 0)], speed=1).run(loop=True)
    assert [at for at, _ in environment.written] == pytest.approx([0, 1, 2, 3])


def test_a_stop_ends_it_before_the_next_row() -> None:
    environment = FakeEnvironment(stop_at=9)
    assert not environment.replay([recorded("a", 0), recorded("b", 10)], speed=1).run()
    assert environment.moments() == [("a", 0)]


def test_a_loop_of_nothing_ends() -> None:
    assert FakeEnvironment().replay([], speed=1).run(loop=True)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_must_be_positive(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        schedule([], speed)


# ---- The command


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return write(
        tmp_path / "s.jsonl",
        use(0, "t1", "Bash", command="pytest"),
        result(30, "t1"),
        use(40, "t2", "Read"),
        result(41, "t2"),
        use(50, "t3", "Edit"),
    )


def stored(db_path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(db_path) as connection:
        return connection.execute("SELECT skill_name, invoked_at FROM skill_invocation ORDER BY id").fetchall()


def test_the_command_writes_rows_of_now(session: Path, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now().astimezone()
    assert main(["replay", str(session), "--speed", "1000", "--db-path", str(db_path)]) == 0
    after = datetime.now().astimezone()
    (first, first_at), (second, second_at) = stored(db_path)
    assert (first, second) == ("pytest-run", "Read")
    times = [datetime.fromisoformat(at.replace("Z", "+00:00")) for at in (first_at, second_at)]
    assert before.timestamp() - 0.001 <= times[0].timestamp() <= times[1].timestamp() <= after.timestamp()
    assert (times[1] - times[0]).total_seconds() == pytest.approx(0.011, abs=0.0011)
    assert "Replayed 2 invocations" in capsys.readouterr().out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_loop_with_a_summary(session: Path, db_path: Path, number: signal.Signals) -> None:
    arguments = ["replay", str(session), "--speed", "1000", "--loop", "--db-path", str(db_path)]
    with Program([sys.executable, "-m", "session_buddy.cli.main", *arguments]) as program:
        program.wait_for("^Replaying 2 invocations of 1 sessions")
        assert program.stop(number) == 0
        assert any(line.startswith("Stopped after ") for line in program.drain())


def test_nothing_to_replay_is_an_error(tmp_path: Path, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(tmp_path / "missing"), "--db-path", str(db_path)]) == 1
    assert "no invocation in the transcripts" in capsys.readouterr().err
    assert not db_path.exists()


@pytest.mark.parametrize("options", [["--speed", "0"], ["--speed", "x"], ["--max-gap", "-1"], []])
def test_wrong_usage_is_status_2(options: list[str], session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay", *([str(session), *options] if options else [])])
    assert ended.value.code == 2
    capsys.readouterr()
