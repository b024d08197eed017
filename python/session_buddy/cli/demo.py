"""``session-buddy demo``: runs a server on generated demo data with a live feed."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from session_buddy._live_line import LiveLine
from session_buddy._output import print_flushed
from session_buddy.cli._options import fail, not_negative, positive
from session_buddy.demo.history import make_history
from session_buddy.demo.live import BAD_SKILL, LiveFeed
from session_buddy.demo.transcript import make_transcript
from session_buddy.ingest import ImportSummary, import_transcripts
from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from session_buddy.storage import StorageError
from session_buddy.storage.skills_storage import SkillsStorage

LIVE_LINE_SECONDS = 0.5
PORT = 8765


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.description = (
        "Generates a database with a day of plausible history of a dozen skills, keeps adding live "
        f"invocations and serves the dashboard. After a minute {BAD_SKILL} degrades; later it recovers."
    )
    parser.epilog = "Exit status: 0 ended by Ctrl-C, SIGTERM or --duration, 1 could not start, 2 wrong usage."
    parser.add_argument(
        "--db-path", metavar="FILE", type=Path, help="database file to create (default: a temporary one)"
    )
    parser.add_argument("--force", action="store_true", help="replace the --db-path file if it exists")
    parser.add_argument("--host", default="localhost", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, help=f"port, 0 for a free one (default: {PORT}, or a free one if that is in use)"
    )
    parser.add_argument(
        "--update-interval", type=positive, default=1.0, metavar="SECONDS", help="time between broadcasts (default: 1)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the dashboard in a browser")
    parser.add_argument("--no-server", action="store_true", help="only generate the database and feed it")
    parser.add_argument("--seed", type=int, help="random seed, for the same history again")
    parser.add_argument(
        "--rate", type=positive, default=2.0, metavar="N", help="live invocations per second (default: 2)"
    )
    parser.add_argument(
        "--bad-after",
        type=not_negative,
        default=60.0,
        metavar="SECONDS",
        help=f"time until {BAD_SKILL} degrades (default: 60)",
    )
    parser.add_argument(
        "--bad-for",
        type=not_negative,
        default=180.0,
        metavar="SECONDS",
        help="how long it stays degraded (default: 180)",
    )
    parser.add_argument(
        "--duration", type=positive, metavar="SECONDS", help="stop after this time (default: run until stopped)"
    )


def run(args: argparse.Namespace) -> int:
    """Run until stopped; return the exit status."""
    try:
        port = 0 if args.no_server else _usable_port(args.host, args.port)
        with _database(args.db_path, args.force) as db_path:
            return asyncio.run(_run(args, port, db_path))
    except (StorageError, ValueError, OSError) as error:
        return fail("demo", error)


def _usable_port(host: str, wanted: int | None) -> int:
    """The port to listen on, checked to be free before any work: the requested one, else 8765, else 0 (any)."""
    port = PORT if wanted is None else wanted
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, OverflowError):
        return port  # the server reports what is wrong with the host or port
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                continue
            if wanted is None:
                print_flushed(f"Port {port} is in use; using a free one instead (--port selects one).")
                return 0
            raise OSError(f"port {port} is in use: choose another one with --port, or 0 for a free one") from None
    return port


@contextmanager
def _database(wanted: Path | None, force: bool) -> Iterator[Path]:
    """The path of a database that does not exist yet; a temporary one is deleted afterwards."""
    if wanted is None:
        folder = Path(tempfile.mkdtemp(prefix="session-buddy-demo-"))
        try:
            yield folder / "skills.db"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    if wanted.exists():
        if not force:
            raise FileExistsError(f"{wanted} already exists; choose a new file, or replace it with --force")
        if not wanted.is_file():
            raise ValueError(f"{wanted} is not a regular file")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{wanted}{suffix}").unlink(missing_ok=True)
    yield wanted


async def _run(args: argparse.Namespace, port: int, db_path: Path) -> int:
    rng = random.Random(args.seed)  # noqa: S311 - generated data, no secret
    async with _stop_event() as stop:
        with SkillsStorage(db_path) as store:
            return await _make_and_feed(args, port, rng, store, stop)


async def _make_and_feed(
    args: argparse.Namespace, port: int, rng: random.Random, store: SkillsStorage, stop: asyncio.Event
) -> int:
    now = time.time()
    history = make_history(rng, now)
    await asyncio.to_thread(store.store_many, history)
    imported = await asyncio.to_thread(_import_transcript, make_transcript(rng, now), store.db_path)
    skills = {str(row["skill_name"]) for row in history} | imported["recorded_by_skill"].keys()
    rows = len(history) + imported["recorded"] + imported["expired"]
    print_flushed(f"Generated {rows:,} invocations of {len(skills)} skills over 24 hours in {store.db_path}")
    async with _server(args, port, store.db_path):
        print_flushed(
            f"About {args.rate:g} live invocations per second; {BAD_SKILL} degrades after {args.bad_after:g} s "
            f"and recovers {args.bad_for:g} s later. Press Ctrl-C to stop."
        )
        feed = LiveFeed(rng, per_second=args.rate, bad_after=args.bad_after, bad_for=args.bad_for)
        written = await _feed(feed, store, stop, args.duration)
    print_flushed(f"Added {written:,} live invocations")
    return 0


def _import_transcript(lines: list[str], db_path: str) -> ImportSummary:
    """Import a session as if an agent had written it."""
    with tempfile.TemporaryDirectory(prefix="session-buddy-demo-") as folder:
        path = Path(folder) / "session.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return import_transcripts([path], db_path)


@asynccontextmanager
async def _stop_event() -> AsyncIterator[asyncio.Event]:
    """An event that SIGINT and SIGTERM set."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _server(args: argparse.Namespace, port: int, db_path: str) -> AsyncIterator[None]:
    """Run the server and print its addresses; no-op with --no-server."""
    if args.no_server:
        yield
        return
    async with RealTimeMetricsServer(args.host, port, db_path, args.update_interval) as server:
        host = f"[{server.host}]" if ":" in server.host else server.host
        where = f"{host}:{server.port}"
        endpoints = ", ".join(f"ws://{endpoint}" for endpoint in server.endpoints)
        print_flushed(
            f"Dashboard   http://{where}/",
            f"WebSocket   ws://{where}   ({endpoints})",
            f"Health      http://{where}/healthz   http://{where}/readyz",
            f"Python      python -m websockets ws://{where}",
            "Node        npm install ws && node -e \"const s=new (require('ws'))"
            f"('ws://{where}');s.on('message',m=>console.log(String(m)))\"",
        )
        if not args.no_browser and _has_screen():
            await asyncio.to_thread(webbrowser.open, f"http://{where}/")
        yield


def _has_screen() -> bool:
    """Whether there is a desktop: on a plain terminal, webbrowser would start a text browser in it."""
    return sys.stdout.isatty() and (
        sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    )


async def _feed(feed: LiveFeed, store: SkillsStorage, stop: asyncio.Event, duration: float | None) -> int:
    """Add invocations until stopped; return how many."""
    start = time.monotonic()
    live = LiveLine(sys.stderr)
    written = 0
    due = feed.pause()
    shown = 0.0
    while duration is None or due < duration:
        if await _stopped_within(stop, start + due - time.monotonic()):
            break
        row = feed.next_row(due, time.time())
        await asyncio.to_thread(store.store_many, [row])
        written += 1
        if live.enabled and due - shown > LIVE_LINE_SECONDS:
            shown = due
            state = f"{BAD_SKILL} is degraded" if feed.is_bad(due) else "all is well"
            live.show(f"{due:5.0f} s  {written:,} live invocations  {state}  last {row['skill_name']}")
        due += feed.pause()
    else:
        await _stopped_within(stop, start + duration - time.monotonic())
    live.clear()
    return written


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(stop.wait(), max(seconds, 0.0))
    return stop.is_set()
