"""SkillsTracker: what it stores, also on errors, and that it never blocks or fails the tracked code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from session_buddy.core import _pending
from session_buddy.core.skills_tracker import SkillsTracker
from session_buddy.storage.skills_storage import SkillsStorage
from support.databases import locked, rows
from support.processes import wait_until

LOGGER = "session_buddy.tracker"

DURATION = "duration_seconds must be a number of seconds from 0 to 100000000"


@pytest.fixture
def tracker(db_path: Path) -> Iterator[SkillsTracker]:
    with SkillsTracker("s1", db_path) as made:
        yield made


def test_a_completer_stores_what_it_measured_and_was_given(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        before = time.perf_counter()
        done = tracker.track_invocation(
            "pytest-run",
            workflow_path="quick",
            alternatives_considered=["mypy"],
            selection_rank=1,
            workflow_phase="execution",
            workflow_step_id="tests",
        )
        started = time.perf_counter()
        wait_until(lambda: time.perf_counter() - started > 0.02, "some time has passed")
        assert done(completed=False, error_type="exit_code", follow_up_actions=["git commit"])
        longest = time.perf_counter() - before
    ((*fields, seconds),) = rows(
        db_path,
        "skill_name, session_id, completed, error_type, workflow_path, alternatives_considered, selection_rank,"
        " follow_up_actions, workflow_phase, workflow_step_id, user_query, duration_seconds",
    )
    assert fields == [
        "pytest-run", "s1", 0, "exit_code", "quick", '["mypy"]', 1, '["git commit"]', "execution", "tests", None,
    ]  # fmt: skip
    assert 0.02 < seconds <= longest


def test_an_invocation_has_the_time_of_its_start(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        before = time.time()
        done = tracker.track_invocation("a")
        after = time.time()
        wait_until(lambda: time.time() > after, "the clock has advanced")
        done()
    ((invoked,),) = rows(db_path, "(julianday(invoked_at) - 2440587.5) * 86400")
    assert before - 0.01 <= invoked <= after + 0.01


def test_an_invocation_can_have_begun_before(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        tracker.track_invocation("a", invoked_at=datetime(2026, 2, 10, 12))(duration_seconds=1)
    assert rows(db_path, "invoked_at, duration_seconds") == [("2026-02-10T12:00:00", 1.0)]


def test_only_the_first_end_counts(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        done = tracker.track_invocation("a")
        assert done(completed=True) is True
        assert done(completed=False, error_type="timeout") is False
    assert rows(db_path) == [("a", 1, None)]


def test_a_duration_measured_elsewhere_is_accepted(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        tracker.track_invocation("a")(duration_seconds=41.7)
    assert rows(db_path, "duration_seconds") == [(41.7,)]


def test_blocks_are_tracked(db_path: Path) -> None:
    async def asynchronous(tracker: SkillsTracker) -> None:
        async with tracker.track("b", workflow_phase="setup"):
            await asyncio.sleep(0)

    with SkillsTracker("s1", db_path) as tracker:
        with tracker.track("a", workflow_step_id="7"):
            pass
        asyncio.run(asynchronous(tracker))
        with tracker.track("c") as done:
            done(completed=False, error_type="exit_code")  # values that the block sets itself
    assert rows(db_path, "skill_name, completed, error_type, workflow_phase, workflow_step_id") == [
        ("a", 1, None, None, "7"),
        ("b", 1, None, "setup", None),
        ("c", 0, "exit_code", None, None),
    ]


def test_a_block_is_reused_one_run_at_a_time(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        run = tracker.track("a")
        with run, pytest.raises(RuntimeError, match="already running"), run:
            pass
        with run:
            pass
    assert rows(db_path) == [("a", 1, None)] * 2


def test_decorated_functions_are_tracked_at_each_call(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:

        @tracker.track("sum")
        def add(left: int, *, right: int) -> int:
            """Adds."""
            return 0 if left == 0 else left + add(left - 1, right=right)

        @tracker.track("wait")
        async def later(value: str) -> str:
            await asyncio.sleep(0)
            return value

        @tracker.track("count")
        def count(to: int) -> Iterator[int]:
            yield from range(to)

        assert add(2, right=1) == 3
        assert (add.__name__, add.__doc__) == ("add", "Adds.")
        assert asyncio.run(later("x")) == "x"
        assert list(count(3)) == [0, 1, 2]
        assert next(count(3)) == 0  # abandoned half way

    assert sorted(rows(db_path), key=str) == [
        ("count", 0, "interrupted"), ("count", 1, None), *[("sum", 1, None)] * 3, ("wait", 1, None),
    ]  # fmt: skip


def test_many_calls_of_one_decorated_function_run_concurrently(db_path: Path) -> None:
    async def main(tracker: SkillsTracker) -> None:
        together = asyncio.Barrier(5) if sys.version_info >= (3, 11) else None

        @tracker.track("a")
        async def run() -> None:
            if together is not None:
                await together.wait()

        await asyncio.gather(*(run() for _ in range(5)))

    with SkillsTracker("s1", db_path) as tracker:
        asyncio.run(main(tracker))
    assert rows(db_path) == [("a", 1, None)] * 5


def test_an_async_generator_function_is_rejected(tracker: SkillsTracker) -> None:
    async def stream() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="async with"):
        tracker.track("a")(stream)


@pytest.mark.parametrize(
    ("error", "completed", "stored"),
    [
        (ValueError("secret"), 0, "ValueError"),
        (type("a b/secret", (Exception,), {})(), 0, "tool_error"),
        (KeyboardInterrupt(), 0, "interrupted"),
        (asyncio.CancelledError(), 0, "interrupted"),
        (SystemExit(3), 0, "exit_code"),
        (SystemExit("secret"), 0, "exit_code"),
        (SystemExit(0), 1, None),
        (SystemExit(), 1, None),
    ],
)
def test_an_exception_is_propagated_and_only_its_class_is_stored(
    db_path: Path, error: BaseException, completed: int, stored: str | None
) -> None:
    with SkillsTracker("s1", db_path) as tracker:

        @tracker.track("b")
        def fail() -> None:
            raise error

        @tracker.track("c")
        async def fail_later() -> None:
            raise error

        with pytest.raises(type(error)) as caught, tracker.track("a"):
            raise error
        assert caught.value is error
        with pytest.raises(type(error)):
            fail()
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):  # these two end the loop itself
            with pytest.raises(type(error)):
                asyncio.run(fail_later())
    stored_rows = rows(db_path)
    assert len(stored_rows) >= 2
    assert {row[1:] for row in stored_rows} == {(completed, stored)}


def test_a_cancelled_task_is_interrupted(db_path: Path) -> None:
    async def main(tracker: SkillsTracker) -> None:
        begun = asyncio.Event()

        async def forever() -> None:
            async with tracker.track("a"):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with SkillsTracker("s1", db_path) as tracker:
        asyncio.run(main(tracker))
    assert rows(db_path) == [("a", 0, "interrupted")]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("exit_code", "exit_code"),
        ("TimeoutError", "TimeoutError"),
        (ValueError("secret"), "ValueError"),
        ("Command timed out after 2m: secret", "timeout"),
        ("[Errno 2] No such file or directory: '/home/secret'", "tool_error"),
        ("secret\nsecret", "tool_error"),
        ("x" * 65, "tool_error"),
        ("\ud800", "tool_error"),
    ],
)
def test_only_a_class_of_an_error_text_is_stored(db_path: Path, given: str | BaseException, stored: str) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        tracker.track_invocation("a")(completed=False, error_type=given)
    assert rows(db_path) == [("a", 0, stored)]


def test_threads_share_a_tracker(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker, ThreadPoolExecutor(8) as pool:

        def work(number: int) -> None:
            for _ in range(100):
                with tracker.track(f"skill-{number}"):
                    pass

        list(pool.map(work, range(8)))
    assert len(rows(db_path)) == 800
    assert tracker.dropped == 0


def test_a_locked_database_never_blocks_an_event_loop(db_path: Path) -> None:
    async def main() -> None:
        lock = contextlib.ExitStack()
        async with SkillsTracker("s1", db_path, busy_timeout=60) as tracker:
            lock.enter_context(locked(db_path))
            for _ in range(3):
                async with tracker.track("a"):
                    await asyncio.sleep(0)
            assert tracker.pending == 3
            # The end of the session waits for the lock, which only the loop releases.
            asyncio.get_running_loop().call_later(0.05, lock.close)
        assert tracker.dropped == 0

    asyncio.run(main())
    assert rows(db_path) == [("a", 1, None)] * 3


def test_what_a_locked_database_rejects_is_written_later(db_path: Path) -> None:
    with SkillsTracker("s1", db_path, busy_timeout=0) as tracker:
        with locked(db_path):
            with tracker.track("a"):
                pass
            assert not tracker.flush(0.1)
            assert (tracker.pending, tracker.dropped) == (1, 0)
        assert tracker.flush()
        assert tracker.pending == 0
    assert rows(db_path) == [("a", 1, None)]


def test_what_an_unusable_database_rejects_is_kept_until_it_is_repaired(
    db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, LOGGER), SkillsTracker("s1", db_path) as tracker:
        db_path.write_bytes(b"not a database" * 100)
        for _ in range(3):
            with tracker.track("a"):
                pass
        assert not tracker.flush(30)  # reports it as soon as it is known
        assert not tracker.flush(30)
        assert tracker.pending == 3
        db_path.unlink()
        assert tracker.flush()
    assert rows(db_path) == [("a", 1, None)] * 3
    messages = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert len(messages) == 2
    assert messages[0].startswith("cannot write invocations, will retry: ")
    assert messages[1] == "the database is writable again"


def test_invocations_beyond_the_limit_are_dropped_counted_and_logged_once(
    db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, LOGGER):
        tracker = SkillsTracker("s1", db_path, max_pending=3)
        db_path.write_bytes(b"not a database" * 100)
        for number in range(5):
            with tracker.track(f"skill-{number}"):
                pass
        assert (tracker.pending, tracker.dropped) == (3, 2)
        assert not tracker.close()
    assert (tracker.pending, tracker.dropped) == (0, 5)
    drops = [record for record in caplog.records if "dropping" in record.getMessage()]
    assert len(drops) == 1
    assert "too many pending records" in drops[0].getMessage()


def test_a_value_that_cannot_be_stored_loses_no_other(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        with locked(db_path):  # so that they are in one batch
            for number in range(5):
                actions = ["x" * 2_000_000] if number == 2 else None
                tracker.track_invocation(f"skill-{number}")(follow_up_actions=actions)
        assert tracker.flush()
        assert tracker.dropped == 1
    assert [name for name, *_ in rows(db_path)] == ["skill-0", "skill-1", "skill-3", "skill-4"]


def test_the_end_of_a_session_stores_what_never_ended(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        done = tracker.track_invocation("a")
        assert tracker.ended_at is None
    assert tracker.ended_at is not None
    assert tracker.ended_at >= tracker.started_at
    assert done() is False
    assert rows(db_path, "skill_name, completed, error_type, duration_seconds") == [("a", 0, None, None)]


def test_what_never_ends_is_bounded(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pending, "MAX_OPEN", 2)
    with SkillsTracker("s1", db_path) as tracker:
        first, *others = [tracker.track_invocation(name) for name in ("a", "b", "c")]
        assert [done() for done in (first, *others)] == [False, True, True]
    assert rows(db_path) == [("a", 0, None), ("b", 1, None), ("c", 1, None)]


def test_a_closed_tracker_lets_the_program_run(db_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = SkillsTracker("s1", db_path)
    assert tracker.close()
    assert tracker.close()
    with caplog.at_level(logging.WARNING, LOGGER):
        for _ in range(2):
            with tracker.track("a"):
                pass
    assert tracker.dropped == 2
    assert [record.getMessage() for record in caplog.records] == [
        "dropping invocations (1 so far): the tracker is closed"
    ]
    assert not db_path.exists()  # there was nothing to write


def test_a_session_is_summed_up_with_what_other_processes_added(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        assert tracker.get_session_summary() is None
        with tracker.track("a"):
            pass
        with SkillsStorage(db_path) as other:
            other.store_invocation("b", session_id="s1", completed=False, duration_seconds=2.0)
            other.store_invocation("c", session_id="s2")
        summary = tracker.get_session_summary()
        assert summary is not None
        assert (summary.session_id, summary.skills) == ("s1", {"a": 1, "b": 1})
        assert (summary.completed_count, summary.abandoned_count) == (1, 1)
        assert [row.skill_name for row in tracker.get_session_invocations()] == ["a", "b"]
        assert len(tracker.get_session_invocations(limit=1)) == 1


PROGRAM = """
import sys
from session_buddy.core.skills_tracker import SkillsTracker

tracker = SkillsTracker("s1", sys.argv[1])
tracker.track_invocation("never-ended")
with tracker.track("a"):
    pass
with tracker.track("b"):
    {ending}
"""


@pytest.mark.parametrize(
    ("ending", "status", "last"),
    [
        ("pass", 0, ("b", 1, None)),
        ("sys.exit(3)", 3, ("b", 0, "exit_code")),
        ("1 / 0", 1, ("b", 0, "ZeroDivisionError")),
    ],
)
def test_the_end_of_the_program_loses_nothing(
    db_path: Path, ending: str, status: int, last: tuple[object, ...]
) -> None:
    program = PROGRAM.format(ending=ending)
    done = subprocess.run([sys.executable, "-c", program, str(db_path)], timeout=60, check=False, capture_output=True)
    assert done.returncode == status
    assert rows(db_path) == [("a", 1, None), last, ("never-ended", 0, None)]


def test_a_forked_child_records_its_invocations_and_not_its_parents(db_path: Path) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        with tracker.track("before"):
            pass
        tracker.flush()
        open_at_fork = tracker.track_invocation("across")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with tracker.track("child"):
                    pass
                status = 0 if not open_at_fork() and tracker.flush(30) else 2
            finally:
                os._exit(status)
        _, code = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(code) == 0
        assert open_at_fork()
    assert sorted(rows(db_path)) == [("across", 1, None), ("before", 1, None), ("child", 1, None)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"session_id": ""}, ValueError, "session_id must be 1 to 1024 bytes"),
        ({"session_id": 5}, TypeError, "session_id must be a str, not int"),
        ({"session_id": "\ud800"}, ValueError, "session_id must be valid UTF-8"),
        ({"session_id": "s", "db_path": 5}, TypeError, "os.PathLike"),
        ({"session_id": "s", "db_path": b"x"}, TypeError, "db_path must be a str or a path, not bytes"),
        ({"session_id": "s", "max_pending": 0}, ValueError, "max_pending must be at least 1"),
        ({"session_id": "s", "max_pending": 1.5}, TypeError, "max_pending must be an int, not float"),
        ({"session_id": "s", "busy_timeout": -1}, ValueError, "busy_timeout must be from 0 to 60"),
        ({"session_id": "s", "busy_timeout": "1"}, TypeError, "busy_timeout must be a number"),
    ],
)
def test_an_invalid_argument_of_a_tracker_is_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        SkillsTracker(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"skill_name": ""}, ValueError, "skill_name must be 1 to 256 bytes"),
        ({"skill_name": "a\nb"}, ValueError, "skill_name must be 1 to 256 bytes"),
        ({"skill_name": "\ud800"}, ValueError, "skill_name must be 1 to 256 bytes"),
        ({"skill_name": None}, TypeError, "skill_name must be a str, not NoneType"),
        ({"skill_name": "a", "selection_rank": -1}, ValueError, "selection_rank must be 0 or more"),
        ({"skill_name": "a", "selection_rank": True}, TypeError, "selection_rank must be an int, not bool"),
        ({"skill_name": "a", "invoked_at": "now"}, TypeError, "invoked_at must be a datetime, not str"),
        ({"skill_name": "a", "workflow_phase": 5}, TypeError, "workflow_phase must be a str, not int"),
        ({"skill_name": "a", "workflow_step_id": "\0"}, ValueError, "workflow_step_id must be"),
        ({"skill_name": "a", "alternatives_considered": [object()]}, TypeError, "JSON"),
    ],
)
def test_an_invocation_that_cannot_be_stored_does_not_start(
    tracker: SkillsTracker, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        tracker.track_invocation(**arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"duration_seconds": -1}, ValueError, DURATION),
        ({"duration_seconds": float("nan")}, ValueError, DURATION),
        ({"duration_seconds": 10**400}, ValueError, DURATION),
        ({"duration_seconds": "1"}, TypeError, "duration_seconds must be a number, not str"),
        ({"error_type": 5}, TypeError, "error_type must be a str or an exception, not int"),
    ],
)
def test_an_invalid_end_can_be_corrected(
    db_path: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with SkillsTracker("s1", db_path) as tracker:
        done = tracker.track_invocation("a")
        with pytest.raises(error, match=message):
            done(**arguments)
        assert done()
    assert rows(db_path) == [("a", 1, None)]


@pytest.mark.parametrize("content", [None, '{"invocations": []}\n'])
def test_the_json_file_of_the_python_original_is_rejected_and_not_touched(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"must be an SQLite database, not the JSON file .*: name another file"):
        SkillsTracker("s", path)
    with pytest.raises(ValueError, match="not the JSON file"):
        SkillsStorage(path)
    assert [entry.read_text() for entry in tmp_path.glob("metrics*")] == ([] if content is None else [content])


def test_a_file_that_is_not_a_database_is_rejected_when_the_tracker_is_made(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    path.write_text('{"invocations": []}\n')
    with pytest.raises(ValueError, match="must be an SQLite database, which"):
        SkillsTracker("s", path)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True])
def test_an_invalid_time_limit_is_rejected(tracker: SkillsTracker, timeout: Any) -> None:
    for wait in (tracker.flush, tracker.close):
        with pytest.raises((TypeError, ValueError), match="timeout must be a number of seconds"):
            wait(timeout)


def test_no_word_of_what_is_tracked_is_stored_or_logged(db_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = "SECRET-4711"
    error = RuntimeError(secret)
    with caplog.at_level(logging.DEBUG), SkillsTracker("s1", db_path) as tracker:

        @tracker.track("a")
        def run(argument: str) -> str:
            if argument.endswith("!"):
                raise error
            return argument

        run(secret)
        with pytest.raises(RuntimeError):
            run(secret + "!")
        tracker.track_invocation("b", user_query=secret)(completed=False, error_type=f"{secret}: /home/{secret}")
        assert tracker.flush()
        files = {path: path.read_bytes() for path in db_path.parent.iterdir()}
        assert any(path.name.endswith("-wal") for path in files)
    assert len(rows(db_path)) == 3
    files |= {path.with_suffix(".end"): path.read_bytes() for path in db_path.parent.iterdir()}
    assert not [path for path, content in files.items() if secret.encode() in content]
    assert secret not in caplog.text


def test_the_thread_of_a_tracker_ends_with_it(db_path: Path) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "session-buddy-tracker"]

    with SkillsTracker("s1", db_path) as tracker:
        assert threads() == []
        with tracker.track("a"):
            pass
        assert len(threads()) == 1
    assert threads() == []
