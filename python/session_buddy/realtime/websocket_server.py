"""The WebSocket server for asyncio programs. It serves on native threads, without the interpreter."""

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
        """Wake start(); thread-safe."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self.loop.call_soon_threadsafe(self.ended.set)


class RealTimeMetricsServer:
    """Follows a skills database and streams live metrics to WebSocket clients.

    `await start()` runs it until `stop()` or cancellation; `async with` runs it in the background. It can be started
    again after a stop. All methods may be called from any thread and any event loop.

    None, for a security option, is the value of its environment variable (SESSION_BUDDY_TLS_CERT, …), if set; for
    db_path, that of SESSION_BUDDY_DB_PATH, else of the config file, else the default.

    Args:
        host: Address or name to listen on; localhost means 127.0.0.1 and ::1.
        port: TCP port to listen on, 0 to 65535; 0 picks a free port.
        db_path: SQLite database to follow; created with the V4 schema if missing, in an existing directory. Default:
            ./.session-buddy/skills.db if it exists, else skills.db in the user's data directory.
        update_interval: Time between two broadcasts, 0.01 to 3600 seconds.
        tls_cert: PEM file with the server's certificate followed by its chain; when set, the port accepts TLS
            connections only.
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
        jwt_leeway: Allowed clock skew when validating JWT exp and nbf, 0 to 600 seconds.
        auth_timeout: Timeout for a new client to authenticate, 0.1 to 60 seconds; also the maximum delay of a rejected
            attempt.
        max_auth_failures_per_second: Failed authentication attempts per second and address before further failures are
            delayed, 1 to 1000.
        insecure: Allow listening on non-loopback addresses without TLS (or behind_proxy) or without authentication.
        behind_proxy: Trust the X-Forwarded-For and X-Forwarded-Proto headers of trusted_proxies for a client's address
            and protocol.
        trusted_proxies: Addresses and networks of the reverse proxies, comma-separated, such as 10.0.0.0/8,2001:db8::1;
            loopback means 127.0.0.0/8 and ::1.
        allow_origin: Additional allowed origins (CORS, WebSocket), comma-separated, such as https://app.example.org or
            https://*.example.org, or null for pages without an origin; loopback and same-origin are always allowed.
        allow_host: Additional allowed Host names, comma-separated, such as app.example.org or *.example.org; loopback
            names and host are always allowed.
        busy_timeout: How long startup waits for a locked database, 0 to 60 seconds.
        max_rows_per_cycle: Maximum new rows read in one cycle, 100 to 10000000; the rest is read in the next.
        replace_triggers: Replace the triggers of a database that another tool created.
        retention: Delete invocations older than this, once a day, in whole days (0: keep all), 0 to 3153600000 seconds;
            totals and hourly rollups are kept.
        tools: Additional developer tools to recognize in shell commands, as comma-separated command=skill pairs, such
            as just test=just-test.
        builtin_commands: Record slash commands that Claude Code itself provides, such as /clear and /context, in
            addition to skills.
        hook_timeout: Timeout after which a tool use that started but never finished is recorded with an unknown
            outcome, 60 to 86400 seconds.
        max_body_bytes: Maximum size of an ingestion request body, in bytes, 1024 to 67108864.
        max_intake_bytes: Maximum bytes of ingestion requests in flight (received, not yet committed), 1024 to
            1073741824; further requests are rejected with 429.
        max_spool_events: Maximum hook events spooled to disk while the database is not writable, 100 to 100000; further
            events are dropped.
        min_body_rate: Minimum rate of an ingestion request body, in bytes per second, 16 to 1073741824; a slower
            request is rejected.
        max_write_lock: Maximum time an ingestion transaction holds the database's write lock, 0.005 to 10 seconds; a
            longer batch is split.
        max_values_per_skill: Maximum distinct error types, and distinct workflow paths, stored per skill, 16 to 10000;
            further ones become other.
        max_queries: Maximum queued HTTP API queries, 1 to 10000; further ones are rejected with 503.
        max_response_bytes: Maximum bytes of responses to queries that clients have not read yet, 1048576 to
            17179869184; further queries are rejected.
        query_timeout: Timeout of an HTTP API query, including time in the queue, 0.1 to 300 seconds.
        push: Broadcast new invocations immediately, in addition to the regular interval.
        push_min_interval: Minimum time between two broadcasts in push mode, 0.01 to 60 seconds.
        window: Length of the sliding window of top_skills, 60 to 2678400 seconds.
        top_skills: Number of skills in top_skills, 1 to 1000.
        session_window: Time without activity after which a session is no longer active, 60 to 86400 seconds.
        max_sessions: Maximum active sessions sent to subscribers, most recent first, 1 to 100000.
        max_tracked_skills: Maximum skills tracked in the sliding windows, 10 to 1000000; the invocations of further
            skills are summed as other.
        max_tracked_sessions: Maximum sessions tracked, 10 to 1000000; the invocations of further sessions are summed as
            other.
        max_tracked_error_types: Maximum error types that anomalies distinguish, 10 to 1000000; further ones count as
            other.
        metrics_max_skills: Maximum skills with their own series in GET /metrics, in order of appearance, 1 to 10000;
            further skills are summed as other.
        metrics_max_phases: Maximum workflow phases per skill with their own series in GET /metrics, 1 to 100; further
            phases are summed as other.
        anomaly_threshold: Minimum deviation from the baseline, in standard deviations, to report an anomaly, 0.5 to 10.
        observation_window: Length of the observation window, which is compared with the baseline, 60 to 86400 seconds.
        baseline_window: Length of the baseline window, 600 to 2678400 seconds; at least twice observation_window.
        anomaly_min_samples: Minimum invocations in each of observation and baseline to report an anomaly, 2 to 50.
        alert_budget: Expected false alerts of the whole server while nothing changes, as a rate such as 1/week, 0.5/day
            or 1/month, or off.
        alert_on_silence: Also report an alert for a skill that was used regularly and no longer is.
        max_clients: Maximum concurrent WebSocket connections, 1 to 1000000; further ones are rejected.
        max_clients_per_address: Maximum concurrent WebSocket connections per address (IPv6: per /64), and separately of
            HTTP connections, 1 to 1000000.
        max_http_connections: Maximum concurrent HTTP connections (including pending upgrades), 1 to 1000000; further
            ones are closed.
        max_connections_per_second: Maximum new connections per second and address, 1 to 1000000; further ones are
            closed.
        max_tracked_addresses: Maximum number of disconnected addresses tracked by the rate limiter, 100 to 1000000.
        max_messages_per_second: Maximum messages per second and connection, 1 to 1000000; further ones are rejected,
            then the connection is closed.
        max_subscriptions: Maximum skills a connection can subscribe to by name, 1 to 50.
        max_message_bytes: Maximum size of a client message, in bytes, 1024 to 16777216.
        max_header_bytes: Maximum size of an HTTP request header, in bytes, 1024 to 65536.
        max_pending_bytes: Per-client backpressure limit: stop reading requests when this many response bytes are
            queued, 4096 to 1073741824.
        compression: Compress messages (permessage-deflate) for clients that offer it; a broadcast is compressed once,
            not per client.
        handshake_timeout: Timeout of a new connection until its request is complete, including the TLS handshake, 0.1
            to 600 seconds.
        idle_timeout: Timeout of an HTTP connection between a response and the next request, 0.1 to 3600 seconds.
        write_timeout: Timeout for a client to receive one message or response before it is disconnected, 0.1 to 3600
            seconds.
        ping_interval: Time between two keep-alive pings, 0.1 to 3600 seconds.
        ping_timeout: Time without data from a client after which it is disconnected, 0.1 to 7200 seconds; more than
            ping_interval.
        shutdown_timeout: Graceful shutdown timeout: time to close all clients before their connections are aborted, 0
            to 60 seconds.
        max_pending_snapshots: Maximum snapshots queued for a busy subscriber before the oldest is dropped, 1 to 10000.

    Raises:
        TypeError, ValueError: An argument has a wrong type or is out of range; the message names it.
    """

    # scripts/write_options.py writes Args above and the parameters below from the option table.
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
        busy_timeout: float = 5.0,
        max_rows_per_cycle: int = 50000,
        replace_triggers: bool = False,
        retention: float = 0.0,
        tools: str = "",
        builtin_commands: bool = False,
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
        alert_budget: str = "1/week",
        alert_on_silence: bool = False,
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
        max_pending_snapshots: int = 16,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name not in ("self", "max_pending_snapshots")}
        if isinstance(max_pending_snapshots, bool) or not isinstance(max_pending_snapshots, int):
            raise TypeError(f"max_pending_snapshots must be an int, not {type(max_pending_snapshots).__name__}")
        if not 1 <= max_pending_snapshots <= 10_000:
            raise ValueError(f"max_pending_snapshots must be from 1 to 10000, not {max_pending_snapshots}")
        self._native = _native.RealTimeServer(settings)
        self._settings = self._native.settings()
        self._subscribers = Subscribers(self._native, max_pending_snapshots)
        self._process = os.getpid()
        self._state_lock = threading.Lock()  # guards _run; held briefly
        self._native_lock = threading.Lock()  # one start or stop at a time; held by helper threads, never by a loop
        self._run: _Run | None = None

    def __repr__(self) -> str:
        where = " ".join(self.endpoints) or f"{self.host}:{self.port}, not running"
        return f"<RealTimeMetricsServer {where}>"

    @property
    def host(self) -> str:
        """The configured host."""
        return str(self._settings["host"])

    @property
    def port(self) -> int:
        """The bound port while running, else the configured one."""
        run = self._run
        return run.port if run is not None and run.started else int(str(self._settings["port"]))

    @property
    def endpoints(self) -> list[str]:
        """The bound addresses while running, such as "127.0.0.1:8765" and "[::1]:8765"."""
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
        """All settings, durations in seconds; secrets appear as "(hidden)"."""
        return dict(self._settings)

    async def start(self) -> None:
        """Bind, then serve until stop() or cancellation; clients are then closed with code 1001.

        Raises:
            OSError: Cannot listen on the address; errno is EADDRINUSE if the port is in use.
            ssl.SSLError: Invalid certificate or key; the message contains the file and the reason.
            ValueError: Invalid tokens or JWT key, or a non-loopback address without TLS or authentication.
            session_buddy.storage.StorageError: The database cannot be used.
            RuntimeError: The server is already running.
        """
        run = await self._begin()
        try:
            await run.ended.wait()
        except GeneratorExit:  # the coroutine is destroyed with its loop: nothing can be awaited
            self._stop_native(run)
            raise
        except BaseException:
            await run_blocking(functools.partial(self._stop_native, run))
            raise

    async def stop(self) -> None:
        """Shut down gracefully: close all clients with 1001, free the port, wait for the end; no-op if not running."""
        self._check_process()
        run = self._run
        if run is not None:
            await run_blocking(functools.partial(self._stop_native, run))

    async def reload(self) -> None:
        """Reload certificates and tokens. Open connections stay, except those whose token was removed.

        No-op if not running: each start reads them.

        Raises:
            ssl.SSLError: Invalid certificate or key; the server keeps its previous ones.
            ValueError: Invalid tokens or JWT key; the server keeps its previous ones.
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
        """Call `callback` with every snapshot as a dict, on the event loop that runs the server.

        The dict is a `metrics_update` of the WebSocket API (`type`, `timestamp`, `data`) with the additional keys
        `sequence`, `sessions` and `database`.

        The callback may be a coroutine function; the next snapshot is delivered when it has finished. Its exceptions
        are logged. If it is slow, the oldest queued snapshots are dropped; the server and other subscribers are not
        delayed, except that a plain function blocks the event loop. It stays registered across a restart.

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
        """Current lifetime metrics of one skill; None for an unknown skill."""
        return self._native.metrics(skill_name)

    def stop_now(self) -> None:
        """Blocking stop(), for code without an event loop."""
        self._check_process()
        run = self._run
        if run is not None:
            self._stop_native(run)

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("this server cannot be used in a forked process; create another one there")

    async def _begin(self) -> _Run:
        self._check_process()
        run = _Run(asyncio.get_running_loop())
        with self._state_lock:
            if self._run is not None:
                raise RuntimeError("the server is already running; stop it first")
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
            # Before the start: an error in between must not leave a running server that is not stopped at exit.
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
                    return  # another thread has ended this run
            run.started = False
            self._subscribers.detach()
            self._native.stop()
            _runtime.remove_server(self)
            with self._state_lock:
                self._run = None
        run.end()
