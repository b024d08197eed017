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
    "PlainTopSkill",
    "SkillSummary",
    "Snapshot",
    "TopSkill",
]


# <fields PlainTopSkill TopSkill ErrorCount AnomalyDetails Anomaly ActiveSession DatabaseHealth SkillSummary>
class PlainTopSkill(TypedDict):
    """Metrics of one skill in the sliding window (24 hours unless configured)."""

    skill_name: str
    invocation_count: int  # invocations in the window
    completed_count: int  # successful completions in the window, those with an unknown outcome included
    avg_duration: float  # mean duration in seconds of the completed invocations that have one; 0.0 if none has
    last_invocation_at: str  # time of the last invocation


class TopSkill(TypedDict):
    """Metrics of one skill in the sliding window (24 hours unless configured)."""

    skill_name: str
    invocation_count: int  # invocations in the window
    completed_count: int  # successful completions in the window, those with an unknown outcome included
    avg_duration: float  # mean duration in seconds of the completed invocations that have one; 0.0 if none has
    last_invocation_at: str  # time of the last invocation
    # of completed_count: with an unknown outcome, for example because a pipe hid the exit status. Left out of rates
    unknown_count: int
    p50_duration: float | None  # median of the durations behind the mean, estimated within 4 %; null if there is none
    p95_duration: float | None  # their 95th percentile, likewise
    # durations that were measured; further ones are upper bounds, because they may include a wait, and count only if
    # this is 0
    measured_count: int


class ErrorCount(TypedDict):
    """How often one error type occurs."""

    error_type: str
    count: int


class AnomalyDetails(TypedDict):
    """What explains the anomaly. Present only if the subscription asks for it."""

    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # the deviation with its sign: negative where the observed value is the smaller one
    tail_probability: float  # probability of a deviation at least this large on this side if nothing has changed
    since: str  # when it began
    common_errors: list[ErrorCount]  # error types of the observed failures, the most common first; at most three


class Anomaly(TypedDict):
    """One anomaly at or above the threshold now."""

    skill_name: str
    anomaly_type: str
    # value of the baseline: a completion rate from 0 to 1, for pattern_shift a duration in seconds
    baseline_value: float
    observed_value: float  # value of the observation, in the same unit
    deviation_score: float  # absolute z-score of the deviation, at or above the threshold
    details: AnomalyDetails


class ActiveSession(TypedDict):
    """An agent session with recent activity."""

    session_id: str  # the id under which the invocations were recorded
    first_activity_at: str  # time of its first invocation
    last_activity_at: str  # time of its last invocation
    invocations: int  # all its invocations
    completed: int  # those of them that completed, those with an unknown outcome included
    distinct_skills: int  # skills that it used
    unknown: int  # of completed: with an unknown outcome. Older servers do not send it


class DatabaseHealth(TypedDict):
    """Whether the last cycle could read the database."""

    readable: bool
    reason: str  # a short sentence; empty if readable


class SkillSummary(TypedDict):
    """Metrics of one skill over its whole recorded life."""

    skill_name: str
    total_invocations: int  # all recorded invocations
    # completed invocations by all invocations, those with an unknown outcome included, a fraction
    completion_rate: float
    avg_duration_seconds: float  # mean duration in seconds; 0.0 if none is known
    last_invocation_at: str | None  # time of the last invocation; null if the recorded value is not a time


# </fields>


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
