"""``session-buddy loadtest ws://localhost:8765 --count 100 --duration 60``: load test with many concurrent clients.

A broadcast is identical for all clients, so a message is matched across clients by its text and by the number of
earlier occurrences of that text; each text is parsed once. A client that received a text less often than the client
that received it most has lost updates. All clients share one event loop, so the spread includes the time of one
iteration of that loop.

It has its own connections: those of `session_buddy.client` decode every message, which would make this process the
bottleneck, and reconnect, which would hide a loss.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

from session_buddy._live_line import LiveLine
from session_buddy.client import DEFAULT_URL

__all__ = ["Histogram", "LoadTest", "Measurement", "Options", "Report", "main"]

LIVE_LINE_SECONDS = 0.5
LATE_SECONDS = 5.0  # an update that arrives this long after it reached the first client counts as lost
REMEMBERED_SECONDS = 120.0  # how long a finished text is remembered, to recognize late messages
OPEN_TIMEOUT_SECONDS = 20.0
CLOSE_TIMEOUT_SECONDS = 2.0
MAX_CONCURRENT_CONNECTS = 50
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
SPARE_DESCRIPTORS = 100


class Histogram:
    """Histogram with exponential buckets (5 % growth), for quantiles in constant memory.

    Values are seconds; values below 10 microseconds share the first bucket.
    """

    _LOWEST = 1e-5
    _GROWTH = math.log(1.05)

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def add(self, value: float) -> None:
        """Add one value."""
        self._buckets[0 if value <= self._LOWEST else 1 + int(math.log(value / self._LOWEST) / self._GROWTH)] += 1
        self.count += 1
        self.total += value
        self.largest = max(self.largest, value)

    def quantile(self, share: float) -> float:
        """The quantile of `share` (0 to 1), within 5 %; 0 without values."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(self._LOWEST * math.exp(bucket * self._GROWTH), self.largest)
        return 0.0

    def summary(self) -> dict[str, float]:
        """Mean and percentiles in milliseconds."""
        return {
            "mean": round(1000 * self.total / self.count, 3) if self.count else 0.0,
            "p50": round(1000 * self.quantile(0.5), 3),
            "p95": round(1000 * self.quantile(0.95), 3),
            "p99": round(1000 * self.quantile(0.99), 3),
            "max": round(1000 * self.largest, 3),
        }


class Options(argparse.Namespace):
    """The parsed command line."""

    url: str
    count: int
    duration: float
    skill: str | None
    ramp: float
    token: str | None
    json: bool


class Report(TypedDict):
    """The results, measured from the time when every client had connected or failed."""

    url: str
    clients: int
    connected: int
    failed: int
    seconds: float
    messages: int
    messages_per_second: float
    broadcasts: int
    lost_updates: int  # by clients that did not fail; 5 seconds late counts as lost
    clients_with_lost_updates: int
    spread_ms: dict[str, float]  # of one broadcast, from the first to the last client that receives it
    gap_ms: dict[str, float]  # between two messages of one client
    connect_ms: dict[str, float]
    bytes: int
    errors: dict[str, int]


class _Broadcast:
    """When the first and the last client received one broadcast."""

    __slots__ = ("first", "last")

    def __init__(self, at: float) -> None:
        self.first = at
        self.last = at


class _Text:
    """Consecutive broadcasts with the same text."""

    __slots__ = ("broadcasts", "counts", "is_update", "measured", "since", "size")

    def __init__(self, at: float, size: int, *, is_update: bool, measured: bool) -> None:
        self.since = at
        self.size = size
        self.is_update = is_update
        self.measured = measured
        self.broadcasts: list[_Broadcast] = []
        self.counts: Counter[int] = Counter()  # client -> how often it received the text


class Measurement:
    """Processes every message of every client in constant time and keeps only incomplete broadcasts.

    Times are seconds of a monotonic clock.
    """

    def __init__(self) -> None:
        self.measuring = False
        self.messages = 0
        self.bytes = 0
        self.broadcasts = 0
        self.late = 0
        self.lost: Counter[int] = Counter()  # client -> updates
        self.spread = Histogram()
        self.gaps = Histogram()
        self.errors: Counter[str] = Counter()
        self._present: set[int] = set()  # clients that must receive every broadcast
        self._warm = False
        self._open: dict[int, _Text] = {}  # hash of the text -> its broadcasts, oldest text first
        self._closed: dict[int, float] = {}  # finished texts: a late message must not open them again
        self._last_arrival: dict[int, float] = {}

    def begin(self, clients: set[int]) -> None:
        """Start measuring: from the text after the next, each of these clients must receive everything.

        The next text may already be in flight to only some of them.
        """
        self.measuring = True
        self._warm = False
        self._present = set(clients)
        self._last_arrival.clear()

    def end(self, at: float) -> None:
        """Finish all texts except the newest, which may still be in flight to some clients."""
        self.measuring = False
        self._finish_texts(at, keep_newest=True)

    def client_failed(self, client: int) -> None:
        """Exclude a failed client: updates it misses from now on do not count as lost."""
        self._present.discard(client)

    def message(self, client: int, message: str | bytes, at: float) -> None:
        """Process a message received by a client."""
        key = hash(message)
        text = self._open.get(key)
        if text is None:
            if key in self._closed:
                self.late += 1
                return
            text = self._new_text(key, message, at)
        if not text.is_update:
            return
        index = text.counts[client]
        text.counts[client] = index + 1
        if index == len(text.broadcasts):
            text.broadcasts.append(_Broadcast(at))
        text.broadcasts[index].last = at
        if self.measuring:
            self.messages += 1
            self.bytes += text.size
            last = self._last_arrival.get(client)
            if last is not None:
                self.gaps.add(at - last)
            self._last_arrival[client] = at

    def _new_text(self, key: int, message: str | bytes, at: float) -> _Text:
        is_update = False
        size = len(message.encode() if isinstance(message, str) else message)
        try:
            kind = json.loads(message).get("type")
        except (ValueError, AttributeError):
            self.errors["a message that is not a JSON object"] += 1
        else:
            is_update = kind == "metrics_update"
            if kind == "error":
                self.errors["the server answered with an error"] += 1
        self._finish_texts(at - LATE_SECONDS)
        text = self._open[key] = _Text(at, size, is_update=is_update, measured=self.measuring and self._warm)
        self._warm = self._warm or (self.measuring and is_update)
        return text

    def _finish_texts(self, before: float, *, keep_newest: bool = False) -> None:
        """Finish the texts first received before this time."""
        updates = [text.since for text in self._open.values() if text.is_update] if keep_newest else []
        newest = max(updates, default=None)
        for key, text in list(self._open.items()):
            if text.since > before:
                break
            del self._open[key]
            self._closed[key] = text.since
            if text.measured and text.is_update and text.since != newest:
                self._finish_text(text)
        for key, since in list(self._closed.items()):
            if since > before - REMEMBERED_SECONDS:
                break
            del self._closed[key]

    def _finish_text(self, text: _Text) -> None:
        most = len(text.broadcasts)
        self.broadcasts += most
        complete = True
        for client in self._present:
            missing = most - text.counts[client]
            if missing > 0:
                complete = False
                self.lost[client] += missing
        if complete:  # otherwise it is unknown which of several equal broadcasts a client missed
            for broadcast in text.broadcasts:
                self.spread.add(broadcast.last - broadcast.first)


class LoadTest:
    """Runs ``count`` clients that connect within ``ramp`` seconds and then receive for ``duration`` seconds."""

    def __init__(self, options: Options, *, live: LiveLine, now: Callable[[], float] = time.perf_counter) -> None:
        self._options = options
        self._live = live
        self._now = now
        self._measurement = Measurement()
        self._connect_times = Histogram()
        self._failed: set[int] = set()
        self._connected: set[int] = set()
        self._settled = 0  # clients that have connected or failed
        self._all_settled = asyncio.Event()
        self._stop = asyncio.Event()
        self._began = 0.0
        self.interrupted = False

    def interrupt(self) -> None:
        """Stop early; the report covers the time until then."""
        self.interrupted = True
        self._all_settled.set()
        self._stop.set()

    async def run(self) -> Report:
        """Connect, receive, close; returns the report."""
        slots = asyncio.Semaphore(MAX_CONCURRENT_CONNECTS)
        clients = [asyncio.create_task(self._client(number, slots)) for number in range(self._options.count)]
        watcher = asyncio.create_task(self._show())
        await self._all_settled.wait()
        self._began = self._now()
        self._measurement.begin(self._connected - self._failed)
        if self._connected and not self._stop.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._options.duration)
        ended = self._now()
        self._measurement.end(ended)
        self._stop.set()
        watcher.cancel()
        for number, client in enumerate(clients):
            if number not in self._connected:  # still connecting; the others close gracefully by themselves
                client.cancel()
        await asyncio.gather(watcher, *clients, return_exceptions=True)
        self._live.clear()
        return self._report(ended - self._began)

    async def _client(self, number: int, slots: asyncio.Semaphore) -> None:
        counted = False

        def settled() -> None:
            nonlocal counted
            if not counted:
                counted = True
                self._settled += 1
                if self._settled == self._options.count:
                    self._all_settled.set()

        try:
            await asyncio.sleep(self._options.ramp * number / self._options.count)
            options = self._options
            async with _connection(options.url, options.token, slots, self._connect_times, self._now) as socket:
                self._connected.add(number)
                if self._options.skill is not None:
                    await socket.send(json.dumps({"type": "subscribe", "skill_name": self._options.skill}))
                settled()
                await self._listen(number, socket)
        except Exception as error:  # any error is a failure of this client and belongs in the report
            if not self._stop.is_set():
                self._failed.add(number)
                self._measurement.client_failed(number)
                self._measurement.errors[_describe(error)] += 1
        finally:
            settled()

    async def _listen(self, number: int, socket: Any) -> None:
        """Receive until the end of the test; raises if the connection ends earlier."""
        stopped = asyncio.create_task(self._stop.wait())
        receive = asyncio.create_task(self._receive(number, socket))
        try:
            await asyncio.wait({stopped, receive}, return_when=asyncio.FIRST_COMPLETED)
            if receive.done() and not stopped.done():
                receive.result()
        finally:
            stopped.cancel()
            receive.cancel()
            await asyncio.gather(stopped, receive, return_exceptions=True)

    async def _receive(self, number: int, socket: Any) -> None:
        record = self._measurement.message
        now = self._now
        while True:
            record(number, await socket.recv(), now())

    async def _show(self) -> None:
        if not self._live.enabled:
            return
        while True:
            await asyncio.sleep(LIVE_LINE_SECONDS)
            measured = self._measurement
            connected = len(self._connected - self._failed)
            if not measured.measuring:
                self._live.show(f"connecting: {connected} of {self._options.count}, {len(self._failed)} failed")
                continue
            seconds = self._now() - self._began
            p50, p99 = (1000 * measured.spread.quantile(share) for share in (0.5, 0.99))
            self._live.show(
                f"{seconds:5.0f} s  {connected} clients  {measured.messages:,} messages  "
                f"{measured.messages / max(seconds, 1e-9):,.0f}/s  "
                f"spread p50 {p50:.1f} p99 {p99:.1f} ms  "
                f"lost {sum(measured.lost.values())}  errors {sum(measured.errors.values())}"
            )

    def _report(self, seconds: float) -> Report:
        measured = self._measurement
        return {
            "url": self._options.url,
            "clients": self._options.count,
            "connected": len(self._connected),
            "failed": len(self._failed),
            "seconds": round(seconds, 3),
            "messages": measured.messages,
            "messages_per_second": round(measured.messages / seconds, 1) if seconds > 0 else 0.0,
            "broadcasts": measured.broadcasts,
            "lost_updates": sum(measured.lost.values()),
            "clients_with_lost_updates": len(measured.lost),
            "spread_ms": measured.spread.summary(),
            "gap_ms": measured.gaps.summary(),
            "connect_ms": self._connect_times.summary(),
            "bytes": measured.bytes,
            "errors": dict(measured.errors.most_common()),
        }


@asynccontextmanager
async def _connection(
    url: str, token: str | None, slots: asyncio.Semaphore, times: Histogram, now: Callable[[], float]
) -> AsyncIterator[Any]:
    """An open WebSocket connection, closed gracefully; ``slots`` limits concurrent handshakes."""
    from websockets.asyncio.client import connect

    async with slots:
        began = now()
        socket = await connect(
            url,
            compression=None,
            open_timeout=OPEN_TIMEOUT_SECONDS,
            close_timeout=CLOSE_TIMEOUT_SECONDS,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            proxy=None,  # measure the server, not a proxy
        )
        times.add(now() - began)
    try:
        yield socket
    finally:
        await socket.close()


def _describe(error: Exception) -> str:
    """The reason of a failed client in one line."""
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    from session_buddy.client._endpoint import connection_refused

    if isinstance(error, InvalidStatus):
        response = error.response
        reason = (response.body or b"").decode("utf-8", "replace").strip()
        with contextlib.suppress(ValueError, AttributeError):
            body = json.loads(reason)
            reason = str(body.get("detail") or body.get("error") or reason)
        after = response.headers.get("Retry-After")
        line = f"rejected with HTTP {response.status_code}" + (f": {reason[:200]}" if reason else "")
        return line + (f" (retry after {after} s)" if after else "")
    if isinstance(error, ConnectionClosed):
        return f"connection lost: {error}"
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "timed out"
    if isinstance(error, OSError) and connection_refused(error):
        return "connection refused: no server is listening there"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _parser(program: str) -> argparse.ArgumentParser:
    def count(text: str) -> int:
        number = int(text)
        if not 1 <= number <= 100_000:
            raise argparse.ArgumentTypeError("must be from 1 to 100000")
        return number

    def seconds(text: str) -> float:
        number = float(text)
        if not (math.isfinite(number) and number >= 0):
            raise argparse.ArgumentTypeError("must be 0 or more")
        return number

    def token(file: str) -> str:
        try:
            words = Path(file).read_text(encoding="utf-8").split(maxsplit=1)
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(f"cannot read {file}: {error}") from error
        if not words:
            raise argparse.ArgumentTypeError(f"no token in {file}: its first word must be the token")
        return words[0]

    def url(text: str) -> str:
        from websockets.exceptions import InvalidURI
        from websockets.uri import parse_uri

        try:
            parse_uri(text)
        except InvalidURI as error:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a WebSocket URL; use for example {DEFAULT_URL}"
            ) from error
        return text

    parser = argparse.ArgumentParser(
        prog=program,
        description="Load test: connects many WebSocket clients and measures spread, gaps and losses of broadcasts.",
        epilog="Exit status: 0 success, 1 a client failed or updates were lost, 2 wrong usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("url", nargs="?", type=url, default=DEFAULT_URL, help="server URL (default: %(default)s)")
    parser.add_argument(
        "-c", "--count", type=count, default=100, metavar="N", help="number of clients (default: %(default)s)"
    )
    parser.add_argument(
        "-d",
        "--duration",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="duration of the measurement (default: 60)",
    )
    parser.add_argument("--skill", metavar="NAME", help="subscribe to this skill instead of all")
    parser.add_argument(
        "--ramp",
        type=seconds,
        default=0.0,
        metavar="SECONDS",
        help="spread the connects over this time (default: all immediately)",
    )
    parser.add_argument(
        "--token-file", dest="token", type=token, metavar="FILE", help="file whose first word is the bearer token"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _allow_descriptors(count: int) -> None:
    """Raise the limit of open files (usually 1024) as far as allowed: each client needs one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = count + SPARE_DESCRIPTORS
        if soft not in (resource.RLIM_INFINITY, -1) and soft < wanted:
            unlimited = hard == resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if unlimited else min(wanted, hard), hard))


def _print_report(report: Report) -> None:
    def times(name: str, values: dict[str, float]) -> None:
        shown = "  ".join(f"{key} {value:,.2f}" for key, value in values.items())
        print(f"{name:<13}{shown} ms")

    print(f"{'Clients':<13}{report['connected']} of {report['clients']} connected, {report['failed']} failed")
    print(
        f"{'Messages':<13}{report['messages']:,} in {report['seconds']:.1f} s, {report['messages_per_second']:,.1f}/s, "
        f"{report['bytes'] / 1e6:,.1f} MB"
    )
    print(f"{'Broadcasts':<13}{report['broadcasts']:,} matched over all clients")
    print(f"{'Lost':<13}{report['lost_updates']:,} updates, by {report['clients_with_lost_updates']} clients")
    times("Spread", report["spread_ms"])
    times("Gap", report["gap_ms"])
    times("Connect", report["connect_ms"])
    for error, count in report["errors"].items():
        print(f"{'Error':<13}{count} x {error}")
    if not report["errors"]:
        print(f"{'Errors':<13}none")


async def _run(options: Options) -> int:
    test = LoadTest(options, live=LiveLine(sys.stderr))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, test.interrupt)
    report = await test.run()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print_report(report)
    if test.interrupted:
        return 130
    if report["messages"] == 0 and report["connected"]:
        print(
            "no client received an update: is the duration longer than the server's update interval?", file=sys.stderr
        )
        return 1
    return 1 if report["failed"] or report["lost_updates"] or report["errors"] else 0


def main(arguments: Sequence[str] | None = None, *, program: str = "python -m session_buddy.loadtest") -> int:
    """Run the load test and return the exit status. Wrong usage raises SystemExit(2).

    ``arguments``: without the program name; None: those of this process. ``program``: program name in the help.
    """
    options = _parser(program).parse_args(arguments, namespace=Options())
    _allow_descriptors(options.count)
    return asyncio.run(_run(options))


if __name__ == "__main__":
    sys.exit(main())
