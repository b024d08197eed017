"""GET requests to the HTTP side of a server, for what the WebSocket does not tell."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

from session_buddy.client._endpoint import Endpoint
from session_buddy.client.errors import ConnectionLostError, RefusedError

__all__ = ["get_json"]

MAX_BODY_BYTES = 16 * 1024 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A server of this API redirects nobody, and the token is for it alone."""

    def redirect_request(self, *_: Any) -> None:
        return None


async def get_json(
    endpoint: Endpoint,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,
) -> Any:
    """The body of the answer, parsed. urllib in a thread: a request now and then is worth no further dependency.

    Args:
        timeout: Seconds for each step of it.

    Raises:
        RefusedError: The server answers with another status than 200, such as 404 where it is an older one.
        ConnectionLostError: There is no answer, or no JSON.
    """
    url = endpoint.http_url + path + (f"?{urlencode(query)}" if query else "")
    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    if endpoint.loopback:
        handlers.append(urllib.request.ProxyHandler({}))
    if endpoint.secure:
        handlers.append(urllib.request.HTTPSHandler(context=tls))

    def get() -> bytes:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - Endpoint makes http and https alone
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            body: bytes = answer.read(MAX_BODY_BYTES + 1)
        return body

    try:
        body = await asyncio.to_thread(get)
        if len(body) > MAX_BODY_BYTES:
            raise ConnectionLostError(f"the answer to {path} is over {MAX_BODY_BYTES} bytes")
        return json.loads(body)
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(f"the server answers {path} with HTTP {error.code}", status=error.code) from error
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        if isinstance(error, ConnectionLostError):
            raise
        raise ConnectionLostError(f"no answer to {path}: {error}") from error
