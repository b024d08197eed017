"""Lossless edits of JSON text: whitespace, order, escapes and number formats outside the edit are preserved.

The text is never serialized again. It is parsed into values with text positions, and edits splice the text there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

__all__ = [
    "Child",
    "JsonTextError",
    "Style",
    "Value",
    "dump",
    "edited",
    "parse",
    "replacement",
    "spliced",
    "string_of",
    "style_of",
]

Kind = Literal["object", "array", "string", "number", "literal"]


class JsonTextError(ValueError):
    """A syntax error; ``line`` and ``column`` count from 1, in characters."""

    def __init__(self, text: str, position: int, problem: str) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - text.rfind("\n", 0, position)
        super().__init__(f"line {self.line}, column {self.column}: {problem}")


class Value(NamedTuple):
    """A value between two text positions. ``children`` is None for scalars, or if they are not kept."""

    kind: Kind
    start: int
    end: int
    children: tuple[Child, ...] | None = None

    def last(self, key: str) -> int | None:
        """The index of the effective member of that name: the last one, as in JSON.parse."""
        found = [index for index, child in enumerate(self.children or ()) if child.key == key]
        return found[-1] if found else None

    def member(self, key: str) -> Value | None:
        """The value of the effective member of that name."""
        index = self.last(key)
        return None if index is None or self.children is None else self.children[index].value


class Child(NamedTuple):
    """A member of an object, starting at its key, or an element of an array."""

    start: int
    key: str | None
    value: Value


class Style(NamedTuple):
    """The formatting of a text."""

    newline: str
    unit: str | None  # of indentation; None for a single line
    comma: str  # separator on one line
    colon: str


# ---- Parsing

_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
_PLAIN = r'[^"\\\x00-\x1f]*'
_TOKEN = re.compile(
    rf"""[ \t\n\r]*(?:
        ("{_PLAIN}(?:{_ESCAPE}{_PLAIN})*")
      | ([,:])
      | ([\[{{])
      | ([\]}}])
      | (-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (true|false|null)
    )""",
    re.VERBOSE,
)
_STRING, _PUNCTUATION, _OPENING, _CLOSING, _NUMBER, _LITERAL = range(1, 7)
_KINDS: dict[int, Kind] = {_STRING: "string", _NUMBER: "number", _LITERAL: "literal"}
_BLANKS = re.compile(r"[ \t\n\r]*")
_BEGINNING_OF_STRING = re.compile(rf'"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*')

# What the parser expects next.
_A_VALUE = "a value"
_A_VALUE_OR_END = "a value or ']'"
_A_KEY = "a key in double quotes"
_A_KEY_OR_END = "a key in double quotes or '}'"
_A_COLON = "':'"
_A_COMMA = "',' or the closing bracket"


class _Open(NamedTuple):
    start: int
    children: list[Child]


def parse(text: str, member: str, depth: int) -> Value:
    """Parse a text; the result has the members of the outer object, and the content of the one named `member`.

    `depth`: number of nested containers to keep, the outermost included. Everything deeper is only validated, so that a
    large text needs little memory. Raises JsonTextError if the text is not JSON (RFC 8259).
    """
    containers = bytearray()  # the open brackets, one byte each: bounds the memory for deeply nested texts
    shallow: list[_Open] = []  # the containers that are kept
    keys: list[tuple[int, str]] = []  # the pending key of each object among them
    value: Value | None = None
    limit = 1  # depth to which containers are kept at this position
    expected = _A_VALUE
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position, expected)
        token = match.lastindex or 0
        start, end = match.span(token)
        value = None
        if token == _PUNCTUATION:
            if text[start] == ":" and expected is _A_COLON:
                expected = _A_VALUE
            elif text[start] == "," and expected is _A_COMMA:
                expected = _A_KEY if containers[-1] == ord("{") else _A_VALUE
            else:
                raise _unreadable(text, position, expected)
        elif token == _CLOSING:
            ends_empty = expected is (_A_KEY_OR_END if text[start] == "}" else _A_VALUE_OR_END)
            if not ends_empty and (expected is not _A_COMMA or ord(text[start]) != containers[-1] + 2):
                raise _unreadable(text, position, expected)
            containers.pop()
            if len(containers) <= limit:
                opened = shallow.pop()
                children = tuple(opened.children) if len(containers) < limit else None
                value = Value("object" if text[start] == "}" else "array", opened.start, end, children)
            expected = _A_COMMA
        elif token == _STRING and (expected is _A_KEY or expected is _A_KEY_OR_END):
            if len(containers) <= limit:
                key = json.loads(text[start:end])
                keys.append((start, key))
                if len(containers) == 1:
                    limit = depth if key == member else 1
            expected = _A_COLON
        elif expected is not _A_VALUE and expected is not _A_VALUE_OR_END:
            raise _unreadable(text, position, expected)
        elif token == _OPENING:
            if not containers and text[start] == "[":
                limit = 0
            if len(containers) <= limit:
                shallow.append(_Open(start, []))
            containers.append(ord(text[start]))
            expected = _A_KEY_OR_END if text[start] == "{" else _A_VALUE_OR_END
        else:
            if len(containers) <= limit:
                value = Value(_KINDS[token], start, end)
            expected = _A_COMMA
        position = end
        if expected is _A_COMMA:
            if not containers:
                break
            if value is not None:
                in_object = containers[-1] == ord("{")
                where, name = keys.pop() if in_object else (value.start, None)
                shallow[-1].children.append(Child(where, name, value))
    if _after_blanks(text, position) != len(text):
        raise _unreadable(text, position, "the end of the text")
    assert value is not None  # noqa: S101 - the outermost value is always kept
    return value


def _after_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _unreadable(text: str, position: int, expected: str) -> JsonTextError:
    """The error for unexpected text at `position`."""
    at = _after_blanks(text, position)
    if at == len(text):
        return JsonTextError(text, at, f"unexpected end of text; expected {expected}")
    if text.startswith(("//", "/*", "#"), at):
        return JsonTextError(text, at, "a comment, which JSON does not allow")
    if text[at] in "]}" and (expected is _A_KEY or expected is _A_VALUE):
        comma = text.rfind(",", 0, at)
        if comma >= 0 and _after_blanks(text, comma + 1) == at:
            return JsonTextError(text, comma, f"a trailing comma before {text[at]!r}, which JSON does not allow")
    if text[at] == '"' and (beginning := _BEGINNING_OF_STRING.match(text, at)):
        stop = beginning.end()
        if stop == len(text) or text[stop] in "\r\n":
            return JsonTextError(text, at, "an unterminated string")
        if text[stop] == "\\":
            return JsonTextError(text, stop, "an invalid escape sequence in a string")
        if text[stop] != '"':
            return JsonTextError(text, stop, f"an unescaped control character U+{ord(text[stop]):04X} in a string")
    return JsonTextError(text, at, f"unexpected {text[at]!r}; expected {expected}")


def string_of(text: str, value: Value) -> str:
    """The value of a string, with escapes resolved."""
    said: str = json.loads(text[value.start : value.end])
    return said


# ---- Editing


def style_of(text: str, root: Value) -> Style:
    """The formatting of a text with the outermost value `root`; by default that of Claude Code."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if not root.children:
        return Style(newline, "  ", ", ", ": ")
    first = root.children[0]
    compact = first.key is not None and text[first.value.start - 1] == ":"
    comma, colon = (",", ":") if compact else (", ", ": ")
    before = text[root.start + 1 : first.start]
    if "\n" in before:
        indent = before[before.rfind("\n") + 1 :]
        return Style(newline, indent.removeprefix(_line_indent(text, root.start)), comma, colon)
    return Style(newline, "  " if "\n" in text[root.start : root.end] else None, comma, colon)


def _line_indent(text: str, position: int) -> str:
    """The whitespace at the start of the line."""
    start = text.rfind("\n", 0, position) + 1
    end = _after_blanks(text, start)
    return text[start : min(end, position)]


def dump(value: object, style: Style, indent: str | None) -> str:
    """Serialize a new value; lines after the first are indented by at least `indent`. None: on one line."""
    if indent is None:
        return json.dumps(value, ensure_ascii=False, separators=(style.comma, style.colon))
    unit = "  " if style.unit is None else style.unit
    lines = json.dumps(value, ensure_ascii=False, indent=unit, separators=(",", style.colon)).split("\n")
    return (style.newline + indent).join(lines)


def edited(
    text: str,
    container: Value,
    style: Style,
    *,
    replaced: Mapping[int, str] | None = None,
    dropped: AbstractSet[int] = frozenset(),
    appended: Sequence[tuple[str | None, object]] = (),
) -> str:
    """The text of an object or array with child values replaced or children dropped, by index, and new ones appended.

    Appended children are formatted like the existing ones. Dropping them again restores the text, unless the container
    contained only whitespace.
    """
    children = container.children or ()
    kept = [index for index in range(len(children)) if index not in dropped]
    opening, closing = text[container.start], text[container.end - 1]
    if not kept and not appended:
        return opening + closing
    if children:
        lead = text[container.start + 1 : children[0].start]
        trail = text[children[-1].value.end : container.end - 1]
    elif style.unit is None:
        lead = trail = ""
    else:
        trail = style.newline + _line_indent(text, container.start)
        lead = trail + style.unit
    parts = [opening]
    for count, index in enumerate(kept):
        child = children[index]
        parts.append(text[children[index - 1].value.end : child.start] if count else lead)
        parts.append(text[child.start : child.value.start])
        parts.append((replaced or {}).get(index) or text[child.value.start : child.value.end])
    if len(children) > 1:
        separator = text[children[-2].value.end : children[-1].start]
    else:
        separator = "," + lead if "\n" in lead else style.comma
    indent: str | None = None
    if "\n" in separator:
        last_line = separator[separator.rfind("\n") + 1 :]
        indent = last_line[: _after_blanks(last_line, 0)]
    elif children and "\n" in text[children[-1].start : children[-1].value.end]:
        indent = _line_indent(text, children[-1].start)
    for count, (key, value) in enumerate(appended):
        parts.append(separator if kept or count else lead)
        parts.append("" if key is None else json.dumps(key, ensure_ascii=False) + style.colon)
        parts.append(dump(value, style, indent))
    return "".join([*parts, trail, closing])


def replacement(text: str, old: Value, new: object, style: Style) -> str:
    """Serialize a new value, formatted like the value that it replaces."""
    return dump(new, style, _line_indent(text, old.start) if "\n" in text[old.start : old.end] else None)


def spliced(text: str, outer: Value, inner: Value, new: str) -> str:
    """The text of `outer` with `new` instead of `inner`."""
    return text[outer.start : inner.start] + new + text[inner.end : outer.end]
