"""``session-buddy hooks``: installs, checks and removes the hooks in the settings of Claude Code."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import session_buddy
from session_buddy import _native
from session_buddy.cli._hook_health import hook_database, last_event, probe_server
from session_buddy.ingest.claude_settings import (
    ADDED_EVENTS,
    EVENTS,
    HOOK_PATH,
    HOOK_PROGRAM,
    Handler,
    Registration,
    SettingsError,
    SettingsFile,
    user_settings_path,
)

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_CONTEXT_LINES = 3  # of a diff
_WITHOUT_SERVER = (
    'While no server runs, Claude Code shows "PreToolUse:Bash hook failed ... ECONNREFUSED" at every tool use, and '
    "these events are lost"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Installs hooks in the settings of Claude Code, so that each tool use is recorded as it happens."
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    _add_install(actions)
    status = actions.add_parser(
        "status",
        allow_abbrev=False,
        help="show whether the hooks are installed and working",
        description="Shows which hooks of Session-Buddy the user settings and the shared and local settings of a "
        "project contain, whether their events can arrive, and when the last one did.",
        epilog="Exit status: 0 one of the files has hooks for all events, their program exists or their server "
        "answers, and hooks are not disabled; 1 otherwise; 2 wrong usage.",
    )
    status.add_argument(
        "--project",
        metavar="DIR",
        nargs="?",
        const=Path(),
        default=Path(),
        type=Path,
        help="project folder (default: the current one)",
    )
    uninstall = actions.add_parser(
        "uninstall",
        allow_abbrev=False,
        help="remove the hooks from the settings",
        description="Removes the hooks of Session-Buddy, of any installation and kind, and nothing else.",
        epilog="Exit status: 0 done or not installed, 1 the settings cannot be changed, 2 wrong usage.",
    )
    _add_file_arguments(uninstall)


def _add_install(actions: Subparsers) -> None:
    install = actions.add_parser(
        "install",
        allow_abbrev=False,
        help="add the hooks to the settings",
        description=f"Adds hooks for {', '.join(EVENTS)}. The rest of the settings stays byte for byte as it is; "
        "a backup is made next to the file, and the newest three are kept. The command is idempotent.",
        epilog="Exit status: 0 done or already done, 1 the settings cannot be changed or the program is missing, 2 "
        "wrong usage.",
    )
    _add_file_arguments(install)
    ways = install.add_mutually_exclusive_group()
    ways.add_argument(
        "--http",
        metavar="URL",
        nargs="?",
        const=True,  # argparse would convert a string
        type=_hook_url,
        help=f"send events to a running server instead of starting {HOOK_PROGRAM} (default: the host and port of the "
        f"server's settings, with {HOOK_PATH}). {_WITHOUT_SERVER}",
    )
    ways.add_argument("--db-path", metavar="FILE", type=_database, help="database of the hooks (default: the server's)")


def _add_file_arguments(parser: argparse.ArgumentParser) -> None:
    files = parser.add_mutually_exclusive_group()
    shared = (
        "shared settings of the project in DIR or the current folder; the hook program is then looked up on the PATH "
        "(default: the user settings)"
    )
    local = "your local settings of that project (settings.local.json), which are not shared"
    for flag, text in (("--project", shared), ("--local", local)):
        files.add_argument(flag, metavar="DIR", nargs="?", const=Path(), type=Path, help=text)
    parser.add_argument("--dry-run", action="store_true", help="only print the changes, as a diff")


def run(args: argparse.Namespace) -> int:
    """Run the action, return the exit status."""
    actions = {"install": _install, "status": _status, "uninstall": _uninstall}
    try:
        return actions[args.action](args)
    except SettingsError as error:
        print(f"session-buddy hooks: error: {error}", file=sys.stderr)
        return 1


# ---- The handler to install


def _hook_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port != 0
    except ValueError:
        port_is_valid = False
    if (
        not port_is_valid
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or not text.endswith(HOOK_PATH)
        or not parts.path.endswith(HOOK_PATH)
        or not re.fullmatch(r"[!-~]+", text)
    ):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a hook URL; use for example http://127.0.0.1:8765{HOOK_PATH}"
        )
    if parts.username is not None or parts.password is not None:
        raise argparse.ArgumentTypeError("the URL must not contain a user or password: Claude Code does not send them")
    return text


def _database(text: str) -> str:
    """The absolute path: a hook runs in the working directory of its session."""
    try:
        text.encode("utf-8")
        path = Path(_native.resolve_db_path(text))
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid UTF-8, which the settings require") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not path.parent.is_dir():  # the hooks would drop every event
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist; create it, or correct the path")
    return str(path)


def scripts_folder() -> Path:
    """The scripts folder of this installation."""
    package = Path(session_buddy.__file__).resolve().parents[1]
    for scheme in (sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")):
        paths = sysconfig.get_paths(scheme)
        if package in (Path(paths["platlib"]).resolve(), Path(paths["purelib"]).resolve()):
            return Path(paths["scripts"])
    return package / "bin"  # as in `pip install --target`


def hook_program() -> Path:
    """The hook program: that of this installation, else the one on the PATH.

    Raises SettingsError if there is none.
    """
    own = scripts_folder() / HOOK_PROGRAM
    if os.access(own, os.X_OK) and own.is_file():
        return own.absolute()
    found = shutil.which(HOOK_PROGRAM)
    if found is None:
        raise SettingsError(
            f"{HOOK_PROGRAM} is neither in {own.parent} nor on the PATH; reinstall session-buddy-realtime, or send the "
            "events to a running server (--http)"
        )
    return Path(found).absolute()


def server_url() -> str:
    """The hook URL of a server on this machine with the current settings. Raises SettingsError."""
    try:
        settings = _native.configured_settings()
    except ValueError as error:
        raise SettingsError(f"cannot read the server's settings: {error}; pass the URL: --http URL") from None
    host, port, certificate = str(settings["host"]), settings["port"], settings["tls_cert"]
    if port == 0:
        raise SettingsError("the server's settings have no fixed port (0); pass the URL: --http URL")
    host = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound
    where = f"[{host}]" if ":" in host else host
    return f"{'https' if certificate else 'http'}://{where}:{port}{HOOK_PATH}"


def _handler(args: argparse.Namespace) -> Handler:
    if args.http is not None:
        return Handler("http", server_url() if args.http is True else args.http)
    if args.project is not None:
        if args.db_path is not None:
            raise SettingsError("--db-path is a path on this machine, but project settings are shared; use --local")
        return Handler("command", HOOK_PROGRAM)
    words = [str(hook_program())]
    if args.db_path is not None:
        words += ["--db-path", args.db_path]
    line = shlex.join(words)
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        raise SettingsError(
            f"{line!r} is not valid UTF-8, which the settings require; install it in another folder"
        ) from None
    return Handler("command", line)


# ---- Installing and uninstalling


def _project_path(project: Path, name: str = "settings.json") -> Path:
    """The path of a settings file. Raises SettingsError if the project folder does not exist."""
    if not project.is_dir():
        raise SettingsError(f"{project} is not a folder; pass a project folder")
    return project.absolute() / ".claude" / name


def _settings_path(args: argparse.Namespace) -> Path:
    if args.project is not None:
        return _project_path(args.project)
    if args.local is not None:
        return _project_path(args.local, "settings.local.json")
    return user_settings_path()


def _warn(text: str) -> None:
    print(f"session-buddy hooks: warning: {text}", file=sys.stderr)


def _install(args: argparse.Namespace) -> int:
    handler = _handler(args)
    file = SettingsFile(_settings_path(args))
    if handler.kind == "http":
        print(f"session-buddy hooks: note: {_WITHOUT_SERVER}. Without --http no server is needed.", file=sys.stderr)
    done = _change(
        file,
        file.settings.with_hooks(handler),
        dry_run=args.dry_run,
        unchanged="Already installed in",
        changed="Installed in",
    )
    if done:
        print("Claude Code sessions started from now on use it.")
    if file.settings.hooks_disabled:
        _warn(f"disableAllHooks is true in {file.path}, so Claude Code runs no hooks")
    if args.dry_run:
        return 0
    if handler.kind == "http":
        if problem := probe_server(handler).problem:
            _warn(f"{problem}. Start one with: session-buddy serve")
    elif args.project is not None and shutil.which(HOOK_PROGRAM) is None:
        _warn(
            f"{HOOK_PROGRAM} is not on the PATH, where the shared settings look for it: add {scripts_folder()} to the "
            "PATH, or use --local"
        )
    return 0


def _uninstall(args: argparse.Namespace) -> int:
    file = SettingsFile(_settings_path(args))
    text = file.settings.without_hooks()
    if not args.dry_run and file.is_only_ours(text):
        file.remove()
        print("Removed", file.path, "because it contained nothing else")
        return 0
    _change(
        file,
        text,
        dry_run=args.dry_run,
        unchanged="Not installed in",
        changed="Removed from",
    )
    return 0


def _change(file: SettingsFile, text: str, *, dry_run: bool, unchanged: str, changed: str) -> bool:
    """Replace the file, or print the diff with ``dry_run``. Returns whether it was replaced."""
    if text == file.settings.text:
        print(unchanged, file.path)
        return False
    if dry_run:
        sys.stdout.writelines(_diff(file, text))
        return False
    backup = file.replace(text)
    print(changed, file.path)
    if backup:
        print(f"The previous settings are in {backup}")
    return True


def _diff(file: SettingsFile, text: str) -> Iterator[str]:
    """A unified diff. Common lines at both ends are skipped first: difflib is slow on large files."""
    old = io.StringIO(file.settings.text).readlines()  # unlike str.splitlines, it splits at newlines only
    new = io.StringIO(text).readlines()
    shorter = min(len(old), len(new))
    same = next((count for count in range(shorter) if old[count] != new[count]), shorter)
    rest = shorter - same
    same_after = next((count for count in range(rest) if old[-1 - count] != new[-1 - count]), rest)
    first = max(same - _CONTEXT_LINES, 0)
    left = max(same_after - _CONTEXT_LINES, 0)
    lines = difflib.unified_diff(
        old[first : len(old) - left],
        new[first : len(new) - left],
        str(file.path) if file.exists else os.devnull,
        str(file.path),
        n=_CONTEXT_LINES,
    )
    for line in lines:
        if first and line.startswith("@@ "):
            line = re.sub(r"(?<=[-+])\d+", lambda number: str(int(number[0]) + first), line)
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


# ---- Status


def _status(args: argparse.Namespace) -> int:
    user = user_settings_path()
    project = _project_path(args.project)
    files = {"User settings": user}
    if os.path.realpath(project) != os.path.realpath(user):
        files["Project settings"] = project
    files["Local settings of the project"] = _project_path(args.project, "settings.local.json")
    installed = disabled = False
    for title, path in files.items():
        print(f"{title}: {path}")
        try:
            file = SettingsFile(path)
        except SettingsError as error:
            print(f"  unknown: {error}")
            continue
        installed |= _print_state(file)
        if file.settings.hooks_disabled is not None:
            disabled = file.settings.hooks_disabled  # project settings override user settings
        if file.settings.hooks_disabled:
            print("  disableAllHooks is true: Claude Code runs no hooks")
    return 0 if installed and not disabled else 1


def _print_state(file: SettingsFile) -> bool:
    """Print the hooks in a settings file. Returns whether all events are covered and can arrive."""
    registrations = file.settings.registrations()
    working: set[str] = set()
    unanswered: set[str] = set()
    for handler in dict.fromkeys(one.handler for one in registrations):
        own = [one for one in registrations if one.handler == handler]
        print(f"  {handler.kind}: {handler.target}")
        print(f"    events: {', '.join(_event(one) for one in own)}")
        works, lines = _http_state(handler) if handler.kind == "http" else _command_state(handler)
        for line in lines:
            print(f"    {line}")
        # Reinstalling helps if a program is missing, but does not start a server.
        (working if works else unanswered if handler.kind == "http" else set()).update(
            one.event for one in own if one.matches_all
        )
    missing = [event for event in EVENTS if event not in working | unanswered]
    if not registrations:
        print("  not installed" if file.exists else "  not installed: no such file")
    elif missing and set(missing) <= set(ADDED_EVENTS):
        print(
            f"  installed by an earlier version, without {', '.join(missing)}: hooks do not record rejected calls "
            "and the ends of background runs; install again"
        )
    elif missing:
        print(f"  partly installed: no working hook for {', '.join(missing)}; install again")
    elif unanswered:
        print("  installed, but events do not arrive: the server does not accept them")
    else:
        print("  installed")
    return not missing and not unanswered


def _command_state(handler: Handler) -> tuple[bool, list[str]]:
    """Whether events can arrive, and lines that describe that and the last event."""
    program = handler.program()
    there, words = _program_state(program) if program else (False, "the command line cannot be parsed; install again")
    try:
        db_path = hook_database(handler)
    except ValueError as error:
        return False, [f"program: {words}", f"database: {error}"]
    return there, [f"program: {words}", f"database: {db_path}", _last_event(db_path, handler)]


def _http_state(handler: Handler) -> tuple[bool, list[str]]:
    server = probe_server(handler)
    if server.problem:
        return False, [f"server: {server.problem}"]
    lines = ["server: answers"]
    if server.db_path and os.path.exists(server.db_path):  # noqa: PTH110 - the path may belong to another machine
        lines += [f"database: {server.db_path}", _last_event(server.db_path, handler)]
    return True, lines


def _last_event(db_path: str, handler: Handler) -> str:
    return f"last event: {last_event(db_path, handler) or 'none so far'}"


def _event(registration: Registration) -> str:
    return registration.event if registration.matches_all else f"{registration.event} (some only)"


def _program_state(program: str) -> tuple[bool, str]:
    """Whether the program can be started, and a description."""
    found = shutil.which(os.path.expanduser(program))  # noqa: PTH111 - a bare name is looked up on the PATH
    if found is None:
        return False, "missing or not executable; install again"
    own = scripts_folder() / HOOK_PROGRAM
    is_own = own.exists() and own.samefile(found)
    return True, "exists, of this installation" if is_own else "exists, of another installation"
