"""The dicts that the server hands to Python programs. Keys are those of the WebSocket API."""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "ActiveSession",
    "Anomaly",
    "AnomalyDetails",
    "DatabaseHealth",
    "ErrorCount",
    "MetricsData",
    "SkillSummary",
    "Snapshot",
    "TopSkill",
]


class TopSkill(TypedDict):
    """A skill over the sliding window."""

    skill_name: str
    invocation_count: int
    completed_count: int
    avg_duration: float  # seconds; 0.0 where no completed invocation has a duration
    last_invocation_at: str  # UTC, YYYY-MM-DDTHH:MM:SSZ


class ErrorCount(TypedDict):
    """How often an error type occurs among the observed failures."""

    error_type: str
    count: int


class AnomalyDetails(TypedDict):
    """What explains an anomaly. On the wire only where a subscription asks for it."""

    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # deviation_score with its sign: negative where the observed value is the smaller one
    tail_probability: float  # 0 to 1: of a deviation at least this large on this side where nothing has changed
    since: str  # when the episode started; UTC, YYYY-MM-DDTHH:MM:SSZ
    common_errors: list[ErrorCount]  # the most common first, at most three


class Anomaly(TypedDict):
    """A skill that behaves unlike its baseline now."""

    skill_name: str
    anomaly_type: str  # performance_drop, performance_spike (rates, 0 to 1) or pattern_shift (seconds)
    baseline_value: float
    observed_value: float
    deviation_score: float  # |z|, at or above the threshold
    details: AnomalyDetails


class ActiveSession(TypedDict):
    """A session with recent activity."""

    session_id: str
    first_activity_at: str
    last_activity_at: str
    invocations: int
    completed: int
    distinct_skills: int


class DatabaseHealth(TypedDict):
    """Whether the last cycle could read the database, and if not, why."""

    readable: bool
    reason: str


class MetricsData(TypedDict):
    """The metrics of a snapshot."""

    top_skills: list[TopSkill]
    anomalies: list[Anomaly]


class Snapshot(TypedDict):
    """What one cycle of the server published: the message `metrics_update`, and what only embedding programs get."""

    type: Literal["metrics_update"]
    timestamp: str  # UTC, YYYY-MM-DDTHH:MM:SSZ
    data: MetricsData
    sequence: int  # counts up by one a cycle from 1; 0 before the first
    sessions: list[ActiveSession]
    database: DatabaseHealth


class SkillSummary(TypedDict):
    """A skill over its whole recorded life."""

    skill_name: str
    total_invocations: int
    completion_rate: float  # 0 to 1
    avg_duration_seconds: float
    last_invocation_at: str | None
