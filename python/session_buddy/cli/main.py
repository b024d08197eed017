"""Entry point of `session-buddy`: dispatches to the subcommand and imports only that one."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from session_buddy._output import OutputError

__all__ = ["main"]


class _Command(NamedTuple):
    module: str  # has add_arguments(parser) and run(args) -> exit status
    help: str


# One line per subcommand, in the order of --help.
_COMMANDS = {
    "record": _Command("session_buddy.cli.record", "store one skill invocation in the database"),
    "run": _Command("session_buddy.cli.run", "run a command and store it as one skill invocation"),
    "import": _Command("session_buddy.cli.import_", "import recorded Claude Code sessions"),
    "hooks": _Command(
        "session_buddy.cli.hooks", "install hooks that record the tool uses of Claude Code as they happen"
    ),
    "watch": _Command("session_buddy.cli.watch", "follow Claude Code sessions as they grow"),
    "replay": _Command(
        "session_buddy.cli.replay", "replay recorded sessions into the database as if they happened now"
    ),
    "backtest": _Command(
        "session_buddy.cli.backtest", "report the alerts that would have been detected in recorded history"
    ),
    "alerts": _Command("session_buddy.cli.alerts", "list and acknowledge alerts, mute skills"),
    "top": _Command("session_buddy.cli.top", "live terminal view of a running server"),
    "notify": _Command("session_buddy.cli.notify", "notify a webhook or a command when an alert starts or ends"),
    "explain": _Command("session_buddy.cli.explain", "show why an invocation has its name, outcome and duration"),
    "prune": _Command("session_buddy.cli.prune", "delete old invocations and keep their totals"),
    "forget": _Command("session_buddy.cli.forget", "delete a skill or an invocation that was recorded by mistake"),
    "rename": _Command("session_buddy.cli.rename", "rename a skill"),
    "demo": _Command("session_buddy.cli.demo", "run a server on generated demo data"),
}


class _Parser(argparse.ArgumentParser):
    """Suggests the closest command or choice for a misspelled one; subcommands use this class, too."""

    def error(self, message: str) -> NoReturn:
        if found := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)$", message):
            given, choices = found[1], [choice.strip("' ") for choice in found[2].split(",")]
            if meant := difflib.get_close_matches(given, choices, 1):
                message = f"{message[: found.end(1) + 1]}; did you mean '{meant[0]}'?"
        super().error(message)


def _parser(chosen: str) -> argparse.ArgumentParser:
    from session_buddy import __version__

    parser = _Parser(prog="session-buddy", description="Live metrics of AI coding skills.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"session-buddy {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    subparsers.add_parser("serve", help="run the server: WebSocket, HTTP API and dashboard", add_help=False)
    for name, command in _COMMANDS.items():
        if name == chosen:
            own = subparsers.add_parser(name, allow_abbrev=False)
            importlib.import_module(command.module).add_arguments(own)
        else:
            subparsers.add_parser(name, help=command.help, add_help=False)
    subparsers.add_parser("loadtest", help="load test a server with many clients", add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status. Wrong usage raises SystemExit(2), as in argparse.

    Args:
        arguments: Without the program name; None: those of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _run(given)
        finally:  # also if argparse raises SystemExit after --help or --version
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except OutputError as error:
        return _output_failed(given, error.cause)
    except OSError as error:  # commands report their own errors; what reaches here is output that cannot be written
        return _output_failed(given, error)


def _run(given: list[str]) -> int:
    chosen = given[0] if given else ""
    if chosen == "serve":
        from session_buddy.cli import serve

        return serve.main(given[1:], program="session-buddy serve")
    if chosen == "loadtest":
        from session_buddy import loadtest

        return loadtest.main(given[1:], program="session-buddy loadtest")
    if not given:
        _parser("").print_help()
        return 0
    parsed = _parser(chosen).parse_args(given)
    status: int = importlib.import_module(_COMMANDS[parsed.command].module).run(parsed)
    return status


def _output_failed(given: list[str], error: OSError) -> int:
    """Report that stdout cannot be written, but not if its reader is gone; return the exit status."""
    _discard_output()
    if isinstance(error, BrokenPipeError):
        return 141
    program = " ".join(["session-buddy", *(name for name in given[:1] if not name.startswith("-"))])
    what = error.filename or "cannot write the output"
    print(f"{program}: error: {what}: {error.strerror}", file=sys.stderr)
    return 1


def _discard_output() -> None:
    """Redirect stdout to /dev/null: flushing the rest at interpreter exit would fail again, with a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
