"""A fake service manager: the socket that systemd names in NOTIFY_SOCKET."""

from __future__ import annotations

import socket

from .processes import DEADLINE


class ServiceManager:
    """Receives at `address`: a path, or "@" and an abstract name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.settimeout(DEADLINE)

    def next(self) -> str:
        """The next message; waits for it."""
        return self._socket.recv(4096).decode()

    def is_silent(self) -> bool:
        """Whether no message is pending."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def __enter__(self) -> ServiceManager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
