"""``session-buddy top``: the skills, anomalies and sessions of a server on a terminal, as they change."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from session_buddy.cli._connection import DetachedThreads, add_connection_arguments, token_source
from session_buddy.cli._running import run_until_first_ends
from session_buddy.cli._terminal import reading_keys
from session_buddy.client import ClientError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from session_buddy.client import Client, StateChange

FRAME_SECONDS = 0.1  # least time from one picture to the next
TICK_SECONDS = 1.0  # longest, as ages grow while nothing comes
HOURS_SECONDS = 60.0  # from one request for the last 24 hours to the next
ONCE_SECONDS = 20.0  # until there is a state to print
MAX_DELAY_SECONDS = 5.0  # between attempts to come back: somebody is looking
MAX_SKILLS = 50
MAX_SEARCHES = 10  # requests for the last 24 hours at a time


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this command to the command line."""
    parser = subparsers.add_parser(
        "top",
        allow_abbrev=False,
        description="Shows the most active skills, the anomalies and the active sessions of a server, as they change; "
        "h shows the keys. Where the output is no terminal, or TERM is dumb, each update is printed as text; colours "
        "are left out where NO_COLOR is set.",
        epilog="Exit status: 0 quit, or printed with --once; 1 with --once there is no server, or it never recorded a "
        "skill that is named, or it rejects the client; 2 wrong usage.",
    )
    add_connection_arguments(parser)
    parser.add_argument(
        "--skill", action="append", default=[], metavar="NAME", help="only this skill; may be given up to 50 times"
    )
    parser.add_argument("--once", action="store_true", help="print the present state and end")
    parser.add_argument("--json", action="store_true", help="print each update as a line of JSON")


def run(args: argparse.Namespace) -> int:
    """Show until a key or signal ends it, return the exit status."""
    try:
        if len(args.skill) > MAX_SKILLS:
            raise ValueError(f"--skill can be given {MAX_SKILLS} times at most")
        return asyncio.run(_Top(args).run())
    except BrokenPipeError:
        raise  # is no fault to be told, and there is nobody to tell
    except (ClientError, OSError, ValueError) as error:
        print(f"session-buddy top: {error}", file=sys.stderr)
        return 1


class _Top:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace) -> None:
        from session_buddy.cli._top_model import Model
        from session_buddy.client import connect
        from session_buddy.client._endpoint import Endpoint, tls_context

        self._args = args
        self._token = token_source(args.token_file)
        self._endpoint = Endpoint.parse(args.url)
        self._tls = tls_context(args.ca_file) if self._endpoint.secure else None
        self._client = connect(
            args.url,
            token=self._token,
            ca_file=args.ca_file,
            on_state=self._on_state,
            first_attempts=1 if args.once else None,
            max_attempts=None,
            max_delay=MAX_DELAY_SECONDS,
        )
        self._model = Model(args.url)
        self._changed = asyncio.Event()
        self._live = not args.json and not args.once and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"

    async def run(self) -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DetachedThreads())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        if not self._unicode and isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        if self._args.once:
            await run_until_first_ends(stop.wait(), self._once())
        elif self._live:
            await run_until_first_ends(stop.wait(), self._follow(), self._draw())
        else:
            await run_until_first_ends(stop.wait(), self._follow())
        return 0

    # ---- What comes

    def _on_state(self, change: StateChange) -> None:
        self._model.set_state(change)
        self._changed.set()
        if not self._live and not self._args.once and change.reason is not None and change.retry_in is not None:
            print(f"session-buddy top: {change.state}: {change.reason}", file=sys.stderr, flush=True)

    async def _once(self) -> None:
        async def fetched() -> None:
            async with self._client as client:
                for name in self._args.skill:
                    await client.get_metrics(name)  # fails where it was never recorded
                self._model.apply(await client.subscribe(*self._args.skill, details=True).__anext__())
                self._model.sessions = await client.subscribe_sessions().__anext__()
                self._print()

        try:
            await asyncio.wait_for(fetched(), ONCE_SECONDS)
        except asyncio.TimeoutError:
            raise ConnectionError(f"the server told nothing within {ONCE_SECONDS:g} seconds") from None

    async def _follow(self) -> None:
        async with self._client as client:
            await run_until_first_ends(
                self._follow_metrics(client), self._follow_sessions(client), self._follow_hours()
            )

    async def _follow_metrics(self, client: Client) -> None:
        async for update in client.subscribe(*self._args.skill, details=True):
            self._model.apply(update)
            if self._live:
                self._changed.set()
            else:
                self._print()

    async def _follow_sessions(self, client: Client) -> None:
        async for sessions in client.subscribe_sessions(buffer=1):
            self._model.sessions = sessions
            self._changed.set()

    async def _follow_hours(self) -> None:
        """The last 24 hours of each skill, where the server tells them; an older one does not."""
        while True:
            hours: dict[str, list[int]] = {}
            try:
                for name in self._args.skill[:MAX_SEARCHES] or [None]:
                    hours.update(_hours(await self._skills(name)))
            except (ClientError, KeyError, TypeError, ValueError, OSError):
                self._model.hours = None
            else:
                self._model.hours = hours
            self._changed.set()
            await asyncio.sleep(HOURS_SECONDS)

    async def _skills(self, search: str | None) -> Any:
        from session_buddy.client._http import get_json

        token = self._token() if callable(self._token) else self._token
        query = {"sparkline": "true", "limit": "100", **({"search": search} if search else {})}
        return await get_json(self._endpoint, "/api/v1/skills", query, token=token, tls=self._tls)

    # ---- What is shown

    def _print(self) -> None:
        if self._args.json:
            print(json.dumps(self._model.as_json(), ensure_ascii=not self._unicode), flush=True)
        else:
            from session_buddy.cli._top_view import ASCII, UNICODE, plain

            text = plain(self._model, UNICODE if self._unicode else ASCII)
            print(text + ("" if self._args.once else "\n"), flush=True)

    async def _draw(self) -> None:
        """Until the key to quit; the terminal is then as it was."""
        from session_buddy.cli._top_view import ASCII, UNICODE, Screen

        screen = Screen(self._model, UNICODE if self._unicode else ASCII)
        quitting = False
        suspended = False

        def pressed(key: str) -> None:
            nonlocal quitting
            quitting = not screen.press(key) or quitting
            self._changed.set()

        def suspend() -> None:
            nonlocal suspended
            suspended = True
            self._changed.set()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        loop.add_signal_handler(signal.SIGTSTP, suspend)
        while not quitting:
            with _on_terminal() as show, reading_keys(pressed):
                while not quitting and not suspended:
                    self._changed.clear()
                    show(screen.render)
                    await asyncio.sleep(FRAME_SECONDS)
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), TICK_SECONDS)
            if suspended:
                suspended = False
                os.kill(os.getpid(), signal.SIGSTOP)  # until the shell brings it back


def _hours(answer: Any) -> dict[str, list[int]]:
    """Invocations an hour of each skill. Raises KeyError, TypeError or ValueError where the answer has none."""
    return {
        skill["skill_name"]: [int(count) for count in skill["sparkline"]["invocation_count"]]
        for skill in answer["skills"]
    }


@contextlib.contextmanager
def _on_terminal() -> Iterator[Callable[[Callable[[int, int], RenderableType]], None]]:
    """A function that shows what is rendered for the present size, on a screen that goes away at the end."""
    from rich.console import Console
    from rich.live import Live

    # The size is asked for anew each time; variables that fix it would make the picture too large or small for good.
    console = Console(_environ={name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")})
    # What a library logs would tear the picture; it is told by the state of the connection anyway.
    quiet = logging.NullHandler()
    logger = logging.getLogger("session_buddy")
    logger.addHandler(quiet)
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    try:
        with live:

            def show(render: Callable[[int, int], RenderableType]) -> None:
                live.update(render(console.size.width, console.size.height), refresh=True)

            yield show
    finally:
        logger.removeHandler(quiet)
