"""The import of generated sessions of each version of Claude Code, compared with the known invocations."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from websockets.sync.client import connect

from session_buddy.ingest import import_transcripts
from support import claude_code
from support.claude_code import VERSIONS, Folder, stored, write_folder
from support.processes import Server
from support.transcripts import SECRET

NEWEST = VERSIONS[-1]


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    return tmp_path / "projects"


def test_each_version_writes_kinds_that_another_does_not() -> None:
    kinds = [frozenset(record["type"] for record in claude_code.session(version).records) for version in VERSIONS]
    assert {"summary", "progress", "attachment", "api-request-blob", "cost-state"} <= frozenset.union(*kinds)
    assert "progress" not in kinds[-1]
    assert "attachment" not in kinds[0]
    assert {kind for version in VERSIONS for kind in claude_code.kinds_of(version)} == set(claude_code.KINDS)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_writes_is_read_as_what_happened(version: str, projects: Path, db_path: Path) -> None:
    folder = write_folder(version, projects, sessions=2)
    summary = import_transcripts([projects], db_path)
    assert stored(db_path) == folder.expected
    by_skill = Counter(one.skill for one in folder.expected.values())
    assert summary["recorded_by_skill"] == summary["found_by_skill"] == by_skill
    types = Counter(record["type"] for record in folder.records)
    assert summary["lines"] == types.total()
    assert summary["progress_lines"] == types["progress"]
    assert summary["other_lines"] == types.total() - types["progress"] - types["user"] - types["assistant"]
    assert summary["typed_commands"] == sum(key.startswith("command:") for key in folder.expected)
    assert summary["replayed"] == 2  # what each subagent copies from its parent
    assert summary["unreadable_lines"] == summary["unfinished"] == summary["results_without_use"] == 0


def test_sessions_of_all_versions_are_distinguished_in_one_database(projects: Path, db_path: Path) -> None:
    expected: dict[str, claude_code.ExpectedInvocation] = {}
    for index, version in enumerate(VERSIONS):
        session = claude_code.session(version, f"of-{index}")
        (projects / version).mkdir(parents=True)
        (projects / version / "s.jsonl").write_bytes(claude_code.text_of(session.records))
        expected |= session.expected
    import_transcripts([projects], db_path)
    assert stored(db_path) == expected


def test_parts_and_whole_and_again_add_each_use_once(projects: Path, db_path: Path) -> None:
    folder = write_folder(NEWEST, projects, sessions=3)
    parts = [*folder.files, projects]
    recorded = [import_transcripts([part], db_path)["recorded"] for part in [*parts, *parts]]
    assert sum(recorded) == len(folder.expected)
    assert recorded[len(folder.files) :] == [0] * (len(parts) + 1)


def test_nothing_else_of_any_record_is_stored(projects: Path, db_path: Path) -> None:
    for version in VERSIONS:
        shutil.rmtree(projects, ignore_errors=True)
        write_folder(version, projects)
        import_transcripts([projects], db_path)
    written = b"".join(path.read_bytes() for path in db_path.parent.glob("skills.db*"))
    assert b"pytest-run" in written
    assert SECRET.encode() not in written


def expected_answer(folder: Folder, skill: str) -> dict[str, object]:
    own = [one for one in folder.expected.values() if one.skill == skill]
    return {
        "total_invocations": len(own),
        "completion_rate": pytest.approx(sum(one.completed for one in own) / len(own)),
        "last_invocation_at": max(one.at for one in own)[:19] + "Z",
    }


def test_the_server_serves_the_imported_metrics(projects: Path, db_path: Path) -> None:
    folder = write_folder(NEWEST, projects, sessions=3)
    import_transcripts([projects], db_path)
    with closing(sqlite3.connect(db_path)) as connection:
        skills = [name for (name,) in connection.execute("SELECT skill_name FROM skill_metrics ORDER BY 1")]
    assert skills == sorted({one.skill for one in folder.expected.values()})
    with Server(db_path) as server, connect(server.url, proxy=None) as client:
        for skill in skills:
            client.send(json.dumps({"type": "get_metrics", "skill_name": skill}))
            while (answer := json.loads(client.recv(timeout=10)))["type"] == "metrics_update":
                pass
            assert answer["type"] == "metrics_response"
            expected = expected_answer(folder, skill)
            assert {name: answer["data"][name] for name in expected} == expected
