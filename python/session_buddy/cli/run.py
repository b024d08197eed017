"""``session-buddy run``: runs a command as one tracked invocation, transparent to the command and its caller."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import PurePath

from session_buddy import _native
from session_buddy.cli._options import add_db_path, fail
from session_buddy.integrations.crackerjack import PHASES, phase_labels

__all__ = ["add_arguments", "run"]

_NOT_EXECUTABLE = 126
_POLL_SECONDS = 1.0  # between checks whether the command ended without a SIGCHLD reaching this thread
_NOT_FOUND = 127
_BUSY_SECONDS = 2.0  # maximum delay of the exit by a locked database

# Forwarded to the command. Job control signals are not: they stop and continue both processes anyway.
_FORWARDED_SIGNALS = frozenset(
    {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM}
)
_TERMINATING_SIGNALS = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.usage = "session-buddy run [--phase PHASE] [--name NAME] [--session ID] [--db-path FILE] -- COMMAND…"
    parser.description = (
        "Runs a command, stores it as one skill invocation and exits with its status. Only the skill name "
        "is stored, never the arguments or the output. If the database cannot be written, a warning is printed."
    )
    parser.epilog = (
        "Exit status: that of the command, 128 + the number of the signal that killed it, 127 if it was not "
        "found, 126 if it cannot be executed; 2 wrong usage."
    )
    parser.add_argument(
        "--phase",
        metavar="PHASE",
        type=_label,
        help=f"workflow phase; those of Crackerjack: {', '.join(f'{name} ({PHASES[name]})' for name in PHASES)}",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        type=_skill_name,
        help="skill name (default: the developer tool that the command runs, else the program name)",
    )
    parser.add_argument(
        "--session", metavar="ID", type=_label, default="shell", help="session id (default: %(default)s)"
    )
    add_db_path(parser)
    parser.add_argument("words", metavar="COMMAND", nargs=argparse.REMAINDER, help="command and its arguments")


def _skill_name(text: str) -> str:
    if not _native.is_valid_skill_name(_printable(text)):
        raise argparse.ArgumentTypeError(_native.SKILL_NAME_RULE)
    return text


def _label(text: str) -> str:
    if not 1 <= len(_printable(text).encode()) <= 1024 or _printable(text) != text:
        raise argparse.ArgumentTypeError("must be 1 to 1024 bytes of UTF-8")
    return text


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status of the command; see add_parser."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        return fail("run", "error: no command: pass it after --", 2)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if the parent ignored it, waitpid would lose the exit status
    watched: set[signal.Signals] = {
        number for number in _FORWARDED_SIGNALS if signal.getsignal(number) != signal.SIG_IGN
    } | {signal.SIGCHLD}
    # Blocked in every thread, they stay pending for sigwait, and none ends us before the invocation is stored.
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        began, started = datetime.now(timezone.utc), time.perf_counter()
        status, error_type = _run_command(words, watched, previous)
        seconds = time.perf_counter() - started
        try:
            _store(arguments, words, began, seconds, error_type)
        except Exception as error:  # no error here may change the exit status
            print(f"session-buddy run: warning: the invocation is not stored: {error}", file=sys.stderr)
    finally:
        while signal.sigpending() & watched:
            signal.sigwait(watched)  # too late for the command
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
    return status


def _store(
    arguments: argparse.Namespace, words: Sequence[str], began: datetime, seconds: float, error_type: str | None
) -> None:
    from session_buddy.storage.skills_storage import SkillsStorage

    labels = {} if arguments.phase is None else phase_labels(arguments.phase)
    with SkillsStorage(arguments.db_path, busy_timeout=_BUSY_SECONDS) as storage:
        storage.store_invocation(
            arguments.name or _name_of(words),
            session_id=arguments.session,
            invoked_at=began,
            completed=error_type is None,
            duration_seconds=seconds,
            error_type=error_type,
            workflow_path=labels.get("workflow_path"),
            workflow_phase=labels.get("workflow_phase"),
            workflow_step_id=labels.get("workflow_step_id"),
        )


def _name_of(words: Sequence[str]) -> str:
    shown = [_printable(word) for word in words]
    try:
        tools = str(_native.configured_settings()["tools"])
    except ValueError:  # invalid server settings must not break this command
        tools = ""
    name = _native.skill_name_for_command(shown, tools=tools) or PurePath(shown[0]).name
    return name if _native.is_valid_skill_name(name) else "unknown"


def _printable(word: str) -> str:
    """Replace lone surrogates, which come from arguments that are not UTF-8 and cannot be stored."""
    return word.encode("utf-8", "replace").decode()


def _run_command(
    words: Sequence[str], watched: set[signal.Signals], mask: set[int | signal.Signals]
) -> tuple[int, str | None]:
    """Run the command with the signal mask `mask` and forward the signals in `watched`, which are blocked here.

    Returns:
        The exit status for the shell, and the error class, None for success.
    """
    try:
        child = os.posix_spawnp(
            words[0],
            list(words),
            os.environ,
            setsigmask=mask,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # the interpreter ignores these two
        )
    except FileNotFoundError:
        print(f"session-buddy run: {words[0]}: command not found", file=sys.stderr)
        return _NOT_FOUND, "tool_error"
    except OSError as error:
        print(f"session-buddy run: {words[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_EXECUTABLE, "tool_error"
    interrupted = False
    while True:
        number, by_terminal = _next_signal(watched)
        if number != signal.SIGCHLD:
            interrupted = interrupted or number in _TERMINATING_SIGNALS
            if not by_terminal:  # the terminal signals the command as well
                os.kill(child, number)
            continue
        ended, wait_status = os.waitpid(child, os.WNOHANG)
        if ended == child:
            break
    code = os.waitstatus_to_exitcode(wait_status)
    if code == 0:
        return 0, None
    if code > 0:
        return code, "interrupted" if interrupted or code == 128 + signal.SIGINT else "exit_code"
    return 128 - code, "interrupted" if interrupted or -code in _TERMINATING_SIGNALS else "tool_error"


def _next_signal(watched: set[signal.Signals]) -> tuple[int, bool]:
    """Wait for a signal. Returns its number and whether the terminal sent it to the foreground process group."""
    if sys.platform == "linux":
        info = signal.sigtimedwait(watched, _POLL_SECONDS)
        if info is None:  # inside another program, another of its threads may have received the signal
            return signal.SIGCHLD, False
        return info.si_signo, info.si_code > 0
    number = signal.sigwait(watched)
    return number, number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground()


def _is_in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
