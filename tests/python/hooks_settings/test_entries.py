"""Existing entries, and files that cannot be edited."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from session_buddy.ingest import json_text
from session_buddy.ingest.claude_settings import (
    EVENTS,
    MAX_BYTES,
    ClaudeSettings,
    Handler,
)
from support.hooks_settings import OTHER, Home, entry, group, ours, run, wanted

# ---- Existing entries


def test_a_partial_installation_is_completed(home: Home) -> None:
    mine = entry(str(home.program))
    before = f'{{"hooks": {{"PreToolUse": [{group(OTHER)}, {group(mine)}], "Stop": [{group(OTHER)}]}}}}'
    home.write(before)
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    assert home.path.read_text().startswith(before.removesuffix("}}"))


@pytest.mark.parametrize(
    "old",
    [
        "/elsewhere/bin/session-buddy-hook",
        "'/else where/session-buddy-hook' --db-path /old.db",
        "SESSION_BUDDY_DB_PATH=/old.db session-buddy-hook",
        "http://localhost:9000/hooks/claude-code",
        "https://example.org/prefix/hooks/claude-code",
    ],
)
def test_an_older_entry_of_ours_gets_the_new_target(home: Home, old: str) -> None:
    events = ", ".join(f'"{event}": [{group(OTHER, entry(old))}]' for event in EVENTS)
    home.write(f'{{"hooks": {{{events}}}}}')
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    assert home.path.read_text().count(OTHER) == len(EVENTS)
    run("uninstall")
    assert home.path.read_text() == f'{{"hooks": {{{events}}}}}'.replace(", " + entry(old), "")


def test_what_a_user_added_to_an_entry_stays(home: Home) -> None:
    more = ', "timeout": 1.50,  "statusMessage": "r\\u0065cording"'
    events = ", ".join(f'"{event}": [{group(entry("/old/session-buddy-hook", more))}]' for event in EVENTS)
    home.write(f'{{"hooks": {{{events}}}}}')
    assert run("install") == 0
    assert home.path.read_text() == f'{{"hooks": {{{events}}}}}'.replace("/old/session-buddy-hook", str(home.program))


def test_duplicates_narrow_matchers_and_unneeded_events_of_ours_go(home: Home) -> None:
    mine = entry(str(home.program))
    home.write(
        f'{{"hooks": {{"PreToolUse": [{group(mine, matcher="Bash")}, {group(mine, OTHER, mine, matcher="")}],'
        f' "PostToolUse": [{group(mine, OTHER, matcher="Edit|Write")}], "Stop": [{group(mine)}]}}}}'
    )
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    content = json.loads(home.path.read_text())["hooks"]
    assert list(content) == [event for event in EVENTS if event != "Stop"]
    assert [one["matcher"] for one in content["PreToolUse"]] == [""]
    assert [(one["matcher"], len(one["hooks"])) for one in content["PostToolUse"]] == [("Edit|Write", 1), ("*", 1)]


@pytest.mark.parametrize(
    "other",
    [
        "my-session-buddy-hook",
        "session-buddy-hook.sh",
        "notify session-buddy-hook",
        "echo '/bin/session-buddy-hook",
        "http://localhost:8765/hooks/claude-code/mine",
        "http://localhost:8765/hooks?to=/hooks/claude-code",
    ],
)
def test_what_only_looks_like_ours_is_left_unchanged(home: Home, other: str) -> None:
    before = f'{{"hooks": {{"PreToolUse": [{group(entry(other), matcher="*")}]}}}}'
    home.write(before)
    assert run("uninstall") == 0
    assert home.path.read_text() == before
    assert home.backups() == []
    run("install")
    assert entry(other) in home.path.read_text()
    assert run("uninstall") == 0
    assert home.path.read_text() == before


def test_removing_a_repeated_key_does_not_bring_an_earlier_one_to_life(home: Home) -> None:
    earlier = f'"hooks": {{"Stop": [{group(OTHER)}]}}'
    home.write(f'{{{earlier}, "hooks": {{"SessionEnd": [{group(OTHER)}], "SessionEnd": []}}}}')
    run("install")
    run("uninstall")
    assert json.loads(home.path.read_text()) == {"hooks": {"SessionEnd": []}}
    home.write(f'{{{earlier}, "hooks": {{"SessionEnd": [{group(entry("session-buddy-hook"))}]}}}}')
    run("uninstall")
    assert json.loads(home.path.read_text()) == {"hooks": {}}


# ---- Rejected files

REJECTED: dict[str, tuple[bytes | str, str]] = {
    "not-json": ("{\n  model: 1\n}", "line 2, column 3: unexpected 'm'; expected a key in double quotes or '}'"),
    "comment": ('{\n  "a": 1, // why\n  "b": 2\n}', "line 2, column 11: a comment, which JSON does not allow"),
    "block-comment": ('/* x */\n{"a": 1}', "line 1, column 1: a comment"),
    "comment-at-end": ('{"a": 1}\n\n# x\n', "line 3, column 1: a comment"),
    "trailing-comma": ('{\n  "a": 1,\n}', "line 2, column 9: a trailing comma before '}', which JSON does not allow"),
    "trailing-comma-in-array": ('{"a": [1,\n\n]}', "line 1, column 9: a trailing comma before ']'"),
    "two-commas": ('{"a": [1,,2]}', "line 1, column 10: unexpected ','; expected a value"),
    "no-comma": ('{"a": 1\n "b": 2}', "line 2, column 2: unexpected '\"'; expected ',' or the closing bracket"),
    "no-colon": ('{"a" 1}', "line 1, column 6: unexpected '1'; expected ':'"),
    "no-value": ('{"a": }', "line 1, column 7: unexpected '}'; expected a value"),
    "single-quotes": ("{'a': 1}", "line 1, column 2"),
    "half-written": ('{\n  "a": {\n', "line 3, column 1: unexpected end of text; expected a key"),
    "unclosed-string": ('{"a": "x\n}', "line 1, column 7: an unterminated string"),
    "unclosed-string-at-end": ('{"a', "line 1, column 2: an unterminated string"),
    "bad-escape": ('{"a": "C:\\x"}', "line 1, column 10: an invalid escape sequence in a string"),
    "tab-in-string": ('{"a": "\t"}', "line 1, column 8: an unescaped control character U+0009 in a string"),
    "nan": ('{"a": NaN}', "line 1, column 7: unexpected 'N'; expected a value"),
    "leading-zero": ('{"a": 01}', "line 1, column 8: unexpected '1'; expected"),
    "other-digits": ('{"a": 1\u0661}', "line 1, column 8"),
    "other-blanks": ('{"a":\u00a01}', "line 1, column 6"),
    "wrong-bracket": ('{"a": [1}', "line 1, column 9: unexpected '}'; expected"),
    "two-values": ("{}{}", "line 1, column 3: unexpected '{'; expected the end of the text"),
    "array": ("[1]", "line 1: the settings must be an object, not '[1]'"),
    "string": ('"hooks"', "line 1: the settings must be an object"),
    "hooks-an-array": ('{\n  "hooks": []\n}', "line 2: hooks must be an object, not '[]'"),
    "hooks-null": ('{"hooks": null}', "line 1: hooks must be an object, not 'null'"),
    "event-an-object": ('{"hooks": {\n"PreToolUse": {}}}', "line 2: hooks.PreToolUse must be an array, not '{}'"),
    "event-a-string": ('{"hooks": {"Stop": "say done"}}', "hooks.Stop must be an array"),
    "group-a-string": ('{"hooks": {"Stop": [{"hooks": []}, "x"]}}', "hooks.Stop[1] must be an object"),
    "group-without-hooks": (
        '{"hooks": {"Stop": [\n{"type": "command"}]}}',
        "line 2: hooks.Stop[0] has no array hooks",
    ),
    "group-hooks-an-object": ('{"hooks": {"Stop": [{"hooks": {}}]}}', "hooks.Stop[0].hooks must be an array"),
    "not-utf-8": (b'{\n"a": "\xff"}', "line 2 is not UTF-8; save the file as UTF-8"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "line 1 is not UTF-8"),
    "too-large": (b"{}" + b" " * MAX_BYTES, "is larger than 16 MiB"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_file_that_cannot_be_edited_is_rejected_with_the_position(
    home: Home, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = REJECTED[name]
    home.write(content)
    before = home.path.read_bytes()
    for arguments in (["install"], ["install", "--dry-run"], ["uninstall"]):
        assert run(*arguments) == 1
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith(f"session-buddy hooks: error: {home.path}")
        assert message in errors
        assert errors.count("\n") == 1
    assert run("status") == 1
    assert message in capsys.readouterr().out
    assert home.path.read_bytes() == before
    assert home.files() == {"settings.json"}


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("settings.json")])
def test_what_is_not_a_file_is_rejected(
    home: Home, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    home.path.parent.mkdir()
    make(home.path)
    assert run("install") == 1
    errors = capsys.readouterr().err
    assert re.search("is not a regular file|Is a directory|Too many levels of symbolic links", errors)
    assert home.files() == {"settings.json"}


@given(st.text(alphabet='{}[]":,\\ \n\t0123.eE-+truefalsn/*a\u00e4', max_size=30))
@settings(max_examples=500, deadline=None)
def test_what_is_json_is_read_and_nothing_else(text: str) -> None:
    def reject(name: str) -> None:
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=reject)
    except ValueError:
        with pytest.raises(json_text.JsonTextError):
            json_text.parse(text, "a", 9)
    else:
        value = json_text.parse(text, "a", 9)
        assert json.loads(text[value.start : value.end]) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
handlers = st.sampled_from([json.loads(OTHER), {"type": "prompt", "prompt": "?"}])
groups = st.fixed_dictionaries({"hooks": st.lists(handlers, min_size=1, max_size=3)}, optional={"matcher": st.text()})
hooks_values = st.dictionaries(
    st.sampled_from([*EVENTS, "Stop"]), st.lists(groups, min_size=1, max_size=3), min_size=1, max_size=4
)
settings_values = st.tuples(
    st.dictionaries(st.text(max_size=5).filter("hooks".__ne__), json_values, min_size=1, max_size=4),
    st.fixed_dictionaries({}, optional={"hooks": hooks_values}),
).map(lambda parts: {**parts[0], **parts[1]})


@given(
    settings_values,
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=300, deadline=None)
def test_any_settings_come_back_as_they_were(
    value: dict[str, Any], indent: Any, ascii_only: bool, separators: tuple[str, str], newline: str
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators).replace("\n", newline)
    installed = ClaudeSettings(text).with_hooks(Handler("command", "/x/session-buddy-hook"))
    assert [(one.event, one.matches_all) for one in ClaudeSettings(installed).registrations()] == [
        (event, True) for event in json.loads(installed)["hooks"] if event in EVENTS
    ]
    assert set(EVENTS) <= set(json.loads(installed)["hooks"])
    assert ClaudeSettings(installed).without_hooks() == text
