"""Prometheus exporter for programs that track skills themselves, without the server."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, start_http_server
from prometheus_client.registry import Collector

from session_buddy._arguments import checked_duration, checked_name

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PrometheusExporter"]

_DURATION_BUCKETS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)  # seconds
_OTHER = "other"
_NO_PHASE = "none"
_MAX_SKILLS = 10_000
_MAX_PHASES = 10  # per skill
_MAX_ANOMALY_TYPES = 20


class _BoundedLabels:
    """Label values up to a limit; further ones become `other`, which bounds the number of series."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def label(self, name: str) -> str:
        if name == _OTHER:
            return name
        with self._lock:
            if name not in self._known:
                if len(self._known) >= self._limit:
                    return _OTHER
                self._known.add(name)
        return name


class _WithoutCreatedSamples(Collector):
    """Metrics without their `_created` samples, which Prometheus would store as additional series."""

    def __init__(self, metrics: Sequence[Counter | Gauge | Histogram]) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        for metric in self._metrics:
            yield from metric.describe()

    def collect(self) -> Iterable[Metric]:
        for metric in self._metrics:
            for family in metric.collect():
                family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
                yield family


class _Handler(WSGIRequestHandler):
    """Request handler with a timeout for silent clients; disconnects are not logged as errors."""

    timeout = 10  # seconds

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class PrometheusExporter:
    """Counts recorded invocations and serves them on `/metrics`, under the same metric names as the server.

    Use `start` and `stop`, or ``with``; after a restart the counters continue. Thread-safe. Several exporters in one
    process are independent.

    Names of skills, workflow phases and anomaly types are 1 to 256 bytes of UTF-8 without control characters. Skills
    beyond the first `max_skills`, phases beyond the first 10 of a skill and anomaly types beyond the first 20 are
    summed as ``other``; invocations without a phase are counted as ``none``.

    Args:
        port: TCP port, 0 to 65535; 0 picks a free port, and `port` returns it.
        host: Address or name to listen on; "localhost" means 127.0.0.1. There is no TLS and no authentication, so
            listen on other addresses only in a trusted network.
        max_skills: Maximum skills with their own series, 1 to 10000.

    Raises:
        TypeError, ValueError: An argument has a wrong type or is out of range; the message names it.
    """

    def __init__(self, port: int = 9090, *, host: str = "localhost", max_skills: int = 200) -> None:
        self._requested_port = _checked_int("port", port, 0, 65535)
        if not isinstance(host, str):
            raise TypeError(f"host must be a str, not {type(host).__name__}")
        if not host:
            raise ValueError("host must be an address or a name, not empty; 0.0.0.0 means every address")
        self._host = host
        self._skills = _BoundedLabels(_checked_int("max_skills", max_skills, 1, _MAX_SKILLS))
        self._phases: dict[str, _BoundedLabels] = {}  # by the label of the skill
        self._anomaly_types = _BoundedLabels(_MAX_ANOMALY_TYPES)
        self._invocations = Counter(
            "skill_invocations_total",
            "Invocations of skills.",
            ["skill_name", "workflow_phase", "completed"],
            registry=None,
        )
        self._durations = Histogram(
            "skill_duration_seconds",
            "Durations of completed invocations.",
            ["skill_name", "workflow_phase"],
            buckets=_DURATION_BUCKETS,
            registry=None,
        )
        self._completion_rates = Gauge(
            "skill_completion_rate", "Fraction of completed invocations, 0 to 1.", ["skill_name"], registry=None
        )
        self._active_sessions = Gauge("active_sessions_total", "Active sessions.", registry=None)
        self._anomalies = Counter(
            "anomalies_detected_total", "Anomalies detected.", ["anomaly_type", "skill_name"], registry=None
        )
        self._registry = CollectorRegistry()
        self._registry.register(
            _WithoutCreatedSamples(
                [
                    self._invocations,
                    self._durations,
                    self._completion_rates,
                    self._active_sessions,
                    self._anomalies,
                ]
            )
        )
        self._lock = threading.Lock()  # serializes start and stop
        self._running: tuple[WSGIServer, threading.Thread, int] | None = None  # server, thread, process id of start()

    def __repr__(self) -> str:
        return f"<PrometheusExporter {self._host}:{self.port}{'' if self.running else ', not running'}>"

    @property
    def host(self) -> str:
        """The configured host."""
        return self._host

    @property
    def port(self) -> int:
        """The bound port while running, else the configured one."""
        running = self._running
        return self._requested_port if running is None else running[0].server_port

    @property
    def running(self) -> bool:
        """Whether the exporter is running."""
        return self._running is not None

    def start(self) -> None:
        """Listen and serve on daemon threads.

        Raises:
            OSError: Cannot listen on the address; errno is EADDRINUSE if the port is in use.
            RuntimeError: The exporter is already running.
        """
        with self._lock:
            if self._running is not None:
                raise RuntimeError("the exporter is already running; stop it first")
            address = "127.0.0.1" if self._host == "localhost" else self._host
            server, thread = start_http_server(self._requested_port, address, self._registry)
            server.RequestHandlerClass = _Handler
            self._running = server, thread, os.getpid()

    def stop(self) -> None:
        """Stop and free the port within a second; no-op if not running."""
        with self._lock:
            running, self._running = self._running, None
            if running is None:
                return
            server, thread, process = running
            if process == os.getpid():  # in a forked process the thread does not exist, and this would wait forever
                server.shutdown()
                thread.join()
            server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def record_invocation(
        self,
        skill_name: str,
        workflow_phase: str | None = None,
        completed: bool = True,
        duration_seconds: float | None = None,
    ) -> None:
        """Count an invocation that has ended.

        Args:
            workflow_phase: None or empty: without a phase.
            completed: Whether it completed.
            duration_seconds: 0 to 100,000,000; None if unknown. Used only if the invocation completed.

        Raises:
            TypeError, ValueError: An argument is invalid; the message names it, and nothing was counted.
        """
        name = checked_name("skill_name", skill_name)
        phase = checked_name("workflow_phase", workflow_phase) if workflow_phase not in (None, "") else _NO_PHASE
        if not isinstance(completed, bool):
            raise TypeError(f"completed must be a bool, not {type(completed).__name__}")
        duration = None if duration_seconds is None else checked_duration(duration_seconds)
        skill_label = self._skills.label(name)
        phase_label = phase
        if phase != _NO_PHASE:
            phase_label = self._phases.setdefault(skill_label, _BoundedLabels(_MAX_PHASES)).label(phase)
        for outcome in (True, False):  # both series exist from the first invocation on, so that PromQL ratios work
            counter = self._invocations.labels(skill_label, phase_label, str(outcome).lower())
            if outcome == completed:
                counter.inc()
        if duration is not None and completed:
            self._durations.labels(skill_label, phase_label).observe(duration)

    def update_completion_rate(self, skill_name: str, rate: float) -> None:
        """Set the completion rate of a skill, 0 to 1. Ignored for skills that are summed as ``other``.

        Raises:
            TypeError, ValueError: An argument is invalid; the message names it.
        """
        name = checked_name("skill_name", skill_name)
        if isinstance(rate, bool) or not isinstance(rate, (int, float)):
            raise TypeError(f"rate must be a number, not {type(rate).__name__}")
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be from 0 to 1, not {rate}; 95 % is 0.95")
        label = self._skills.label(name)
        if label != _OTHER:  # the rate of one of several skills would be misleading
            self._completion_rates.labels(label).set(rate)

    def record_anomaly(self, anomaly_type: str, skill_name: str) -> None:
        """Count an anomaly that started, such as ``performance_drop``.

        Raises:
            TypeError, ValueError: An argument is invalid; the message names it.
        """
        kind = checked_name("anomaly_type", anomaly_type)
        name = checked_name("skill_name", skill_name)
        self._anomalies.labels(self._anomaly_types.label(kind), self._skills.label(name)).inc()

    def update_active_sessions(self, count: int) -> None:
        """Set the number of active sessions, 0 or more.

        Raises:
            TypeError, ValueError: `count` is invalid.
        """
        self._active_sessions.set(_checked_int("count", count, 0, 2**53))


def _checked_int(argument: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{argument} must be from {least} to {most}, not {value}")
    return value
