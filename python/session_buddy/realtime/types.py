"""Types of the dicts that the server passes to Python programs, with the keys of the WebSocket API."""

from __future__ import annotations

from typing import Literal, TypedDict

__all__ = [
    "ActiveSession",
    "Alert",
    "AlertLevel",
    "Anomaly",
    "AnomalyDetails",
    "DatabaseHealth",
    "ErrorCount",
    "GrownError",
    "MetricsData",
    "Mute",
    "PlainTopSkill",
    "SkillSummary",
    "Snapshot",
    "TopSkill",
]


# <fields PlainTopSkill TopSkill ErrorCount AlertLevel GrownError Alert Mute AnomalyDetails Anomaly>
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


class AlertLevel(TypedDict):
    """One side of a change: the baseline, or the invocations since."""

    # a completion rate from 0 to 1, or the median of durations in seconds; for silence, the longest usual pause or the
    # present one, in seconds
    value: float
    low: float  # lower end of the 95 % interval
    high: float  # upper end of the 95 % interval
    samples: int  # invocations behind value


class GrownError(TypedDict):
    """An error type that occurs more often than before."""

    error_type: str
    before: float  # share of the invocations before the change
    after: float  # share of the invocations since the change
    count: int  # failures with it since the change


class Alert(TypedDict):
    """A change of one skill that the sequential test confirmed, with what explains it."""

    id: int | None  # to acknowledge it; null while it could not be stored
    skill_name: str
    kind: str  # what changed. completion_rate_rose and duration_fell are improvements, which end immediately
    detected_at: str  # time of the invocation that completed the evidence
    since: str  # most likely time of the change
    since_low: str  # lower end of the 90 % interval of that time
    since_high: str  # upper end of that interval
    before: AlertLevel
    after: AlertLevel
    # if nothing has changed, evidence at least this strong occurs by chance once in this time, in all skills together
    once_in_seconds: float
    failures_in_a_row: int  # up to the latest invocation; 0 for other kinds than completion_rate_fell
    errors: list[GrownError]  # the error types that grew most, at most three
    # the session with at least half of the invocations that carry the change; null if there is none
    session_id: str | None
    session_share: float  # share of the session that carries most of the change
    sessions: int  # sessions since the change; at most 8 are counted
    ended_at: str | None  # null while it is open
    end: str | None  # recovered: the values are those of the baseline again; accepted: the change is the new baseline
    acknowledged_at: str | None  # null if it is not acknowledged
    note: str  # of the acknowledgement, at most 500 bytes; may be empty
    muted: bool  # its skill is muted now


class Mute(TypedDict):
    """A skill whose alerts are detected and listed, but do not interrupt."""

    skill_name: str
    muted_at: str
    until: str | None  # null: until it is removed
    reason: str  # at most 500 bytes; may be empty


class AnomalyDetails(TypedDict):
    """What explains the anomaly. Present only if the subscription asks for it."""

    baseline_samples: int  # invocations behind baseline_value
    observed_samples: int  # invocations behind observed_value
    z_score: float  # the deviation with its sign: negative where the observed value is the smaller one
    tail_probability: float  # probability of a deviation at least this large on this side if nothing has changed
    since: str  # when it began
    common_errors: list[ErrorCount]  # error types of the observed failures, the most common first; at most three
    # the open alert of the same skill and side; null if there is none. Older servers do not send it
    alert: Alert | None


class Anomaly(TypedDict):
    """One anomaly at or above the threshold now."""

    skill_name: str
    anomaly_type: str
    # value of the baseline: a completion rate from 0 to 1, for pattern_shift a duration in seconds
    baseline_value: float
    observed_value: float  # value of the observation, in the same unit
    deviation_score: float  # absolute z-score of the deviation, at or above the threshold
    details: AnomalyDetails


# </fields>


# <fields ActiveSession DatabaseHealth SkillSummary>
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
    alerts: list[Alert]  # the open ones and those that ended within the last hour, newest first


class Snapshot(TypedDict):
    """The state published by one cycle of the server: a `metrics_update`, with additional keys for programs."""

    type: Literal["metrics_update"]
    timestamp: str  # UTC, YYYY-MM-DDTHH:MM:SSZ
    data: MetricsData
    sequence: int  # incremented by one per cycle, from 1; 0 before the first
    sessions: list[ActiveSession]
    database: DatabaseHealth
