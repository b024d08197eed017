"""Blocking wrapper around the asyncio client, which runs in an event loop on a background thread.

This keeps a single implementation of reconnection and subscriptions.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from session_buddy.client._client import BUFFER, Client, Subscription, connect
from session_buddy.client._link import State
from session_buddy.client.errors import ClientClosedError, RequestTimeoutError
from session_buddy.client.messages import MetricsUpdate, SessionUpdate, SkillMetrics

__all__ = ["SyncClient", "SyncSubscription", "connect_sync"]

P = ParamSpec("P")
T = TypeVar("T")


class _Loop:
    """An event loop on a background thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="session-buddy-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine from another thread. Raises ClientClosedError if the loop ends first, and RuntimeError on
        the loop's own thread, which would deadlock."""
        try:
            self.check_thread()
        except RuntimeError:
            work.close()
            raise
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise ClientClosedError("the client is closed") from None
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise ClientClosedError("the client is closed") from None
        except KeyboardInterrupt:
            future.cancel()  # the caller no longer waits for the result
            raise

    def check_thread(self) -> None:
        """Raises RuntimeError on the loop's own thread."""
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "on_state runs on the client's thread, where this call would deadlock: call it from another thread"
            )

    def stop(self) -> None:
        """Cancel all tasks and join the thread."""

        async def cancel_all() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others)
            await self._loop.shutdown_default_executor()  # used for DNS lookups

        self.run(cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncSubscription(Iterator[T], Generic[T]):
    """A ``Subscription`` for plain ``for``."""

    def __init__(self, loop: _Loop, subscription: Subscription[T]) -> None:
        self._loop = loop
        self._subscription = subscription

    @property
    def dropped(self) -> int:
        """Number of updates dropped because the reader was too slow."""
        return self._subscription.dropped

    def __next__(self) -> T:
        """The next update, without a timeout. Raises as ``Subscription`` does."""
        try:
            return self.receive()
        except ClientClosedError:
            raise StopIteration from None

    def receive(self, timeout: float | None = None) -> T:
        """The next update.

        Raises:
            RequestTimeoutError: No update within ``timeout`` seconds.
            ClientClosedError: The subscription or the client was closed.
        """

        async def received() -> T:
            try:
                return await asyncio.wait_for(_awaited(self._subscription.__anext__()), timeout)
            except RequestTimeoutError:
                raise
            except asyncio.TimeoutError:
                raise RequestTimeoutError(f"no update within {timeout:g} seconds") from None
            except StopAsyncIteration:
                raise ClientClosedError("the subscription is closed") from None

        return self._loop.run(received())

    def close(self) -> None:
        """End the subscription; a pending ``receive`` raises ClientClosedError."""
        self._loop.run(self._subscription.aclose())


class SyncClient:
    """A ``Client`` for plain ``with``; its methods may be called from several threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop: _Loop | None = None
        self._closed = False

    @property
    def state(self) -> State:
        """State of the connection."""
        return self._client.state

    def __enter__(self) -> SyncClient:
        """Connects. Raises as ``Client`` does."""
        if self._loop is not None:
            raise ClientClosedError("a client can be used once: create another one with connect_sync()")
        self._loop = _Loop()
        try:
            self._loop.run(self._client.__aenter__())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all iterations, requests, connections and the thread; may be called twice."""
        if self._loop is not None and not self._closed:
            self._loop.check_thread()
            self._closed = True
            self._loop.run(self._client.aclose())
            self._loop.stop()

    def subscribe(
        self, *skill_names: str, min_deviation: float | None = None, details: bool = False, buffer: int = BUFFER
    ) -> SyncSubscription[MetricsUpdate]:
        """As ``Client.subscribe``."""
        return self._subscription(
            lambda: self._client.subscribe(*skill_names, min_deviation=min_deviation, details=details, buffer=buffer)
        )

    def subscribe_sessions(self, *, buffer: int = BUFFER) -> SyncSubscription[SessionUpdate]:
        """As ``Client.subscribe_sessions``."""
        return self._subscription(lambda: self._client.subscribe_sessions(buffer=buffer))

    def get_metrics(self, skill_name: str) -> SkillMetrics:
        """As ``Client.get_metrics``."""
        return self._connected_loop().run(self._client.get_metrics(skill_name))

    def ping(self) -> float:
        """As ``Client.ping``."""
        return self._connected_loop().run(self._client.ping())

    def _connected_loop(self) -> _Loop:
        if self._loop is None:
            raise ClientClosedError("the client is not connected: use it in `with`")
        return self._loop

    def _subscription(self, make: Callable[[], Subscription[T]]) -> SyncSubscription[T]:
        async def made() -> Subscription[T]:
            return make()

        loop = self._connected_loop()
        return SyncSubscription(loop, loop.run(made()))


def _for_threads(make: Callable[P, Client]) -> Callable[P, SyncClient]:
    @functools.wraps(make)
    def connect_sync(*args: P.args, **keywords: P.kwargs) -> SyncClient:
        return SyncClient(make(*args, **keywords))

    connect_sync.__name__ = connect_sync.__qualname__ = "connect_sync"
    connect_sync.__doc__ = f"Blocking variant of ``connect``, for ``with``: {make.__doc__}"
    return connect_sync


connect_sync = _for_threads(connect)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable
