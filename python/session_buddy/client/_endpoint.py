"""Server address, TLS context and token."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from session_buddy.client.errors import InvalidURLError

__all__ = ["DEFAULT_PORT", "TOKEN_VARIABLE", "Endpoint", "Token", "checked_token", "tls_context"]

DEFAULT_PORT = 8765
TOKEN_VARIABLE = "SESSION_BUDDY_TOKEN"  # noqa: S105 - the name of an environment variable
_SCHEMES = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}

Token = str | Callable[[], str]


@dataclass(frozen=True)
class Endpoint:
    """The address of a server."""

    secure: bool
    netloc: str  # host, or host:port
    host: str
    target: str  # path and query of the WebSocket URL

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Parse ``ws://``, ``wss://``, ``http://``, ``https://``, ``host:port`` or ``host`` (port 8765).

        Raises InvalidURLError.
        """
        if not isinstance(url, str):
            raise TypeError(f"url must be a str, not {type(url).__name__}")
        text = url.strip()
        bare = "://" not in text
        try:
            parts = urlsplit(f"ws://{text}" if bare else text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidURLError(
                f"{_shown(url)} is not a server address; use for example ws://localhost:{DEFAULT_PORT}: {error}"
            ) from None
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host or any(character.isspace() or not character.isprintable() for character in text):
            raise InvalidURLError(
                f"{_shown(url)} is not a server address; use for example ws://localhost:{DEFAULT_PORT}"
            )
        if parts.username is not None or parts.password is not None:
            raise InvalidURLError("the address contains a user or password: use a token instead, which is not logged")
        if parts.fragment:
            raise InvalidURLError(f"{_shown(url)} has a fragment (#…), which a WebSocket address cannot have")
        netloc = f"[{host}]" if ":" in host else host
        if port is not None or bare:
            netloc += f":{DEFAULT_PORT if port is None else port}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(secure=scheme == "wss", netloc=netloc, host=host, target=target)

    @property
    def websocket_url(self) -> str:
        """The URL of the WebSocket."""
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.target}"

    @property
    def http_url(self) -> str:
        """The base URL of the HTTP API, without a trailing slash.

        It is next to a WebSocket at ``…/ws``, else below its path, but never above: another service there must not get
        the token.
        """
        path = self.target.partition("?")[0].rstrip("/").removesuffix("/ws").rstrip("/")
        return f"{'https' if self.secure else 'http'}://{self.netloc}{path}"

    @property
    def loopback(self) -> bool:
        """Whether the host is certainly this machine."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False


def checked_token(token: str) -> str:
    """The token, valid in a header. Raises TypeError or ValueError without the token in its text."""
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    stripped = token.strip()
    if not stripped or not all("!" <= character <= "~" for character in stripped):
        raise ValueError("token must be one word of printable ASCII characters")
    return stripped


def tls_context(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """A context that verifies certificates and host names, with the CAs of ``ca_file`` (PEM) or of the system.

    Raises OSError if the file cannot be read or contains no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except ssl.SSLError as error:
        raise OSError(f"no certificate in {ca_file}: {error.reason}") from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(ca_file or "")) from error


def _shown(url: str) -> str:
    # A mistyped address may contain a password.
    return repr(url if "@" not in url else f"…{url[url.rindex('@') :]}")


def connection_refused(error: Exception) -> bool:
    """Whether every address of the host refuses; asyncio joins the errors of several addresses in one OSError."""
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))
    return bool(numbers) and set(numbers) == {str(errno.ECONNREFUSED)}
