"""A well-behaved client in a separate thread, which must not be affected by what other clients do."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from .processes import DEADLINE


class Bystander:
    """Receives updates on one connection while the context is entered."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._tls = tls
        self._count = 0
        self._last = 0.0
        self._longest_gap = 0.0
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Bystander:
        self._connection = self._open.enter_context(connect(self._url, ssl=self._tls))
        self._last = time.monotonic()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._thread.join(DEADLINE)

    def _receive(self) -> None:
        try:
            for _ in self._connection:
                with self._changed:
                    now = time.monotonic()
                    self._longest_gap = max(self._longest_gap, now - self._last)
                    self._last = now
                    self._count += 1
                    self._changed.notify_all()
        except (OSError, WebSocketException) as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def expect_update(self) -> None:
        """Waits for an update after this call, on its first and only connection."""
        with self._changed:
            wanted = self._count + 1
            came = self._changed.wait_for(lambda: self._failure is not None or self._count >= wanted, DEADLINE)
        assert self._failure is None, f"the well-behaved client was disconnected: {self._failure}"
        assert came, "the well-behaved client gets no updates any more"

    @property
    def longest_gap(self) -> float:
        """The longest time between two updates, in seconds."""
        return self._longest_gap
