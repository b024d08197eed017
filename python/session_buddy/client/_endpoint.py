"""Where a server is, and what is needed to get in: address, certificates, token."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from session_buddy.client.errors import InvalidURLError

__all__ = ["DEFAULT_PORT", "TOKEN_VARIABLE", "Endpoint", "Token", "checked_token", "tls_context"]

DEFAULT_PORT = 8765
TOKEN_VARIABLE = "SESSION_BUDDY_TOKEN"  # noqa: S105 - the name of the variable that commands take a token from
_SCHEMES = {"ws": "ws", "http": "ws", "wss": "wss", "https": "wss"}

Token = str | Callable[[], str]


@dataclass(frozen=True)
class Endpoint:
    """The address of a server."""

    secure: bool
    netloc: str  # host, or host:port
    host: str
    target: str  # path and query of the WebSocket

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """From ``ws://``, ``wss://``, ``http://``, ``https://``, ``host:port`` or ``host``, which means port 8765.

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
                f"{_shown(url)} is no address such as ws://localhost:{DEFAULT_PORT}: {error}"
            ) from None
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not host or any(character.isspace() or not character.isprintable() for character in text):
            raise InvalidURLError(f"{_shown(url)} is no address such as ws://localhost:{DEFAULT_PORT}")
        if parts.username is not None or parts.password is not None:
            raise InvalidURLError("the address holds a user or password: show a token instead, which ends in no log")
        if parts.fragment:
            raise InvalidURLError(f"{_shown(url)} has a fragment (#…), which a WebSocket address cannot have")
        netloc = f"[{host}]" if ":" in host else host
        if port is not None or bare:
            netloc += f":{DEFAULT_PORT if port is None else port}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(secure=scheme == "wss", netloc=netloc, host=host, target=target)

    @property
    def websocket_url(self) -> str:
        """Of the WebSocket."""
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.target}"

    @property
    def http_url(self) -> str:
        """Of the root of its HTTP side, without a slash at the end.

        It is beside a WebSocket at ``…/ws`` and else below its path, never above: who is there should see no token.
        """
        path = self.target.partition("?")[0].rstrip("/").removesuffix("/ws").rstrip("/")
        return f"{'https' if self.secure else 'http'}://{self.netloc}{path}"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine for certain."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host.partition("%")[0]).is_loopback
        except ValueError:
            return False


def checked_token(token: str) -> str:
    """The token as it may stand in a header. Raises TypeError or ValueError, without the token in its text."""
    if not isinstance(token, str):
        raise TypeError(f"token must be a str, not {type(token).__name__}")
    stripped = token.strip()
    if not stripped or not all("!" <= character <= "~" for character in stripped):
        raise ValueError("token must be one word of visible ASCII characters")
    return stripped


def tls_context(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """One that checks certificates and names, against ``ca_file`` (PEM) or the authorities of the system.

    Raises OSError where the file cannot be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
    except ssl.SSLError as error:
        raise OSError(f"there is no certificate in {ca_file}: {error.reason}") from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(ca_file or "")) from error


def _shown(url: str) -> str:
    # A mistyped address may still hold a password.
    return repr(url if "@" not in url else f"…{url[url.rindex('@') :]}")
