"""``session-buddy notify``: notifies a webhook or a command when an alert starts or ends."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from session_buddy._output import print_flushed
from session_buddy.cli._connection import DetachedThreads, add_connection_arguments, token_source
from session_buddy.cli._escaping import escape_controls
from session_buddy.cli._options import add_skill
from session_buddy.cli._running import run_until_first_ends

if TYPE_CHECKING:
    from session_buddy.client import MetricsUpdate, StateChange
    from session_buddy.notify.body import Body
    from session_buddy.notify.episodes import Event
    from session_buddy.notify.receivers import Receiver

ONCE_SECONDS = 20.0  # timeout for the update with --once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Sends one event for the start and one for the end of each alert, and one for each improvement, also across "
        "restarts, but none for muted skills and acknowledged alerts. Runs until a signal ends it. Failed deliveries "
        "are retried, also after a restart."
    )
    parser.epilog = (
        "Exit status: 0 ended by Ctrl-C or SIGTERM, or all events delivered with --once; 1 the server rejects "
        "the client, a file cannot be used, or with --once an event was not delivered; 2 wrong usage."
    )
    add_connection_arguments(parser)
    parser.add_argument(
        "--webhook",
        metavar="URL",
        help="URL to POST each event to; set SESSION_BUDDY_WEBHOOK instead if it is a secret",
    )
    parser.add_argument(
        "--header-file",
        type=Path,
        metavar="FILE",
        help="file with additional webhook headers, one 'Name: value' per line; a secret Authorization value can be "
        "set in SESSION_BUDDY_WEBHOOK_AUTHORIZATION instead",
    )
    parser.add_argument(
        "--command",
        dest="program",
        metavar="COMMAND",
        help="command to run for each event, without a shell: fields in SESSION_BUDDY_SKILL etc., JSON on stdin",
    )
    parser.add_argument(
        "--template",
        type=Path,
        metavar="FILE",
        help='template of the body, such as {"text": "$text"}; fields: $skill, $type, $event, … (default: all as JSON)',
    )
    add_skill(parser)
    parser.add_argument(
        "--deviations",
        action="store_true",
        help="send the starts and ends of all anomalies (deviations) instead of alerts",
    )
    parser.add_argument(
        "--min-deviation",
        type=_number(0, math.inf),
        metavar="SD",
        help="minimum deviation, in standard deviations; implies --deviations",
    )
    parser.add_argument(
        "--settle",
        type=_number(0, 86400),
        default=10.0,
        metavar="SECONDS",
        help="how long an anomaly, or an alert that the server no longer lists, must be missing, in two updates or "
        "more, before its end is sent (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout",
        type=_number(0.1, 3600),
        default=30.0,
        metavar="SECONDS",
        help="timeout of a webhook request or command (default: %(default)g)",
    )
    parser.add_argument(
        "--max-attempts",
        type=_count,
        default=100,
        metavar="N",
        help="delivery attempts per event, at most a minute apart (default: %(default)s)",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="file with the open alerts and pending events (default: session-buddy/notify.json in the user's XDG "
        "state directory)",
    )
    parser.add_argument("--once", action="store_true", help="send what changed since the last run and exit")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent; send and save nothing")


def run(args: argparse.Namespace) -> int:
    """Run until a signal, return the exit status."""
    from session_buddy.client import ClientError

    # They log URLs, and the webhook URL may be a secret.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return asyncio.run(_Notifier(args).run())
    except _UsageError as error:
        _log(str(error))
        return 2
    except (ClientError, OSError, ValueError) as error:
        _log(str(error))
        return 1


class _UsageError(Exception):
    pass


class _Notifier:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace) -> None:
        from session_buddy.client import connect
        from session_buddy.notify.alerts import AlertTracker
        from session_buddy.notify.body import Body
        from session_buddy.notify.episodes import Tracker
        from session_buddy.notify.outbox import Outbox
        from session_buddy.notify.state import StateFile, default_path

        self._args = args
        body = Body() if args.template is None else Body.from_file(args.template)
        self._outbox = Outbox(
            [_Printer(body)] if args.dry_run else _receivers(args, body),
            max_attempts=args.max_attempts,
            save=self._save,
            log=_log,
        )
        self._deviations = args.deviations or args.min_deviation is not None
        # The one that is not selected sends only the ends of what was open in an earlier run.
        least = (args.min_deviation or 0.0) if self._deviations else math.inf
        self._tracker = Tracker(settle=args.settle, min_deviation=least, skills=args.skill)
        self._alerts = AlertTracker(settle=args.settle, starts=not self._deviations, skills=args.skill)
        self._file = StateFile(args.state or default_path())
        self._connections = 0
        self._connected = False
        self._client = connect(
            args.url,
            token=token_source(args.token_file),
            ca_file=args.ca_file,
            on_state=self._on_state,
            first_attempts=1 if args.once else None,
            max_attempts=None,
        )

    async def run(self) -> int:
        with contextlib.nullcontext() if self._args.dry_run else self._file.locked():
            state = self._file.read()
            self._tracker.restore(state.episodes)
            self._alerts.restore(state.alerts)
            if not self._args.dry_run:
                self._outbox.restore(state.deliveries)
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.set_default_executor(DetachedThreads())
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
            await run_until_first_ends(stop.wait(), self._once() if self._args.once else self._follow())
        return 1 if self._args.once and self._outbox.failed else 0

    async def _once(self) -> None:
        async def first() -> MetricsUpdate:
            async with self._client as client:
                for name in self._args.skill:
                    await client.get_metrics(name)  # fails for a skill that was never recorded
                return await client.subscribe(*self._args.skill, details=True).__anext__()

        try:
            update = await asyncio.wait_for(first(), ONCE_SECONDS)
        except asyncio.TimeoutError:
            raise ConnectionError(f"no update from the server within {ONCE_SECONDS:g} seconds") from None
        self._outbox.add(self._process(update))
        self._save()
        await self._outbox.flush()

    def _process(self, update: MetricsUpdate) -> list[Event]:
        if update.alerts is None and not self._deviations:
            raise ValueError("this server does not report alerts: upgrade it, or use --deviations")
        return [*self._tracker.process(update), *self._alerts.process(update)]

    def _open(self) -> set[object]:
        return {*self._tracker.episodes, *self._alerts.sent}

    def _connection_lost(self) -> None:
        self._tracker.connection_lost()
        self._alerts.connection_lost()

    async def _follow(self) -> None:
        self._connection_lost()
        await run_until_first_ends(self._outbox.run(), self._follow_updates())

    async def _follow_updates(self) -> None:
        async with self._client as client:
            async for update in client.subscribe(*self._args.skill, details=True):
                known = self._open()
                events = self._process(update)
                if events or known != self._open():
                    self._outbox.add(events)
                    self._save()
                    await self._outbox.wake()

    def _on_state(self, change: StateChange) -> None:
        if change.reason is not None and change.retry_in is not None:
            # Log every 20th attempt only, so that a long outage does not fill the log.
            if self._connected or change.attempt < 2 or change.attempt % 20 == 0:
                _log(f"{change.state}: {change.reason}")
            self._connected = False
        elif str(change.state) == "connected":
            self._connected = True
            self._connections += 1
            if self._connections > 1:
                # Only now: all updates from before the loss are processed.
                self._connection_lost()
                _log("reconnected")

    def _save(self) -> None:
        if self._args.dry_run:
            return
        try:
            self._file.write(self._tracker.episodes.values(), self._outbox.deliveries, self._alerts.sent.values())
        except OSError as error:  # at-least-once: events sent now may be sent again after a restart
            _log(f"cannot save the state: {error}")


class _Printer:
    """A receiver that prints each event (--dry-run)."""

    name = "printer"

    def __init__(self, body: Body) -> None:
        self._body = body

    async def deliver(self, event: Event) -> None:
        print_flushed(escape_controls(self._body(event).decode()))


def _receivers(args: argparse.Namespace, body: Body) -> list[Receiver]:
    """The configured receivers. Raises _UsageError if there is none; OSError, ValueError if one is invalid."""
    from session_buddy.notify.receivers import (
        AUTHORIZATION_VARIABLE,
        WEBHOOK_VARIABLE,
        Command,
        Webhook,
        checked_header,
        read_headers,
    )

    receivers: list[Receiver] = []
    url = args.webhook or os.environ.get(WEBHOOK_VARIABLE)
    if url:
        headers = {} if args.header_file is None else read_headers(args.header_file)
        try:
            if secret := os.environ.get(AUTHORIZATION_VARIABLE):
                headers["Authorization"] = checked_header("Authorization", secret, AUTHORIZATION_VARIABLE)
            receivers.append(Webhook(url, body, headers=headers, timeout=args.timeout))
        except ValueError as error:
            raise _UsageError(str(error)) from None
    elif args.header_file is not None:
        raise _UsageError("--header-file requires --webhook")
    if args.program is not None:
        receivers.append(Command(args.program, body, timeout=args.timeout))
    if not receivers:
        raise _UsageError("no receiver configured: use --webhook URL, --command COMMAND or both (or --dry-run)")
    return receivers


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not (math.isfinite(value) and lowest <= value <= highest):
            bound = "or more" if math.isinf(highest) else f"to {highest:g}"
            raise argparse.ArgumentTypeError(f"must be a number, {lowest:g} {bound}")
        return value

    return number


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError("must be an integer from 1 to 1000000")
    return value


def _log(message: str) -> None:
    print(f"session-buddy notify: {message}", file=sys.stderr, flush=True)
