"""Ingestion requests, each on a new connection."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import Any

from session_buddy.realtime.websocket_server import RealTimeMetricsServer
from support.processes import DEADLINE, Server

HOOKS = "/hooks/claude-code"
INVOCATIONS = "/api/v1/invocations"
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


def send(
    server: RealTimeMetricsServer | Server, path: str, body: bytes | str | Any, headers: dict[str, str] | None = None
) -> tuple[int, Any, http.client.HTTPResponse]:
    """One POST on a new connection: status, body (parsed where it is JSON) and the response itself."""
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("localhost", server.port, timeout=DEADLINE)
    with closing(connection):
        connection.request("POST", path, data, JSON if headers is None else headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None, answer


def invocation(**fields: Any) -> dict[str, Any]:
    return {"skill_name": "deploy", "session_id": "ci", "completed": True, **fields}
