"""Process-wide support for the native code: forwards log records to `logging` and stops servers at exit.

Native threads never wait for the interpreter. They put log records into a bounded native queue, and one Python daemon
thread passes them to `logging`. Before the interpreter shuts down, an atexit handler stops all running servers and ends
that thread, so that no thread is inside native code then.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import traceback
from typing import Protocol

from session_buddy import _native

__all__ = ["add_server", "ensure_logging", "remove_server", "sync_log_level"]

_LOGGER_NAME = "session_buddy"
_QUEUE_CAPACITY = 10_000
_POLL_SECONDS = 1.0  # how often changed log levels are passed to the native side
_JOIN_SECONDS = 5.0  # a hanging log handler must not block the exit of the interpreter


class _Stoppable(Protocol):
    def stop_now(self) -> None: ...


_lock = threading.Lock()
_servers: set[_Stoppable] = set()
_bridge: _LogBridge | None = None
_shutting_down = False
_parent_objects: list[object] = []  # native objects inherited through fork: never used, never destroyed


class _LogBridge:
    def __init__(self) -> None:
        self._queue = _native.LogQueue(_QUEUE_CAPACITY)
        self._thread = threading.Thread(target=self._pump, name="session-buddy-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Flush the queue and end the thread."""
        self._queue.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_SECONDS)

    def _pump(self) -> None:
        while True:
            records, dropped, closed = self._queue.next(_POLL_SECONDS)
            try:
                for level, name, message, created in records:
                    _emit(level, name, message, created)
                if dropped:
                    logging.getLogger(_LOGGER_NAME).warning("%d log records were dropped: logging is too slow", dropped)
                sync_log_level()
            except Exception:  # a log handler that raises must not stop later records
                if logging.raiseExceptions and sys.stderr:
                    traceback.print_exc()
            if closed:
                return


def _emit(level: int, name: str, message: str, created: float) -> None:
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(level):
        return
    record = logger.makeRecord(name, level, "(native)", 0, message, (), None)
    # The time and thread of the native log call, not of this thread.
    record.relativeCreated += (created - record.created) * 1000
    record.created = created
    record.msecs = int((created - int(created)) * 1000) + 0.0
    record.threadName = "native"
    logger.handle(record)


def _lowest_enabled_level() -> int:
    """The lowest level enabled on any session_buddy logger."""
    manager = logging.root.manager
    ours = [logging.getLogger(_LOGGER_NAME)]
    for name, logger in list(manager.loggerDict.items()):
        if name.startswith(_LOGGER_NAME + ".") and isinstance(logger, logging.Logger):
            ours.append(logger)
    return max(min(logger.getEffectiveLevel() for logger in ours), manager.disable + 1)


def sync_log_level() -> None:
    """Pass the log level to the native side, which then skips disabled records without cost."""
    _native.set_log_level(_lowest_enabled_level())


def ensure_logging() -> None:
    """Start forwarding native log records to `logging`."""
    global _bridge
    with _lock:
        if _bridge is None and not _shutting_down:
            _bridge = _LogBridge()
    sync_log_level()


def add_server(server: _Stoppable) -> None:
    """Register a server to be stopped before the interpreter shuts down."""
    with _lock:
        _servers.add(server)


def remove_server(server: _Stoppable) -> None:
    with _lock:
        _servers.discard(server)


def _shut_down() -> None:
    global _bridge, _shutting_down
    with _lock:
        _shutting_down = True
        servers = list(_servers)
        bridge, _bridge = _bridge, None
    for server in servers:
        server.stop_now()
    if bridge is not None:
        bridge.close()


def _after_fork_in_child() -> None:
    # The native threads exist only in the parent; stopping or joining them here would wait forever.
    global _lock, _bridge
    _lock = threading.Lock()
    _parent_objects.extend([_bridge, *_servers])
    _servers.clear()
    _bridge = None


atexit.register(_shut_down)
os.register_at_fork(after_in_child=_after_fork_in_child)
