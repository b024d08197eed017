"""A test oracle: random writes of other programs to a database, and the metrics that SQL computes from its rows."""

from __future__ import annotations

import contextlib
import io
import random
import re
import sqlite3
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from session_buddy.cli.main import main

from .http_api import get
from .processes import DEADLINE, Server

SKILLS = ["pytest", "mypy", "ruff", "git", 'quoted "name"', "größe"]
SESSIONS = [f"session-{number}" for number in range(5)]
COLUMNS = "skill_name, invoked_at, session_id, completed, duration_seconds, error_type, workflow_phase"
# The metrics that a row counts in change at an age of 30 minutes, an hour, a day. No row reaches one during a test.
AGES = [(0, 300), (2 * 3600, 20 * 3600), (30 * 3600, 40 * 3600), (5 * 86400, 9 * 86400)]
WINDOW = timedelta(hours=24)
LOOKBACK = timedelta(hours=48)  # of a rebuild
ACTIVE = timedelta(minutes=30)

Totals = Counter[tuple[str, bool]]
Shown = dict[str, Any]


def text_of(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_the_second(text: str | None) -> str | None:
    return None if text is None else text[:19] + "Z"


class Writer:
    """Acts as other programs: each operation runs on a new connection."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.inserted: Totals = Counter()  # since the last call of take_inserted()
        self.by_hand = False  # an operation since then that totals do not follow row by row
        self._backup = path.with_name("backup.db")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            connection.execute(f"PRAGMA recursive_triggers = {self.random.choice(['ON', 'OFF'])}")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()

    def row(self) -> tuple[object, ...]:
        youngest, oldest = self.random.choice(AGES)
        at = datetime.now(timezone.utc) - timedelta(seconds=self.random.uniform(youngest, oldest))
        return (
            self.random.choice(SKILLS),
            text_of(at),
            self.random.choice(SESSIONS),
            self.random.random() < 0.8,
            None if self.random.random() < 0.3 else round(self.random.uniform(0, 60), 3),
            self.random.choice([None, "timeout", "[Errno 2] No such file"]),
            self.random.choice([None, "plan", "test"]),
        )

    def insert(self, connection: sqlite3.Connection, count: int) -> None:
        rows = [self.row() for _ in range(count)]
        connection.executemany(f"INSERT INTO skill_invocation ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self.inserted.update((str(row[0]), bool(row[3])) for row in rows)

    def some_id(self, connection: sqlite3.Connection) -> int:
        ids = [row[0] for row in connection.execute("SELECT id FROM skill_invocation")]
        return self.random.choice(ids) if ids else 1

    # One method for each kind of operation; those that batch() lists as `by_hand` change existing rows.
    def few_rows(self) -> None:
        with self.transaction() as connection:
            self.insert(connection, self.random.randint(1, 5))

    def many_rows(self) -> None:
        with self.transaction() as connection:
            self.insert(connection, self.random.randint(50, 300))

    def prune(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["prune", "--keep", "3d", "--db-path", str(self.path)]) == 0

    def change_an_uncounted_column(self) -> None:
        with self.transaction() as connection:
            connection.execute("UPDATE skill_invocation SET user_query = 'x', embedding = x'00'")

    def back_up(self) -> None:
        self._copy(self.path, self._backup)

    def change_rows(self) -> None:
        column, value = self.random.choice(
            [
                ("skill_name", self.random.choice([*SKILLS, "renamed"])),
                ("invoked_at", self.row()[1]),
                ("session_id", self.random.choice(SESSIONS)),
                ("completed", self.random.random() < 0.5),
                ("duration_seconds", self.random.choice([None, 7.25])),
            ]
        )
        with self.transaction() as connection:
            where, parameter = self.random.choice(
                [("id = ?", self.some_id(connection)), ("skill_name = ?", self.random.choice(SKILLS))]
            )
            connection.execute(f"UPDATE skill_invocation SET {column} = ? WHERE {where}", (value, parameter))

    def delete_rows(self) -> None:
        with self.transaction() as connection:
            first = self.some_id(connection)
            where = self.random.choice(
                [
                    "id = :id",
                    "id BETWEEN :id AND :id + 5",
                    "id = (SELECT max(id) FROM skill_invocation)",
                    "id = (SELECT min(id) FROM skill_invocation)",
                    "skill_name = (SELECT skill_name FROM skill_invocation WHERE id = :id)",
                    "session_id = (SELECT session_id FROM skill_invocation WHERE id = :id)",
                ]
            )
            connection.execute(f"DELETE FROM skill_invocation WHERE {where}", {"id": first})

    def delete_all(self) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM skill_invocation")

    def delete_and_insert(self) -> None:
        """Leaves as many rows as before, under new ids or under the old one."""
        with self.transaction() as connection:
            gone = self.some_id(connection)
            connection.execute("DELETE FROM skill_invocation WHERE id = ?", (gone,))
            if self.random.random() < 0.5:
                self.insert(connection, 1)
            else:
                self.insert_or_replace(connection, self.random.choice([gone, self.some_id(connection), 1]))

    def insert_or_replace(self, connection: sqlite3.Connection, row_id: int) -> None:
        connection.execute(
            f"INSERT OR REPLACE INTO skill_invocation (id, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (row_id, *self.row()),
        )

    def replace_rows(self) -> None:
        with self.transaction() as connection:
            largest = connection.execute("SELECT max(coalesce(max(id), 1), 1) FROM skill_invocation").fetchone()[0]
            for row_id in (self.some_id(connection), self.random.randint(1, largest), largest):
                if self.random.random() < 0.5:
                    self.insert_or_replace(connection, row_id)

    def use_the_largest_id_again(self) -> None:
        with self.transaction() as connection:
            largest = connection.execute("SELECT max(coalesce(max(id), 1), 1) FROM skill_invocation").fetchone()[0]
            connection.execute("DELETE FROM skill_invocation WHERE id = ?", (largest,))
            self.insert_or_replace(connection, largest)

    def insert_and_delete(self) -> None:
        """Rows that no read of the database ever sees."""
        with self.transaction() as connection:
            before = connection.execute("SELECT coalesce(max(id), 0) FROM skill_invocation").fetchone()[0]
            self.insert(connection, 3)
            connection.execute("DELETE FROM skill_invocation WHERE id > ?", (before,))

    def restore(self) -> None:
        if self._backup.exists():
            self._copy(self._backup, self.path)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with (
            contextlib.closing(sqlite3.connect(source, timeout=30)) as database,
            contextlib.closing(sqlite3.connect(target, timeout=30)) as copy,
        ):
            database.backup(copy)

    def drop_change_counters(self) -> None:
        statement = self.random.choice(
            [
                "DELETE FROM sqlite_sequence WHERE name = 'session_buddy_changes'",
                "DROP TRIGGER IF EXISTS session_buddy_row_deleted",
                "DROP TRIGGER IF EXISTS session_buddy_row_updated",
            ]
        )
        with self.transaction() as connection:
            connection.execute(statement)
            connection.execute("DELETE FROM skill_invocation WHERE id = ?", (self.some_id(connection),))

    def batch(self) -> list[str]:
        """A few operations, with pauses in which a server may read the database or not. Returns their names."""
        clean = [
            self.few_rows,
            self.few_rows,
            self.many_rows,
            self.prune,
            self.change_an_uncounted_column,
            self.back_up,
        ]
        by_hand: list[Callable[[], None]] = [
            *(self.change_rows, self.delete_rows, self.delete_and_insert, self.replace_rows) * 2,
            self.use_the_largest_id_again,
            self.insert_and_delete,
            self.restore,
            self.delete_all,
            self.drop_change_counters,
        ]
        names = []
        only_clean = self.random.random() < 0.3
        for _ in range(self.random.randint(1, 6)):
            operation = self.random.choice(clean if only_clean or self.random.random() < 0.4 else by_hand)
            self.by_hand = self.by_hand or operation in by_hand
            operation()
            names.append(operation.__name__)
            time.sleep(self.random.choice([0, 0, 0.005, 0.03]))
        return names


def expected(path: Path) -> Shown:
    """The metrics that SQL computes from the current rows."""
    now = datetime.now(timezone.utc)
    hour = now.replace(minute=0, second=0, microsecond=0)
    skills: dict[str, dict[str, Any]] = {}
    sessions: dict[str, tuple[object, ...]] = {}

    def metrics(total: int, completed: int, mean: float | None, last: str | None) -> tuple[object, ...]:
        return (total, completed, mean, to_the_second(last))

    with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
        database.execute("BEGIN")
        sums = (
            "skill_name, count(*), sum(completed), avg(CASE WHEN completed THEN duration_seconds END), max(invoked_at)"
            " FROM skill_invocation"
        )
        entries = database.execute(
            "SELECT skill_name, total_invocations, completed_invocations, avg_duration_seconds, last_invoked"
            " FROM skill_metrics"
        ).fetchall()
        known = {entry[0] for entry in entries}
        for entry in database.execute(f"SELECT {sums} GROUP BY skill_name"):
            if entry[0] not in known:
                entries.append(entry)
        for name, *rest in entries:
            skills[name] = {"lifetime": metrics(*rest), "window": (0, 0, None, None), "hours": [[0] * 24, [0] * 24]}
        window = (text_of(now - WINDOW),)
        for name, *rest in database.execute(f"SELECT {sums} WHERE invoked_at > ? GROUP BY skill_name", window):
            skills[name]["window"] = metrics(*rest)
        # A row whose time was changed by hand may be later than what the triggers noted.
        for name, last in database.execute(
            "SELECT skill_name, max(invoked_at) FROM skill_invocation WHERE invoked_at > ? GROUP BY skill_name",
            (text_of(now - LOOKBACK),),
        ):
            lifetime = skills[name]["lifetime"]
            skills[name]["lifetime"] = (*lifetime[:3], max(lifetime[3] or "", to_the_second(last) or ""))
        for name, at, completed in database.execute(
            "SELECT skill_name, invoked_at, completed FROM skill_invocation WHERE invoked_at >= ?",
            (text_of(hour - timedelta(hours=23)),),
        ):
            index = 23 - int((hour - datetime.fromisoformat(at.replace("Z", "+00:00"))) / timedelta(hours=1) + 1 - 1e-9)
            if at >= text_of(hour):
                index = 23
            skills[name]["hours"][0][index] += 1
            skills[name]["hours"][1][index] += completed
        for session, first, last, count, completed, distinct in database.execute(
            "SELECT session_id, min(invoked_at), max(invoked_at) AS last, count(*), sum(completed),"
            " count(DISTINCT skill_name) FROM skill_invocation WHERE invoked_at > ? GROUP BY 1 HAVING last > ?",
            (text_of(now - WINDOW), text_of(now - ACTIVE)),
        ):
            sessions[session] = (to_the_second(first), to_the_second(last), count, completed, distinct)
    return {"skills": skills, "sessions": sessions}


def shown(server: Server) -> Shown:
    """The same metrics as the server reports them."""
    skills = {}
    for skill in get(server, "skills", limit=100, sparkline="true")["skills"]:
        window, lifetime, line = skill["window"], skill["lifetime"], skill["sparkline"]
        skills[skill["skill_name"]] = {
            "window": (
                window["invocation_count"],
                window["completed_count"],
                window["avg_duration"],
                window["last_invocation_at"],
            ),
            "lifetime": (
                lifetime["total_invocations"],
                lifetime["completed_invocations"],
                lifetime["avg_duration_seconds"],
                lifetime["last_invocation_at"],
            ),
            "hours": [line["invocation_count"], line["completed_count"]],
        }
    sessions = {
        session["session_id"]: (
            session["first_activity_at"],
            session["last_activity_at"],
            session["invocations"],
            session["completed"],
            session["distinct_skills"],
        )
        for session in get(server, "sessions")["sessions"]
    }
    return {"skills": skills, "sessions": sessions}


def totals(server: Server) -> Totals:
    """The counters of GET /metrics, once all rows are counted, in a cycle that began after this call."""
    end = time.monotonic() + DEADLINE
    wanted: float | None = None
    while True:
        with urllib.request.urlopen(f"http://localhost:{server.port}/metrics", timeout=DEADLINE) as answer:
            text = answer.read().decode()
        cycles = float(re.findall(r"^session_buddy_cycle_duration_seconds_count (\S+)$", text, re.MULTILINE)[0])
        wanted = cycles + 2 if wanted is None else wanted
        if cycles >= wanted and re.search(r"^session_buddy_uncounted_rows 0(\.0)?$", text, re.MULTILINE):
            break
        assert time.monotonic() < end, "some rows were not counted"
        time.sleep(0.01)
    found: Totals = Counter()
    for labels, value in re.findall(r"^skill_invocations_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        values = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        name = re.sub(r"\\(.)", r"\1", values["skill_name"])
        found[name, values["completed"] == "true"] += int(float(value))
    return found


def agree(wanted: Any, found: Any) -> bool:
    """Whether both are the same; numbers up to rounding."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return abs(wanted - found) < 1e-5
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(agree(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, (tuple, list)) and isinstance(found, (tuple, list)):
        return len(wanted) == len(found) and all(map(agree, wanted, found))
    return bool(wanted == found)


def differences(wanted: Shown, found: Shown) -> list[str]:
    """Describes the differences; empty where both agree."""
    found_differences = []
    for part in ("skills", "sessions"):
        for name in sorted({*wanted[part], *found[part]}):
            if not agree(wanted[part].get(name), found[part].get(name)):
                found_differences.append(
                    f"{part} {name}: SQL says {wanted[part].get(name)}, the server {found[part].get(name)}"
                )
    return found_differences


class Oracle:
    """Writes at random, and after each batch waits until the server agrees with SQL."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.seed = seed
        self.writer = Writer(server.db_path, seed)
        self.batches = 0
        self.slowest = 0.0  # seconds until both agreed

    def run(self, seconds: float, deadline: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = totals(self.server)
            self.writer.inserted.clear()
            self.writer.by_hand = False
            operations = self.writer.batch()
            self.batches += 1
            where = f"seed {self.seed}, batch {self.batches}, after {', '.join(operations)}"
            self.agree(where, deadline)
            if not self.writer.by_hand:
                after = totals(self.server)
                assert after == before + self.writer.inserted, (
                    f"{where}: the totals are {after}, not {before} and {self.writer.inserted}"
                )

    def agree(self, where: str, deadline: float) -> None:
        start = time.monotonic()
        while found_differences := differences(expected(self.server.db_path), shown(self.server)):
            waited = time.monotonic() - start
            assert waited < deadline, "\n".join([f"{where}: not within {deadline} s", *found_differences])
            time.sleep(0.005)
        self.slowest = max(self.slowest, time.monotonic() - start)
