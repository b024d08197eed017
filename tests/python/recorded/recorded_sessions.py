"""The import of recorded sessions, compared with an independent count of the same files in plain Python."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.sync.client import connect

from session_buddy.ingest import import_transcripts
from support import claude_code
from support.processes import Server
from support.recorded import CLAUDE_CODE as DATA
from support.recorded import LARGE, LATEST

PARTS = [LARGE.name, LARGE.stem, "subagent.jsonl", "tool_heavy.jsonl", "short.jsonl", "."]


class CountedUse(NamedTuple):
    skill: str
    session: str
    at: str
    completed: bool
    seconds: float | None


# ---- The independent count


def command_name(command: str) -> str:
    """The development tools that these sessions use; independent of the importer's table."""
    without_documents = re.sub(r"<<-?\s*(['\"]?)(\w+)\1.*?\n\2\b", " ", command, flags=re.DOTALL)
    bare = re.sub(r"'[^']*'|\"(?:\\.|[^\"\\])*\"", "Q", without_documents, flags=re.DOTALL)
    setup = None
    for simple in re.split(r"&&|\|\||[|;&\n()]", bare):
        words = re.sub(r"\d?>&?\s*\S+", "", simple).split()
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words.pop(0)
        match words[:2]:
            case ["mix", "test" | "compile" | "credo" | "dialyzer" | "format"] | ["git", "commit"]:
                return " ".join(words[:2])
            case ["mix", "deps.get"]:
                setup = setup or "mix deps.get"
    return setup or "Bash"


def name_of(block: dict[str, Any]) -> str:
    match block["name"], block["input"]:
        case "Bash", {"command": command}:
            return command_name(command)
        case "Skill", {"skill": name}:
            return str(name)
        case "Task" | "Agent", {"subagent_type": kind}:
            return f"agent:{kind}"
        case name, _:
            return str(name)


BUILTIN_COMMANDS = {"compact", "mcp"}  # not recorded unless the option builtin_commands is set


def says_failed(block: dict[str, Any], outcome: dict[str, Any]) -> bool:
    """Whether the output of a tool whose exit status a pipe hides says that it failed, in the words of these tools."""
    skill = name_of(block)
    if not skill.startswith("mix ") or "|" not in block["input"].get("command", ""):
        return False
    words = r"\b[1-9]\d* failures?\b|found [1-9]\d* code \w+ issue|exit status [1-9]|\*\* \(Mix\) "
    return re.search(words, str(outcome["content"])) is not None


def seconds_of(
    use: dict[str, Any], block: dict[str, Any], after: dict[str, Any], outcome: dict[str, Any]
) -> float | None:
    """None for a use that the user rejected, and for one in the background."""
    text = str(outcome["content"])
    if block["input"].get("run_in_background") or (outcome.get("is_error") and "was rejected" in text):
        return None
    measured = after.get("toolUseResult")
    if isinstance(measured, dict) and "durationMs" in measured:
        return float(measured["durationMs"]) / 1000
    if usage := re.search(r"duration_ms: (\d+)</usage>", text):
        return int(usage[1]) / 1000
    times = [datetime.fromisoformat(one["timestamp"].replace("Z", "+00:00")) for one in (use, after)]
    return (times[1] - times[0]).total_seconds()


def lines_of(part: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(part.rglob("*.jsonl")) if part.is_dir() else [part]:
        with path.open(encoding="utf-8") as file:
            for text in file:
                yield json.loads(text)


def count(part: Path) -> dict[str, CountedUse]:
    """By tool_use id, or by uuid for a typed command."""
    uses: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    results: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    found: dict[str, CountedUse] = {}
    for line in lines_of(part):
        if line["type"] not in ("user", "assistant"):
            continue
        content = line["message"]["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            match block["type"]:
                case "tool_use":
                    uses.setdefault(block["id"], (line, block))
                case "tool_result":
                    results.setdefault(block["tool_use_id"], (line, block))
                case "text" if line["type"] == "user":
                    typed = re.search(r"<command-name>/([^<\s]+)</command-name>", block["text"])
                    if typed and typed[1] not in BUILTIN_COMMANDS:
                        found[line["uuid"]] = CountedUse(typed[1], line["sessionId"], line["timestamp"], True, None)
    for tool_id, (line, block) in uses.items():
        if tool_id in results:
            after, outcome = results[tool_id]
            failed = outcome.get("is_error") is True or says_failed(block, outcome)
            seconds = seconds_of(line, block, after, outcome)
            found[tool_id] = CountedUse(name_of(block), line["sessionId"], line["timestamp"], not failed, seconds)
    return found


# ---- The comparison


@pytest.mark.parametrize("part", PARTS)
def test_imported_rows_equal_an_independent_count(part: str, db_path: Path) -> None:
    expected = count(DATA / part)
    assert expected
    summary = import_transcripts([DATA / part], db_path)
    with sqlite3.connect(db_path) as connection:
        stored = connection.execute(
            "SELECT skill_name, session_id, invoked_at, completed, duration_seconds FROM skill_invocation"
        ).fetchall()
        metrics = dict(connection.execute("SELECT skill_name, total_invocations FROM skill_metrics").fetchall())

    by_skill = Counter(one.skill for one in expected.values())
    assert Counter(row[0] for row in stored) == by_skill
    # The end of a server in the background was never reported.
    assert metrics == by_skill
    assert sum(summary["recorded_by_skill"].values()) + summary["expired"] == len(expected)
    assert Counter(row[:4] for row in stored) == Counter(
        (one.skill, one.session, one.at, int(one.completed)) for one in expected.values()
    )
    durations = sorted((row[0], row[2], row[4]) for row in stored if row[4] is not None)
    expected_durations = sorted(
        (one.skill, one.at, one.seconds) for one in expected.values() if one.seconds is not None
    )
    assert [row[:2] for row in durations] == [row[:2] for row in expected_durations]
    assert [row[2] for row in durations] == pytest.approx([row[2] for row in expected_durations])
    assert summary["unreadable_lines"] == summary["unfinished"] == summary["results_without_use"] == 0
    assert summary["lines"] == sum(1 for _ in lines_of(DATA / part))


def test_the_large_session_has_its_242_tool_uses(db_path: Path) -> None:
    summary = import_transcripts([LARGE], db_path)
    assert summary["recorded"] - summary["typed_commands"] == 242
    with sqlite3.connect(db_path) as connection:
        assert dict(
            connection.execute("SELECT skill_name, count(*) FROM skill_invocation GROUP BY 1 HAVING count(*) > 10")
        ) == {"Bash": 120 - 48, "Edit": 67, "Read": 37, "git commit": 14, "mix test": 11}
        errors = dict(
            connection.execute("SELECT error_type, count(*) FROM skill_invocation WHERE NOT completed GROUP BY 1")
        )
        assert errors == {"tool_error": 11, "exit_code": 6}


def test_rejected_uses_are_classed_as_such(db_path: Path) -> None:
    import_transcripts([DATA / "short.jsonl"], db_path)
    with sqlite3.connect(db_path) as connection:
        assert connection.execute(
            "SELECT skill_name, error_type FROM skill_invocation WHERE error_type IS NOT NULL ORDER BY 1"
        ).fetchall() == [("Bash", "rejected"), ("Glob", "rejected")]


def test_parts_and_whole_and_again_add_each_use_once(db_path: Path) -> None:
    summaries = [import_transcripts([DATA / part], db_path) for part in [*PARTS, *PARTS]]
    recorded = [summary["recorded"] + summary["expired"] for summary in summaries]
    assert sum(recorded) == len(count(DATA))
    assert recorded[len(PARTS) - 1 :] == [0] * (len(PARTS) + 1)


def test_the_server_serves_the_imported_metrics(db_path: Path) -> None:
    import_transcripts([DATA], db_path)
    expected = count(DATA)
    with Server(db_path) as server, connect(server.url, proxy=None) as client:
        for skill in ("Read", "git commit", "mix test", "agent:Plan"):
            own = [one for one in expected.values() if one.skill == skill]
            client.send(json.dumps({"type": "get_metrics", "skill_name": skill}))
            while (answer := json.loads(client.recv(timeout=10)))["type"] == "metrics_update":
                pass
            assert answer["type"] == "metrics_response"
            assert answer["data"]["total_invocations"] == len(own)
            assert answer["data"]["completion_rate"] == pytest.approx(sum(one.completed for one in own) / len(own))
            assert answer["data"]["last_invocation_at"] == max(one.at for one in own)[:19] + "Z"


# ---- The records of the generated sessions


@pytest.mark.parametrize(("folder", "version"), [(DATA, "2.1.39"), (LATEST, "2.1.332")])
def test_the_generated_sessions_have_every_kind_of_record(folder: Path, version: str) -> None:
    recorded = {line["type"] for path in folder.rglob("projects/**/*.jsonl") for line in lines_of(path)} or {
        line["type"] for line in lines_of(folder)
    }
    assert recorded <= {record["type"] for record in claude_code.session(version).records}
