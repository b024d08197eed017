"""Invented sessions that show each way in which outcomes and durations are known, with the rows that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import ANY

from support.hook_events import Event, event, failure, post, pre, session_end, typed
from support.transcripts import SECRET, line, result, use


class Row(NamedTuple):
    """What is stored of an invocation."""

    skill: str
    outcome: str
    error: str | None = None
    seconds: Any = None  # None: no duration; ANY: it depends on when the events come
    is_bound: bool = False


@dataclass(frozen=True)
class Sample:
    """The lines of a transcript, the hook events of the same session, and the rows by dedup key."""

    name: str
    lines: list[dict[str, Any] | str]  # a string is written as it is, without a newline
    events: list[Event]
    from_transcript: Mapping[str, Row]
    from_hooks: Mapping[str, Row] | None = None  # None: those of the transcript
    from_both: Mapping[str, Row] | None = None  # None: those of the hooks, where they have any

    @property
    def hook_rows(self) -> Mapping[str, Row]:
        """The rows of the hook events."""
        return self.from_transcript if self.from_hooks is None else self.from_hooks

    @property
    def both(self) -> Mapping[str, Row]:
        """The rows of both sources, in any order."""
        return {**self.from_transcript, **self.hook_rows} if self.from_both is None else self.from_both


def ended(second: float, tool_id: str, content: Any, whole: Any = None, *, is_error: bool = False, **more: Any) -> Any:
    """A result with the field `toolUseResult`, and others."""
    return {**result(second, tool_id, content, is_error=is_error), "toolUseResult": whole, **more}


def notification(tool_id: str, status: str, summary: str, *, milliseconds: int | None = None) -> str:
    usage = (
        "" if milliseconds is None else f"<usage>total_tokens: 9\ntool_uses: 2\nduration_ms: {milliseconds}</usage>\n"
    )
    return (
        f"<task-notification>\n<task-id>b7</task-id>\n<tool-use-id>{tool_id}</tool-use-id>\n<status>{status}</status>\n"
        f"<summary>{summary}</summary>\n{usage}</task-notification>"
    )


def notified(second: float, *arguments: Any, **options: Any) -> dict[str, Any]:
    return line("user", second, notification(*arguments, **options), origin={"kind": "task-notification"})


def prompt(text: str) -> Event:
    return event("UserPromptSubmit", prompt=text)


def batch(*calls: Event) -> Event:
    """The event that lists the calls of a batch: their Post events, with the response as text."""
    names = ("tool_name", "tool_input", "tool_use_id", "tool_response")
    return event("PostToolBatch", tool_calls=[{name: call[name] for name in names} for call in calls])


def shell(
    name: str,
    command: str,
    output: str,
    row: Row,
    *,
    is_error: bool = False,
    milliseconds: int | None = None,
) -> Sample:
    """A shell command that takes 30 s, with and without approval; hooks measure 20 s of it."""
    whole = {"stdout": output, "stderr": "", "interrupted": False}
    if milliseconds is not None:
        whole["durationMs"] = milliseconds
    tool_input = {"command": command}
    end = (
        failure("t1", output, tool_input=tool_input, duration_ms=20_000)
        if is_error
        else post("t1", "Bash", tool_input=tool_input, tool_response=whole, duration_ms=20_000)
    )
    measured = milliseconds is not None
    return Sample(
        name,
        [use(1, "t1", "Bash", **tool_input), ended(31, "t1", output, whole, is_error=is_error)],
        [pre("t1", "Bash", tool_input=tool_input), end],
        {"t1": row._replace(seconds=milliseconds / 1000 if milliseconds is not None else 30.0, is_bound=not measured)},
        {"t1": row._replace(seconds=20.0)},
    )


FAILED_JEST = f"FAIL src/{SECRET}.test.ts\nTests:       3 failed, 12 passed, 15 total\n"
PASSED_JEST = "Test Suites: 2 passed, 2 total\nTests:       15 passed, 15 total\n"
FAILED_PYTEST = (
    "=========================== short test summary info ============================\n"
    f"FAILED tests/test_{SECRET}.py::test_it\n"
    "========================= 1 failed, 2 passed in 0.12s =========================\n"
)

_AGENT = {"subagent_type": "Explore", "description": SECRET, "prompt": SECRET}
_LAUNCHED = {"isAsync": True, "status": "async_launched", "agentId": "b7", "outputFile": f"/tmp/{SECRET}"}
_PYTEST = {"command": "pytest -q", "run_in_background": True}
_IN_BACKGROUND = {"stdout": "", "stderr": "", "interrupted": False, "backgroundTaskId": "b7"}
_AGENT_ENDS = ("t1", "failed", f'Agent "{SECRET}" failed: API Error 529')
_COMMAND_ENDS = ("t1", "failed", f'Background command "{SECRET}" failed with exit code 1')

SAMPLES = [
    # ---- Runs in the background
    Sample(
        "an agent in the background fails after five minutes",
        [
            use(0, "t1", "Agent", **_AGENT),
            ended(
                0.011, "t1", [{"type": "text", "text": "Async agent launched successfully.\nagentId: b7"}], _LAUNCHED
            ),
            notified(300, *_AGENT_ENDS, milliseconds=299_000),
        ],
        [
            pre("t1", "Agent", tool_input=_AGENT),
            post("t1", "Agent", tool_input=_AGENT, tool_response=_LAUNCHED, duration_ms=11),
            prompt(notification(*_AGENT_ENDS, milliseconds=299_000)),
        ],
        {"t1": Row("agent:Explore", "failed", "tool_error", 299.0)},
    ),
    Sample(
        "a shell command in the background fails after two minutes",
        [
            use(0, "t1", "Bash", **_PYTEST),
            ended(0.02, "t1", f"Command running in background with ID: b7. {SECRET}", _IN_BACKGROUND),
            notified(120, *_COMMAND_ENDS),
        ],
        [
            pre("t1", "Bash", tool_input=_PYTEST),
            post("t1", "Bash", tool_input=_PYTEST, tool_response=_IN_BACKGROUND, duration_ms=20),
            prompt(notification(*_COMMAND_ENDS)),
        ],
        {"t1": Row("pytest-run", "failed", "exit_code", 120.0, is_bound=True)},
        {"t1": Row("pytest-run", "failed", "exit_code", ANY, is_bound=True)},
    ),
    Sample(
        "a shell command in the background whose end is never reported",
        [
            use(0, "t1", "Bash", **_PYTEST),
            ended(0.02, "t1", "Command running in background with ID: b7", _IN_BACKGROUND),
        ],
        [
            pre("t1", "Bash", tool_input=_PYTEST),
            post("t1", "Bash", tool_input=_PYTEST, tool_response=_IN_BACKGROUND, duration_ms=20),
            session_end(),
        ],
        {"t1": Row("pytest-run", "unknown")},
    ),
    # ---- Commands that hide the exit status of the tool
    shell(
        "a failed test run piped into tail",
        "npm test 2>&1 | tail -20",
        FAILED_JEST,
        Row("npm test", "failed", "exit_code"),
    ),
    shell("a passed test run piped into tail", "npm test 2>&1 | tail -20", PASSED_JEST, Row("npm test", "completed")),
    shell("a test run whose output is cut off", "npm test 2>&1 | tail -1", f"{SECRET}\n", Row("npm test", "unknown")),
    shell(
        "a failed test run that is followed by || true",
        "pytest || true",
        FAILED_PYTEST,
        Row("pytest-run", "failed", "exit_code"),
    ),
    shell(
        "a pipe under pipefail hides nothing",
        "set -o pipefail; pytest -q 2>&1 | tail -3",
        f"{SECRET}\n",
        Row("pytest-run", "completed"),
    ),
    shell(
        "a pipe under pipefail that fails",
        "set -o pipefail; pytest -q 2>&1 | tail -3",
        f"Exit code 1\n{SECRET}\n",
        Row("pytest-run", "failed", "exit_code"),
        is_error=True,
    ),
    # ---- Commands with several tools
    shell(
        "the second tool of a chain fails",
        "ruff check . && pytest -q",
        f"Exit code 1\nAll checks passed!\n{FAILED_PYTEST}",
        Row("pytest-run", "failed", "exit_code"),
        is_error=True,
    ),
    shell(
        "no tool of a chain fails",
        "ruff check . && pytest -q",
        "All checks passed!\n",
        Row("ruff-check", "completed"),
    ),
    # ---- Names
    shell("a tool behind a wrapper", "mise exec -- pytest -q", "x\n", Row("pytest-run", "completed")),
    shell("a target of make", "make -j8 test", "x\n", Row("make:test", "completed")),
    shell("a question to a tool is not a run", "pytest --version", "pytest 8.3.4\n", Row("Bash", "completed")),
    # ---- Durations
    shell(
        "a duration that the tool measured",
        "pytest -q",
        "x\n",
        Row("pytest-run", "completed"),
        milliseconds=19_500,
    ),
    Sample(
        "an edit that waited for approval over lunch",
        [use(0, "t1", "Edit", file_path=SECRET), ended(3000, "t1", "done", {"filePath": SECRET})],
        [pre("t1", "Edit"), post("t1", "Edit", duration_ms=40)],
        {"t1": Row("Edit", "completed", None, 3000.0, is_bound=True)},
        {"t1": Row("Edit", "completed", None, 0.04)},
    ),
    # ---- Guesses
    Sample(
        "a tool use whose end hooks missed",
        [use(1, "t1", "Read", file_path=SECRET), result(2, "t1", SECRET)],
        [pre("t1", "Read"), session_end()],
        {"t1": Row("Read", "completed", None, 1.0, is_bound=True)},
        {"t1": Row("Read", "unknown")},
        {"t1": Row("Read", "completed", None, ANY, is_bound=True)},
    ),
    # ---- Calls that never ran, or were stopped
    Sample(
        "a call that the user rejected",
        [
            use(1, "t1", "Bash", command="ls"),
            ended(61, "t1", SECRET, SECRET, is_error=True, toolDenialKind="user-rejected", toolDenialBeforeRun=True),
        ],
        [pre("t1", "Bash", tool_input={"command": "ls"})],
        {"t1": Row("Bash", "failed", "rejected")},
        {},
    ),
    Sample(
        "a call that a rule denied",
        [
            use(1, "t1", "Bash", command="ls"),
            ended(2, "t1", f"Permission for this action has been denied. {SECRET}", is_error=True),
        ],
        [
            pre("t1", "Bash", tool_input={"command": "ls"}),
            batch(
                post(
                    "t1",
                    "Bash",
                    tool_input={"command": "ls"},
                    tool_response=f"Permission for this action has been denied. {SECRET}",
                )
            ),
        ],
        {"t1": Row("Bash", "failed", "rejected")},
    ),
    Sample(
        "a call with invalid input fires no hook but the batch",
        [
            use(1, "t1", "Edit", file_path=SECRET),
            ended(1.5, "t1", f"<tool_use_error>String to replace not found: {SECRET}</tool_use_error>", is_error=True),
        ],
        [
            batch(
                post(
                    "t1",
                    "Edit",
                    tool_response=f"<tool_use_error>String to replace not found: {SECRET}</tool_use_error>",
                )
            )
        ],
        {"t1": Row("Edit", "failed", "tool_error", 0.5, is_bound=True)},
        {"t1": Row("Edit", "failed", "tool_error")},
        {"t1": Row("Edit", "failed", "tool_error", ANY, is_bound=True)},
    ),
    Sample(
        "a failed command of an old version, whose text has no exit code",
        [
            {**use(1, "t1", "Bash", command="npm test"), "version": "2.0.27"},
            {
                **ended(6, "t1", f"FAIL {SECRET}", f"Error: FAIL {SECRET}", is_error=True),
                "version": "2.0.27",
            },
        ],
        [],
        {"t1": Row("npm test", "failed", "exit_code", 5.0, is_bound=True)},
    ),
    # ---- Damaged files
    Sample(
        "a record behind a torn one",
        [
            use(1, "t1", "Read", file_path=SECRET),
            result(2, "t1", SECRET),
            '{"type":"pr-link","sessionId":"session-1","prNu',
            use(3, "t2", "Grep", pattern=SECRET),
            result(4, "t2", SECRET),
        ],
        [],
        {
            "t1": Row("Read", "completed", None, 1.0, is_bound=True),
            "t2": Row("Grep", "completed", None, 1.0, is_bound=True),
        },
    ),
    Sample(
        "a record behind NUL bytes",
        ["\0" * 700, use(3, "t2", "Grep", pattern=SECRET), result(4, "t2", SECRET)],
        [],
        {"t2": Row("Grep", "completed", None, 1.0, is_bound=True)},
    ),
    # ---- Slash commands; their keys differ by source
    Sample(
        "slash commands: built-in ones and pasted ones are none",
        [
            line("user", 1, "<command-name>/clear</command-name>\n<command-message>clear</command-message>"),
            line("user", 2, "<command-message>deploy</command-message>\n<command-name>/deploy</command-name>"),
            line("user", 3, "Why does my log say <command-name>/rm-all</command-name> here?"),
        ],
        [
            typed("clear", command_source="builtin"),
            typed("deploy", prompt_id="p1"),
            typed("deploy", prompt_id="p1"),
        ],
        {"command": Row("deploy", "completed")},
    ),
]
