"""Small recorded inputs, one for each fault that outcomes once had, through import, watch and hooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.test_outcomes import stored
from session_buddy.ingest import import_transcripts, watch_transcripts
from support.hook_events import Event, failure, post, pre, run_hook, session_end
from support.outcome_samples import Row, batch, prompt
from support.recorded import OUTCOMES

JEST = Row("npm test", "failed", "exit_code", 30.0, is_bound=True)
READ = Row("Read", "completed", None, 1.0, is_bound=True)
EXPECTED: dict[str, dict[str, Row]] = {
    "f1_async_agent": {"toolu_ag1": Row("agent:Explore", "failed", "tool_error", 300.0)},
    "f1b_background_bash": {"toolu_bg1": Row("pytest-run", "failed", "exit_code", 120.0, is_bound=True)},
    "f2_piped_tests": {f"toolu_p{number}": JEST for number in range(6)},
    "f3_splice": {"toolu_s1": READ, "toolu_s2": READ},
    "f3c_nul_then_record": {"toolu_s1": READ, "toolu_s4": READ},
    "f7_stream": {},
    "f8_denials": {
        **{f"toolu_d{number:02}": Row("Bash", "failed", "rejected") for number in range(16)},
        **{key: Row("Bash", "failed", "interrupted", 1.0, is_bound=True) for key in ("toolu_d08", "toolu_d09")},
        **{key: Row("Bash", "failed", "timeout", 1.0, is_bound=True) for key in ("toolu_d12", "toolu_d13")},
        "toolu_d14": Row("Bash", "failed", "exit_code", 1.0, is_bound=True),
        "toolu_d15": Row("Bash", "failed", "tool_error", 1.0, is_bound=True),
    },
    "f12_pasted": {},
    "f13_agent_no_post": {"toolu_agX": Row("agent:code-reviewer", "completed", None, 119.0)},
    "f15_powershell": {"toolu_ps": Row("npm test", "completed", None, 5.0, is_bound=True)},
    "f16_old_exit_code": {"toolu_old": Row("npm test", "failed", "exit_code", 5.0, is_bound=True)},
}
# A record without a time has none in the metrics either; the invocations below have no end in these files.
FILES = pytest.mark.parametrize("name", EXPECTED)


def events(path: Path) -> Iterator[Event]:
    """The hook events that the session would have fired."""
    uses: dict[str, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        begin = text.rfind('{"type": "assistant"')  # behind what was torn
        line = json.loads(text[max(begin, 0) :].lstrip("\0"))
        content = line.get("message", {}).get("content") or line.get("content")
        if isinstance(content, str):
            yield prompt(content)
            continue
        for block in content or []:
            if block["type"] == "tool_use":
                uses[block["id"]] = block
                yield pre(block["id"], block["name"], tool_input=block["input"])
            elif block["type"] == "tool_result":
                use = uses[block["tool_use_id"]]
                fields = {"tool_input": use["input"]}
                whole = line.get("toolUseResult")
                response = whole if isinstance(whole, dict) else block["content"]
                ended = post(use["id"], use["name"], tool_response=response, **fields)
                if not block.get("is_error"):
                    yield ended
                elif path.stem == "f8_denials":
                    yield batch({**ended, "tool_response": block["content"]})
                else:
                    yield failure(use["id"], f"Exit code 1\n{block['content']}", use["name"], **fields)
    yield session_end()


def without_time(rows: dict[str, Row]) -> dict[str, Row]:
    return {key: row._replace(seconds=None, is_bound=False) for key, row in rows.items()}


@FILES
def test_an_import(name: str, db_path: Path) -> None:
    import_transcripts([OUTCOMES / f"{name}.jsonl"], db_path)
    assert stored(db_path) == EXPECTED[name]


@FILES
def test_a_watch(name: str, db_path: Path) -> None:
    path = OUTCOMES / f"{name}.jsonl"
    watch_transcripts([path], db_path, report=lambda _report: None, go_on=lambda: True, once=True)
    assert stored(db_path) == EXPECTED[name]


@FILES
def test_the_hook(name: str, db_path: Path) -> None:
    for one in events(OUTCOMES / f"{name}.jsonl"):
        assert run_hook(one, db_path).returncode == 0
    found = stored(db_path)
    if name == "f8_denials":  # a batch does not say more than the text of a rejection
        known = {key: row for key, row in found.items() if row.outcome != "unknown"}
        assert len(known) >= 8
        assert without_time(known) == without_time({key: EXPECTED[name][key] for key in known})
    elif name != "f7_stream":
        assert without_time(found) == without_time(EXPECTED[name])


@FILES
def test_hook_and_import_together_make_the_same_rows(name: str, db_path: Path) -> None:
    path = OUTCOMES / f"{name}.jsonl"
    for one in events(path):
        run_hook(one, db_path)
    import_transcripts([path], db_path)
    if name != "f7_stream":
        assert without_time(stored(db_path)) == without_time(EXPECTED[name])
