"""The native server with a separate database, and one WebSocket client that must stay connected to it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .processes import DEADLINE, Server
from .schemas import Client, Message

INTERVAL = "50ms"  # between two updates

Counts = Mapping[str, int]


def counts(message: Message) -> Counts:
    """The invocations of each skill in a metrics_update."""
    return {skill["skill_name"]: skill["invocation_count"] for skill in message["data"]["top_skills"]}


class WatchedServer:
    """`async with WatchedServer(path) as server`: the process runs, and the client has its first metrics.

    If the client is disconnected or the process ends, the next wait fails.
    """

    def __init__(
        self, db_path: Path, *options: str, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self.program = Server(db_path, *options, interval=INTERVAL, env=env, prefix=prefix)
        self.updates = 0
        self.latest: Message = {}
        self.seen: list[Counts] = []  # the metrics; a new item each time they changed
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> WatchedServer:
        await asyncio.to_thread(self.program.__enter__)
        self._watching = asyncio.create_task(self._watch())
        await self.next_updates(1)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.to_thread(self.program.__exit__, kind, error, trace)

    async def _watch(self) -> None:
        async with Client(self.program.url, ping_interval=None) as client:
            async for message in client:
                self.latest = message
                self.updates += 1
                if not self.seen or self.seen[-1] != counts(message):
                    self.seen.append(counts(message))

    async def until(self, condition: Callable[[], bool], what: str, deadline: float = DEADLINE) -> None:
        """Waits until the condition is true for what the client has seen."""
        end = time.monotonic() + deadline
        while not condition():
            self.require_connected()
            assert time.monotonic() < end, f"{what}: not within {deadline} s; last seen: {json.dumps(self.latest)}"
            await asyncio.sleep(0.01)

    def require_connected(self) -> None:
        assert self._watching is not None
        if self._watching.done():
            ended = self.program.process.poll()
            raise AssertionError(f"the client was disconnected (exit status of the server: {ended})")

    def forget_seen(self) -> None:
        self.seen = [counts(self.latest)]

    async def next_updates(self, number: int) -> None:
        """Waits until the client has received that many further broadcasts."""
        wanted = self.updates + number
        await self.until(lambda: self.updates >= wanted, f"{number} broadcasts")

    async def shows(self, expected: Counts) -> None:
        """Waits until the client has these counts."""
        await self.until(lambda: counts(self.latest) == expected, f"the counts {dict(expected)}")

    async def readiness(self) -> str:
        """An empty string where /readyz answers 200, else the reason in its 503."""
        status, body = await asyncio.to_thread(self._get, "/readyz")
        assert (status, body["status"]) in ((200, "ready"), (503, "unavailable"))
        return str(body.get("reason", ""))

    def _get(self, path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.program.port}{path}", timeout=DEADLINE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    async def until_readiness(self, condition: Callable[[str], bool], what: str) -> str:
        """Waits until /readyz answers with this reason."""
        end = time.monotonic() + DEADLINE
        while not condition(reason := await self.readiness()):
            self.require_connected()
            assert time.monotonic() < end, f"/readyz does not say {what}, but {reason!r}"
            await asyncio.sleep(0.02)
        return reason
