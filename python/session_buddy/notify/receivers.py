"""Receivers of notifications: a webhook over HTTP, or a command."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import math
import os
import shlex
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import httpx

from session_buddy import __version__
from session_buddy.client._endpoint import TOKEN_VARIABLE
from session_buddy.notify.body import Body
from session_buddy.notify.episodes import Event

__all__ = ["Command", "DeliveryError", "PermanentDeliveryError", "Receiver", "Webhook", "read_headers"]

WEBHOOK_VARIABLE = "SESSION_BUDDY_WEBHOOK"
AUTHORIZATION_VARIABLE = "SESSION_BUDDY_WEBHOOK_AUTHORIZATION"
SECRET_VARIABLES = (TOKEN_VARIABLE, WEBHOOK_VARIABLE, AUTHORIZATION_VARIABLE)
# Set by the HTTP client for the connection and the body length; other values would break the request.
RESERVED_HEADERS = frozenset({"connection", "content-length", "host", "transfer-encoding"})
TRANSIENT_STATUSES = frozenset({408, 425, 429})  # 4xx statuses worth a retry, in addition to all 5xx
MAX_HEADER_BYTES = 65536


class DeliveryError(Exception):
    """A delivery failed and can be retried.

    Attributes:
        retry_after: Seconds to wait as requested by the receiver (Retry-After), or None.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentDeliveryError(Exception):
    """A delivery was rejected; a retry would not help."""


class Receiver(Protocol):
    """Accepts events, one at a time."""

    name: str

    async def deliver(self, event: Event) -> None:
        """Returns once the event is accepted. Raises DeliveryError or PermanentDeliveryError."""


class Webhook:
    """POSTs each event. Uses httpx because its requests can be cancelled, unlike those of urllib."""

    name = "webhook"

    def __init__(self, url: str, body: Body, *, headers: Mapping[str, str], timeout: float) -> None:
        """``timeout``: seconds for a whole request. Raises ValueError if ``url`` is invalid."""
        self._url = checked_address(url)
        # The path of a webhook URL is usually a secret, so messages omit it.
        self._redacted_url = f"{self._url.scheme}://{self._url.netloc.decode('ascii')}/…"
        self._body = body
        self._timeout = timeout
        self._headers = {
            "Content-Type": body.content_type,
            "User-Agent": f"session-buddy/{__version__}",
            **headers,
        }
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None

    def __str__(self) -> str:
        return self._redacted_url

    async def deliver(self, event: Event) -> None:
        """See Receiver. Redirects are not followed: the target may be untrusted, and POST often becomes GET."""
        try:
            status, retry_after = await asyncio.wait_for(self._post(event), self._timeout)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            raise DeliveryError(f"no answer within {self._timeout:g} seconds") from None
        except httpx.LocalProtocolError as error:  # without its text, which may contain a header value
            raise DeliveryError(type(error).__name__) from None
        except (httpx.HTTPError, OSError) as error:
            raise DeliveryError(
                f"{type(error).__name__}: {error}".replace(str(self._url), self._redacted_url)
            ) from None
        if 200 <= status < 300:
            return
        if status >= 500 or status in TRANSIENT_STATUSES:
            raise DeliveryError(f"HTTP {status}", _seconds(retry_after))
        reason = f"HTTP {status}"
        if 300 <= status < 400:
            reason += ", a redirect, which is not followed: use the target URL"
        raise PermanentDeliveryError(reason)

    async def _post(self, event: Event) -> tuple[int, str | None]:
        headers = {**self._headers, "Idempotency-Key": event.id}
        # A new connection per event: events are rare, and a kept-alive one would have timed out.
        async with (
            httpx.AsyncClient(verify=self._tls or True, timeout=self._timeout, follow_redirects=False) as client,
            client.stream("POST", self._url, content=self._body(event), headers=headers) as answer,
        ):
            return answer.status_code, answer.headers.get("Retry-After")


class Command:
    """Runs a program for each event, without a shell: fields in its environment, the body on stdin."""

    name = "command"

    def __init__(self, command: str, body: Body, *, timeout: float) -> None:
        """``timeout``: seconds after which its process group is killed. Raises ValueError for an invalid command."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"invalid command: {error}") from None
        if not self._words:
            raise ValueError("the command is empty")
        if shutil.which(self._words[0]) is None:
            raise ValueError(f"program not found: {self._words[0]}")
        self._body = body
        self._timeout = timeout

    def __str__(self) -> str:
        return self._words[0]

    async def deliver(self, event: Event) -> None:
        """See Receiver. Exit status 0 is success; stdout goes to stderr."""
        environment = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
        for name, value in event.as_dict().items():
            if name == "alert":  # on stdin only
                continue
            variable = "SESSION_BUDDY_EVENT_ID" if name == "id" else f"SESSION_BUDDY_{name.upper()}"
            environment[variable] = str(value)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=sys.stderr.fileno(),
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise DeliveryError(f"cannot run: {error}") from error
        try:
            await asyncio.wait_for(process.communicate(self._body(event)), self._timeout)
        except asyncio.TimeoutError:
            raise DeliveryError(f"timed out after {self._timeout:g} seconds") from None
        finally:
            # Its process group may outlive it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
        if process.returncode != 0:
            raise DeliveryError(f"exit status {process.returncode}")


def checked_address(url: str) -> httpx.URL:
    """A webhook URL. Raises ValueError without the URL in its text."""
    text = url.strip()
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("the webhook URL contains whitespace or non-printable characters")
    try:
        address = httpx.URL(text)
        name = address.host  # fails for an invalid xn-- label
        address.raw_host.decode("ascii").encode("idna")  # as in the DNS lookup
    except (httpx.InvalidURL, ValueError):
        raise ValueError("the webhook URL has no valid host name") from None
    if address.scheme not in ("http", "https") or not name:
        raise ValueError("the webhook URL must start with http:// or https:// and contain a host")
    if address.port is not None and not 1 <= address.port <= 65535:
        raise ValueError("the port of the webhook URL must be 1 to 65535")
    return address


def read_headers(path: Path) -> dict[str, str]:
    """Reads one ``Name: value`` per line; empty lines and # comments are skipped. Raises OSError or ValueError."""
    with path.open("rb") as file:
        data = file.read(MAX_HEADER_BYTES + 1)
    if len(data) > MAX_HEADER_BYTES:
        raise ValueError(f"{path} is larger than {MAX_HEADER_BYTES} bytes")
    headers = {}
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"{path}, line {number}: not a header; write Name: value")
        headers[name.strip()] = checked_header(name.strip(), value, f"{path}, line {number}")
    return headers


def checked_header(name: str, value: str, where: str) -> str:
    """The stripped value. Raises ValueError without the value in its text."""
    value = value.strip()
    if not name or not all(character.isascii() and (character.isalnum() or character in "-_") for character in name):
        raise ValueError(f"{where}: invalid header name")
    if name.lower() in RESERVED_HEADERS:
        raise ValueError(f"{where}: {name} is set automatically; remove it")
    if not value or not all(" " <= character <= "~" for character in value):
        raise ValueError(f"{where}: the value of {name} must be printable ASCII")
    return value


def _seconds(retry_after: str | None) -> float | None:
    """Seconds from a Retry-After header, which is a number or a date."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None
