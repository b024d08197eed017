"""Settings of every shape: an installation adds only our entries, and its removal removes only them."""

from __future__ import annotations

import io
import json
import os
import re
from typing import Any, NamedTuple

import pytest

from session_buddy.ingest.claude_settings import (
    EVENTS,
    HOOK_PROGRAM,
    ClaudeSettings,
    Handler,
)
from support.hooks_settings import BOM, OTHER, PERMISSIONS, URL, Home, ours, run, wanted


class Shape(NamedTuple):
    before: bytes | None
    # The settings after an installation and its removal, where they differ from those before.
    after: bytes | None = None


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
    "bom-only": Shape(BOM, BOM + b"{}\n"),
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
    """The settings as another parser reads them, without our groups and what becomes empty without them."""
    found = json.loads(content.removeprefix(BOM).strip() or b"{}")
    events = {
        event: [group for group in groups if str(HOOK_PROGRAM) + '", "timeout"' not in json.dumps(group)]
        for event, groups in found.pop("hooks", {}).items()
    }
    return found, {event: groups for event, groups in events.items() if groups}


def is_subsequence(whole: bytes, part: bytes) -> bool:
    """Whether `part` is `whole` with some items removed."""
    rest = iter(whole)
    return all(byte in rest for byte in part)


def patched(old: str, diff: str) -> str:
    """Applies a unified diff to a text."""
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
    assert is_subsequence(content, before.strip().replace(b"{ \n }", b"{}"))
    assert content.startswith(BOM) == before.startswith(BOM)
    assert [backup.read_bytes() for backup in home.backups()] == ([] if shape.before is None else [before])
    if before.count(b"[") < 1000:  # the limit of Python's parser
        assert ours(home.path) == wanted(home.program)
        assert without_ours(content) == without_ours(before)


def test_installing_again_changes_nothing_and_makes_no_backup(
    home: Home, shape: Shape, capsys: pytest.CaptureFixture[str]
) -> None:
    run("install")
    there, names = home.path.stat(), home.files()
    assert run("install") == 0
    assert capsys.readouterr().out.endswith(f"Already installed in {home.path}\n")
    assert (home.path.stat().st_ino, home.path.stat().st_mtime_ns) == (there.st_ino, there.st_mtime_ns)
    assert home.files() == names


def test_uninstalling_gives_back_what_was_there(home: Home, shape: Shape) -> None:
    run("install")
    installed = home.path.read_bytes()
    for _ in range(2):
        assert run("uninstall") == 0
        if shape.before is None:
            assert home.files() == set()
        else:
            assert home.path.read_bytes() == (shape.before if shape.after is None else shape.after)
            assert installed in [backup.read_bytes() for backup in home.backups()]


def test_http_replaces_the_command_and_back(home: Home, shape: Shape) -> None:
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
