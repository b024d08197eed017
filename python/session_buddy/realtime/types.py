"""Types of the dicts that the server passes to Python programs, with the keys of the WebSocket API."""

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
    """Metrics of a skill over the sliding window."""

    skill_name: str
    invocation_count: int
    completed_count: int
    avg_duration: float  # seconds; 0.0 if no completed invocation has a duration
    last_invocation_at: str  # UTC, YYYY-MM-DDTHH:MM:SSZ


class ErrorCount(TypedDict):
    """How often an error type occurs among the observed failures."""

    error_type: str
    count: int


class AnomalyDetails(TypedDict):
    """Details of an anomaly. On the wire only if the subscription requests them."""

    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # signed deviation_score: negative if the observed value is below the baseline
    tail_probability: float  # one-sided p-value, 0 to 1
    since: str  # when the episode started; UTC, YYYY-MM-DDTHH:MM:SSZ
    common_errors: list[ErrorCount]  # the most common first, at most three


class Anomaly(TypedDict):
    """A skill that currently deviates from its baseline."""

    skill_name: str
    anomaly_type: str  # performance_drop, performance_spike (rates, 0 to 1) or pattern_shift (seconds)
    baseline_value: float
    observed_value: float
    deviation_score: float  # |z|, at or above the threshold
    details: AnomalyDetails


class ActiveSession(TypedDict):
    """An agent session with recent activity."""

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
    """The state published by one cycle of the server: a `metrics_update`, with additional keys for programs."""

    type: Literal["metrics_update"]
    timestamp: str  # UTC, YYYY-MM-DDTHH:MM:SSZ
    data: MetricsData
    sequence: int  # incremented by one per cycle, from 1; 0 before the first
    sessions: list[ActiveSession]
    database: DatabaseHealth


class SkillSummary(TypedDict):
    """Lifetime metrics of a skill."""

    skill_name: str
    total_invocations: int
    completion_rate: float  # 0 to 1
    avg_duration_seconds: float
    last_invocation_at: str | None
