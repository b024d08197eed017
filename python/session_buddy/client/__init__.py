"""A reconnecting client of the WebSocket API, for asyncio and for threads.

``async with connect("ws://localhost:8765") as client: async for update in client.subscribe("pytest-run"): …``, or
``with connect_sync(…) as client: for update in client.subscribe(…): …``. All errors derive from ``ClientError``.
"""

from session_buddy.client._client import DEFAULT_URL, Client, Subscription, connect
from session_buddy.client._link import State, StateChange
from session_buddy.client.errors import (
    ClientClosedError,
    ClientError,
    ConnectionFailedError,
    ConnectionLostError,
    ForbiddenError,
    InvalidURLError,
    ProtocolError,
    RefusedError,
    RequestError,
    RequestTimeoutError,
    UnauthorizedError,
    UnknownSkillError,
)
from session_buddy.client.messages import (
    ActiveSession,
    Alert,
    AlertLevel,
    Anomaly,
    AnomalyDetails,
    ErrorCount,
    GrownError,
    MetricsUpdate,
    SessionUpdate,
    SkillMetrics,
    TopSkill,
    as_wire,
)
from session_buddy.client.sync import SyncClient, SyncSubscription, connect_sync

__all__ = [
    "DEFAULT_URL",
    "ActiveSession",
    "Alert",
    "AlertLevel",
    "Anomaly",
    "AnomalyDetails",
    "Client",
    "ClientClosedError",
    "ClientError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ErrorCount",
    "ForbiddenError",
    "GrownError",
    "InvalidURLError",
    "MetricsUpdate",
    "ProtocolError",
    "RefusedError",
    "RequestError",
    "RequestTimeoutError",
    "SessionUpdate",
    "SkillMetrics",
    "State",
    "StateChange",
    "Subscription",
    "SyncClient",
    "SyncSubscription",
    "TopSkill",
    "UnauthorizedError",
    "UnknownSkillError",
    "as_wire",
    "connect",
    "connect_sync",
]
