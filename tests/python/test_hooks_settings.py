"""`session-buddy hooks`: settings of Claude Code keep all else, whatever shape they have and whenever it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import session_buddy
from session_buddy.cli import hooks as command
from session_buddy.cli import main as cli
from session_buddy.ingest import json_text
from session_buddy.ingest.claude_settings import (
    EVENTS,
    HOOK_PROGRAM,
    MAX_BYTES,
    ClaudeSettings,
    Handler,
    SettingsError,
    SettingsFile,
)
from support.surroundings import bound_by_permissions

URL = "http://127.0.0.1:8765/hooks/claude-code"
BOM = b"\xef\xbb\xbf"


class Home(NamedTuple):
    """A home without settings, and a stand-in for the program."""

    folder: Path
    program: Path

    @property
    def path(self) -> Path:
        return self.folder / ".claude" / "settings.json"

    def write(self, content: bytes | str) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.path

    def files(self) -> set[str]:
        """The names in the settings' folder."""
        return {path.name for path in self.path.parent.iterdir()}

    def backups(self) -> list[Path]:
        return sorted(self.path.parent.glob("settings.json.session-buddy-*.bak"))


def make_program(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / HOOK_PROGRAM
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Where HOME leads; the scripts of the installation are in a folder of its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    project = tmp_path / "project"
    project.mkdir()
    scripts = tmp_path / "scripts"
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.chdir(project)
    monkeypatch.setattr(command, "scripts_folder", lambda: scripts)
    return Home(folder, make_program(scripts))


def run(*arguments: str) -> int:
    return cli.main(["hooks", *arguments])


def ours(path: Path) -> dict[str, list[str]]:
    """The targets of our handlers by event, as any JSON parser finds them."""
    found: dict[str, list[str]] = {}
    content = json.loads(path.read_bytes().removeprefix(BOM))
    for event, groups in content.get("hooks", {}).items():
        for group in groups:
            for handler in group["hooks"]:
                if not isinstance(handler, dict) or "type" not in handler:
                    continue
                target = handler.get("command") or handler.get("url") or ""
                if HOOK_PROGRAM in target or target.endswith("/hooks/claude-code"):
                    found.setdefault(event, []).append(target)
    return found


def wanted(target: object) -> dict[str, list[str]]:
    return {event: [str(target)] for event in EVENTS}


# ---- The shapes that a file may have


class Shape(NamedTuple):
    before: bytes | None
    # After an installation and its removal, where that is not what was there before.
    after: bytes | None = None


OTHER = '{"type": "command", "command": "say done"}'
PERMISSIONS = '{\n  "permissions": {\n    "allow": [\n      "Bash(ls:*)"\n    ]\n  }\n}\n'
OTHER_EVENT = (
    '{\n  "model": "opus",\n  "hooks": {\n    "Stop": [\n      {\n        "hooks": [\n          ' + OTHER + "\n"
    '        ]\n      }\n    ]\n  },\n  "env": {}\n}\n'
)
SAME_EVENT = (
    '{\n  "hooks": {\n    "PreToolUse": [\n      {\n        "matcher": "Bash",\n        "hooks": [\n          '
    + OTHER
    + '\n        ]\n      }\n    ],\n    "SessionEnd": [{"hooks": ['
    + OTHER
    + "]}]\n  }\n}\n"
)

SHAPES = {
    "missing": Shape(None, b"{}\n"),
    "empty": Shape(b"", b"{}\n"),
    "blank": Shape(b"\n", b"{}\n"),
    "blanks": Shape(b" \t \r\n", b"{} \t \r\n"),
    "empty-object": Shape(b"{}"),
    "empty-object-and-newline": Shape(b"{}\n"),
    "blanks-in-object": Shape(b"{ \n }\n", b"{}\n"),
    "other-settings": Shape(PERMISSIONS.encode()),
    "other-event": Shape(OTHER_EVENT.encode()),
    "same-event": Shape(SAME_EVENT.encode()),
    "one-line": Shape(b'{"model": "opus", "env": {"A": "1"}}'),
    "compact": Shape(b'{"model":"opus","env":{"A":"1"}}'),
    "one-line-hooks": Shape(b'{"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [' + OTHER.encode() + b"]}]}}\n"),
    "tabs": Shape(PERMISSIONS.replace("  ", "\t").encode()),
    "four-blanks": Shape(SAME_EVENT.replace("  ", "    ").encode()),
    "no-indentation": Shape(SAME_EVENT.replace("  ", "").encode()),
    "crlf": Shape(SAME_EVENT.replace("\n", "\r\n").encode()),
    "bom": Shape(BOM + OTHER_EVENT.encode()),
    "bom-alone": Shape(BOM, BOM + b"{}\n"),
    "bom-and-crlf": Shape(BOM + PERMISSIONS.replace("\n", "\r\n").encode()),
    "no-newline-at-end": Shape(PERMISSIONS.rstrip("\n").encode()),
    "newlines-at-both-ends": Shape(b"\n\n" + PERMISSIONS.encode() + b"\n\n"),
    "commas-first": Shape(b'{ "model": "opus"\n, "env": {}\n, "hooks": {"Stop": []}\n}\n'),
    "brackets-together": Shape(
        b'{\n  "hooks": {\n    "PreToolUse": [{\n      "matcher": "Bash",\n      "hooks": [{\n'
        b'        "type": "command",\n        "command": "x"\n      }]\n    }]\n  }\n}\n'
    ),
    "unicode": Shape('{\n  "env": {"Ä": "\\u00e4 \\ud83d\\ude00 😀 \\/ \\ud800"}\n}\n'.encode()),
    "line-separators": Shape('{\n  "a": "\u2028 \u0085",\n  "b": "\u2029"\n}\n'.encode()),
    "escaped-keys": Shape(b'{"\\u0068ooks": {"Pre\\u0054oolUse": [{"hooks": [' + OTHER.encode() + b"]}]}}"),
    "numbers": Shape(b'{\n  "a": [1.0, 1e+2, -0, 1E400, 0.10, 12345678901234567890123]\n}\n'),
    "duplicate-keys": Shape(b'{\n  "model": "a",\n  "env": {"A": "1", "A": "2"},\n  "model": "b"\n}\n'),
    "duplicate-hooks": Shape(b'{"hooks": {"Stop": []}, "hooks": {}}', b'{"hooks": {"Stop": []}, "hooks": {}}'),
    "duplicate-event": Shape(
        b'{"hooks": {"PreToolUse": [{"hooks": [' + OTHER.encode() + b']}], "PreToolUse": []}}',
    ),
    "empty-hooks": Shape(b'{\n  "model": "a",\n  "hooks": {}\n}\n', b'{\n  "model": "a"\n}\n'),
    "empty-event": Shape(b'{"hooks": {"PreToolUse": [], "Stop": []}}', b'{"hooks": {"Stop": []}}'),
    "empty-group": Shape(b'{"hooks": {"PreToolUse": [{"matcher": "X", "hooks": []}]}}'),
    "handlers-of-other-kinds": Shape(
        b'{"hooks": {"Stop": [{"hooks": [{"type": "prompt", "prompt": "?"}, {"type": "http", "url": "http://[x"}, 7,'
        b' {"type": "command"}, {"type": "command", "command": "echo \'"}, {"command": "session-buddy-hook"}]}]}}'
    ),
    "deep": Shape(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "huge": Shape(
        json.dumps({"permissions": {"allow": [f"Bash(npm run {i}:*)" for i in range(160_000)]}}, indent=2).encode()
    ),
}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, home: Home) -> Shape:
    """Each of SHAPES, as the user's settings."""
    shape = SHAPES[request.param]
    if shape.before is not None:
        home.write(shape.before)
    return shape


def without_ours(content: bytes) -> Any:
    """The settings as another parser reads them, without our groups and what is empty then."""
    found = json.loads(content.removeprefix(BOM).strip() or b"{}")
    events = {
        event: [group for group in groups if str(HOOK_PROGRAM) + '", "timeout"' not in json.dumps(group)]
        for event, groups in found.pop("hooks", {}).items()
    }
    return found, {event: groups for event, groups in events.items() if groups}


def holds_in_order(whole: bytes, part: bytes) -> bool:
    """Whether `part` is what is left where some of `whole` is taken out."""
    rest = iter(whole)
    return all(byte in rest for byte in part)


def patched(old: str, diff: str) -> str:
    """What a unified diff makes of a text."""
    before, after = io.StringIO(old).readlines(), []
    lines = io.StringIO(diff).readlines()[2:]
    taken = 0
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        body = line[1:-1] if following.startswith("\\") else line[1:]
        if line.startswith("@@"):
            start, count = re.match(r"@@ -(\d+)(?:,(\d+))?", line).groups()  # type: ignore[union-attr]
            upto = int(start) - (count != "0")
            after += before[taken:upto]
            taken = upto
        elif line[0] in " -":
            assert before[taken] == body
            taken += 1
        if line[0] in " +":
            after.append(body)
    return "".join(after + before[taken:])


def test_installing_adds_our_hooks_and_changes_nothing_else(home: Home, shape: Shape) -> None:
    before = shape.before or b""
    assert run("install") == 0
    content = home.path.read_bytes()
    assert holds_in_order(content, before.strip().replace(b"{ \n }", b"{}"))
    assert content.startswith(BOM) == before.startswith(BOM)
    assert [backup.read_bytes() for backup in home.backups()] == ([] if shape.before is None else [before])
    if before.count(b"[") < 1000:  # Python's own parser goes no deeper
        assert ours(home.path) == wanted(home.program)
        assert without_ours(content) == without_ours(before)


def test_installing_again_changes_nothing_and_makes_no_backup(
    home: Home, shape: Shape, capsys: pytest.CaptureFixture[str]
) -> None:
    run("install")
    there, names = home.path.stat(), home.files()
    assert run("install") == 0
    assert capsys.readouterr().out.endswith(f"Installed already in {home.path}\n")
    assert (home.path.stat().st_ino, home.path.stat().st_mtime_ns) == (there.st_ino, there.st_mtime_ns)
    assert home.files() == names


def test_uninstalling_gives_back_what_was_there(home: Home, shape: Shape) -> None:
    run("install")
    installed = home.path.read_bytes()
    assert run("uninstall") == 0
    assert home.path.read_bytes() == (shape.before if shape.after is None else shape.after)
    assert installed in [backup.read_bytes() for backup in home.backups()]
    assert run("uninstall") == 0
    assert home.path.read_bytes() == (shape.before if shape.after is None else shape.after)


def test_http_takes_the_place_of_the_command_and_back(home: Home, shape: Shape) -> None:
    run("install")
    installed = home.path.read_bytes()
    assert run("install", "--http", URL) == 0
    assert home.path.read_bytes().count(URL.encode()) == len(EVENTS)
    assert str(home.program).encode() not in home.path.read_bytes()
    assert run("install") == 0
    assert home.path.read_bytes() == installed


def test_a_dry_run_writes_nothing_and_its_diff_is_the_change(
    home: Home, shape: Shape, capsys: pytest.CaptureFixture[str]
) -> None:
    before = shape.before or b""
    assert run("install", "--dry-run") == 0
    diff = capsys.readouterr().out
    if shape.before is None:
        assert not home.path.parent.exists()
    else:
        assert (home.path.read_bytes(), home.files()) == (before, {"settings.json"})
    assert diff.startswith(f"--- {os.devnull if shape.before is None else home.path}\n+++ {home.path}\n@@ -")
    run("install")
    content = home.path.read_bytes()
    assert patched(before.removeprefix(BOM).decode(), diff) == content.removeprefix(BOM).decode()
    capsys.readouterr()
    assert run("uninstall", "--dry-run") == 0
    assert home.path.read_bytes() == content
    after = before if shape.after is None else shape.after
    assert patched(content.removeprefix(BOM).decode(), capsys.readouterr().out) == after.removeprefix(BOM).decode()


def test_what_is_added_is_laid_out_as_the_rest(home: Home) -> None:
    for before, expected in (
        ('{\n\t"a": 1\n}', '{\n\t"a": 1,\n\t"hooks": {\n\t\t"PreToolUse": [\n\t\t\t{\n\t\t\t\t"matcher": "*",\n'),
        ('{\r\n    "a": 1\r\n}', '{\r\n    "a": 1,\r\n    "hooks": {\r\n        "PreToolUse": [\r\n            {\r\n'),
        ('{"a":1}', '{"a":1,"hooks":{"PreToolUse":[{"matcher":"*","hooks":[{"type":"command",'),
        ('{"a": 1}', '{"a": 1, "hooks": {"PreToolUse": [{"matcher": "*", "hooks": [{"type": "command", '),
        (
            '{\n  "hooks": {\n    "SessionEnd": [{\n      "hooks": []\n    }]\n  }\n}',
            '{\n  "hooks": {\n    "SessionEnd": [{\n      "hooks": []\n    }, {\n      "hooks": [\n        {\n',
        ),
    ):
        assert ClaudeSettings(before).with_hooks(Handler("command", str(home.program))).startswith(expected)


# ---- What was there already


def group(*handlers: str, matcher: str | None = None) -> str:
    said = "" if matcher is None else f'"matcher": {json.dumps(matcher)}, '
    return f'{{{said}"hooks": [{", ".join(handlers)}]}}'


def entry(target: str, more: str = "") -> str:
    kind, key = ("http", "url") if "://" in target else ("command", "command")
    return f'{{"type": "{kind}", "{key}": {json.dumps(target)}{more}}}'


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
def test_what_only_looks_like_ours_is_left_alone(home: Home, other: str) -> None:
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


# ---- What is refused

REFUSED: dict[str, tuple[bytes | str, str]] = {
    "not-json": ("{\n  model: 1\n}", "line 2, column 3: 'm' where there should be a key in double quotes or '}'"),
    "comment": ('{\n  "a": 1, // why\n  "b": 2\n}', "line 2, column 11: a comment, which JSON does not have"),
    "block-comment": ('/* x */\n{"a": 1}', "line 1, column 1: a comment"),
    "comment-at-end": ('{"a": 1}\n\n# x\n', "line 3, column 1: a comment"),
    "trailing-comma": ('{\n  "a": 1,\n}', "line 2, column 9: a comma before '}', which JSON does not have"),
    "trailing-comma-in-array": ('{"a": [1,\n\n]}', "line 1, column 9: a comma before ']'"),
    "two-commas": ('{"a": [1,,2]}', "line 1, column 10: ',' where there should be a value"),
    "no-comma": ('{"a": 1\n "b": 2}', "line 2, column 2: '\"' where there should be ',' or the closing bracket"),
    "no-colon": ('{"a" 1}', "line 1, column 6: '1' where there should be ':'"),
    "no-value": ('{"a": }', "line 1, column 7: '}' where there should be a value"),
    "single-quotes": ("{'a': 1}", "line 1, column 2"),
    "half-written": ('{\n  "a": {\n', "line 3, column 1: the text ends where there should be a key"),
    "unclosed-string": ('{"a": "x\n}', "line 1, column 7: a string that is not closed"),
    "unclosed-string-at-end": ('{"a', "line 1, column 2: a string that is not closed"),
    "bad-escape": ('{"a": "C:\\x"}', "line 1, column 10: a backslash in a string"),
    "tab-in-string": ('{"a": "\t"}', "line 1, column 8: the control character U+0009 in a string"),
    "nan": ('{"a": NaN}', "line 1, column 7: 'N' where there should be a value"),
    "leading-zero": ('{"a": 01}', "line 1, column 8: '1' where there should be"),
    "other-digits": ('{"a": 1\u0661}', "line 1, column 8"),
    "other-blanks": ('{"a":\u00a01}', "line 1, column 6"),
    "wrong-bracket": ('{"a": [1}', "line 1, column 9: '}' where"),
    "two-values": ("{}{}", "line 1, column 3: '{' where there should be nothing more"),
    "array": ("[1]", "line 1: the settings must be an object, not '[1]'"),
    "string": ('"hooks"', "line 1: the settings must be an object"),
    "hooks-an-array": ('{\n  "hooks": []\n}', "line 2: hooks must be an object, not '[]'"),
    "hooks-null": ('{"hooks": null}', "line 1: hooks must be an object, not 'null'"),
    "event-an-object": ('{"hooks": {\n"PreToolUse": {}}}', "line 2: hooks.PreToolUse must be an array, not '{}'"),
    "event-a-string": ('{"hooks": {"Stop": "say done"}}', "hooks.Stop must be an array"),
    "group-a-string": ('{"hooks": {"Stop": [{"hooks": []}, "x"]}}', "hooks.Stop[1] must be an object"),
    "group-without-hooks": (
        '{"hooks": {"Stop": [\n{"type": "command"}]}}',
        "line 2: hooks.Stop[0] lacks its array hooks",
    ),
    "group-hooks-an-object": ('{"hooks": {"Stop": [{"hooks": {}}]}}', "hooks.Stop[0].hooks must be an array"),
    "not-utf-8": (b'{\n"a": "\xff"}', "line 2 is not UTF-8; save the file as UTF-8"),
    "utf-16": ('{"a": 1}'.encode("utf-16"), "line 1 is not UTF-8"),
    "too-large": (b"{}" + b" " * MAX_BYTES, "is larger than 16 MiB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_edited_is_refused_with_the_place(
    home: Home, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = REFUSED[name]
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
def test_what_is_no_file_is_refused(
    home: Home, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    home.path.parent.mkdir()
    make(home.path)
    assert run("install") == 1
    errors = capsys.readouterr().err
    assert re.search("is no regular file|Is a directory|Too many levels of symbolic links", errors)
    assert home.files() == {"settings.json"}


@given(st.text(alphabet='{}[]":,\\ \n\t0123.eE-+truefalsn/*a\u00e4', max_size=30))
@settings(max_examples=500, deadline=None)
def test_what_is_json_is_read_and_nothing_else(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        expected = json.loads(text, parse_constant=refuse)
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


# ---- Links, permissions, other writers and sudden ends


def test_a_link_stays_and_its_target_is_replaced(home: Home, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "claude.json"
    target.parent.mkdir()
    target.write_text(PERMISSIONS)
    home.path.parent.mkdir()
    home.path.symlink_to(os.path.relpath(target, home.path.parent))
    assert run("install") == 0
    assert home.path.is_symlink()
    assert not target.is_symlink()
    assert ours(target) == wanted(home.program)
    (backup,) = target.parent.glob("claude.json.session-buddy-*.bak")
    assert backup.read_text() == PERMISSIONS
    assert run("uninstall") == 0
    assert target.read_text() == PERMISSIONS


def test_a_link_to_a_file_that_is_not_there_yet_makes_it(home: Home, tmp_path: Path) -> None:
    home.path.parent.mkdir()
    home.path.symlink_to(tmp_path / "new.json")
    assert run("install") == 0
    assert home.path.is_symlink()
    assert ours(tmp_path / "new.json") == wanted(home.program)


def test_a_link_into_a_folder_that_is_not_there_is_refused(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.path.parent.mkdir()
    home.path.symlink_to(tmp_path / "unmounted" / "settings.json")
    assert run("install") == 1
    assert "whose folder does not exist" in capsys.readouterr().err
    assert not (tmp_path / "unmounted").exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_and_owner_are_kept_by_file_and_backup(home: Home, mode: int) -> None:
    home.write(PERMISSIONS)
    home.path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(home.path, 12345, 23456)
    before = home.path.stat()
    assert run("install") == 0
    for path in (home.path, *home.backups()):
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert len(home.backups()) == 1
    assert home.path.stat().st_mtime_ns > before.st_mtime_ns  # programs that watch it see the change


def test_a_new_file_has_the_mode_that_the_user_wants(home: Home) -> None:
    mask = os.umask(0o027)
    try:
        assert run("install") == 0
    finally:
        os.umask(mask)
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o640


def test_extended_attributes_are_kept(home: Home) -> None:
    home.write(PERMISSIONS)
    try:
        os.setxattr(home.path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    assert run("install") == 0
    assert os.getxattr(home.path, "user.note") == b"mine"


def as_process(*arguments: str, prefix: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, with the real program of this installation."""
    return subprocess.run(
        [*(prefix or []), sys.executable, "-m", "session_buddy.cli.main", "hooks", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_is_write_protected_is_refused(home: Home, place: str) -> None:
    home.write(PERMISSIONS)
    protected = home.path if place == "file" else home.path.parent
    protected.chmod(0o444 if place == "file" else 0o555)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert f"{protected} is read-only; make" in done.stderr
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


def test_what_may_not_be_read_is_refused(home: Home) -> None:
    home.write(PERMISSIONS)
    home.path.chmod(0)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert "cannot be read: Permission denied; see to its permissions" in done.stderr


def test_a_home_that_is_write_protected_is_refused(home: Home) -> None:
    home.folder.chmod(0o555)
    done = as_process("install", "--http", URL, prefix=bound_by_permissions())
    assert done.returncode == 1
    assert f"{home.path} cannot be changed: Permission denied" in done.stderr


def change_content(home: Home) -> None:
    home.path.write_text("{}")


def change_by_replacing(home: Home) -> None:
    (home.folder / "new").write_text(PERMISSIONS + " ")
    (home.folder / "new").replace(home.path)


def remove(home: Home) -> None:
    home.path.unlink()


def make_a_link(home: Home) -> None:
    home.path.rename(home.folder / "moved")
    home.path.symlink_to(home.folder / "moved")


@pytest.mark.parametrize("change", [change_content, change_by_replacing, remove, make_a_link])
def test_a_change_by_another_program_is_not_overwritten(home: Home, change: Callable[[Home], None]) -> None:
    home.write(PERMISSIONS)
    file = SettingsFile(home.path)
    change(home)
    there = home.path.read_bytes() if home.path.exists() else None
    with pytest.raises(SettingsError, match="was changed by another program meanwhile; try again"):
        file.replace("{}")
    assert (home.path.read_bytes() if home.path.exists() else None) == there
    assert home.files() <= {"settings.json"}


@pytest.mark.parametrize("change", [change_content, change_by_replacing, remove, make_a_link])
def test_a_change_while_the_new_file_is_written_is_not_overwritten(
    home: Home, change: Callable[[Home], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write(PERMISSIONS)
    file = SettingsFile(home.path)
    sync, seen = os.fsync, []

    def change_at_the_backup(descriptor: int) -> None:
        sync(descriptor)
        seen.append(descriptor)
        if len(seen) == 2:
            change(home)

    monkeypatch.setattr(os, "fsync", change_at_the_backup)
    with pytest.raises(SettingsError, match="was changed by another program meanwhile; try again"):
        file.replace('{"new": 1}')
    assert home.files() <= {"settings.json"}
    assert not home.path.exists() or "new" not in home.path.read_text()


def test_a_file_that_came_into_being_meanwhile_is_not_overwritten(home: Home) -> None:
    file = SettingsFile(home.path)
    home.write(PERMISSIONS)
    with pytest.raises(SettingsError, match="was changed by another program meanwhile"):
        file.replace("{}")
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


# Installs, and ends at the count-th call of a function: with an error or as by a power cut.
ENDING = f"""
import errno, os, pathlib, signal, sys
from session_buddy.cli import main

where, name, left, failure = sys.argv[1:]
left = int(left)
owner = {{"os": os, "Path": pathlib.Path}}[where]
original = getattr(owner, name)

def ending(*arguments, **keywords):
    global left
    if name != "open" or arguments[1] & os.O_CREAT:
        left -= 1
        if left == 0 and failure == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return original(*arguments, **keywords)

setattr(owner, name, ending)
sys.exit(main.main(["hooks", "install", "--http", "{URL}"]))
"""


def install_with_end(where: str, name: str, count: int, failure: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENDING, where, name, str(count), failure],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


BEFORE_THE_CHANGE = {
    "new file made": ("os", "open", 1),
    "new file written": ("os", "fsync", 1),
    "backup made": ("os", "open", 2),
    "backup written": ("os", "fsync", 2),
    "rename": ("Path", "replace", 1),
}


@pytest.mark.parametrize("step", BEFORE_THE_CHANGE)
def test_a_step_that_fails_leaves_all_as_it_was(home: Home, step: str) -> None:
    home.write(PERMISSIONS)
    done = install_with_end(*BEFORE_THE_CHANGE[step], "failed")
    assert done.returncode == 1
    assert f"{home.path} cannot be changed: No space left on device; make room on its disk" in done.stderr
    assert (home.path.read_text(), home.files()) == (PERMISSIONS, {"settings.json"})


@pytest.mark.parametrize("step", BEFORE_THE_CHANGE)
def test_a_sudden_end_before_the_change_loses_nothing_and_the_next_run_works(home: Home, step: str) -> None:
    home.write(PERMISSIONS)
    done = install_with_end(*BEFORE_THE_CHANGE[step], "killed")
    assert done.returncode == -signal.SIGKILL
    assert home.path.read_text() == PERMISSIONS
    if step == "rename":
        assert [backup.read_text() for backup in home.backups()] == [PERMISSIONS]
    assert run("install") == 0
    assert ours(home.path) == wanted(home.program)
    assert PERMISSIONS in [backup.read_text() for backup in home.backups()]


def test_an_end_after_the_rename_leaves_the_new_settings_and_the_backup(home: Home) -> None:
    for failure, status in (("killed", -signal.SIGKILL), ("failed", 0)):
        home.write(PERMISSIONS)
        assert install_with_end("os", "fsync", 3, failure).returncode == status
        assert ours(home.path) == wanted(URL)
        assert {backup.read_text() for backup in home.backups()} == {PERMISSIONS}


# ---- The command line


def test_user_settings_follow_the_config_folder(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for named, folder in (
        ("", home.folder / ".claude"),
        (f"{tmp_path}/a", tmp_path / "a"),
        (f" , {tmp_path}/b ,{tmp_path}/c", tmp_path / "b"),
        ("d", Path.cwd() / "d"),
    ):
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", named)
        assert run("install") == 0
        assert ours(folder / "settings.json") == wanted(home.program)
    assert not (tmp_path / "c").exists()


def test_a_user_without_a_home_is_told_what_to_set(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", unknown)
    assert run("install") == 1
    assert "the home directory is not known; set HOME or CLAUDE_CONFIG_DIR" in capsys.readouterr().err
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home.folder))
    assert run("install") == 0


def test_project_settings_are_those_of_the_folder(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert run("install", "--project") == 0
    assert run("install", "--project", str(other)) == 0
    for folder in (Path.cwd(), other):
        assert ours(folder / ".claude" / "settings.json") == wanted(home.program)
    assert not home.path.exists()
    assert run("uninstall", "--project") == 0
    assert (Path.cwd() / ".claude" / "settings.json").read_text() == "{}\n"
    capsys.readouterr()
    assert run("install", "--project", str(tmp_path / "nowhere")) == 1
    assert f"{tmp_path / 'nowhere'} is no folder" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_an_entry_has_the_documented_shape(home: Home) -> None:
    run("install")
    content = json.loads(home.path.read_text())["hooks"]
    assert list(content) == ["PreToolUse", "PostToolUse", "PostToolUseFailure", "UserPromptExpansion", "SessionEnd"]
    for event, (one,) in content.items():
        assert one.get("matcher") == ("*" if "Tool" in event else None)
        assert one["hooks"] == [{"type": "command", "command": str(home.program), "timeout": 5}]
    run("install", "--http", URL)
    content = json.loads(home.path.read_text())["hooks"]
    assert content["SessionEnd"] == [{"hooks": [{"type": "http", "url": URL, "timeout": 5}]}]


def test_program_and_database_are_quoted_for_the_shell(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = make_program(tmp_path / "scripts of $HOME")
    monkeypatch.setattr(command, "scripts_folder", lambda: program.parent)
    assert run("install", "--db-path", 'it\'s "ä".db') == 0
    ((line,), *_) = ours(home.path).values()
    assert shlex.split(line) == [str(program), "--db-path", str(Path.cwd() / 'it\'s "ä".db')]
    echoed = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True).stdout
    assert echoed.splitlines() == shlex.split(line)


def test_the_registered_command_records_what_it_is_told(home: Home, db_path: Path) -> None:
    """With the real program: Claude Code hands the line to a shell and the event to its standard input."""
    assert as_process("install", "--db-path", str(db_path)).returncode == 0
    assert as_process("status").returncode == 0
    for event in ("PreToolUse", "PostToolUse"):
        line = ours(home.path)[event][0]
        told = {"hook_event_name": event, "session_id": "s", "tool_name": "Read", "tool_use_id": "t1"}
        told_all = json.dumps({**told, "tool_input": {}, "duration_ms": 5})
        done = subprocess.run(["sh", "-c", line], input=told_all.encode(), check=False)
        assert done.returncode == 0
    with contextlib.closing(sqlite3.connect(db_path)) as connection:
        rows = connection.execute("SELECT skill_name, session_id, completed FROM skill_invocation").fetchall()
    assert rows == [("Read", "s", 1)]


def test_a_relative_database_is_found_from_every_folder(home: Home) -> None:
    for named, path in (("a/../b.db", Path.cwd() / "b.db"), ("~/c.db", home.folder / "c.db")):
        assert run("install", "--db-path", named) == 0
        assert ours(home.path) == wanted(f"{home.program} --db-path {path}")


@pytest.mark.parametrize(
    ("path", "message"), [("", "must be a text that is not empty"), (os.fsdecode(b"\xff.db"), "is not UTF-8")]
)
def test_a_database_path_that_cannot_be_right_is_wrong_usage(
    home: Home, path: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--db-path", path)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_program_in_a_folder_whose_name_is_no_text_is_refused(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = make_program(tmp_path / os.fsdecode(b"\xff"))
    monkeypatch.setattr(command, "scripts_folder", lambda: program.parent)
    assert run("install") == 1
    assert "is not UTF-8, as settings must be; install it in another folder" in capsys.readouterr().err
    assert not home.path.exists()


def test_a_missing_program_is_refused_with_the_places_that_were_searched(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    home.program.chmod(0o644) if os.geteuid() else home.program.unlink()
    assert run("install") == 1
    assert f"the program {HOOK_PROGRAM} is neither in {home.program.parent} nor on the PATH" in capsys.readouterr().err
    assert not home.path.exists()
    assert run("install", "--http", URL) == 0
    elsewhere = make_program(tmp_path / "bin")
    assert run("install") == 0
    assert ours(home.path) == wanted(elsewhere)


def test_programs_are_sought_where_pip_put_those_of_this_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (command.scripts_folder() / "session-buddy-server").is_file()
    monkeypatch.setattr(session_buddy, "__file__", str(tmp_path / "target" / "session_buddy" / "__init__.py"))
    assert command.scripts_folder() == tmp_path / "target" / "bin"  # pip install --target
    user = sysconfig.get_preferred_scheme("user")
    library = Path(sysconfig.get_path("purelib", user, {"userbase": str(tmp_path / "base")}))
    monkeypatch.setattr(
        sysconfig,
        "get_paths",
        lambda scheme, original=sysconfig.get_paths: original(scheme, vars={"userbase": str(tmp_path / "base")}),
    )
    monkeypatch.setattr(session_buddy, "__file__", str(library / "session_buddy" / "__init__.py"))
    assert command.scripts_folder() == tmp_path / "base" / "bin"


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, URL),
        ({"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000/hooks/claude-code"),
        ({"HOST": "::"}, "http://[::1]:8765/hooks/claude-code"),
        ({"HOST": "192.0.2.7"}, "http://192.0.2.7:8765/hooks/claude-code"),
        ({"TLS_CERT": "/c.pem", "TLS_KEY": "/k.pem"}, "https://127.0.0.1:8765/hooks/claude-code"),
    ],
)
def test_the_usual_url_is_that_of_the_servers_settings(
    home: Home, variables: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"SESSION_BUDDY_{name}", value)
    assert run("install", "--http", "--project") == 0
    assert ours(Path.cwd() / ".claude" / "settings.json") == wanted(url)


@pytest.mark.parametrize(
    ("value", "message"), [("0", "leave its port open (0), so give the URL"), ("many", "SESSION_BUDDY_PORT")]
)
def test_settings_of_the_server_without_a_port_are_refused(
    home: Home, value: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SESSION_BUDDY_PORT", value)
    assert run("install", "--http") == 1
    assert message in capsys.readouterr().err
    assert not home.path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8765/hooks/claude-code",
        "ws://localhost:8765/hooks/claude-code",
        "http:///hooks/claude-code",
        "http://localhost:8765/",
        "http://localhost:8765/?/hooks/claude-code",
        "http://localhost:99999/hooks/claude-code",
        "http://local host/hooks/claude-code",
        "http://[::1/hooks/claude-code",
        "http://user:word@localhost/hooks/claude-code",
        "",
    ],
)
def test_a_url_that_cannot_be_right_is_wrong_usage(home: Home, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--http", url)
    assert ended.value.code == 2
    assert "error: argument --http: " in capsys.readouterr().err


def test_a_database_is_none_of_an_http_hooks_business(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("install", "--http", URL, "--db-path", "x.db")
    assert ended.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


# ---- Status


def test_status_of_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--project") == 1
    project = Path.cwd() / ".claude" / "settings.json"
    assert capsys.readouterr().out.splitlines() == [
        f"User settings: {home.path}",
        "  not installed: there is no such file",
        f"Project settings: {project}",
        "  not installed: there is no such file",
    ]
    home.write("{}")
    assert run("status") == 1
    assert "  not installed\n" in capsys.readouterr().out


def test_status_tells_command_events_and_program(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("install", "--project", str(home.folder))
    capsys.readouterr()
    assert run("status", "--project", str(home.folder)) == 0  # both are one file
    assert capsys.readouterr().out.splitlines() == [
        f"User settings: {home.path}",
        f"  command: {home.program}",
        f"    events: {', '.join(EVENTS)}",
        "    program: exists, of this installation",
        "  installed",
    ]
    other = make_program(tmp_path / "other")
    home.path.write_text(home.path.read_text().replace(str(home.program), str(other)))
    assert run("status") == 0
    assert "    program: exists, of another installation\n" in capsys.readouterr().out
    other.unlink()
    assert run("status") == 1
    output = capsys.readouterr().out
    assert "    program: missing, or not executable; install again\n" in output
    assert f"  partly installed: nothing works for {', '.join(EVENTS)}; install again\n" in output


def test_status_tells_urls_and_what_is_missing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("install", "--project", "--http", URL)
    capsys.readouterr()
    assert run("status") == 0
    output = capsys.readouterr().out
    assert f"  http: {URL}\n    events: {', '.join(EVENTS)}\n  installed\n" in output
    home.write(
        f'{{"hooks": {{"PreToolUse": [{group(entry(URL), matcher="Bash")}], "SessionEnd": [{group(entry(URL))}]}}}}'
    )
    run("uninstall", "--project")
    capsys.readouterr()
    assert run("status") == 1
    output = capsys.readouterr().out
    assert "    events: PreToolUse (some only), SessionEnd\n" in output
    assert "nothing works for PreToolUse, PostToolUse, PostToolUseFailure, UserPromptExpansion; install" in output


@pytest.mark.parametrize(
    ("user", "project", "status"),
    [(None, None, 0), (True, None, 1), (None, True, 1), (True, False, 0), (False, True, 1)],
)
def test_status_and_install_tell_of_disabled_hooks(
    home: Home, user: bool | None, project: bool | None, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = Path.cwd() / ".claude" / "settings.json"
    theirs.parent.mkdir()
    for path, value in ((home.path, user), (theirs, project)):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}" if value is None else json.dumps({"disableAllHooks": value}))
    assert run("install") == 0
    warning = f"disableAllHooks is true in {home.path}, so Claude Code runs no hooks"
    assert (warning in capsys.readouterr().err) == bool(user)
    assert run("status") == status
    assert capsys.readouterr().out.count("disableAllHooks is true") == [user, project].count(True)


def test_no_action_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 2
    assert "required: ACTION" in capsys.readouterr().err
