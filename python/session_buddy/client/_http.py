"""GET requests to the HTTP side of a server, for what the WebSocket does not tell."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from session_buddy.client._endpoint import Endpoint, checked_token
from session_buddy.client.errors import ConnectionLostError, RefusedError

__all__ = ["get_json"]

MAX_BODY_BYTES = 16 * 1024 * 1024


async def get_json(
    endpoint: Endpoint,
    path: str,
    query: Mapping[str, str],
    *,
    token: str | None,
    tls: ssl.SSLContext | None,
    timeout: float = 10.0,
) -> Any:
    """The body of the answer, parsed.

    Args:
        timeout: Seconds for each step of it.

    Raises:
        RefusedError: The server answers with another status than 200, such as 404 where it is an older one.
        ConnectionLostError: There is no answer, or no JSON.
        ValueError: The token cannot stand in a header.
    """
    headers = {"Authorization": f"Bearer {checked_token(token)}"} if token else {}
    body = b""
    try:
        # Redirects are not followed: a server of this API has none, and the token is for it alone.
        async with (
            httpx.AsyncClient(verify=tls or True, timeout=timeout, trust_env=not endpoint.loopback) as client,
            client.stream("GET", endpoint.http_url + path, params=query, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise RefusedError(
                    f"the server answers {path} with HTTP {answer.status_code}", status=answer.status_code
                )
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise ConnectionLostError(f"the answer to {path} is over {MAX_BODY_BYTES} bytes")
        return json.loads(body)
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise ConnectionLostError(f"no answer to {path}: {error}") from error
