"""The asyncio client: maps requests and subscriptions to connections."""

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

from session_buddy._backoff import FIRST_DELAY, MAX_ATTEMPTS, MAX_DELAY
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
MAX_SKILLS = 50  # per subscription; the server's default limit
BUFFER = 64  # updates queued per subscription: a minute at the server's default interval


class Subscription(AsyncIterator[T], Generic[T]):
    """Updates of a server, for ``async for``. The subscription starts when the first update is awaited.

    Updates are queued for the reader, at most ``buffer`` of them. While the queue has room, no update received on a
    connection is lost, even if the connection then breaks. When it is full, the oldest update is dropped and counted in
    ``dropped``. The subscription lasts until ``aclose()``, the end of its ``async with``, or the end of the client; one
    without references (after ``break``, for example) ends by itself.

    Meant for one reader: several readers share the updates.
    """

    def __init__(self, channel: Channel[T], start: Callable[[], Awaitable[None]], stop: Callable[[], object]) -> None:
        self._channel = channel
        self._start: Callable[[], Awaitable[None]] | None = start
        self._finalizer = weakref.finalize(self, _abandon, channel, asyncio.get_running_loop(), stop)
        self._finalizer.atexit = False

    @property
    def dropped(self) -> int:
        """Number of updates dropped because the reader was too slow."""
        return self._channel.dropped

    async def __anext__(self) -> T:
        """The next update; waits without a timeout, across reconnections.

        Raises:
            ConnectionFailedError: The connection failed permanently.
            RequestError: The server rejected this subscription.
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
        """End the subscription; a pending ``__anext__`` raises StopAsyncIteration."""
        self._start = None
        self._channel.end()
        if (finalizer := self._finalizer.detach()) is not None:
            _, abandon, (channel, loop, stop), _ = finalizer
            if loop is asyncio.get_running_loop():
                stop()  # immediately: the next subscription must find the connection free
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
    """A reconnecting client. Created by ``connect``; use it in ``async with``.

    It belongs to the event loop in which it is entered. ``subscribe`` may be called more than once: a connection has
    one subscription, so each additional concurrent subscription opens its own connection.
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
        """State of the connection; ``connecting`` before the first one."""
        return State.CONNECTING if self._main is None else self._main.state

    async def __aenter__(self) -> Client:
        """Connects.

        Raises:
            ConnectionFailedError: No server is reachable. UnauthorizedError, ForbiddenError, RefusedError: it rejects
                the client.
        """
        if self._main is not None or self._closed:
            raise ClientClosedError("a client can be used once: create another one with connect()")
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
        """End all iterations, requests and connections; may be called twice."""
        self._closed = True  # before the first await: a subscription that starts meanwhile would leak
        links = [*self._links.values(), *([self._main] if self._main is not None else [])]
        self._links.clear()
        # All are stopped before the first await: cancelling the caller then leaves nothing running.
        tasks = {task for link in links for task in link.stop()}
        await wait_until_all_ended(tasks | self._closing)

    def subscribe(
        self, *skill_names: str, min_deviation: float | None = None, details: bool = False, buffer: int = BUFFER
    ) -> Subscription[MetricsUpdate]:
        """Updates of these skills, or of all without arguments: the first immediately, then one per interval.

        Args:
            skill_names: At most 50, included regardless of rank. Updates of all skills contain the top ten.
            min_deviation: Minimum deviation_score of anomalies, in standard deviations, 0 or more.
            details: Include ``details`` in each anomaly.
            buffer: Maximum number of queued updates, 1 or more; 1 keeps only the newest.
        """
        names = list(dict.fromkeys(map(_checked_name, skill_names)))
        if len(names) > MAX_SKILLS:
            raise ValueError(f"at most {MAX_SKILLS} skills per subscription, not {len(names)}")
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
        """The active sessions: immediately, then after each change. ``buffer`` as in ``subscribe``."""
        link = self._connected_link()
        channel: Channel[SessionUpdate] = Channel(_checked_buffer(buffer))
        return Subscription(channel, lambda: link.subscribe_sessions(channel), lambda: link.sessions.discard(channel))

    async def get_metrics(self, skill_name: str) -> SkillMetrics:
        """Lifetime metrics of a skill.

        Raises:
            UnknownSkillError: No skill of this name was ever recorded.
            RequestTimeoutError: No answer within ``request_timeout``, reconnections included.
        """
        answer = await self._connected_link().request({"type": "get_metrics", "skill_name": _checked_name(skill_name)})
        return parsed(lambda message: SkillMetrics.from_wire(message["data"]), answer)

    async def ping(self) -> float:
        """Round-trip time in seconds. Raises RequestTimeoutError."""
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
            # Additional connections get as many attempts as a reconnection: the client is in use already.
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
    max_attempts: int | None = MAX_ATTEMPTS,
    first_delay: float = FIRST_DELAY,
    max_delay: float = MAX_DELAY,
    max_message_bytes: int = 16 * 1024 * 1024,
) -> Client:
    """Create a client; ``async with`` connects it.

    The client reconnects and resubscribes automatically, with exponential backoff and full jitter: after ``n`` failed
    attempts it waits for a random time of up to ``first_delay`` · 2ⁿ seconds, at most ``max_delay``, plus the
    Retry-After of the server. A connection that is lost within 10 seconds (or ``max_delay``, if less) and before two
    updates counts as a failed attempt. The client gives up after ``max_attempts`` failed attempts, and immediately on a
    fatal error: HTTP 401, 403 and other non-transient statuses, an untrusted certificate, close codes 4401, 1002, 1003,
    1007, 1008 and 1009. Iterations and requests then raise the reason, a ConnectionFailedError.

    Args:
        url: ``ws://``, ``wss://``, ``http://``, ``https://`` or ``host:port``; the port of a bare host is 8765.
        token: Bearer token for the header ``Authorization``, or a function that returns it, called before each
            connection, so that a token can be renewed: after a rejected token, a different one is tried once.
        ca_file: PEM file with CA certificates to trust, for ``wss://``.
        tls: SSLContext instead of ``ca_file``, for example with a client certificate (mutual TLS).
        on_state: Called with each StateChange in the event loop (connect_sync: in the client's thread, where only
            ``state`` may be used; other calls raise RuntimeError). Its exceptions are logged.
        connect_timeout: Timeout of one connection attempt, in seconds.
        request_timeout: Timeout of a request, in seconds.
        first_attempts: Attempts for the initial connection, 1 or more; None: unlimited.
        max_attempts: Attempts for a reconnection; 0: do not reconnect; None: unlimited.
        first_delay: Maximum wait before the first reconnection attempt, in seconds.
        max_delay: Maximum wait before any attempt, in seconds.
        max_message_bytes: Maximum size of a received message.

    Raises:
        InvalidURLError: ``url`` is invalid.
        OSError: ``ca_file`` cannot be read.
    """
    endpoint = Endpoint.parse(url)
    if ca_file is not None and tls is not None:
        raise ValueError("ca_file and tls are mutually exclusive: load the file into the context")
    if (ca_file is not None or tls is not None) and not endpoint.secure:
        raise ValueError("ca_file and tls require a wss:// or https:// URL")
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
    except UnicodeEncodeError:  # lone surrogates are not valid in JSON
        raise ValueError(f"a skill name must not contain lone surrogates: {skill_name!a:.80}") from None
    return skill_name


def _checked_buffer(buffer: int) -> int:
    if buffer < 1:
        raise ValueError(f"buffer must be 1 or more, not {buffer}")
    return buffer


def _abandon(channel: Channel[Any], loop: asyncio.AbstractEventLoop, stop: Callable[[], object]) -> None:
    channel.abandoned = True
    # The garbage collector may run in any thread. A closed loop has closed its connections already.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop)
