"""`detect_anomalies` and `backtest` over databases agree with `Detector`."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from session_buddy.anomaly import Detector, backtest, detect_anomalies
from session_buddy.storage import StorageError
from session_buddy.storage.skills_storage import SkillsStorage
from support.streams import NOON, Invocation, feed, hours, make_bare_database, make_database, replace_rows, steady

BEFORE = (NOON - hours(20), NOON - hours(1.1))
LATELY = (NOON - hours(0.9), NOON)
DROP = [*steady(*BEFORE, 100, rate=0.85), *steady(*LATELY, 13, rate=0.62, error_type="timeout")]

# Small windows and a low threshold, so that a random history of two hours has many episodes.
QUICK: dict[str, Any] = {"threshold": 1.0, "baseline_window": 3600.0, "observation_window": 600.0, "min_samples": 3}
START = NOON - hours(2) + timedelta(microseconds=1)  # two baseline windows: all that detect_anomalies reads


@pytest.fixture
def database(db_path: Path) -> Path:
    """A V4 database without rows."""
    make_database(db_path)
    return db_path


@st.composite
def histories(draw: st.DrawFn) -> list[Invocation]:
    """Up to three skills that behave differently from phase to phase, ordered by time; some have equal times."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    runs: list[Invocation] = []
    for skill in range(draw(st.integers(1, 3))):
        phases = draw(st.lists(st.tuples(st.integers(0, 25), st.sampled_from([0.0, 0.3, 0.9, 1.0])), max_size=6))
        for phase, (count, rate) in enumerate(phases):
            for _ in range(count):
                seconds = 7200 * (phase + chance.random()) / len(phases)
                if chance.random() < 0.2:
                    seconds = round(seconds / 300) * 300
                runs.append(
                    Invocation(
                        min(START + timedelta(seconds=seconds), NOON),
                        chance.random() < rate,
                        chance.choice([None, chance.lognormvariate(phase % 3, 0.3)]),
                        f"skill-{skill}",
                        chance.choice([None, "timeout", "syntax"]),
                    )
                )
    return sorted(runs, key=lambda run: run.at)


def test_random_histories_have_episodes() -> None:
    """Without episodes the comparisons below would check nothing."""
    chance = random.Random(1)
    detector = Detector(**QUICK)
    for phase in range(6):
        for step in range(20):
            at = START + timedelta(minutes=20 * phase + step)
            detector.update("skill-0", chance.random() < (0.9, 0.1)[phase % 2], at=at)
    assert len(detector.episodes()) >= 3


@pytest.fixture(scope="module")
def bare_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all examples; each of them replaces its rows."""
    path = tmp_path_factory.mktemp("histories") / "skills.db"
    make_bare_database(path)
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), data=st.data())
def test_one_history_one_outcome(bare_database: Path, history: list[Invocation], data: st.DataObject) -> None:
    plain, chopped = Detector(**QUICK), Detector(**QUICK)
    feed(plain, history)
    for run, following in zip(history, [*history, Invocation(NOON)][1:], strict=True):
        feed(chopped, [run])
        for _ in range(data.draw(st.integers(0, 2))):
            chopped.advance(run.at + (following.at - run.at) * data.draw(st.floats(0, 1)))
    anomalies = plain.anomalies(NOON)
    episodes = plain.episodes()
    assert chopped.anomalies(NOON) == anomalies
    assert chopped.episodes() == episodes

    replace_rows(bare_database, history)
    replayed = backtest(bare_database, end=NOON, **QUICK)
    assert replayed.episodes == episodes
    assert (replayed.rows, replayed.skipped_rows) == (len(history), 0)
    assert replayed.skills == len({run.skill for run in history})
    assert detect_anomalies(bare_database, NOON, **QUICK) == anomalies

    # A replay is ordered by time, not by the order in which the rows were written.
    shuffled = [*history]
    random.Random(len(history)).shuffle(shuffled)
    replace_rows(bare_database, shuffled)
    if len({(run.skill, run.at) for run in history}) == len(history):
        assert backtest(bare_database, end=NOON, **QUICK).episodes == episodes


def test_the_anomaly_of_a_moment(database: Path) -> None:
    replace_rows(database, [*DROP, Invocation(NOON + hours(0.1)), *steady(NOON + hours(2), NOON + hours(3), 50)])
    (drop,) = detect_anomalies(database, NOON)
    assert (drop.anomaly_type, drop.observed_samples) == ("performance_drop", 13)
    assert drop.common_errors == [("timeout", 5)]
    assert detect_anomalies(database, NOON, threshold=4) == []
    assert detect_anomalies(database, NOON - hours(1)) == []
    assert detect_anomalies(database, NOON + hours(20)) == []
    assert detect_anomalies(database, "2026-02-10T13:00:00+01:00") == [drop]
    assert detect_anomalies(str(database), NOON.timestamp()) == [drop]


def test_now_is_the_default(database: Path) -> None:
    with SkillsStorage(database) as storage:
        for index in range(10):
            storage.store_invocation("pytest-run", session_id="s", completed=index < 5)
    assert [anomaly.anomaly_type for anomaly in detect_anomalies(database)] == ["performance_drop"]
    assert len(backtest(database).episodes) == 1


def test_a_range_of_history(database: Path) -> None:
    quiet = steady(NOON + hours(1), NOON + hours(30), 300, rate=0.9)
    other = steady(NOON, NOON + hours(30), 50, skill="ruff-check")
    replace_rows(database, [*DROP, *quiet, *other])
    whole = backtest(database, end=NOON + hours(30))
    assert (whole.start, whole.rows, whole.warm_up_rows, whole.skills) == (None, 463, 0, 2)
    (drop, *_) = whole.episodes
    assert drop.resolved_at is not None

    inside = drop.started_at + (drop.resolved_at - drop.started_at) / 2
    cut = backtest(database, inside, NOON + hours(30))
    assert cut.episodes[0] == drop  # open when the range began
    assert cut.warm_up_rows > 0
    assert cut.rows + cut.warm_up_rows == 463
    assert backtest(database, drop.resolved_at + timedelta(seconds=1), NOON + hours(30)).episodes == whole.episodes[1:]
    assert backtest(database, end=inside).episodes[0].resolved_at is None

    one_skill = backtest(database, end=NOON + hours(30), skill="ruff-check")
    assert (one_skill.rows, one_skill.skills, one_skill.episodes) == (50, 1, [])
    assert backtest(database, end=NOON + hours(30), skill="never-seen").rows == 0


def test_every_time_format_is_ordered_correctly(database: Path) -> None:
    """Offsets and separators that sort differently as text."""
    forms = [
        lambda at: at.isoformat(),
        lambda at: at.replace(tzinfo=None).isoformat(" "),
        lambda at: (at.replace(tzinfo=None) + hours(14)).isoformat() + "+14:00",
        lambda at: (at.replace(tzinfo=None) - hours(11)).isoformat() + "-11:00",
    ]
    replace_rows(database, DROP)
    expected = backtest(database, NOON - hours(2), NOON)
    with sqlite3.connect(database) as connection:
        for index, run in enumerate(DROP):
            connection.execute(
                "UPDATE skill_invocation SET invoked_at = ? WHERE id = (SELECT min(id) FROM skill_invocation) + ?",
                (forms[index % len(forms)](run.at), index),
            )
    connection.close()
    assert backtest(database, NOON - hours(2), NOON) == expected
    assert len(expected.episodes) == 1
    assert len(detect_anomalies(database, NOON)) == 1


def test_unreadable_rows_are_counted(database: Path) -> None:
    replace_rows(database, [*DROP, Invocation(NOON, skill="bad\nname"), Invocation(NOON - hours(100))])
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO skill_invocation (skill_name, invoked_at, session_id) VALUES ('pytest-run', 'long ago', 's')"
        )
    connection.close()
    assert backtest(database, NOON - hours(24), NOON).skipped_rows == 2
    assert len(detect_anomalies(database, NOON)) == 1


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_the_file_is_not_modified(database: Path, journal: str) -> None:
    replace_rows(database, DROP)
    with sqlite3.connect(database) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {journal}").fetchone() == (journal,)
    connection.close()
    before = contents(database.parent)
    database.chmod(0o444)
    assert len(detect_anomalies(database, NOON)) == 1
    assert len(backtest(database, end=NOON).episodes) == 1
    assert contents(database.parent) == before


def test_rows_that_are_only_in_the_write_ahead_log(database: Path) -> None:
    replace_rows(database, [])
    writer = sqlite3.connect(database)
    try:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        replace_rows(database, DROP)
        assert len(detect_anomalies(database, NOON)) == 1
        assert backtest(database, end=NOON).rows == len(DROP)
    finally:
        writer.close()


def test_an_older_schema_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_bare_database(path)
    replace_rows(path, DROP)
    before = contents(tmp_path)
    assert len(detect_anomalies(path, NOON)) == 1
    assert contents(tmp_path) == before


def bad_databases(folder: Path) -> Iterator[tuple[Path, str]]:
    yield folder / "missing.db", "missing"
    yield folder / "nowhere" / "missing.db", "missing"
    yield folder, "io"
    garbage = folder / "garbage.db"
    garbage.write_bytes(b"no database at all" * 100)
    yield garbage, "not_a_database"
    empty = folder / "empty.db"
    empty.touch()
    yield empty, "incompatible"
    foreign = folder / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER PRIMARY KEY)")
    connection.close()
    yield foreign, "foreign_database"
    lacking = folder / "lacking.db"
    with sqlite3.connect(lacking) as connection:
        connection.execute("CREATE TABLE skill_invocation (id INTEGER PRIMARY KEY, skill_name TEXT)")
    connection.close()
    yield lacking, "incompatible"


def test_bad_databases(tmp_path: Path) -> None:
    databases = list(bad_databases(tmp_path))
    before = sorted(tmp_path.iterdir())
    for path, code in databases:
        for look in (detect_anomalies, backtest):
            with pytest.raises(StorageError) as failure:
                look(path)
            assert failure.value.code == code, path
            assert str(path) in str(failure.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"db_path": 5}, TypeError, "db_path"),
        ({"db_path": b"skills.db"}, TypeError, "db_path"),
        ({"at": "soon"}, ValueError, "at"),
        ({"threshold": 0}, ValueError, "threshold"),
        ({"baseline_window": 3600.0}, ValueError, "baseline_window"),
        ({"observation_window": "1h"}, TypeError, "observation_window"),
        ({"min_samples": 0}, ValueError, "min_samples"),
    ],
)
def test_bad_arguments(database: Path, arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        detect_anomalies(**{"db_path": database, "at": NOON, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"start": "soon"}, ValueError, "start"),
        ({"end": []}, TypeError, "end"),
        ({"start": NOON, "end": NOON - hours(1)}, ValueError, "end must not be before start"),
        ({"skill": ""}, ValueError, "skill"),
        ({"skill": 5}, TypeError, "skill"),
        ({"threshold": 11}, ValueError, "threshold"),
    ],
)
def test_bad_backtests(database: Path, arguments: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        backtest(database, **arguments)
