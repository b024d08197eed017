"""Errors of the client; all derive from ``ClientError``."""

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
    """The address is not a valid server address."""


class ClientClosedError(ClientError):
    """The client was closed, or was never opened."""


class ConnectionLostError(ClientError, ConnectionError):
    """A connection could not be made or was lost; a retry may succeed.

    It appears as the reason of a ``StateChange``; clients raise ConnectionFailedError instead.
    """

    retry_after: float | None = None  # seconds, from Retry-After


class ConnectionFailedError(ClientError, ConnectionError):
    """The connection failed permanently. ``__cause__`` is the error of the last attempt."""


class RefusedError(ConnectionFailedError):
    """The server rejected this client; a retry would not help.

    Attributes:
        status: The HTTP status instead of the upgrade, or None.
        close_code: The WebSocket close code, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, close_code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.close_code = close_code


class UnauthorizedError(RefusedError):
    """The token is missing, invalid or expired: HTTP 401 or close code 4401."""


class ForbiddenError(RefusedError):
    """The token lacks the read scope, or the host name is not allowed: HTTP 403."""


class ProtocolError(ConnectionFailedError):
    """The server violated the protocol of this API."""


class RequestTimeoutError(ClientError, TimeoutError):
    """A request timed out."""


class RequestError(ClientError):
    """The server answered a request with an error message.

    Attributes:
        code: Machine-readable code, such as ``invalid_skill_name`` or ``rate_limited``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class UnknownSkillError(RequestError, LookupError):
    """The server never recorded a skill of this name, or the name is invalid."""
