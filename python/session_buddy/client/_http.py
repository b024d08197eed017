"""Requests to the HTTP API, for what the WebSocket does not offer."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from session_buddy.client._endpoint import Endpoint, checked_token
from session_buddy.client.errors import ConnectionLostError, RefusedError

__all__ = ["request_json"]

MAX_BODY_BYTES = 16 * 1024 * 1024


async def request_json(
    method: str,
    endpoint: Endpoint,
    path: str,
    query: Mapping[str, str],
    *,
    body: Mapping[str, object] | None = None,
    token: str | None,
    tls: ssl.SSLContext | None,
    timeout: float = 10.0,
) -> Any:
    """The parsed body of the response.

    Args:
        body: Sent as JSON.
        timeout: Timeout of each step of the request, in seconds.

    Raises:
        RefusedError: The status is not 200, such as 404 from an older server. The message has the detail of the
            response, if it has one.
        ConnectionLostError: No response, or not JSON.
        ValueError: The token is not valid in a header.
    """
    headers = {"Authorization": f"Bearer {checked_token(token)}"} if token else {}
    received = b""
    try:
        # Redirects are not followed: this API has none, and another server must not get the token.
        async with (
            httpx.AsyncClient(verify=tls or True, timeout=timeout, trust_env=not endpoint.loopback) as client,
            client.stream(method, endpoint.http_url + path, params=query, json=body, headers=headers) as answer,
        ):
            async for part in answer.aiter_bytes():
                received += part
                if len(received) > MAX_BODY_BYTES:
                    raise ConnectionLostError(f"the response to {path} is larger than {MAX_BODY_BYTES} bytes")
            if answer.status_code != 200:
                message = f"the server answers {path} with HTTP {answer.status_code}{_detail(received)}"
                raise RefusedError(message, status=answer.status_code)
        return json.loads(received)
    except (httpx.HTTPError, ValueError, RecursionError) as error:
        raise ConnectionLostError(f"no response to {path}: {error}") from error


def _detail(problem: bytes) -> str:
    """What an error of the API says (RFC 9457)."""
    try:
        return f": {json.loads(problem)['detail']}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
