"""The queries of SkillsStorage: results, order, limits, and rejected arguments."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy.storage import InvalidRecordError, StorageError
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import locked

NOON = datetime(2026, 2, 10, 12, tzinfo=timezone.utc)


@pytest.fixture
def storage(db_path: Path) -> Iterator[SkillsStorage]:
    with SkillsStorage(db_path) as opened:
        yield opened


def add(storage: SkillsStorage, skill: str, minute: int = 0, session: str = "s1", **fields: Any) -> int:
    return storage.store_invocation(
        skill, session_id=session, invoked_at=NOON + timedelta(minutes=minute), **{"completed": True, **fields}
    )


def test_an_invocation_comes_back_as_it_was_stored(storage: SkillsStorage) -> None:
    stored = storage.store_invocation(
        "pytest-run",
        session_id="s-1",
        invoked_at="2026-02-10 12:00:00+01:00",
        completed=True,
        duration_seconds=2.5,
        workflow_path="test.unit",
        alternatives_considered=["mypy", "räuff"],
        selection_rank=2,
        follow_up_actions=["commit"],
        error_type="exit_code",
        embedding=b"\x00\x01\xff",
        workflow_phase="execution",
        workflow_step_id="7",
    )
    row = storage.get_invocation(stored)
    assert row is not None
    assert (row.id, row.skill_name, row.session_id, row.completed) == (stored, "pytest-run", "s-1", True)
    assert (row.invoked_at, row.duration_seconds) == ("2026-02-10 12:00:00+01:00", 2.5)
    assert (row.workflow_path, row.workflow_phase, row.workflow_step_id) == ("test.unit", "execution", "7")
    assert (row.alternatives_considered, row.follow_up_actions) == ('["mypy", "räuff"]', '["commit"]')
    assert (row.selection_rank, row.error_type, row.embedding) == (2, "exit_code", b"\x00\x01\xff")
    assert row.user_query is None
    for unknown in (stored + 1, 0, -1, 2**70):
        assert storage.get_invocation(unknown) is None


def test_a_session_is_listed_in_the_order_of_time(storage: SkillsStorage) -> None:
    late, early = add(storage, "a", 5), add(storage, "b", 1)
    add(storage, "a", 3, "other")
    assert [row.id for row in storage.get_session_invocations("s1")] == [early, late]
    assert [row.id for row in storage.get_session_invocations("s1", limit=1)] == [early]
    assert storage.get_session_invocations("unknown") == []


def test_filters_narrow_and_the_order_is_chosen(storage: SkillsStorage) -> None:
    first = add(storage, "a", 0, duration_seconds=1.0, workflow_phase="setup")
    second = add(storage, "b", 1, completed=False, error_type="timeout", workflow_step_id="tests")
    third = add(storage, "a", 2, "s2")

    def ids(**filters: Any) -> list[int]:
        return [row.id for row in storage.query_invocations(**filters)]

    assert ids() == [third, second, first]
    assert ids(order="oldest") == [first, second, third]
    assert ids(limit=1) == [third]
    assert ids(limit=0) == []
    assert ids(skill_name="a") == [third, first]
    assert ids(skill_name="a", session_id="s1") == [first]
    assert ids(workflow_phase="setup") == [first]
    assert ids(workflow_step_id="tests") == [second]
    assert ids(completed=False) == [second]
    assert ids(error_type="timeout", completed=None) == [second]
    assert ids(since=NOON + timedelta(minutes=1)) == [third, second]
    assert ids(since="2026-02-10T13:01:00+01:00", until="2026-02-10T12:02:00Z") == [second]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"order": "random"}, ValueError, 'order must be "newest" or "oldest"'),
        ({"limit": -1}, ValueError, "limit must be 0 or more"),
        ({"limit": "5"}, TypeError, "limit must be an int, not str"),
        ({"skill": "a"}, TypeError, "unknown filter skill; available: skill_name"),
        ({"skill_name": 5}, TypeError, "skill_name must be a str, not int"),
        ({"skill_name": "\ud800"}, ValueError, "skill_name must be valid UTF-8"),
        ({"completed": 1}, TypeError, "completed must be a bool, not int"),
        ({"since": "soon"}, ValueError, "since must be an ISO 8601 timestamp"),
        ({"until": 5}, TypeError, "until must be a str or a datetime, not int"),
    ],
)
def test_an_invalid_query_is_rejected(
    storage: SkillsStorage, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        storage.query_invocations(**arguments)


def test_a_session_is_summed_up(storage: SkillsStorage) -> None:
    assert storage.get_session_summary("s1") is None
    add(storage, "a", 0, duration_seconds=1.5)
    add(storage, "a", 2, duration_seconds=0.5, completed=False)
    add(storage, "b", 1)
    add(storage, "c", 9, "s2")
    summary = storage.get_session_summary("s1")
    assert summary is not None
    assert (summary.session_id, summary.unique_skills, summary.skills) == ("s1", 2, {"a": 2, "b": 1})
    assert (summary.total_invocations, summary.completed_count, summary.abandoned_count) == (3, 2, 1)
    assert summary.total_duration_seconds == 2.0
    assert (summary.first_skill_at, summary.last_skill_at) == ("2026-02-10T12:00:00.000Z", "2026-02-10T12:02:00.000Z")


def test_hours_are_counted_from_the_invocations(storage: SkillsStorage) -> None:
    add(storage, "a", 0, duration_seconds=1.0)
    add(storage, "a", 59, "s2", completed=False)
    add(storage, "a", 60, duration_seconds=4.0)
    add(storage, "b", 61)
    hours = storage.get_hourly_aggregates()
    assert [(hour.timestamp, hour.skill_name, hour.invocation_count) for hour in hours] == [
        ("2026-02-10T12:00:00Z", "a", 2),
        ("2026-02-10T13:00:00Z", "a", 1),
        ("2026-02-10T13:00:00Z", "b", 1),
    ]
    assert (hours[0].completed_count, hours[0].completion_rate, hours[0].avg_duration_seconds) == (1, 0.5, 1.0)
    assert (hours[0].unique_sessions, hours[2].avg_duration_seconds) == (2, None)
    assert [hour.timestamp for hour in storage.get_hourly_aggregates(skill_name="a", limit=1)] == [
        "2026-02-10T13:00:00Z"
    ]


def test_phases_and_errors_agree_with_the_database(storage: SkillsStorage, db_path: Path) -> None:
    add(storage, "a", duration_seconds=1.0, workflow_phase="setup")
    add(storage, "a", duration_seconds=4.0, workflow_phase="setup", completed=False, error_type="exit_code")
    add(storage, "b", workflow_phase="execution")
    add(storage, "b", completed=False, error_type="timeout")
    rows = storage.get_effectiveness_by_phase()
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        view = database.execute(
            "SELECT skill_name, workflow_phase, total_invocations, completed_count, abandoned_count,"
            " avg_duration_seconds, avg_completion_time, completion_rate FROM v_skill_effectiveness_by_phase"
            " ORDER BY workflow_phase, total_invocations DESC"
        ).fetchall()
    assert len(view) == 2
    assert view == [
        (
            row.skill_name,
            row.workflow_phase,
            row.total_invocations,
            row.completed_count,
            row.abandoned_count,
            row.avg_duration_seconds,
            row.avg_completion_time,
            row.completion_rate,
        )
        for row in rows
    ]
    assert [(row.timed_count, row.total_duration_seconds) for row in rows] == [(0, 0.0), (2, 5.0)]
    assert [row.skill_name for row in storage.get_effectiveness_by_phase(workflow_phase="setup")] == ["a"]
    assert storage.get_error_counts() == {"exit_code": 1, "timeout": 1}
    assert storage.get_error_counts(workflow_phase="setup") == {"exit_code": 1}


def test_a_closed_storage_says_so(db_path: Path) -> None:
    storage = SkillsStorage(db_path)
    storage.close()
    for query in (
        lambda: storage.get_invocation(1),
        lambda: storage.query_invocations(),
        lambda: storage.get_session_summary("s1"),
        lambda: storage.get_hourly_aggregates(),
        lambda: storage.get_effectiveness_by_phase(),
        lambda: storage.get_error_counts(),
    ):
        with pytest.raises(InvalidRecordError, match="closed"):
            query()


def test_a_database_that_turns_out_damaged_is_named(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        add(storage, "a")
        db_path.unlink()
        db_path.write_bytes(b"not a database" * 1000)
        with pytest.raises(StorageError) as caught:
            storage.query_invocations()
    assert caught.value.code == "not_a_database"
    assert caught.value.path == str(db_path)


def test_queries_write_nothing_and_wait_for_no_writer(storage: SkillsStorage, db_path: Path) -> None:
    add(storage, "a")
    with locked(db_path) as other:
        other.execute("UPDATE skill_invocation SET skill_name = 'z'")
        answers: list[object] = []
        reader = threading.Thread(target=lambda: answers.append(storage.get_session_summary("s1")))
        reader.start()
        reader.join(30)
        other.execute("ROLLBACK")
    assert [getattr(answer, "skills", None) for answer in answers] == [{"a": 1}]


def test_unknown_outcomes_are_counted_and_left_out_of_rates(storage: SkillsStorage, db_path: Path) -> None:
    unknown = add(storage, "a", 0, duration_seconds=900.0, workflow_phase="test")
    failed = add(storage, "a", 1, completed=False, workflow_phase="test")
    completed = add(storage, "a", 2, duration_seconds=3.0, workflow_phase="test")
    with contextlib.closing(sqlite3.connect(db_path)) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS session_buddy_mark (invocation_id INTEGER PRIMARY KEY, marks INTEGER NOT NULL)"
        )
        database.execute("INSERT INTO session_buddy_mark VALUES (?, 3)", (unknown,))
        database.commit()
    rows = storage.query_invocations(order="oldest")
    assert [(row.id, row.outcome, row.completed, row.duration_is_bound) for row in rows] == [
        (unknown, "unknown", True, True),
        (failed, "failed", False, False),
        (completed, "completed", True, False),
    ]
    (hour,) = storage.get_hourly_aggregates()
    assert (hour.completed_count, hour.unknown_count, hour.completion_rate) == (2, 1, 0.5)
    assert hour.avg_duration_seconds == 3.0
    (phase,) = storage.get_effectiveness_by_phase()
    assert (phase.unknown_count, phase.completion_rate, phase.avg_completion_time) == (1, 50.0, 3.0)
    summary = storage.get_session_summary("s1")
    assert summary is not None
    assert summary.unknown_count == 1
