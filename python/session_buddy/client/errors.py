"""What can go wrong between a client and its server; ``ClientError`` is the base of all of it."""

from __future__ import annotations

__all__ = [
    "ClientClosedError",
    "ClientError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ForbiddenError",
    "InvalidURLError",
    "ProtocolError",
    "RefusedError",
    "RequestError",
    "RequestTimeoutError",
    "UnauthorizedError",
    "UnknownSkillError",
]


class ClientError(Exception):
    """The base of all errors of this package."""


class InvalidURLError(ClientError, ValueError):
    """The address is none of a server."""


class ClientClosedError(ClientError):
    """The client was closed, or was never opened."""


class ConnectionLostError(ClientError, ConnectionError):
    """A connection could not be made or has ended, and another attempt may well succeed.

    Programs see it as the reason of a ``StateChange``; a client raises what comes of it.
    """

    retry_after: float | None = None  # seconds, where the server named them


class ConnectionFailedError(ClientError, ConnectionError):
    """There is no connection, and no further attempt is made. ``__cause__`` is the reason of the last one."""


class RefusedError(ConnectionFailedError):
    """The server does not want this client, so that trying again would not help.

    Attributes:
        status: The HTTP status of the answer in place of the upgrade, or None.
        close_code: The code with which the server closed the connection, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, close_code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.close_code = close_code


class UnauthorizedError(RefusedError):
    """The token is missing, not accepted or has expired: HTTP 401 or close code 4401."""


class ForbiddenError(RefusedError):
    """The token may not read, or the name of the host is not the server's: HTTP 403."""


class ProtocolError(ConnectionFailedError):
    """What came is not what a server of this API sends."""


class RequestTimeoutError(ClientError, TimeoutError):
    """No answer came in time."""


class RequestError(ClientError):
    """The server answered a request with an error.

    Attributes:
        code: For programs, such as ``invalid_skill_name`` or ``rate_limited``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownSkillError(RequestError, LookupError):
    """The server never saw a skill of this name, or it is no name of a skill."""
