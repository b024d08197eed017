"""The entry of `session-buddy`: picks the subcommand and imports only that one."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["main"]


class _Command(NamedTuple):
    module: str  # has add_parser(subparsers) and run(args) -> exit status
    help: str


# One line a subcommand, in the order of --help.
_COMMANDS = {
    "record": _Command("session_buddy.cli.record", "store one skill invocation in the database"),
    "run": _Command("session_buddy.cli.run", "run a command and store it as one skill invocation"),
    "import": _Command("session_buddy.cli.import_", "import recorded Claude Code sessions"),
    "hooks": _Command("session_buddy.cli.hooks", "record the uses of tools in Claude Code as they happen"),
    "watch": _Command("session_buddy.cli.watch", "follow Claude Code sessions as they grow"),
    "replay": _Command("session_buddy.cli.replay", "play recorded sessions as if they happened now"),
    "backtest": _Command("session_buddy.cli.backtest", "tell what anomalies a recorded history would have reported"),
    "top": _Command("session_buddy.cli.top", "show what a server tells on the terminal, as it changes"),
    "notify": _Command("session_buddy.cli.notify", "tell a webhook or a command when anomalies start and end"),
    "prune": _Command("session_buddy.cli.prune", "delete old invocations, and keep their totals"),
    "demo": _Command("session_buddy.cli.demo", "make up a day of history and keep adding to it, with a server"),
}


def _parser(chosen: str) -> argparse.ArgumentParser:
    from session_buddy import __version__

    parser = argparse.ArgumentParser(
        prog="session-buddy", description="Live metrics of AI coding skills.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"session-buddy {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    subparsers.add_parser("serve", help="run the WebSocket server", add_help=False)
    for name, command in _COMMANDS.items():
        if name == chosen:
            importlib.import_module(command.module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=command.help, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit status. Wrong usage ends with SystemExit(2), as argparse does it.

    Args:
        arguments: Without the program's name; None for those of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = given[0] if given else ""
    if chosen == "serve":
        from session_buddy.cli import serve

        return serve.main(given[1:])
    parsed = _parser(chosen).parse_args(given)
    try:
        status: int = importlib.import_module(_COMMANDS[parsed.command].module).run(parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away; without this the interpreter complains once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main())
