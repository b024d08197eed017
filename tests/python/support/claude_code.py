"""Small sessions as Claude Code writes them, with the invocations that they contain.

``session(version)`` holds every kind of record that this version writes, once, with invented contents. Between the
versions whose records are known, the first and the last version of a kind are a guess.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from .transcripts import SECRET

Record = dict[str, Any]

VERSIONS = ["2.0.0", "2.0.76", "2.1.39", "2.1.119", "2.1.197", "2.1.332"]
BEGIN = datetime(2026, 2, 12, 14, tzinfo=timezone.utc)
TIMED = {"durationMs": 125}  # what a tool measured itself
QUOTED = "<command-name>/never-typed</command-name>"


class ExpectedInvocation(NamedTuple):
    """An invocation that the session contains."""

    skill: str
    session: str
    at: str
    completed: bool
    error: str | None
    seconds: float | None


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class Session:
    """A session that grows record by record; each takes a quarter of a second by default."""

    def __init__(self, version: str, name: str, *, begin: datetime = BEGIN, agent: str | None = None) -> None:
        self.version = version
        self.name = name
        self.agent = agent
        self.now = begin
        self.records: list[Record] = []
        self.expected: dict[str, ExpectedInvocation] = {}  # by the key of the invocation
        self._numbers = count(1)

    def since(self, version: str) -> bool:
        return number(self.version) >= number(version)

    @property
    def at(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now.microsecond // 1000:03}Z"

    def bare(self, kind: str, **fields: Any) -> Record:
        """A record without the fields of a conversation record."""
        self.records.append({"type": kind, **fields})
        return self.records[-1]

    def record(self, kind: str, *, seconds: float = 0.25, **fields: Any) -> Record:
        self.now += timedelta(seconds=seconds)
        identity = {"agentId": self.agent} if self.agent else {}
        newer = {"entrypoint": "cli"} if self.since("2.1.119") else {}
        name = f"{self.name}-{self.agent or 'main'}"
        return self.bare(
            kind,
            uuid=f"{name}-{next(self._numbers)}",
            parentUuid=self.records[-1].get("uuid") if self.records else None,
            timestamp=self.at,
            sessionId=self.name,
            cwd=f"/home/{SECRET}",
            version=self.version,
            gitBranch=SECRET,
            isSidechain=self.agent is not None,
            userType="external",
            **identity,
            **newer,
            **fields,
        )

    def says(self, role: str, content: Any, **fields: Any) -> Record:
        return self.record(role, message={"role": role, "content": content}, **fields)

    def use(self, tool: str, **tool_input: Any) -> str:
        """A tool_use of the assistant; returns its id."""
        key = f"toolu_{self.name}_{self.agent or 'main'}_{next(self._numbers)}"
        block = {"type": "tool_use", "id": key, "name": tool, "input": tool_input}
        if self.since("2.1.39"):
            block["caller"] = {"type": "direct"}
        self.says("assistant", [block], requestId=f"req_{key}")
        return key

    def result(
        self, key: str, content: Any = SECRET, *, is_error: bool | None = None, seconds: float = 0.5, whole: Any = None
    ) -> None:
        block = {"type": "tool_result", "tool_use_id": key, "content": content}
        if is_error is not None:
            block["is_error"] = is_error
        self.says("user", [block], seconds=seconds, toolUseResult=content if whole is None else whole)

    def run(
        self,
        skill: str,
        tool: str,
        tool_input: Record,
        content: Any = SECRET,
        *,
        error: str | None = None,
        is_error: bool | None = None,
        seconds: float = 0.5,
        whole: Any = None,
    ) -> None:
        """A use and its result; `error` is the class that it fails with."""
        key = self.use(tool, **tool_input)
        began = self.at
        self.result(key, content, is_error=True if error else is_error, seconds=seconds, whole=whole)
        measured = whole.get("durationMs") if isinstance(whole, dict) else None
        took = seconds if measured is None else measured / 1000
        if error == "rejected":  # it never ran
            took = None
        self.expected[key] = ExpectedInvocation(skill, self.name, began, error is None, error, took)

    def shell(self, skill: str, command: str, content: str = SECRET, **outcome: Any) -> None:
        whole = {"stdout": content, "stderr": "", "interrupted": False, "isImage": False}
        if "error" in outcome:
            whole = f"Error: {content}"  # type: ignore[assignment]
        self.run(skill, "Bash", {"command": command}, content, is_error=False, whole=whole, **outcome)

    def typed(self, name: str, text: str) -> None:
        entry = self.says("user", text)
        self.expected[f"command:{entry['uuid']}"] = ExpectedInvocation(name, self.name, self.at, True, None, None)


# ---- What is not an invocation


def prompt(session: Session) -> None:
    session.says("user", f"please {SECRET}")


def prompt_of_blocks(session: Session) -> None:
    session.says("user", [{"type": "text", "text": SECRET}])


def answer(session: Session) -> None:
    session.says("assistant", [{"type": "text", "text": f"{SECRET} {QUOTED}"}], requestId="req")


def thinking(session: Session) -> None:
    session.says("assistant", [{"type": "thinking", "thinking": SECRET, "signature": SECRET}], requestId="req")


def caveat(session: Session) -> None:
    session.says("user", f"<local-command-caveat>{SECRET}</local-command-caveat>", isMeta=True)


def shell_mode(session: Session) -> None:
    session.says("user", f"<bash-input>{SECRET}</bash-input>")
    session.says("user", f"<bash-stdout>{SECRET}</bash-stdout><bash-stderr></bash-stderr>")


def task_notification(session: Session) -> None:
    session.says("user", f"<task-notification>\n<task-id>b1</task-id>\n{SECRET}\n</task-notification>")


def compaction(session: Session) -> None:
    session.record("system", subtype="compact_boundary", content=SECRET, level="info", compactMetadata={})
    session.says("user", f"{SECRET} {QUOTED}", isCompactSummary=True, isVisibleInTranscriptOnly=True)


def system_records(session: Session) -> None:
    session.record("system", subtype="local_command", content=QUOTED, level="info", isMeta=False)
    session.record("system", subtype="stop_hook_summary", hookCount=1, hookInfos=[], hookErrors=[], level="info")
    session.record("system", subtype="turn_duration", durationMs=1_000_000, isMeta=False)


def file_history(session: Session) -> None:
    session.bare("file-history-snapshot", messageId="m", snapshot={"trackedFileBackups": {SECRET: {}}})


def summary(session: Session) -> None:
    session.bare("summary", summary=f"{SECRET} {QUOTED}", leafUuid="leaf")


def queue(session: Session) -> None:
    for operation in ("enqueue", "dequeue"):
        session.bare("queue-operation", operation=operation, timestamp=session.at, sessionId=session.name)


def nested(session: Session) -> list[Record]:
    """Messages that repeat a use and its result, which another record reports."""
    block = {"type": "tool_use", "id": "toolu_nested", "name": "Nested", "input": {}}
    done = {"type": "tool_result", "tool_use_id": "toolu_nested", "content": SECRET}
    return [{"role": "assistant", "content": [block]}, {"role": "user", "content": [done]}]


def progress(session: Session) -> None:
    session.record("progress", data={"type": "hook_progress", "hookEvent": "PreToolUse", "command": SECRET})
    session.record("progress", data={"type": "bash_progress", "output": SECRET, "elapsedTimeSeconds": 2})
    for message in nested(session):
        kind = {"type": message["role"], "message": message, "timestamp": session.at, "uuid": "nested"}
        session.record("progress", data={"type": "agent_progress", "message": kind, "prompt": SECRET})


def attachments(session: Session) -> None:
    for kind in ("date", "environment", "model", "skill_listing", "queued_command", "total_tokens_reminder"):
        session.record("attachment", attachment={"type": kind, "content": f"{SECRET} {QUOTED}"}, rendered=SECRET)


def requests_to_the_model(session: Session) -> None:
    session.bare("api-request", sessionId=session.name, timestamp=session.at, params={}, base=[], tail=[])
    session.bare("api-request-shape", sessionId=session.name, timestamp=session.at, shape={})
    for message in nested(session):
        session.bare("api-request-blob", sessionId=session.name, hash="0", message=message)


def state_records(session: Session) -> None:
    session.bare("mode", mode="default", sessionId=session.name)
    session.bare("permission-mode", permissionMode="default", sessionId=session.name)
    session.bare("last-prompt", lastPrompt=SECRET, leafUuid="leaf", sessionId=session.name)
    session.bare("tools-used", tools=["Bash"], sessionId=session.name)
    session.bare("cost-state", totalCostUSD=0.1, totalToolDuration=5, sessionId=session.name)
    session.bare("atis-latch", atis=False, sessionId=session.name)


# ---- Invocations that are completed


def passing_tests(session: Session) -> None:
    session.shell("pytest-run", f"cd {SECRET} && uv run pytest -q 2>&1 | tail -5", seconds=3.25)


def other_command(session: Session) -> None:
    session.shell("Bash", f"ls {SECRET}")


def background_command(session: Session) -> None:
    whole = {"stdout": "", "stderr": "", "interrupted": False, "isImage": False, "backgroundTaskId": "b1"}
    tool_input = {"command": f"tail -f {SECRET}", "run_in_background": True}
    key = session.use("Bash", **tool_input)
    began = session.at
    session.result(key, is_error=False, whole=whole)
    session.says(
        "user",
        f"<task-notification>\n<task-id>b1</task-id>\n<tool-use-id>{key}</tool-use-id>\n<status>completed</status>\n"
        f'<summary>Background command "{SECRET}" completed (exit code 0)</summary>\n<result>{SECRET}</result>\n'
        "<usage><duration_ms>5000</duration_ms></usage>\n</task-notification>",
        seconds=5,
    )
    session.expected[key] = ExpectedInvocation("Bash", session.name, began, True, None, 5.0)


def read(session: Session) -> None:
    session.run("Read", "Read", {"file_path": SECRET}, whole={"type": "text", "file": {"filePath": SECRET}})


def edit(session: Session) -> None:
    whole = {"filePath": SECRET, "oldString": SECRET, "newString": SECRET, "structuredPatch": []}
    session.run("Edit", "Edit", {"file_path": SECRET, "old_string": SECRET, "new_string": SECRET}, whole=whole)


def write_file(session: Session) -> None:
    whole = {"type": "create", "filePath": SECRET, "content": SECRET, "structuredPatch": []}
    session.run("Write", "Write", {"file_path": SECRET, "content": SECRET}, whole=whole)


def measured_search(session: Session) -> None:
    session.run("Glob", "Glob", {"pattern": SECRET}, whole={**TIMED, "filenames": [SECRET], "numFiles": 1})


def measured_fetch(session: Session) -> None:
    session.run("WebFetch", "WebFetch", {"url": SECRET}, seconds=2, whole={**TIMED, "code": 200, "url": SECRET})


def web_search(session: Session) -> None:
    session.run("WebSearch", "WebSearch", {"query": SECRET}, whole={"durationSeconds": 9, "query": SECRET})


def skill(session: Session) -> None:
    field = "skill" if session.since("2.1.0") else "command"
    session.run("demo:check", "Skill", {field: "demo:check"}, whole={"success": True, "commandName": "demo:check"})
    session.says("user", [{"type": "text", "text": f"Base directory for this skill: {SECRET}"}], isMeta=True)


def subagent(session: Session) -> None:
    tool = "Agent" if session.since("2.1.63") else "Task"
    whole = {"status": "completed", "agentId": "a1", "totalDurationMs": 12500, "totalToolUseCount": 1, "content": []}
    content = [{"type": "text", "text": SECRET}]
    tool_input = {"subagent_type": "Explore", "prompt": SECRET, "description": SECRET}
    session.run("agent:Explore", tool, tool_input, content, seconds=12.5, whole=whole)


def mcp_tool(session: Session) -> None:
    content = [{"type": "text", "text": SECRET}]
    session.run("mcp__tiny__echo", "mcp__tiny__echo", {"text": SECRET}, content, whole=content)


def question(session: Session) -> None:
    whole = {"questions": [], "answers": {SECRET: SECRET}}
    session.run("AskUserQuestion", "AskUserQuestion", {"questions": []}, seconds=30, whole=whole)


def parallel(session: Session) -> None:
    """Two uses whose results come in one record; its top-level result then belongs to neither."""
    keys = [session.use("Read", file_path=SECRET), session.use("Grep", pattern=SECRET)]
    began = [record["timestamp"] for record in session.records[-2:]]
    done = [{"type": "tool_result", "tool_use_id": key, "content": SECRET} for key in keys]
    session.says("user", done, seconds=1, toolUseResult=TIMED)
    for key, tool, at, seconds in zip(keys, ("Read", "Grep"), began, (1.25, 1.0), strict=True):
        session.expected[key] = ExpectedInvocation(tool, session.name, at, True, None, seconds)


def typed_skill(session: Session) -> None:
    session.typed(
        "demo:greet",
        "<command-message>demo:greet</command-message>\n<command-name>/demo:greet</command-name>\n"
        f"<command-args>{SECRET}</command-args>",
    )


def builtin_command(session: Session) -> None:
    """A command that Claude Code itself provides is no skill."""
    session.says("user", "<command-name>/compact</command-name>\n<command-message>compact</command-message>")
    session.says("user", f"<local-command-stdout>{SECRET}</local-command-stdout>")


# ---- Invocations that fail


def failing_tests(session: Session) -> None:
    session.shell("npm test", "npm test", f"Exit code 1\n{SECRET}", error="exit_code", seconds=1.5)


def timeout(session: Session) -> None:
    session.shell(
        "Bash", f"sleep 9 # {SECRET}", f"Exit code 143\nCommand timed out after 1s\n{SECRET}", error="timeout"
    )


def tool_use_error(session: Session) -> None:
    content = f"<tool_use_error>String to replace not found in file.\n{SECRET}</tool_use_error>"
    session.run("Edit", "Edit", {"file_path": SECRET}, content, error="tool_error", whole=f"Error: {SECRET}")


def unknown_tool(session: Session) -> None:
    content = "<tool_use_error>Error: No such tool available: Lost</tool_use_error>"
    session.run("Lost", "Lost", {}, content, error="tool_error", whole=content)


def failed_mcp_tool(session: Session) -> None:
    session.run("mcp__tiny__fail", "mcp__tiny__fail", {}, f"fail: {SECRET}", error="tool_error", whole=SECRET)


def rejected(session: Session) -> None:
    content = "The user doesn't want to proceed with this tool use. The tool use was rejected"
    session.run("Write", "Write", {"file_path": SECRET}, content, error="rejected", whole="User rejected tool use")
    session.says("user", [{"type": "text", "text": "[Request interrupted by user for tool use]"}])


def denied_by_a_rule(session: Session) -> None:
    content = f"Permission to use Bash with command {SECRET} has been denied."
    session.shell("Bash", f"rm {SECRET}", content, error="rejected")


def interrupted(session: Session) -> None:
    session.shell("Bash", f"sleep 9 # {SECRET}", "[Request interrupted by user for tool use]", error="interrupted")


class Kind(NamedTuple):
    write: Callable[[Session], None]
    first: str = "2.0.0"
    last: str = "2.1.332"


KINDS = [
    Kind(summary, last="2.0.76"),
    Kind(state_records, first="2.1.197"),
    Kind(requests_to_the_model, first="2.1.197"),
    Kind(file_history),
    Kind(queue),
    Kind(caveat),
    Kind(prompt),
    Kind(prompt_of_blocks),
    Kind(attachments, first="2.1.119"),
    Kind(thinking),
    Kind(answer),
    Kind(passing_tests),
    Kind(other_command),
    Kind(background_command),
    Kind(read),
    Kind(edit),
    Kind(write_file),
    Kind(measured_search),
    Kind(measured_fetch),
    Kind(web_search),
    Kind(skill),
    Kind(subagent),
    Kind(mcp_tool),
    Kind(question),
    Kind(parallel),
    Kind(typed_skill),
    Kind(builtin_command),
    Kind(shell_mode),
    Kind(task_notification, first="2.1.119"),
    Kind(failing_tests),
    Kind(timeout),
    Kind(tool_use_error),
    Kind(unknown_tool),
    Kind(failed_mcp_tool),
    Kind(rejected),
    Kind(denied_by_a_rule, first="2.1.119"),
    Kind(interrupted),
    Kind(progress, first="2.0.76", last="2.1.119"),
    Kind(system_records),
    Kind(compaction),
]


def kinds_of(version: str) -> list[Kind]:
    return [kind for kind in KINDS if number(kind.first) <= number(version) <= number(kind.last)]


def session(version: str, name: str = "session-1", *, begin: datetime = BEGIN) -> Session:
    """All records that this version writes into the file of a session."""
    made = Session(version, name, begin=begin)
    for kind in kinds_of(version):
        kind.write(made)
    return made


def subagent_of(parent: Session, agent: str = "a1") -> Session:
    """The file of a subagent: it starts with a copy of its parent's records, and holds no typed commands."""
    made = Session(parent.version, parent.name, begin=parent.now, agent=agent)
    inherited = next(
        record
        for record in parent.records
        if record["type"] == "assistant" and record["message"]["content"][0]["type"] == "tool_use"
    )
    made.records.append({**inherited, "agentId": agent, "isSidechain": True})
    made.says("user", f"{SECRET} {QUOTED}")
    read(made)
    tool_use_error(made)
    return made


class Folder(NamedTuple):
    """The files of a version below `projects`, and the invocations in all of them."""

    files: dict[Path, bytes]
    expected: dict[str, ExpectedInvocation]
    records: list[Record]


def text_of(records: list[Record]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def folder_of(version: str, root: Path, *, sessions: int = 1) -> Folder:
    """So many sessions, an hour apart, each with a file of a subagent, laid out below `root`."""
    files: dict[Path, bytes] = {}
    expected: dict[str, ExpectedInvocation] = {}
    records: list[Record] = []
    for index in range(sessions):
        parent = session(version, f"session-{index + 1}", begin=BEGIN + timedelta(hours=index))
        child = subagent_of(parent)
        base = root / f"-home-{SECRET}"
        files[base / f"{parent.name}.jsonl"] = text_of(parent.records)
        files[base / parent.name / "subagents" / "agent-a1.jsonl"] = text_of(child.records)
        expected |= parent.expected | child.expected
        records += parent.records + child.records
    return Folder(files, expected, records)


def write_folder(version: str, root: Path, *, sessions: int = 1) -> Folder:
    made = folder_of(version, root, sessions=sessions)
    for path, text in made.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return made


def stored(db_path: Path) -> dict[str, ExpectedInvocation]:
    """The invocations in a database, to compare with the expected ones."""
    with closing(sqlite3.connect(db_path)) as connection:
        rows = connection.execute(
            "SELECT key, skill_name, session_id, invoked_at, completed, error_type, duration_seconds"
            " FROM skill_invocation JOIN session_buddy_source ON invocation_id = id"
        ).fetchall()
        assert connection.execute("SELECT count(*) FROM skill_invocation").fetchone() == (len(rows),)
    found = {
        key: ExpectedInvocation(
            skill, session, at, bool(completed), error, None if seconds is None else round(seconds, 6)
        )
        for key, skill, session, at, completed, error, seconds in rows
    }
    assert len(found) == len(rows)
    return found
