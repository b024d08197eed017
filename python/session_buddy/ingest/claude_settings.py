"""Reads, adds and removes the hooks of Session-Buddy in a Claude Code settings file; all other bytes are kept."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shlex
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from session_buddy.ingest import json_text
from session_buddy.ingest.json_text import JsonTextError, Value

__all__ = [
    "ADDED_EVENTS",
    "EVENTS",
    "HOOK_PATH",
    "HOOK_PROGRAM",
    "MAX_BYTES",
    "ClaudeSettings",
    "Handler",
    "Registration",
    "SettingsError",
    "SettingsFile",
    "user_settings_path",
]

HOOK_PROGRAM = "session-buddy-hook"
HOOK_PATH = "/hooks/claude-code"
TOOL_EVENTS = ("PreToolUse", "PostToolUse", "PostToolUseFailure")  # events whose groups have a tool name matcher
# Events that earlier versions did not register: calls that fire no other hook, and notifications that a background run
# has ended.
ADDED_EVENTS = ("PostToolBatch", "UserPromptSubmit")
EVENTS = (*TOOL_EVENTS, *ADDED_EVENTS, "UserPromptExpansion", "SessionEnd")

TIMEOUT_SECONDS = 5  # Claude Code waits for hooks: limit the delay by a hanging one
MAX_BYTES = 16 * 1024 * 1024
MAX_BACKUPS = 3  # per settings file; older ones are deleted
_DEPTH = 6  # settings, hooks, event, group, its hooks, handler
_MATCHES_ALL = ("", "*", ".*")


class SettingsError(Exception):
    """The settings cannot be read or changed; the message has the reason and the remedy."""


class Handler(NamedTuple):
    """A hook handler: what Claude Code does with an event."""

    kind: Literal["command", "http"]
    target: str  # a command line for the shell, or a URL

    @property
    def key(self) -> str:
        """The key of the target in the settings."""
        return "command" if self.kind == "command" else "url"

    def program(self) -> str | None:
        """The program of the command line; None for a URL or an invalid command line."""
        if self.kind == "http":
            return None
        try:
            words = shlex.split(self.target)
        except ValueError:
            return None
        return next((word for word in words if not _is_assignment(word)), None)

    def is_ours(self) -> bool:
        """Whether the target is the hook of any installation of Session-Buddy."""
        if self.kind == "http":
            try:
                return urlsplit(self.target).path.endswith(HOOK_PATH)
            except ValueError:
                return False
        return os.path.basename(self.program() or "") == HOOK_PROGRAM  # noqa: PTH119 - may not be a path

    def settings(self) -> dict[str, object]:
        """The handler as an object of the settings file."""
        return {"type": self.kind, self.key: self.target, "timeout": TIMEOUT_SECONDS}


class Registration(NamedTuple):
    """A handler of Session-Buddy in a settings file."""

    event: str
    handler: Handler
    matches_all: bool  # all tools, not only some


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def user_settings_path() -> Path:
    """The user settings file, in the first folder of CLAUDE_CONFIG_DIR, else in ~/.claude.

    Raises SettingsError if the home directory is unknown.
    """
    named = [one.strip() for one in os.environ.get("CLAUDE_CONFIG_DIR", "").split(",")]
    folder = next((one for one in named if one), None)
    try:
        return (Path(folder) if folder else Path.home() / ".claude").absolute() / "settings.json"
    except RuntimeError:
        raise SettingsError("the home directory is unknown; set HOME or CLAUDE_CONFIG_DIR") from None


# ---- The text


class ClaudeSettings:
    """The text of a settings file, which may be empty. Raises SettingsError if it cannot be edited."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._blank = not text.strip(" \t\r\n")
        try:
            self._root = json_text.parse("{}" if self._blank else text, "hooks", _DEPTH)
        except JsonTextError as error:
            raise SettingsError(
                f"{error}. Only plain JSON can be edited without loss; correct it and try again"
            ) from None
        self._style = json_text.style_of(text, self._root)
        self._require(self._root, "object", "the settings")
        self._hooks = self._root.member("hooks")
        if self._hooks is not None:
            self._check_hooks(self._hooks)

    @property
    def hooks_disabled(self) -> bool | None:
        """`disableAllHooks`, if set."""
        value = self._root.member("disableAllHooks")
        return {"true": True, "false": False}.get(self._source(value)) if value else None

    def registrations(self) -> list[Registration]:
        """All handlers of Session-Buddy."""
        found: list[Registration] = []
        for event, _, value in self._events():
            for group in value.children or ():
                for _, handler in self._ours(group.value):
                    found.append(Registration(event, handler, self._matches_all(group.value)))
        return found

    def with_hooks(self, handler: Handler) -> str:
        """The text with `handler` as the only Session-Buddy handler for each event of EVENTS.

        An existing handler with the same target is unchanged, including the user's additions; one with another target
        gets the new target.
        """
        missing = [event for event in EVENTS if self._hooks is None or self._hooks.member(event) is None]
        groups = {event: [self._new_group(event, handler)] for event in missing}
        if self._blank:
            return json_text.dump({"hooks": groups}, self._style, "") + (self.text or self._style.newline)
        if self._hooks is None:
            new_root = json_text.edited(self.text, self._root, self._style, appended=[("hooks", groups)])
            return self._with_replaced(self._root, new_root)
        new_hooks = self._edited_hooks(self._hooks, handler, list(groups.items()))
        return self._with_replaced(self._hooks, new_hooks)

    def without_hooks(self) -> str:
        """The text without our handlers, and without lists and objects that become empty."""
        if self._hooks is None or not self.registrations():
            return self.text
        new_hooks = self._edited_hooks(self._hooks, None, [])
        index = self._root.last("hooks")
        if new_hooks != "{}" or index is None or self._repeated(self._root, "hooks"):
            return self._with_replaced(self._hooks, new_hooks)
        return self._with_replaced(self._root, json_text.edited(self.text, self._root, self._style, dropped={index}))

    # -- Reading

    def _source(self, value: Value) -> str:
        return self.text[value.start : value.end]

    def _string(self, value: Value | None) -> str | None:
        if value is None or value.kind != "string":
            return None
        return json_text.string_of(self.text, value)

    def _require(self, value: Value, kind: json_text.Kind, what: str) -> None:
        if value.kind != kind:
            line = self.text.count("\n", 0, value.start) + 1
            article = "an" if kind in ("object", "array") else "a"
            raise SettingsError(
                f"line {line}: {what} must be {article} {kind}, not {self._source(value)[:20]!r}; "
                "Claude Code would reject this as well. Correct it and try again"
            )

    def _check_hooks(self, hooks: Value) -> None:
        self._require(hooks, "object", "hooks")
        for event, _, value in self._events():
            self._require(value, "array", f"hooks.{event}")
            for index, group in enumerate(value.children or ()):
                name = f"hooks.{event}[{index}]"
                self._require(group.value, "object", name)
                handlers = group.value.member("hooks")
                if handlers is None:
                    line = self.text.count("\n", 0, group.start) + 1
                    raise SettingsError(f"line {line}: {name} has no array hooks. Correct it and try again")
                self._require(handlers, "array", f"{name}.hooks")

    def _events(self) -> Iterator[tuple[str, int, Value]]:
        """The effective members of `hooks` (the last of duplicate keys), with their indexes."""
        children = (self._hooks.children if self._hooks else None) or ()
        last = {child.key: index for index, child in enumerate(children)}
        for key, index in last.items():
            yield str(key), index, children[index].value

    def _ours(self, group: Value) -> Iterator[tuple[int, Handler]]:
        """Our handlers in a group, with their indexes."""
        handlers = group.member("hooks")
        for index, child in enumerate((handlers and handlers.children) or ()):
            kind = self._string(child.value.member("type"))
            for handler in (Handler("command", ""), Handler("http", "")):
                target = self._string(child.value.member(handler.key))
                found = handler._replace(target=target or "")
                if kind == handler.kind and found.is_ours():
                    yield index, found

    def _matches_all(self, group: Value) -> bool:
        matcher = group.member("matcher")
        return matcher is None or self._string(matcher) in _MATCHES_ALL

    def _repeated(self, container: Value, key: str) -> bool:
        """Whether the key is duplicated: removing the last one would make an earlier one effective."""
        return sum(child.key == key for child in container.children or ()) > 1

    # -- Editing

    def _with_replaced(self, inner: Value, new: str) -> str:
        return self.text[: inner.start] + new + self.text[inner.end :]

    @staticmethod
    def _new_group(event: str, handler: Handler) -> dict[str, object]:
        matcher = {"matcher": "*"} if event in TOOL_EVENTS else {}
        return {**matcher, "hooks": [handler.settings()]}

    def _edited_hooks(self, hooks: Value, wanted: Handler | None, appended: list[tuple[str | None, object]]) -> str:
        """The text of `hooks` with `wanted` as our only handler in existing events, and with new events appended."""
        replaced: dict[int, str] = {}
        dropped: set[int] = set()
        for event, index, value in self._events():
            new = self._edited_event(event, value, wanted if event in EVENTS else None)
            if new is None:
                continue
            if new == "[]" and not self._repeated(hooks, event):
                dropped.add(index)
            else:
                replaced[index] = new
        return json_text.edited(self.text, hooks, self._style, replaced=replaced, dropped=dropped, appended=appended)

    def _edited_event(self, event: str, value: Value, wanted: Handler | None) -> str | None:
        """The text of an event's groups with `wanted` as our only handler; None if unchanged."""
        ours = [
            (group_index, index, handler)
            for group_index, group in enumerate(value.children or ())
            for index, handler in self._ours(group.value)
        ]
        usable = [one for one in ours if value.children and self._matches_all(value.children[one[0]].value)]
        stays = None if wanted is None else min(usable, key=lambda one: one[2] != wanted, default=None)
        if ours == ([stays] if stays else []) and (stays[2] if stays else None) == wanted:
            return None
        replaced: dict[int, str] = {}
        dropped: set[int] = set()
        for group_index, group in enumerate(value.children or ()):
            mine = list(self._ours(group.value))
            handlers = group.value.member("hooks")
            if not mine or handlers is None:
                continue
            unwanted = {index for index, _ in mine if stays is None or (group_index, index) != stays[:2]}
            updated = {
                index: self._updated(handlers.children[index].value, handler, wanted)
                for index, handler in mine
                if index not in unwanted and wanted and handlers.children
            }
            if len(unwanted) == len(handlers.children or ()):
                dropped.add(group_index)
            else:
                text = json_text.edited(self.text, handlers, self._style, replaced=updated, dropped=unwanted)
                replaced[group_index] = json_text.spliced(self.text, group.value, handlers, text)
        new = [] if wanted is None or stays else [(None, self._new_group(event, wanted))]
        return json_text.edited(self.text, value, self._style, replaced=replaced, dropped=dropped, appended=new)

    def _updated(self, value: Value, old: Handler, new: Handler) -> str:
        """The text of one of our handlers with a new target; other members stay, unless the kind changes."""
        target = value.member(old.key)
        if old == new:
            return self._source(value)
        if old.kind != new.kind or target is None:
            return json_text.replacement(self.text, value, new.settings(), self._style)
        return json_text.spliced(self.text, value, target, json_text.dump(new.target, self._style, None))


# ---- The file


class SettingsFile:
    """A settings file with optimistic concurrency: it is replaced only if it is unchanged since it was read."""

    def __init__(self, path: Path) -> None:
        """Read the file; if it does not exist, the text of `settings` is empty. Raises SettingsError."""
        self.path = path
        self._real = Path(os.path.realpath(path))  # symlinks are kept: their target is read and replaced
        self._content = self._read()
        content = self._content or b""
        if len(content) > MAX_BYTES:
            raise SettingsError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB; check that it is a settings file")
        self._bom = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
        try:
            self.settings = ClaudeSettings(content[len(self._bom) :].decode("utf-8"))
        except SettingsError as error:
            raise SettingsError(f"{path}: {error}") from None
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, len(self._bom) + error.start) + 1
            raise SettingsError(f"{path}: line {line} is not UTF-8; save the file as UTF-8 and try again") from None

    @property
    def exists(self) -> bool:
        return self._content is not None

    def replace(self, text: str) -> Path | None:
        """Replace the content atomically; returns the backup of the previous content, or None for a new file.

        The backup is written before the file is replaced. Mode, owner and extended attributes are kept. Raises
        SettingsError, in which case nothing has changed.
        """
        try:
            return self._replace(self._bom + text.encode("utf-8"))
        except OSError as error:
            raise self._failure("cannot be changed", error) from error

    def is_only_ours(self, text: str) -> bool:
        """Whether `text`, the settings without our hooks, is empty, and no backup is older than our hooks."""
        if self._content is None or text == self.settings.text or text.strip() != "{}" or self.path.is_symlink():
            return False
        with contextlib.suppress(OSError, SettingsError):
            return all(SettingsFile(backup).settings.registrations() for _, _, backup in self._backups())
        return False

    def remove(self) -> None:
        """Remove the file. Raises SettingsError, in which case nothing has changed."""
        self._require_unchanged()
        try:
            self._real.unlink()
        except OSError as error:
            raise self._failure("cannot be removed", error) from error

    def _read(self) -> bytes | None:
        try:
            # Non-blocking: opening a FIFO would otherwise wait for a writer.
            with os.fdopen(os.open(self._real, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise SettingsError(f"{self.path} is not a regular file")
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("cannot be read", error) from error

    def _failure(self, what: str, error: OSError) -> SettingsError:
        advice = {
            errno.EACCES: "; check the permissions of the file and its folder",
            errno.EPERM: "; check the owner and attributes of the file",
            errno.ENOSPC: "; free disk space",
        }.get(error.errno or 0, "")
        return SettingsError(f"{self.path} {what}: {error.strerror or error}{advice}")

    def _replace(self, content: bytes) -> Path | None:
        self._require_unchanged()
        folder = self._real.parent
        if self._content is None:
            self._make_folder(folder)
        elif not os.access(self._real, os.W_OK):
            raise SettingsError(f"{self.path} is read-only; make it writable (chmod u+w) and try again")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsError(f"{folder} is read-only; make the folder writable (chmod u+w) and try again")
        backup: Path | None = None
        temporary = folder / f".{self._real.name}.session-buddy-{secrets.token_hex(8)}.tmp"
        try:
            self._write(temporary, content)
            if self._content is not None:
                backup = self._free_backup_path()
                self._write(backup, self._content)
            self._require_unchanged()
            temporary.replace(self._real)
        except BaseException:  # clean up, also after KeyboardInterrupt
            for made in (temporary, backup):
                if made is not None:
                    with contextlib.suppress(OSError):
                        made.unlink(missing_ok=True)
            raise
        with contextlib.suppress(
            OSError
        ):  # the file is replaced already; some file systems do not support fsync of folders
            _sync_folder(folder)
            for _, _, old in self._backups()[:-MAX_BACKUPS]:
                old.unlink(missing_ok=True)
        return backup

    def _require_unchanged(self) -> None:
        if Path(os.path.realpath(self.path)) != self._real or self._read() != self._content:
            raise SettingsError(f"{self.path} was changed by another program; try again")

    def _make_folder(self, folder: Path) -> None:
        if self.path.is_symlink() and not folder.is_dir():
            raise SettingsError(f"{self.path} is a link to {self._real}, whose folder does not exist; create it first")
        folder.mkdir(parents=True, exist_ok=True)

    def _backups(self) -> list[tuple[str, int, Path]]:
        """The backups with their timestamp and their number within that second, oldest first."""
        pattern = re.compile(re.escape(self._real.name) + r"\.session-buddy-(\d{8}T\d{6}Z)(?:-(\d+))?\.bak")
        matches = [(pattern.fullmatch(path.name), path) for path in self._real.parent.iterdir()]
        return sorted((match[1], int(match[2] or 1), path) for match, path in matches if match)

    def _free_backup_path(self) -> Path:
        made = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        count = max((number for second, number, _ in self._backups() if second == made), default=0) + 1
        more = f"-{count}" if count > 1 else ""
        return self._real.with_name(f"{self._real.name}.session-buddy-{made}{more}.bak")

    def _write(self, path: Path, content: bytes) -> None:
        """Create a file with the metadata of the existing one, if any, and fsync it."""
        mode = 0o666 if self._content is None else 0o600  # not readable by others before owner and mode are set
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            if self._content is not None:
                old = self._real.stat()
                new = os.fstat(file.fileno())
                if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                shutil.copystat(self._real, path)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
