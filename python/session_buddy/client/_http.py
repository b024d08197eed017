"""GET requests to the HTTP API, for data that the WebSocket does not send."""

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
    """The parsed body of the response.

    Args:
        timeout: Timeout of each step of the request, in seconds.

    Raises:
        RefusedError: The status is not 200, such as 404 from an older server.
        ConnectionLostError: No response, or not JSON.
        ValueError: The token is not valid in a header.
    """
    headers = {"Authorization": f"Bearer {checked_token(token)}"} if token else {}
    body = b""
    try:
        # Redirects are not followed: this API has none, and another server must not get the token.
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
                    raise ConnectionLostError(f"the response to {path} is larger than {MAX_BODY_BYTES} bytes")
        return json.loads(body)
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise ConnectionLostError(f"no response to {path}: {error}") from error
