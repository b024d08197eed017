"""``session-buddy top``: live terminal view of the skills, alerts and sessions of a server."""

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

from session_buddy._output import print_flushed
from session_buddy.cli._connection import DetachedThreads, add_connection_arguments, token_source
from session_buddy.cli._options import add_skill, fail
from session_buddy.cli._running import run_until_first_ends
from session_buddy.cli._terminal import reading_keys
from session_buddy.client import ClientError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from session_buddy.client import Client, StateChange

FRAME_SECONDS = 0.1  # minimum time between two frames
TICK_SECONDS = 1.0  # maximum: displayed ages grow without updates
HOURS_SECONDS = 60.0  # interval of requests for the last 24 hours
ONCE_SECONDS = 20.0  # timeout for the state with --once
MAX_DELAY_SECONDS = 5.0  # between reconnection attempts: short, since a person is watching
MAX_SKILLS = 50
MAX_SEARCHES = 10  # requests per refresh of the last 24 hours


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Live terminal view of the most active skills, the alerts and the active sessions of a server; "
        "h shows the keys. If stdout is not a terminal, or TERM is dumb, each update is printed as text; NO_COLOR "
        "disables colours."
    )
    parser.epilog = (
        "Exit status: 0 quit, or printed with --once; 1 the server rejects the client, or with --once there is "
        "no server or it never recorded a given skill; 2 wrong usage."
    )
    add_connection_arguments(parser)
    add_skill(parser)
    parser.add_argument("--once", action="store_true", help="print the current state and exit")
    parser.add_argument("--json", action="store_true", help="print each update as one line of JSON")


def run(args: argparse.Namespace) -> int:
    """Run until a key or signal ends it, return the exit status."""
    try:
        if len(args.skill) > MAX_SKILLS:
            raise ValueError(f"--skill can be given at most {MAX_SKILLS} times, not {len(args.skill)}")
        return asyncio.run(_Top(args).run())
    except (ClientError, OSError, ValueError) as error:
        return fail("top", error)


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

    # ---- Updates

    def _on_state(self, change: StateChange) -> None:
        self._model.set_state(change)
        self._changed.set()
        if not self._live and not self._args.once and change.reason is not None and change.retry_in is not None:
            print(f"session-buddy top: {change.state}: {change.reason}", file=sys.stderr, flush=True)

    async def _once(self) -> None:
        async def fetched() -> None:
            async with self._client as client:
                for name in self._args.skill:
                    await client.get_metrics(name)  # fails for a skill that was never recorded
                self._model.apply(await client.subscribe(*self._args.skill, details=True).__anext__())
                self._model.sessions = await client.subscribe_sessions().__anext__()
                self._print()

        try:
            await asyncio.wait_for(fetched(), ONCE_SECONDS)
        except asyncio.TimeoutError:
            raise ConnectionError(f"no update from the server within {ONCE_SECONDS:g} seconds") from None

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
        """Refresh the last 24 hours of each skill, if the server reports them; older versions do not."""
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
        from session_buddy.client._http import request_json

        token = self._token() if callable(self._token) else self._token
        query = {"sparkline": "true", "limit": "100", **({"search": search} if search else {})}
        return await request_json("GET", self._endpoint, "/api/v1/skills", query, token=token, tls=self._tls)

    # ---- Output

    def _print(self) -> None:
        if self._args.json:
            print_flushed(json.dumps(self._model.as_json(), ensure_ascii=not self._unicode))
        else:
            from session_buddy.cli._top_view import ASCII, UNICODE, plain

            text = plain(self._model, UNICODE if self._unicode else ASCII)
            print_flushed(text + ("" if self._args.once else "\n"))

    async def _draw(self) -> None:
        """Draw until the quit key, then restore the terminal."""
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
                os.kill(os.getpid(), signal.SIGSTOP)  # until the shell continues it (SIGCONT)


def _hours(answer: Any) -> dict[str, list[int]]:
    """Hourly invocations of each skill. Raises KeyError, TypeError or ValueError if the answer has none."""
    return {
        skill["skill_name"]: [int(count) for count in skill["sparkline"]["invocation_count"]]
        for skill in answer["skills"]
    }


@contextlib.contextmanager
def _on_terminal() -> Iterator[Callable[[Callable[[int, int], RenderableType]], None]]:
    """Yields a function that renders for the current size on the alternate screen, which is left at the end."""
    from rich.console import Console
    from rich.live import Live

    # LINES and COLUMNS would fix the size; without them it is queried for each frame.
    console = Console(_environ={name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")})
    # Log output would corrupt the screen; the connection state shows the same problems.
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
