"""The WebSocket server as an asyncio program sees it. It runs on native threads; Python is not needed to serve."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from session_buddy import _native, _runtime
from session_buddy.realtime._blocking import run_blocking
from session_buddy.realtime._subscribers import MetricsCallback, MetricsSubscription, Subscribers
from session_buddy.realtime.types import SkillSummary, Snapshot

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MetricsSubscription", "RealTimeMetricsServer"]


def _path(path: object) -> object:
    """A path-like object as what it stands for; anything else is for the native side to judge."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


class _Run:
    """One run of the server, from start() to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ended = asyncio.Event()
        self.stop_requested = False
        self.started = False
        self.port = 0
        self.endpoints: tuple[str, ...] = ()

    def end(self) -> None:
        """Wakes start(); from any thread."""
        with contextlib.suppress(RuntimeError):  # its loop was closed already
            self.loop.call_soon_threadsafe(self.ended.set)


class RealTimeMetricsServer:
    """Follows a skills database and streams live metrics to WebSocket clients.

    `await start()` runs it until `stop()` or cancellation; `async with` runs it in the background. It can be started
    again after a stop. All methods may be called from any thread and any event loop.

    Args:
        host: Address or name to listen on; localhost means 127.0.0.1 and ::1.
        port: TCP port to listen on; 0 picks a free port, which `port` returns (0 to 65535).
        db_path: SQLite database to follow; created with the V4 schema if missing. None: SESSION_BUDDY_DB_PATH, else the
            config file, else ./.session-buddy/skills.db if it exists, else skills.db in the user's data directory.
        update_interval: Time between two broadcasts (seconds, 0.01 to 3600).
        tls_cert: PEM file with the server's certificate followed by its chain; when set, the port accepts TLS
            connections only (wss, https). None, for this and the other security options up to jwt_issuer: the value of
            its environment variable (SESSION_BUDDY_TLS_CERT, …), if set.
        tls_key: PEM file with the private key of tls_cert.
        tls_client_ca: PEM file with the CA certificates used to verify client certificates (mutual TLS); when set,
            clients must present one.
        auth_token_file: File with one bearer token per line, in clear text or as sha256:DIGEST, followed by its scopes
            (read, write, metrics; default: read). When set, clients must authenticate with a token.
        jwt_secret: Secret of at least 32 bytes for verifying JSON Web Tokens (JWT) signed with HS256. When set, clients
            must authenticate with a token.
        jwt_public_key: PEM file with the public key for verifying JSON Web Tokens (JWT) signed with RS256 or ES256.
            When set, clients must authenticate with a token.
        jwt_audience: Expected JWT audience (aud). If unset, tokens that carry an audience are rejected.
        jwt_issuer: Expected JWT issuer (iss). If unset, any issuer is accepted.
        jwt_leeway: Allowed clock skew when validating JWT exp and nbf (seconds, 0 to 600).
        auth_timeout: Timeout for a new client to authenticate; also the maximum delay of a rejected attempt (seconds,
            0.1 to 60).
        max_auth_failures_per_second: Failed authentication attempts per second and address before further failures are
            delayed (1 to 1000).
        insecure: Allow listening on non-loopback addresses without TLS (or behind_proxy) or without authentication.
        behind_proxy: Trust the X-Forwarded-For and X-Forwarded-Proto headers of trusted_proxies for a client's address
            and protocol.
        trusted_proxies: Addresses and networks of the reverse proxies, comma-separated, such as 10.0.0.0/8,2001:db8::1;
            loopback means 127.0.0.0/8 and ::1.
        allow_origin: Additional allowed origins (CORS, WebSocket), comma-separated, such as https://app.example.org or
            https://*.example.org, or null for pages without an origin; loopback and same-origin are always allowed.
        allow_host: Additional allowed Host names, comma-separated, such as app.example.org or *.example.org; loopback
            names and host are always allowed.
        push: Broadcast new invocations immediately, in addition to the regular interval.
        push_min_interval: Minimum time between two broadcasts in push mode (seconds, 0.01 to 60).
        window: Length of the sliding window of top_skills (seconds, 60 to 2678400).
        top_skills: Number of skills in top_skills (1 to 1000).
        max_sessions: Maximum active sessions sent to subscribers, most recent first (1 to 100000).
        max_tracked_skills: Maximum skills tracked in the sliding windows; the invocations of further skills are summed
            as other (10 to 1000000).
        max_tracked_sessions: Maximum sessions tracked; the invocations of further sessions are summed as other (10 to
            1000000).
        max_tracked_error_types: Maximum error types that anomalies distinguish; further ones count as other (10 to
            1000000).
        metrics_max_skills: Maximum skills with their own series in GET /metrics, in order of appearance; further skills
            are summed as other (1 to 10000).
        metrics_max_phases: Maximum workflow phases per skill with their own series in GET /metrics; further phases are
            summed as other (1 to 100).
        session_window: Time without activity after which a session is no longer active (seconds, 60 to 86400).
        anomaly_threshold: Minimum deviation from the baseline, in standard deviations, to report an anomaly (0.5 to
            10).
        observation_window: Length of the observation window, which is compared with the baseline (seconds, 60 to
            86400).
        baseline_window: Length of the baseline window; at least twice observation_window (seconds, 600 to 2678400).
        anomaly_min_samples: Minimum invocations in each of observation and baseline to report an anomaly (2 to 50).
        max_clients: Maximum concurrent WebSocket connections; further ones are rejected with HTTP 503 (1 to 1000000).
        max_clients_per_address: Maximum concurrent WebSocket connections per address (IPv6: per /64), and separately of
            HTTP connections (1 to 1000000).
        max_http_connections: Maximum concurrent HTTP connections (including pending upgrades); further ones are closed
            (1 to 1000000).
        max_connections_per_second: Maximum new connections per second and address; further ones are closed (1 to
            1000000).
        max_tracked_addresses: Maximum number of disconnected addresses tracked by the rate limiter (100 to 1000000).
        max_messages_per_second: Maximum messages per second and connection; further ones are rejected, then the
            connection is closed with 1008 (1 to 1000000).
        max_subscriptions: Maximum skills a connection can subscribe to by name (1 to 50).
        max_message_bytes: Maximum size of a client message, in bytes (1024 to 16777216).
        max_header_bytes: Maximum size of an HTTP request header, in bytes (1024 to 65536).
        max_pending_bytes: Per-client backpressure limit: stop reading requests when this many response bytes are queued
            (4096 to 1073741824).
        compression: Compress messages (permessage-deflate) for clients that offer it; a broadcast is compressed once,
            not per client.
        handshake_timeout: Timeout of a new connection until its request is complete, including the TLS handshake
            (seconds, 0.1 to 600).
        idle_timeout: Timeout of an HTTP connection between a response and the next request (seconds, 0.1 to 3600).
        write_timeout: Timeout for a client to receive one message or response before it is disconnected (seconds, 0.1
            to 3600).
        ping_interval: Time between two keep-alive pings (seconds, 0.1 to 3600).
        ping_timeout: Time without data from a client after which it is disconnected; more than ping_interval (seconds,
            0.1 to 7200).
        shutdown_timeout: Graceful shutdown timeout: time to close all clients before their connections are aborted
            (seconds, 0 to 60).
        busy_timeout: How long startup waits for a locked database (seconds, 0 to 60).
        max_rows_per_cycle: Maximum new rows read in one cycle; the rest is read in the next (100 to 10000000).
        replace_triggers: Replace the triggers of a database that another tool created.
        retention: Delete invocations older than this, in seconds, once a day, in whole days; 0 keeps all. Otherwise at
            least an hour more than ``window``, twice ``baseline_window`` and a day, up to 3153600000. Totals and hourly
            rollups are kept.
        tools: Additional developer tools to recognize in shell commands, as comma-separated command=skill pairs, such
            as just test=just-test.
        hook_timeout: Timeout after which a tool use that started but never finished is recorded as failed (seconds, 60
            to 86400).
        max_body_bytes: Maximum size of an ingestion request body, in bytes (1024 to 67108864).
        max_intake_bytes: Maximum bytes of ingestion requests in flight (received, not yet committed), at least
            max_body_bytes; further requests are rejected with 429 (1024 to 1073741824).
        max_spool_events: Maximum hook events spooled to disk while the database is not writable; further events are
            dropped (100 to 100000).
        min_body_rate: Minimum rate of an ingestion request body, in bytes per second; a slower request is rejected (16
            to 1073741824).
        max_write_lock: Maximum time an ingestion transaction holds the database's write lock; a longer batch is split
            (seconds, 0.005 to 10).
        max_values_per_skill: Maximum distinct error types, and distinct workflow paths, stored per skill; further ones
            become other (16 to 10000).
        max_queries: Maximum queued HTTP API queries; further ones are rejected with 503 (1 to 10000).
        max_response_bytes: Maximum bytes of responses to queries that clients have not read yet; further queries are
            rejected (1048576 to 17179869184).
        query_timeout: Timeout of an HTTP API query, including time in the queue (seconds, 0.1 to 300).
        max_pending_snapshots: Maximum snapshots queued for a slow subscriber; the oldest is dropped first (1 to 10000).

    Raises:
        TypeError, ValueError: An argument has a wrong type or is out of range; the message names it.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8765,
        db_path: str | os.PathLike[str] | None = None,
        update_interval: float = 1.0,
        *,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
        tls_client_ca: str | os.PathLike[str] | None = None,
        auth_token_file: str | os.PathLike[str] | None = None,
        jwt_secret: str | None = None,
        jwt_public_key: str | os.PathLike[str] | None = None,
        jwt_audience: str | None = None,
        jwt_issuer: str | None = None,
        jwt_leeway: float = 30.0,
        auth_timeout: float = 5.0,
        max_auth_failures_per_second: int = 1,
        insecure: bool = False,
        behind_proxy: bool = False,
        trusted_proxies: str = "loopback",
        allow_origin: str = "",
        allow_host: str = "",
        push: bool = False,
        push_min_interval: float = 0.05,
        window: float = 86400.0,
        top_skills: int = 10,
        session_window: float = 1800.0,
        max_sessions: int = 1000,
        max_tracked_skills: int = 10000,
        max_tracked_sessions: int = 10000,
        max_tracked_error_types: int = 10000,
        metrics_max_skills: int = 200,
        metrics_max_phases: int = 10,
        anomaly_threshold: float = 2.0,
        observation_window: float = 3600.0,
        baseline_window: float = 86400.0,
        anomaly_min_samples: int = 5,
        max_clients: int = 100,
        max_clients_per_address: int = 100,
        max_http_connections: int = 256,
        max_connections_per_second: int = 200,
        max_tracked_addresses: int = 10000,
        max_messages_per_second: int = 100,
        max_subscriptions: int = 50,
        max_message_bytes: int = 65536,
        max_header_bytes: int = 8192,
        max_pending_bytes: int = 1048576,
        compression: bool = False,
        handshake_timeout: float = 10.0,
        idle_timeout: float = 60.0,
        write_timeout: float = 30.0,
        ping_interval: float = 20.0,
        ping_timeout: float = 40.0,
        shutdown_timeout: float = 2.0,
        busy_timeout: float = 5.0,
        max_rows_per_cycle: int = 50000,
        replace_triggers: bool = False,
        retention: float = 0.0,
        tools: str = "",
        hook_timeout: float = 3600.0,
        max_body_bytes: int = 8388608,
        max_intake_bytes: int = 33554432,
        max_spool_events: int = 10000,
        min_body_rate: int = 16384,
        max_write_lock: float = 0.05,
        max_values_per_skill: int = 256,
        max_queries: int = 64,
        max_response_bytes: int = 134217728,
        query_timeout: float = 5.0,
        max_pending_snapshots: int = 16,
    ) -> None:
        settings: dict[str, object] = {
            "host": host,
            "port": port,
            "update_interval": update_interval,
            "jwt_leeway": jwt_leeway,
            "auth_timeout": auth_timeout,
            "max_auth_failures_per_second": max_auth_failures_per_second,
            "insecure": insecure,
            "behind_proxy": behind_proxy,
            "trusted_proxies": trusted_proxies,
            "allow_origin": allow_origin,
            "allow_host": allow_host,
            "push": push,
            "push_min_interval": push_min_interval,
            "window": window,
            "top_skills": top_skills,
            "session_window": session_window,
            "max_sessions": max_sessions,
            "max_tracked_skills": max_tracked_skills,
            "max_tracked_sessions": max_tracked_sessions,
            "max_tracked_error_types": max_tracked_error_types,
            "metrics_max_skills": metrics_max_skills,
            "metrics_max_phases": metrics_max_phases,
            "anomaly_threshold": anomaly_threshold,
            "observation_window": observation_window,
            "baseline_window": baseline_window,
            "anomaly_min_samples": anomaly_min_samples,
            "max_clients": max_clients,
            "max_clients_per_address": max_clients_per_address,
            "max_http_connections": max_http_connections,
            "max_connections_per_second": max_connections_per_second,
            "max_tracked_addresses": max_tracked_addresses,
            "max_messages_per_second": max_messages_per_second,
            "max_subscriptions": max_subscriptions,
            "max_message_bytes": max_message_bytes,
            "max_header_bytes": max_header_bytes,
            "max_pending_bytes": max_pending_bytes,
            "compression": compression,
            "handshake_timeout": handshake_timeout,
            "idle_timeout": idle_timeout,
            "write_timeout": write_timeout,
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "shutdown_timeout": shutdown_timeout,
            "busy_timeout": busy_timeout,
            "max_rows_per_cycle": max_rows_per_cycle,
            "replace_triggers": replace_triggers,
            "retention": retention,
            "tools": tools,
            "hook_timeout": hook_timeout,
            "max_body_bytes": max_body_bytes,
            "max_intake_bytes": max_intake_bytes,
            "max_spool_events": max_spool_events,
            "min_body_rate": min_body_rate,
            "max_write_lock": max_write_lock,
            "max_values_per_skill": max_values_per_skill,
            "max_queries": max_queries,
            "max_response_bytes": max_response_bytes,
            "query_timeout": query_timeout,
        }
        # Empty is an error for these and does not mean "none", so None is left out.
        for name, value in {
            "db_path": db_path,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_client_ca": tls_client_ca,
            "auth_token_file": auth_token_file,
            "jwt_secret": jwt_secret,
            "jwt_public_key": jwt_public_key,
            "jwt_audience": jwt_audience,
            "jwt_issuer": jwt_issuer,
        }.items():
            if value is not None:
                settings[name] = _path(value)
        if isinstance(max_pending_snapshots, bool) or not isinstance(max_pending_snapshots, int):
            raise TypeError(f"max_pending_snapshots must be an int, not {type(max_pending_snapshots).__name__}")
        if not 1 <= max_pending_snapshots <= 10_000:
            raise ValueError(f"max_pending_snapshots must be from 1 to 10000, not {max_pending_snapshots}")
        self._native = _native.RealTimeServer(settings)
        self._settings = self._native.settings()
        self._subscribers = Subscribers(self._native, max_pending_snapshots)
        self._process = os.getpid()
        self._state_lock = threading.Lock()  # guards _run; held for moments only
        self._native_lock = threading.Lock()  # one start or stop at a time; held by helper threads, never by a loop
        self._run: _Run | None = None

    def __repr__(self) -> str:
        where = " ".join(self.endpoints) or f"{self.host}:{self.port}, not running"
        return f"<RealTimeMetricsServer {where}>"

    @property
    def host(self) -> str:
        """The host that was asked for."""
        return str(self._settings["host"])

    @property
    def port(self) -> int:
        """The bound port while it runs, else the one that was asked for."""
        run = self._run
        return run.port if run is not None and run.started else int(str(self._settings["port"]))

    @property
    def endpoints(self) -> list[str]:
        """The bound addresses while it runs, such as "127.0.0.1:8765" and "[::1]:8765"."""
        run = self._run
        return list(run.endpoints) if run is not None and run.started else []

    @property
    def running(self) -> bool:
        """Whether it accepts clients."""
        run = self._run
        return run is not None and run.started

    @property
    def db_path(self) -> str:
        """The absolute path of the database."""
        return str(self._settings["db_path"])

    @property
    def settings(self) -> dict[str, bool | int | float | str]:
        """Every setting, durations in seconds; of a secret no more than "(hidden)"."""
        return dict(self._settings)

    async def start(self) -> None:
        """Binds, then serves until stop() is called or this is cancelled; clients then get close code 1001.

        Raises:
            OSError: It cannot listen there; errno is EADDRINUSE for a taken port.
            ssl.SSLError: A certificate or key cannot be used; the message names the file and the reason.
            ValueError: The tokens or their key cannot be used, or it would listen beyond loopback without TLS or
                authentication.
            session_buddy.storage.StorageError: The database cannot be used.
            RuntimeError: It runs already.
        """
        run = await self._begin()
        try:
            await run.ended.wait()
        except GeneratorExit:  # thrown away with its loop, which can no longer wait for anything
            self._stop_native(run)
            raise
        except BaseException:
            await run_blocking(functools.partial(self._stop_native, run))
            raise

    async def stop(self) -> None:
        """Closes every client with 1001, frees the port and returns when all has ended; no-op when not running."""
        self._check_process()
        run = self._run
        if run is not None:
            await run_blocking(functools.partial(self._stop_native, run))

    async def reload(self) -> None:
        """Reads certificates and tokens anew. Connections that are there stay, but for those whose token is gone.

        Nothing where it does not run: each start reads them.

        Raises:
            ssl.SSLError: A certificate or key cannot be used. The server goes on with all that it had.
            ValueError: The tokens or their key cannot be used. The same.
        """
        self._check_process()
        await run_blocking(self._native.reload)

    async def __aenter__(self) -> Self:
        await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def register_metrics_subscriber(self, callback: MetricsCallback) -> MetricsSubscription:
        """Has `callback` called with every snapshot as a dict, on the event loop that runs the server.

        The dict has the form of a `metrics_update` of the WebSocket API (`type`, `timestamp`, `data`), and next to it
        `sequence`, `sessions` and `database`.

        It may be a coroutine function; the next snapshot is delivered to it when it is done. What it raises is logged.
        A slow one misses the oldest of its waiting snapshots; the server and other subscribers are not held up, except
        that a plain function blocks the loop as long as it runs. It stays registered across a restart.

        Returns:
            The subscription; its `unregister()` ends it.
        """
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        return self._subscribers.add(callback)

    def snapshot(self) -> Snapshot:
        """The newest snapshot; `sequence` is 0 before the first start."""
        return self._native.snapshot()

    def get_metrics(self, skill_name: str) -> SkillSummary | None:
        """Lifetime figures of one skill as the server knows them now; None for a skill that it does not know."""
        return self._native.metrics(skill_name)

    def stop_now(self) -> None:
        """stop() for code without an event loop; blocks until all has ended."""
        self._check_process()
        run = self._run
        if run is not None:
            self._stop_native(run)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("this server belongs to the process that made it, not to its fork")

    async def _begin(self) -> _Run:
        self._check_process()
        run = _Run(asyncio.get_running_loop())
        with self._state_lock:
            if self._run is not None:
                raise RuntimeError("the server runs already; stop it first")
            self._run = run
        try:
            await run_blocking(functools.partial(self._start_native, run))
        except GeneratorExit:
            self._stop_native(run)
            raise
        except BaseException:
            await run_blocking(functools.partial(self._stop_native, run))
            raise
        return run

    def _start_native(self, run: _Run) -> None:
        with self._native_lock:
            if run.stop_requested:
                return
            _runtime.ensure_logging()
            # Before the start: had it to be done after it and could not, nobody would stop the server at exit.
            _runtime.add_server(self)
            self._subscribers.attach(run.loop)
            self._native.start()
            run.port = self._native.port()
            run.endpoints = tuple(self._native.endpoints())
            run.started = True

    def _stop_native(self, run: _Run) -> None:
        run.stop_requested = True
        with self._native_lock:
            with self._state_lock:
                if self._run is not run:
                    return  # somebody else has ended this run
            run.started = False
            self._subscribers.detach()
            self._native.stop()
            _runtime.remove_server(self)
            with self._state_lock:
                self._run = None
        run.end()
