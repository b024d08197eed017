"""A reconnecting WebSocket connection: handshake, requests, one subscription, backoff and fatal errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import ssl
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NoReturn, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from session_buddy._backoff import Backoff
from session_buddy.client._endpoint import Endpoint, Token, checked_token, connection_refused
from session_buddy.client.errors import (
    ClientClosedError,
    ClientError,
    ConnectionFailedError,
    ConnectionLostError,
    ForbiddenError,
    ProtocolError,
    RefusedError,
    RequestError,
    RequestTimeoutError,
    UnauthorizedError,
    UnknownSkillError,
)
from session_buddy.client.messages import MetricsUpdate, SessionUpdate, parsed

T = TypeVar("T")

_logger = logging.getLogger("session_buddy.client")

PING_SECONDS = 20.0  # idle time before a keep-alive ping, and the timeout of its pong
CLOSE_SECONDS = 1.0  # timeout of the closing handshake
MAX_CONCURRENT_REQUESTS = 16  # the server stops reading with 32 unread responses
MAX_UNSENT_BYTES = 1 << 20  # unsent bytes after which the connection counts as lost
MAX_REASON = 200  # characters of a reason text from the server

UNAUTHORIZED_CLOSE_CODE = 4401
# Close codes for protocol violations: a retry would repeat them.
FATAL_CLOSE_CODES = frozenset({1002, 1003, 1007, 1008, 1009})
# HTTP statuses worth a retry: too many clients, a proxy without its server.
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class State(str, Enum):
    """State of a client."""

    CONNECTING = "connecting"  # making its first connection
    CONNECTED = "connected"  # and subscribed, if it has subscriptions
    RECONNECTING = "reconnecting"  # the connection was lost
    CLOSED = "closed"  # by the program or by a fatal error: no further attempt

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class StateChange:
    """Argument of ``on_state``."""

    state: State
    reason: ClientError | None = None  # why the connection was lost, failed or was given up
    attempt: int = 0  # failed attempts since the last stable connection, short-lived connections included
    retry_in: float | None = None  # seconds until the next attempt, if any


@dataclass(frozen=True)
class Settings:
    """Settings shared by all connections of a client. Durations are seconds."""

    endpoint: Endpoint
    token: Token | None = field(repr=False)
    tls: ssl.SSLContext | None
    connect_timeout: float
    request_timeout: float
    first_attempts: int | None
    max_attempts: int | None
    first_delay: float
    max_delay: float
    max_message_bytes: int


async def wait_until_all_ended(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Wait until all tasks have ended, ignoring their exceptions.

    A cancellation of the caller is deferred until then and does not cancel the tasks.
    """
    cancelled: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class Channel(Generic[T]):
    """Bounded queue of updates between a connection and a reader; when it is full the oldest is dropped."""

    def __init__(self, bound: int) -> None:
        self._items: deque[T] = deque(maxlen=bound)
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._ended = False
        self.dropped = 0
        self.abandoned = False  # the reader was garbage collected; set from any thread

    @property
    def unread(self) -> bool:
        """Whether no reader will get further updates."""
        return self.abandoned or self._ended

    def put(self, item: T) -> None:
        if self._ended:
            return
        self.dropped += len(self._items) == self._items.maxlen
        self._items.append(item)
        self._changed.set()

    def end(self, error: BaseException | None = None) -> None:
        """End the queue: queued items can still be read, then the error is raised or the iteration ends."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._changed.set()

    async def get(self) -> T:
        """The oldest item. Raises StopAsyncIteration or the error at the end."""
        while not self._items:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()


@dataclass(eq=False)
class ActiveSubscription:
    """A subscription to metrics, which is repeated on every new connection."""

    request: Mapping[str, Any]
    channel: Channel[MetricsUpdate]
    live: bool = False  # confirmed on the open connection


Answer = Mapping[str, Any] | ClientError


class _BoundedConnection(ClientConnection):
    """Aborts when the peer does not read: pongs to its pings would otherwise fill the memory."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()


class _ConnectWithoutRedirects(websocket_connect):
    """Follows no redirects: this API has none, and another server must not get the token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Link:
    """The connection and its reconnections, in one event loop, from ``start`` to ``stop``."""

    def __init__(self, settings: Settings, on_state: Callable[[StateChange], object] | None = None) -> None:
        self._settings = settings
        self._on_state = on_state
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._ready = asyncio.Event()  # connected and subscribed, or closed
        self._failure: ClientError | None = None
        self._pending: dict[str, Callable[[Answer], None]] = {}
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)
        self._last_request_id = 0
        self._subscription_changes = 0  # incremented with each change of the subscriptions
        self._background: set[asyncio.Task[None]] = set()
        self._was_connected = False
        self._backoff = Backoff(settings.first_delay, settings.max_delay, asyncio.get_running_loop().time)
        self._sent_token: str | None = None
        self._token_rejected = False  # since the last connection
        self._stopping = False
        self.state = State.CONNECTING
        self.metrics: ActiveSubscription | None = None
        self.sessions: set[Channel[SessionUpdate]] = set()

    # ---- For the client

    def start(self) -> None:
        """Start connecting."""
        self._task = asyncio.create_task(self._run(), name="session-buddy-client")
        self._task.add_done_callback(
            lambda _: self._finish(None)
        )  # also if the task is cancelled before its first step

    def stop(self) -> list[asyncio.Task[None]]:
        """Start stopping. Once the returned tasks have ended, iterations have ended, requests have failed and the
        connection is closed."""
        self._stopping = True
        tasks = [task for task in (self._task, *self._background) if task is not None]
        for task in tasks:
            task.cancel()
        return tasks

    async def ready(self) -> None:
        """Wait for a connection. Raises the fatal error, or ClientClosedError."""
        await self._ready.wait()
        if self.state is State.CLOSED:
            raise self._failure or ClientClosedError("the client is closed")

    async def request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and return the answer. It is repeated after a lost connection: requests are read-only.

        Raises RequestError, RequestTimeoutError, ClientClosedError, or the fatal error of the connection.
        """

        async def answered() -> Mapping[str, Any]:
            async with self._slots:
                while True:
                    await self.ready()
                    with contextlib.suppress(ConnectionLostError):
                        return await self._ask(message)

        return await self._with_timeout(answered(), message)

    async def subscribe(self, subscription: ActiveSubscription) -> None:
        """Subscribe; returns once confirmed, which waits for a connection. Raises as ``request`` does."""
        self.metrics = subscription

        def confirmed() -> None:
            subscription.live = self.metrics is subscription

        await self._apply_subscription(subscription.request, confirmed, lambda: self.metrics is subscription)

    def unsubscribe(self, subscription: ActiveSubscription) -> None:
        """End a subscription; sends an unsubscribe unless another subscription follows or the connection is lost."""
        if self.metrics is not subscription:
            return
        self.metrics = None

        async def send_unsubscribe() -> None:
            with contextlib.suppress(ClientError):
                await self._apply_subscription({"type": "unsubscribe"}, _ignore, lambda: self.metrics is None)

        task = asyncio.create_task(send_unsubscribe())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def subscribe_sessions(self, channel: Channel[SessionUpdate]) -> None:
        """Subscribe to sessions; returns once confirmed. The active sessions follow immediately."""
        self.sessions.add(channel)
        await self._apply_subscription({"type": "subscribe_sessions"}, _ignore, lambda: True)

    # ---- Requests

    async def _apply_subscription(
        self, request: Mapping[str, Any], confirmed: Callable[[], None], still_wanted: Callable[[], bool]
    ) -> None:
        """Send a change of the subscriptions on the open connection; each later connection sends all of them anyway.

        ``still_wanted`` is checked right before sending: an ``unsubscribe`` that a later ``subscribe`` overtook would
        end the newer subscription.
        """
        self._subscription_changes += 1
        if self._ready.is_set():
            with contextlib.suppress(ConnectionLostError):
                await self.ready()
                await self._with_timeout(self._ask(request, confirmed, still_wanted), request)
                return
        await self.ready()

    async def _with_timeout(self, answer: Coroutine[Any, Any, T], message: Mapping[str, Any]) -> T:
        try:
            return await asyncio.wait_for(answer, self._settings.request_timeout)
        except asyncio.TimeoutError:
            where = "" if self.state is State.CONNECTED else f" (the client is {self.state})"
            raise RequestTimeoutError(
                f"no answer to {message['type']} within {self._settings.request_timeout:g} seconds{where}"
            ) from None

    async def _ask(
        self,
        message: Mapping[str, Any],
        confirmed: Callable[[], None] | None = None,
        still_wanted: Callable[[], bool] = lambda: True,
    ) -> Mapping[str, Any]:
        """Send a request on the open connection. ``confirmed`` is called before any later message is processed,
        even if the caller has stopped waiting. Raises RequestError or ConnectionLostError."""
        if self._socket is None:
            raise ConnectionLostError("not connected")
        if not still_wanted():  # no await until the send, so requests keep this order
            return {}
        future: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()

        def settle(answer: Answer) -> None:
            if not isinstance(answer, ClientError):
                if confirmed is not None:
                    confirmed()
                if not future.done():
                    future.set_result(answer)
            elif not future.done():
                future.set_exception(answer)

        request_id = await self._send(self._socket, message, settle)
        try:
            return await future
        finally:
            if confirmed is None:
                self._pending.pop(request_id, None)

    async def _send(
        self, socket: ClientConnection, message: Mapping[str, Any], settle: Callable[[Answer], None]
    ) -> str:
        self._last_request_id += 1
        request_id = str(self._last_request_id)
        self._pending[request_id] = settle
        try:
            await socket.send(json.dumps({**message, "request_id": request_id}))
        except BaseException as error:
            self._pending.pop(request_id, None)
            if isinstance(error, ConnectionClosed):
                self._ready.clear()  # no retry until the reader has noticed the loss
                raise ConnectionLostError("the connection was lost") from error
            raise
        return request_id

    # ---- Connection

    async def _run(self) -> None:
        self._set_state(StateChange(State.CONNECTING))
        try:
            while True:
                try:
                    await self._connection()
                except ConnectionLostError as error:
                    lost = error
                self._check_stopping()
                delay = self._retry_delay(lost)
                state = State.RECONNECTING if self._was_connected else State.CONNECTING
                self._set_state(StateChange(state, lost, self._backoff.failed, delay))
                await asyncio.sleep(delay)
                self._backoff.failed += 1
        except ClientError as error:
            self._finish(error)
        except Exception as error:  # a bug here must reach the waiting callers, not end with the task
            _logger.exception("the client failed")
            failure = ConnectionFailedError(f"the client failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._finish(failure)

    def _check_stopping(self) -> None:
        """Call after wait_for, which before Python 3.12 can lose a cancellation that arrives as its work ends."""
        if self._stopping:
            raise asyncio.CancelledError

    def _retry_delay(self, lost: ConnectionLostError) -> float:
        """Seconds until the next attempt. Raises ConnectionFailedError after the last one."""
        settings = self._settings
        if self._was_connected:
            allowed, failed = settings.max_attempts, self._backoff.failed
        else:  # the first attempt counts, too
            allowed, failed = settings.first_attempts, self._backoff.failed + 1
        if allowed is not None and failed >= allowed:
            times = f" after {failed} attempts" if failed > 1 else ""
            raise ConnectionFailedError(f"no connection{times}: {lost}") from lost
        return min(settings.max_delay, lost.retry_after or 0.0) + self._backoff.delay()

    async def _connection(self) -> NoReturn:
        """One connection from handshake to end. Raises ConnectionLostError if a retry makes sense, else ClientError."""
        socket = await self._open()
        try:
            self._socket = socket
            try:
                await asyncio.wait_for(self._resubscribe(socket), self._settings.request_timeout)
            except asyncio.TimeoutError:
                raise ConnectionLostError("the server accepted the connection but did not answer") from None
            self._check_stopping()
            self._backoff.connected()
            self._was_connected = True
            self._token_rejected = False
            self._set_state(StateChange(State.CONNECTED))
            self._ready.set()
            while True:
                self._dispatch(await socket.recv())
        except ConnectionClosed as error:
            raise self._close_error(error) from error
        finally:
            self._backoff.disconnected()
            self._ready.clear()
            self._socket = None
            if self.metrics is not None:
                self.metrics.live = False
            for settle in list(self._pending.values()):
                settle(ConnectionLostError("the connection was lost"))
            self._pending.clear()
            # In a separate task: in Python 3.11.2 timeouts do not work in a cancelled task, and the connection to a
            # hanging server would stay open.
            closing = asyncio.create_task(socket.close())
            await wait_until_all_ended([closing])
            with contextlib.suppress(WebSocketException, OSError):
                closing.result()

    async def _resubscribe(self, socket: ClientConnection) -> None:
        """Send all subscriptions and wait until they are confirmed, including those added meanwhile."""
        applied = -1
        while applied != self._subscription_changes:
            applied = self._subscription_changes
            subscription = self.metrics
            waiting = 1 + bool(self.sessions)

            def settle(answer: Answer, subscription: ActiveSubscription | None = subscription) -> None:
                nonlocal waiting
                waiting -= 1
                if subscription is not None and not isinstance(answer, ClientError):
                    subscription.live = self.metrics is subscription
                elif subscription is not None and isinstance(answer, RequestError):
                    subscription.channel.end(answer)

            def settle_sessions(answer: Answer) -> None:
                nonlocal waiting
                waiting -= 1

            await self._send(socket, {"type": "unsubscribe"} if subscription is None else subscription.request, settle)
            if self.sessions:
                await self._send(socket, {"type": "subscribe_sessions"}, settle_sessions)
            while waiting:
                self._dispatch(await socket.recv())

    async def _open(self) -> ClientConnection:
        settings = self._settings
        self._sent_token = self._token()
        headers = None if self._sent_token is None else {"Authorization": f"Bearer {self._sent_token}"}
        extra: dict[str, Any] = {}
        if settings.endpoint.loopback:
            extra["proxy"] = None  # localhost of a proxy is another machine
        try:
            return await _ConnectWithoutRedirects(
                settings.endpoint.websocket_url,
                ssl=settings.tls if settings.endpoint.secure else None,
                additional_headers=headers,
                open_timeout=settings.connect_timeout,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                max_size=settings.max_message_bytes,
                create_connection=_BoundedConnection,
                **extra,
            )
        except InvalidStatus as error:
            raise self._upgrade_error(error) from error
        except ssl.SSLCertVerificationError as error:
            raise RefusedError(f"the server's certificate was rejected: {error.verify_message}") from error
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise ConnectionLostError(f"no answer within {settings.connect_timeout:g} seconds") from error
        except (OSError, EOFError, WebSocketException) as error:
            if connection_refused(error):
                raise ConnectionLostError(f"no server is listening at {settings.endpoint.netloc}") from error
            raise ConnectionLostError(f"cannot connect to {settings.endpoint.netloc}: {error}") from error

    def _token(self) -> str | None:
        token = self._settings.token
        if token is None or isinstance(token, str):
            return token
        try:
            return checked_token(token())
        except Exception as error:  # from the caller's function
            raise ConnectionLostError(f"cannot get a token: {error}") from error

    # ---- Incoming messages

    def _dispatch(self, text: str | bytes) -> None:
        """Dispatch one message. Raises ProtocolError if it is invalid."""
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ProtocolError("the server sent an invalid message") from error
        if kind == "metrics_update":
            if self.metrics is not None and self.metrics.live:
                self._backoff.updated()
                self.metrics.channel.put(parsed(MetricsUpdate.from_wire, message))
        elif kind == "session_update":
            if self.sessions:
                update = parsed(SessionUpdate.from_wire, message)
                for channel in self.sessions:
                    channel.put(update)
        elif (settle := self._pending.pop(str(message.get("request_id")), None)) is not None:
            settle(_request_error(message) if kind == "error" else message)
        elif kind == "error":
            _logger.warning("the server reports: %s", _printable(str(message.get("message"))))

    def _upgrade_error(self, error: InvalidStatus) -> ClientError:
        """The error for an HTTP response instead of the upgrade."""
        status = error.response.status_code
        text = f"the server rejected the connection with HTTP {status}{_reason(error.response.body)}"
        if status == 401:
            return self._unauthorized(text, status=status)
        if status == 403:
            return ForbiddenError(text, status=status)
        if status not in TRANSIENT_STATUSES:
            return RefusedError(text, status=status)
        lost = ConnectionLostError(text)
        with contextlib.suppress(KeyError, ValueError):
            seconds = float(error.response.headers["Retry-After"])
            lost.retry_after = seconds if math.isfinite(seconds) else None
        return lost

    def _close_error(self, error: ConnectionClosed) -> ClientError:
        """The error for the end of an open connection."""
        if error.sent is not None and not error.rcvd_then_sent:  # closed by this side
            if error.sent.code == 1009:
                return ProtocolError(f"the server sent a message larger than {self._settings.max_message_bytes} bytes")
            if error.sent.code in (1002, 1007):
                return ProtocolError(f"the server violated the WebSocket protocol: {error.sent.reason}")
            return ConnectionLostError("the server did not answer a ping")
        if error.rcvd is None:
            return ConnectionLostError("the connection was lost")
        code = error.rcvd.code
        reason = _printable(error.rcvd.reason)
        text = f"the server closed the connection with {code}" + (f": {reason}" if reason else "")
        if code == UNAUTHORIZED_CLOSE_CODE:
            return self._unauthorized(text, close_code=code)
        if code in FATAL_CLOSE_CODES:
            return RefusedError(text, close_code=code)
        return ConnectionLostError(text)

    def _unauthorized(self, text: str, *, status: int | None = None, close_code: int | None = None) -> ClientError:
        # An expired token may have been renewed: try the new one, once.
        if callable(self._settings.token) and not self._token_rejected:
            self._token_rejected = True
            with contextlib.suppress(ConnectionLostError):
                if self._token() != self._sent_token:
                    return ConnectionLostError(text)
        return UnauthorizedError(text, status=status, close_code=close_code)

    # ---- State

    def _set_state(self, change: StateChange) -> None:
        self.state = change.state
        if self._on_state is not None:
            try:
                self._on_state(change)
            except Exception:
                _logger.exception("on_state raised")

    def _finish(self, error: ClientError | None) -> None:
        if self.state is State.CLOSED:
            return
        self._failure = error
        self._set_state(StateChange(State.CLOSED, error, self._backoff.failed))
        self._ready.set()
        if self.metrics is not None:
            self.metrics.channel.end(error)
        for channel in self.sessions:
            channel.end(error)


def _request_error(message: Mapping[str, Any]) -> RequestError:
    code, text = str(message.get("code", "")), _printable(str(message.get("message", "")))
    return (UnknownSkillError if code == "invalid_skill_name" else RequestError)(text, code)


def _reason(body: bytes | bytearray | None) -> str:
    """The human-readable detail of an HTTP error."""
    try:
        problem = json.loads(body or b"")
        text = problem.get("detail") or problem.get("message") or ""
    except (ValueError, AttributeError, RecursionError):
        return ""
    return f": {_printable(text)}" if isinstance(text, str) and text else ""


def _printable(text: str) -> str:
    """Untrusted text, truncated and without control characters."""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_REASON])


def _ignore() -> None:
    """Callback for a request whose confirmation needs no action."""
