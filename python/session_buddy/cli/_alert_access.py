"""Where `session-buddy alerts` reads and changes alerts: in the database, or through a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from session_buddy import _native
from session_buddy.cli._connection import DetachedThreads, token_source

MAX_LISTED = 500


class Alerts(Protocol):
    """Alerts and mutes as in the HTTP API. Raises StorageError, ClientError, OSError or ValueError."""

    where: str  # for messages

    def page(self, *, open_only: bool, skill: str | None) -> Mapping[str, Any]:
        """The newest MAX_LISTED alerts, their total, and all mutes in effect."""

    def acknowledge(self, number: int, note: str) -> Mapping[str, Any] | None:
        """The alert; None if there is none with this id."""

    def mute(self, skill: str, seconds: float | None, reason: str) -> Mapping[str, Any]:
        """The mute. ``seconds``: None until it is removed."""

    def unmute(self, skill: str) -> bool:
        """Whether the skill was muted."""


class DatabaseAlerts:
    """Alerts of a database, with or without a running server."""

    def __init__(self, db_path: str | None) -> None:
        self.where = _native.resolve_db_path(db_path)
        if not Path(self.where).exists():
            raise FileNotFoundError(f"no database {self.where}; check --db-path, or record something first")

    def page(self, *, open_only: bool, skill: str | None) -> Mapping[str, Any]:
        return _native.alerts(self.where, open=True if open_only else None, skill=skill, limit=MAX_LISTED)

    def acknowledge(self, number: int, note: str) -> Mapping[str, Any] | None:
        return _native.acknowledge_alert(self.where, number, note)

    def mute(self, skill: str, seconds: float | None, reason: str) -> Mapping[str, Any]:
        until = None if seconds is None else round((time.time() + seconds) * 1e6)
        return _native.mute_skill(self.where, skill, until, reason)

    def unmute(self, skill: str) -> bool:
        return _native.unmute_skill(self.where, skill)


class ServerAlerts:
    """Alerts of a server, through its HTTP API."""

    def __init__(self, url: str, *, token_file: Path | None, ca_file: Path | None) -> None:
        from session_buddy.client._endpoint import Endpoint, tls_context

        self.where = url
        self._token: str | Callable[[], str] | None = token_source(token_file)
        self._endpoint = Endpoint.parse(url)
        self._tls = tls_context(ca_file) if self._endpoint.secure else None

    def page(self, *, open_only: bool, skill: str | None) -> Mapping[str, Any]:
        query = {"state": "open" if open_only else "all", "limit": str(MAX_LISTED)}
        page: Mapping[str, Any] = self._request("GET", "alerts", {**query, **({"skill_name": skill} if skill else {})})
        return page

    def acknowledge(self, number: int, note: str) -> Mapping[str, Any] | None:
        return self._found("POST", "alerts/acknowledge", body={"id": number, "note": note})

    def mute(self, skill: str, seconds: float | None, reason: str) -> Mapping[str, Any]:
        body = {"skill_name": skill, "seconds": None if seconds is None else round(seconds), "reason": reason}
        mute: Mapping[str, Any] = self._request("POST", "mutes", body=body)
        return mute

    def unmute(self, skill: str) -> bool:
        return self._found("DELETE", "mutes", {"skill_name": skill}) is not None

    def _found(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, object] | None = None
    ) -> Mapping[str, Any] | None:
        from session_buddy.client import RefusedError

        try:
            found: Mapping[str, Any] = self._request(method, path, query, body)
        except RefusedError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Any:
        from session_buddy.client._http import request_json

        async def request() -> Any:
            asyncio.get_running_loop().set_default_executor(DetachedThreads())
            token = self._token() if callable(self._token) else self._token
            return await request_json(
                method, self._endpoint, f"/api/v1/{path}", query or {}, body=body, token=token, tls=self._tls
            )

        return asyncio.run(request())
