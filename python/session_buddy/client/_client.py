"""The asyncio client: what a program asks for, and which connection carries it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import os
import ssl
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from session_buddy.client._endpoint import DEFAULT_PORT, Endpoint, Token, checked_token, tls_context
from session_buddy.client._link import (
    ActiveSubscription,
    Channel,
    Link,
    Settings,
    State,
    StateChange,
    wait_until_all_ended,
)
from session_buddy.client.errors import ClientClosedError, ClientError
from session_buddy.client.messages import MetricsUpdate, SessionUpdate, SkillMetrics, parsed

__all__ = ["DEFAULT_URL", "Client", "Subscription", "connect"]

T = TypeVar("T")

DEFAULT_URL = f"ws://localhost:{DEFAULT_PORT}"
MAX_SKILLS = 50  # of one subscription, as the server has it by default
BUFFER = 64  # updates that wait for their reader: a minute's worth at the server's default interval


class Subscription(AsyncIterator[T], Generic[T]):
    """Updates of a server, for ``async for``. It begins with the first of them that is waited for.

    Updates wait for their reader in a queue of ``buffer``. While there is room in it, nothing that the server sends
    on a connection is missed, also where that connection then breaks. When it is full the oldest goes and ``dropped``
    counts one up. It lasts until ``aclose()``, the end of an ``async with`` around it, or the end of the client; one
    that nothing refers to any more (after ``break``, say) ends by itself.

    It is for one reader: several share the updates among them.
    """

    def __init__(self, channel: Channel[T], start: Callable[[], Awaitable[None]], stop: Callable[[], object]) -> None:
        self._channel = channel
        self._start: Callable[[], Awaitable[None]] | None = start
        self._finalizer = weakref.finalize(self, _abandon, channel, asyncio.get_running_loop(), stop)
        self._finalizer.atexit = False

    @property
    def dropped(self) -> int:
        """Updates that their reader was too slow for."""
        return self._channel.dropped

    async def __anext__(self) -> T:
        """The next update, however long it takes and whatever connections are lost meanwhile.

        Raises:
            ConnectionFailedError: There is no connection and there will be none.
            RequestError: The server does not accept this subscription.
        """
        await self._ensure_started()
        return await self._channel.get()

    async def __aenter__(self) -> Subscription[T]:
        """Returns when the server has confirmed the subscription."""
        await self._ensure_started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """No more updates; whoever waits for one is told so."""
        self._start = None
        self._channel.end()
        if (finalizer := self._finalizer.detach()) is not None:
            _, abandon, (channel, loop, stop), _ = finalizer
            if loop is asyncio.get_running_loop():
                stop()  # at once: the next subscription must find the connection free
            else:
                abandon(channel, loop, stop)

    async def _ensure_started(self) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            try:
                await start()
            except ClientError:
                await self.aclose()
                raise


class Client:
    """A connection to a server that comes back when it is lost. Made by ``connect``; use it in ``async with``.

    It belongs to the event loop that it is entered in. ``subscribe`` may be called more than once: as the server knows
    one subscription of a connection, each further one that is read at the same time takes a connection of its own.
    """

    def __init__(self, settings: Settings, on_state: Callable[[StateChange], object] | None) -> None:
        self._settings = settings
        self._on_state = on_state
        self._main: Link | None = None
        self._links: dict[ActiveSubscription, Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<Client {self._settings.endpoint.websocket_url} {self.state}>"

    @property
    def state(self) -> State:
        """Of the connection; ``connecting`` before there was one."""
        return State.CONNECTING if self._main is None else self._main.state

    async def __aenter__(self) -> Client:
        """Connects.

        Raises:
            ConnectionFailedError: No server there; UnauthorizedError, ForbiddenError, RefusedError: none for us.
        """
        if self._main is not None or self._closed:
            raise ClientClosedError("a client is used once: make another one with connect()")
        self._main = Link(self._settings, self._on_state)
        self._main.start()
        try:
            await self._main.ready()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends all iterations, requests and connections; may be called twice."""
        self._closed = True  # before anything is waited for: what begins meanwhile would be left behind
        links = [*self._links.values(), *([self._main] if self._main is not None else [])]
        self._links.clear()
        # All are stopped before the first wait: a caller that is cancelled in it leaves nothing running.
        tasks = {task for link in links for task in link.stop()}
        await wait_until_all_ended(tasks | self._closing)

    def subscribe(
        self, *skill_names: str, min_deviation: float | None = None, details: bool = False, buffer: int = BUFFER
    ) -> Subscription[MetricsUpdate]:
        """The updates of these skills, or of all where none is named: the first at once, then one an interval.

        Args:
            skill_names: At most 50. Their updates hold them whatever their rank; those of all skills the top ten.
            min_deviation: Leaves out anomalies with a smaller deviation_score; standard deviations, 0 or more.
            details: Has ``details`` with each anomaly.
            buffer: Updates that may wait for their reader, 1 or more; 1 keeps the newest alone.
        """
        names = list(dict.fromkeys(map(_checked_name, skill_names)))
        if len(names) > MAX_SKILLS:
            raise ValueError(f"at most {MAX_SKILLS} skills can be subscribed to at once, not {len(names)}")
        request: dict[str, Any] = {"type": "subscribe"}
        if len(names) > 1:
            request["skill_names"] = names
        else:
            request["skill_name"] = names[0] if names else None
        if min_deviation is not None:
            if not (math.isfinite(min_deviation) and min_deviation >= 0):
                raise ValueError(f"min_deviation must be a number of 0 or more, not {min_deviation}")
            request["min_deviation"] = float(min_deviation)
        if details:
            request["details"] = True
        self._connected_link()
        channel: Channel[MetricsUpdate] = Channel(_checked_buffer(buffer))
        subscription = ActiveSubscription(request, channel)
        return Subscription(channel, lambda: self._start(subscription), lambda: self._stop(subscription))

    def subscribe_sessions(self, *, buffer: int = BUFFER) -> Subscription[SessionUpdate]:
        """The active sessions: at once, then whenever they changed. ``buffer`` as in ``subscribe``."""
        link = self._connected_link()
        channel: Channel[SessionUpdate] = Channel(_checked_buffer(buffer))
        return Subscription(channel, lambda: link.subscribe_sessions(channel), lambda: link.sessions.discard(channel))

    async def get_metrics(self, skill_name: str) -> SkillMetrics:
        """The figures of a skill over its whole recorded life.

        Raises:
            UnknownSkillError: No skill of this name was ever seen.
            RequestTimeoutError: No answer within ``request_timeout``, in which a lost connection may come back.
        """
        answer = await self._connected_link().request({"type": "get_metrics", "skill_name": _checked_name(skill_name)})
        return parsed(lambda message: SkillMetrics.from_wire(message["data"]), answer)

    async def ping(self) -> float:
        """Seconds that an answer of the server takes. Raises RequestTimeoutError."""
        began = time.perf_counter()
        await self._connected_link().request({"type": "ping"})
        return time.perf_counter() - began

    def _connected_link(self) -> Link:
        if self._closed:
            raise ClientClosedError("the client is closed")
        if self._main is None:
            raise ClientClosedError("the client is not connected: use it in `async with`")
        return self._main

    async def _start(self, subscription: ActiveSubscription) -> None:
        link = self._connected_link()
        if link.metrics is not None and not link.metrics.channel.unread and link.state is not State.CLOSED:
            # The client is in use: its further connections are tried as patiently as a lost one.
            link = Link(dataclasses.replace(self._settings, first_attempts=self._settings.max_attempts))
            link.start()
        self._links[subscription] = link
        await link.subscribe(subscription)

    def _stop(self, subscription: ActiveSubscription) -> None:
        link = self._links.pop(subscription, None)
        if link is self._main and link is not None:
            link.unsubscribe(subscription)
        elif link is not None:
            for task in link.stop():
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


def connect(
    url: str = DEFAULT_URL,
    *,
    token: Token | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
    on_state: Callable[[StateChange], object] | None = None,
    connect_timeout: float = 10.0,
    request_timeout: float = 10.0,
    first_attempts: int | None = 1,
    max_attempts: int | None = 20,
    first_delay: float = 0.5,
    max_delay: float = 30.0,
    max_message_bytes: int = 16 * 1024 * 1024,
) -> Client:
    """A client for ``async with``, which connects it.

    A lost connection comes back by itself, and all subscriptions with it. Before the attempt after ``n`` failed ones it
    waits for a random time of up to ``first_delay`` · 2ⁿ seconds, at most ``max_delay``, and longer where the server
    says so. Connections in a row count as failed attempts where they are lost again before they last 10 seconds (or
    ``max_delay``, where that is less) or bring two updates. It gives up after ``max_attempts`` failed ones, and at once
    where the server does not want it: HTTP 401 and 403 and any other status that does not pass, a certificate that is
    not accepted, close codes 4401, 1002, 1003, 1007, 1008 and 1009. Then iterations and requests raise the reason, a
    ConnectionFailedError.

    Args:
        url: ``ws://``, ``wss://``, ``http://``, ``https://`` or ``host:port``; a host alone means port 8765.
        token: Shown in the header ``Authorization``. A function is asked for it before each connection, so that a
            token can be renewed: where the server refuses one, and another is there, that one is tried.
        ca_file: PEM file with the authorities that may have signed the server's certificate, for ``wss://``.
        tls: In its place, a context with whatever settings, such as a certificate of the client.
        on_state: Called with each StateChange in the event loop (of connect_sync: in its thread, where it can ask the
            client for nothing but its ``state``: RuntimeError). What it raises is logged.
        connect_timeout: Seconds for one attempt to connect.
        request_timeout: Seconds for an answer to a request.
        first_attempts: To connect at first, 1 or more; None goes on without end.
        max_attempts: The same for a connection that was lost; 0 does not come back.
        first_delay: Seconds, the longest wait before the first attempt to come back.
        max_delay: Seconds, the longest wait before any attempt.
        max_message_bytes: The longest message that is accepted.

    Raises:
        InvalidURLError: ``url`` is no address.
        OSError: ``ca_file`` cannot be read.
    """
    endpoint = Endpoint.parse(url)
    if ca_file is not None and tls is not None:
        raise ValueError("ca_file and tls exclude each other: load the file into the context")
    if (ca_file is not None or tls is not None) and not endpoint.secure:
        raise ValueError("ca_file and tls are for wss:// and https:// alone")
    for name, seconds in (
        ("connect_timeout", connect_timeout),
        ("request_timeout", request_timeout),
        ("first_delay", first_delay),
        ("max_delay", max_delay),
    ):
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"{name} must be a number of seconds above 0, not {seconds}")
    if first_attempts is not None and first_attempts < 1:
        raise ValueError(f"first_attempts must be 1 or more, not {first_attempts}")
    if max_attempts is not None and max_attempts < 0:
        raise ValueError(f"max_attempts must be 0 or more, not {max_attempts}")
    if max_message_bytes < 1:
        raise ValueError(f"max_message_bytes must be 1 or more, not {max_message_bytes}")
    settings = Settings(
        endpoint=endpoint,
        token=checked_token(token) if isinstance(token, str) else token,
        tls=(tls or tls_context(ca_file)) if endpoint.secure else None,
        connect_timeout=connect_timeout,
        request_timeout=request_timeout,
        first_attempts=first_attempts,
        max_attempts=max_attempts,
        first_delay=first_delay,
        max_delay=max_delay,
        max_message_bytes=max_message_bytes,
    )
    return Client(settings, on_state)


def _checked_name(skill_name: str) -> str:
    if not isinstance(skill_name, str):
        raise TypeError(f"a skill name must be a str, not {type(skill_name).__name__}")
    try:
        skill_name.encode()
    except UnicodeEncodeError:  # in JSON it would be no text at all
        raise ValueError(f"a skill name must be Unicode text, without surrogates as in {skill_name!a:.80}") from None
    return skill_name


def _checked_buffer(buffer: int) -> int:
    if buffer < 1:
        raise ValueError(f"buffer must be 1 or more, not {buffer}")
    return buffer


def _abandon(channel: Channel[Any], loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    channel.abandoned = True
    # The garbage collector runs in any thread. A loop that was closed took its connections with it.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop)
