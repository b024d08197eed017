"""SkillsStorage: stored values, rejected ones with their errors, and use by several threads."""

from __future__ import annotations

import contextlib
import json
import pickle
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from session_buddy.storage import DatabaseBusyError, InvalidRecordError, StorageError
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import execute, locked


def test_every_column_is_stored(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        stored = storage.store_invocation(
            "pytest-run",
            session_id="s-1",
            invoked_at="2026-02-10 12:00:00+01:00",
            completed=True,
            duration_seconds=2.5,
            workflow_path="test.unit",
            user_query="run the tests",
            alternatives_considered=["mypy", "räuff"],
            selection_rank=2,
            follow_up_actions='["commit"]',
            error_type="[Errno 2] No such file",
            embedding=bytearray(b"\x00\x01\xff"),
            workflow_phase="execution",
            workflow_step_id="7",
        )
    assert execute(
        db_path,
        "SELECT id, skill_name, invoked_at, session_id, workflow_path, completed, duration_seconds, user_query,"
        " alternatives_considered, selection_rank, follow_up_actions, error_type, embedding, workflow_phase,"
        " workflow_step_id FROM skill_invocation",
    ) == [
        (
            stored,
            "pytest-run",
            "2026-02-10 12:00:00+01:00",
            "s-1",
            "test.unit",
            1,
            2.5,
            "run the tests",
            '["mypy", "räuff"]',
            2,
            '["commit"]',
            "[Errno 2] No such file",
            b"\x00\x01\xff",
            "execution",
            "7",
        )
    ]


def test_omitted_fields_are_null_now_and_not_completed(db_path: Path) -> None:
    before = datetime.now(timezone.utc)
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("a", session_id="s")
    ((at, completed, duration, query, embedding),) = execute(
        db_path, "SELECT invoked_at, completed, duration_seconds, user_query, embedding FROM skill_invocation"
    )
    assert before <= datetime.fromisoformat(at) <= datetime.now(timezone.utc)
    assert (completed, duration, query, embedding) == (0, None, None, None)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2026-02-10", "2026-02-10"),
        (datetime(2026, 2, 10, 12, 0, 0, 5), "2026-02-10T12:00:00.000005"),
        (datetime(2026, 2, 10, 12, tzinfo=timezone(timedelta(hours=2))), "2026-02-10T12:00:00+02:00"),
    ],
)
def test_times_are_stored_as_given(db_path: Path, given: str | datetime, stored: str) -> None:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("a", session_id="s", invoked_at=given)
    assert execute(db_path, "SELECT invoked_at FROM skill_invocation") == [(stored,)]


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"skill_name": ""}, InvalidRecordError, "skill_name"),
        ({"skill_name": "a\nb"}, InvalidRecordError, "skill_name"),
        ({"skill_name": "x" * 257}, InvalidRecordError, "skill_name"),
        ({"skill_name": 1}, TypeError, "skill_name must be a str, not int"),
        ({"skill_name": None}, TypeError, "skill_name is required"),
        ({"skill_name": "\ud800"}, ValueError, "skill_name"),
        ({"session_id": 5}, TypeError, "session_id must be a str, not int"),
        ({"invoked_at": "yesterday"}, InvalidRecordError, "invoked_at"),
        ({"invoked_at": 1700000000}, TypeError, "invoked_at must be a str, not int"),
        ({"completed": 1}, TypeError, "completed must be a bool, not int"),
        ({"duration_seconds": -1}, InvalidRecordError, "duration_seconds"),
        ({"duration_seconds": float("nan")}, InvalidRecordError, "duration_seconds"),
        ({"duration_seconds": float("inf")}, InvalidRecordError, "duration_seconds"),
        ({"duration_seconds": "1"}, TypeError, "duration_seconds must be a number, not str"),
        ({"duration_seconds": True}, TypeError, "duration_seconds must be a number, not bool"),
        ({"selection_rank": 1.5}, TypeError, "selection_rank must be an int, not float"),
        ({"selection_rank": 2**70}, ValueError, "selection_rank is too large"),
        ({"embedding": "text"}, TypeError, "embedding must be bytes, not str"),
        ({"follow_up_actions": 3}, TypeError, "follow_up_actions must be a list or a str, not int"),
        ({"user_query": ["a"]}, TypeError, "user_query must be a str, not list"),
    ],
)
def test_a_value_that_cannot_be_stored_is_named(
    db_path: Path, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with SkillsStorage(db_path) as storage:
        with pytest.raises(error, match=message):
            storage.store_invocation(**{"skill_name": "a", "session_id": "s", **fields})
        with pytest.raises(error, match=rf"(?s)1.*{message}"):
            storage.store_many(
                [{"skill_name": "a", "session_id": "s"}, {"skill_name": "a", "session_id": "s", **fields}]
            )
    assert execute(db_path, "SELECT count(*) FROM skill_invocation") == [(0,)]


def test_store_many_is_one_transaction_and_returns_the_ids(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        ids = storage.store_many({"skill_name": f"skill-{n % 3}", "session_id": "s"} for n in range(100))
        assert ids == sorted(set(ids))
        assert len(ids) == 100
        assert storage.store_many([]) == []
        with pytest.raises(TypeError, match="record 0: unknown key skil_name"):
            storage.store_many([{"skil_name": "a", "session_id": "s"}])
    assert execute(db_path, "SELECT count(*) FROM skill_invocation") == [(100,)]


def test_metrics_are_those_of_the_table(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        assert storage.get_metrics("mypy") is None
        for completed, duration in ((True, 1.0), (True, 3.0), (False, None)):
            storage.store_invocation(
                "mypy",
                session_id="s",
                completed=completed,
                duration_seconds=duration,
                error_type=None if completed else "type.error",
                workflow_path="check",
            )
        storage.store_invocation("ruff", session_id="s", completed=True)
        metrics = storage.get_metrics("mypy")
        assert metrics is not None
        assert metrics.total_invocations == 3
        assert metrics.completed_invocations == 2
        assert metrics.abandoned_invocations == 1
        assert metrics.completion_rate == pytest.approx(200 / 3)
        assert metrics.common_errors == {"type.error": 1}
        assert metrics.workflow_paths == {"check": 3}
        assert [entry.skill_name for entry in storage.get_top_skills()] == ["mypy", "ruff"]
        assert [entry.skill_name for entry in storage.get_top_skills(limit=1)] == ["mypy"]
        assert storage.get_top_skills(0) == []


def test_real_time_metrics_are_those_of_the_window(db_path: Path) -> None:
    now = datetime.now(timezone.utc)
    with SkillsStorage(db_path) as storage:
        for hours, completed in ((0.5, True), (2, False), (30, True)):
            storage.store_invocation(
                "ruff",
                session_id="s",
                invoked_at=now - timedelta(hours=hours),
                completed=completed,
                duration_seconds=4.0,
            )
        storage.store_invocation("mypy", session_id="s", invoked_at=now - timedelta(minutes=5))
        day = storage.get_real_time_metrics()
        assert [(entry["skill_name"], entry["invocation_count"]) for entry in day] == [("ruff", 2), ("mypy", 1)]
        assert day[0] == {
            "skill_name": "ruff",
            "invocation_count": 2,
            "completed_count": 1,
            "avg_duration": 4.0,
            "last_invocation_at": (now - timedelta(hours=0.5)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        hour = storage.get_real_time_metrics(limit=5, time_window_hours=1)
        assert [entry["invocation_count"] for entry in hour] == [1, 1]
        assert len(storage.get_real_time_metrics(limit=1)) == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda storage: storage.get_top_skills(-1), ValueError),
        (lambda storage: storage.get_top_skills("3"), TypeError),
        (lambda storage: storage.get_top_skills(True), TypeError),
        (lambda storage: storage.get_real_time_metrics(limit=-1), ValueError),
        (lambda storage: storage.get_real_time_metrics(time_window_hours=0), ValueError),
        (lambda storage: storage.get_real_time_metrics(time_window_hours=float("nan")), ValueError),
        (lambda storage: storage.get_real_time_metrics(time_window_hours="1"), TypeError),
    ],
)
def test_wrong_arguments_of_queries_are_rejected(db_path: Path, call: Any, error: type[Exception]) -> None:
    with SkillsStorage(db_path) as storage, pytest.raises(error):
        call(storage)


def test_after_close_every_call_says_so(db_path: Path) -> None:
    storage = SkillsStorage(db_path)
    storage.close()
    storage.close()
    for call in (
        lambda: storage.store_invocation("a", session_id="s"),
        lambda: storage.get_metrics("a"),
        lambda: storage.get_top_skills(),
        lambda: storage.get_real_time_metrics(),
    ):
        with pytest.raises(InvalidRecordError, match="closed"):
            call()


def test_a_file_that_is_not_a_database_is_named(db_path: Path) -> None:
    db_path.write_bytes(b"no database at all, certainly not one of SQLite" * 50)
    before = db_path.read_bytes()
    with pytest.raises(StorageError, match=str(db_path)) as caught:
        SkillsStorage(db_path)
    assert caught.value.code == "not_a_database"
    assert caught.value.path == str(db_path)
    assert db_path.read_bytes() == before
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), copy.code, str(copy)) == (StorageError, "not_a_database", str(caught.value))


def test_a_locked_database_is_busy_after_the_timeout(db_path: Path) -> None:
    with SkillsStorage(db_path, busy_timeout=0.05) as storage, locked(db_path) as locker:
        with pytest.raises(DatabaseBusyError) as caught:
            storage.store_invocation("a", session_id="s")
        assert caught.value.code == "busy"
        locker.execute("ROLLBACK")
        assert storage.store_invocation("a", session_id="s") > 0


@pytest.mark.parametrize("wrong", [True, "5", None])
def test_a_wrong_busy_timeout_is_rejected(db_path: Path, wrong: Any) -> None:
    with pytest.raises(TypeError, match="busy_timeout"):
        SkillsStorage(db_path, busy_timeout=wrong)
    with pytest.raises(ValueError, match="busy_timeout"):
        SkillsStorage(db_path, busy_timeout=-1)


def test_threads_can_share_it(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage, ThreadPoolExecutor(8) as pool:
        start = threading.Barrier(8)

        def work(worker: int) -> list[int]:
            start.wait()
            return [storage.store_invocation(f"skill-{worker}", session_id="s", completed=True) for _ in range(25)]

        ids = [number for numbers in pool.map(work, range(8)) for number in numbers]
        assert len(set(ids)) == 200
        assert sum(entry.total_invocations for entry in storage.get_top_skills()) == 200


def test_counts_of_another_format_are_ignored(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("a", session_id="s")
        for text in ("not json", "[1]", '{"x": "y", "z": 2}'):
            with contextlib.closing(sqlite3.connect(db_path)) as database, database:
                database.execute("UPDATE skill_metrics SET common_errors = ?", (text,))
            metrics = storage.get_metrics("a")
            assert metrics is not None
            assert metrics.common_errors == ({"z": 2} if text.startswith("{") else {})


def test_the_default_is_the_database_of_the_server(isolated_environment: Path) -> None:
    with SkillsStorage() as storage:
        assert storage.db_path == str(isolated_environment / "data" / "session-buddy" / "skills.db")
        storage.store_invocation("a", session_id="s")
    assert Path(storage.db_path).exists()


def test_lists_are_json(db_path: Path) -> None:
    with SkillsStorage(db_path) as storage:
        storage.store_invocation("a", session_id="s", follow_up_actions=("commit", "push"))
        metrics = storage.get_metrics("a")
    ((text,),) = execute(db_path, "SELECT follow_up_actions FROM skill_invocation")
    assert json.loads(text) == ["commit", "push"]
    assert metrics is not None
