"""The native part of session_buddy. Private: use the modules around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from session_buddy.realtime import types as realtime_types

__version__: str

_Row = dict[str, Any]  # the fields of the dataclass that is made from it

MAX_DURATION_SECONDS: float
DURATION_RULE: str
SKILL_NAME_RULE: str
TRANSCRIPT_AGENTS: str
TRANSCRIPT_FOLDERS: str

# <fields OptionDescription SkillMetricsRow>
class OptionDescription(TypedDict):
    name: str
    group: str
    kind: str
    flag: str
    variable: str
    range: str
    default: bool | int | float | str
    security_critical: bool
    cli_only: bool
    help: str

class SkillMetricsRow(TypedDict):
    skill_name: str
    total_invocations: int
    completed_invocations: int
    abandoned_invocations: int
    total_duration_seconds: float
    workflow_paths: str
    common_errors: str
    follow_up_actions: str
    avg_selection_rank: float | None
    recommendation_success_rate: float | None
    first_invoked: str | None
    last_invoked: str | None
    completion_rate: float
    avg_duration_seconds: float | None
    updated_at: str

# </fields>

# <fields PruneSummary Correction>
class PruneSummary(TypedDict):
    before: str
    rows: int
    kept_rows: int
    first: str | None
    last: str | None
    longest_lock_ms: float
    stopped: bool

class Correction(TypedDict):
    found: bool
    skill_name: str
    invocations: int
    pruned: int
    joined: int
    longest_lock_ms: float
    stopped: bool

# </fields>

# <fields ClaimedEnd ExplainedInvocation>
class ClaimedEnd(TypedDict):
    outcome: str | None  # as its source reported it
    error_type: str | None
    outcome_by: str | None
    at: str | None
    at_by: str | None
    measured_seconds: float | None
    measured_by: str | None

class ExplainedInvocation(TypedDict):
    id: int | None  # none while it is open
    key: str | None
    skill_name: str
    session_id: str
    invoked_at: str
    outcome: str  # `completed`, `failed` or `unknown`
    error_type: str | None
    duration_seconds: float | None
    duration_is_bound: bool  # an upper bound
    seen_by: int  # bits, as in session_buddy_source
    has_evidence: bool  # if not, an earlier version or another program recorded it, and the rest is empty
    in_background: bool
    is_masked: bool
    is_abandoned: bool
    name_basis: str
    session_is_copied: bool
    started_at: str | None
    started_by: str | None
    result: ClaimedEnd  # the end of the call
    background_end: ClaimedEnd  # the end of what the call left running in the background
    verdict: str | None  # what the output of the tool shows
    verdict_by: str | None

# </fields>

MAX_EXPLAINED: int

def explain_invocations(
    db_path: str,
    *,
    busy_timeout: float,
    id: int | None = None,  # noqa: A002
    last: int = 0,
    open: int = 0,  # noqa: A002
    skill: str = "",
) -> list[ExplainedInvocation]: ...

class DetectorSettings(TypedDict):
    threshold: float
    baseline_window: float
    observation_window: float
    min_samples: int

class FieldDescription(TypedDict):
    name: str
    type: str  # a Python type, or "time"; "str" for entities
    entity: str | None  # the name of the entity that the value is, or the items of an array are
    array: bool
    nullable: bool
    optional: bool
    kind: str
    meaning: str
    values: list[str]  # of an enumeration

class EntityDescription(TypedDict):
    name: str
    meaning: str
    fields: list[FieldDescription]

class StorageError(Exception):
    code: str
    path: str

class DatabaseBusyError(StorageError): ...
class InvalidRecordError(StorageError, ValueError): ...

def parse_timestamp(text: str, /) -> int | None: ...
def format_timestamp(micros: int, /) -> str: ...
def parse_duration(text: str, /) -> float | None: ...
def skill_sorts() -> list[str]: ...
def entities() -> list[EntityDescription]: ...
def options() -> list[OptionDescription]: ...
def configured_settings() -> dict[str, bool | int | float | str]: ...
def resolve_db_path(given: str | None = None, /) -> str: ...
def run_server_command(arguments: list[bytes] | list[str], /, program: str = ...) -> int: ...
def set_log_level(level: int, /) -> None: ...

class LogQueue:
    def __init__(self, capacity: int) -> None: ...
    def next(self, timeout: float) -> tuple[list[tuple[int, str, str, float]], int, bool]: ...
    def close(self) -> None: ...

class InvocationFilter:
    def __init__(
        self,
        *,
        skill_name: str | None = None,
        session_id: str | None = None,
        workflow_phase: str | None = None,
        workflow_step_id: str | None = None,
        error_type: str | None = None,
        completed: bool | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> None: ...

class SkillsQueries:
    def invocation(self, id: int) -> _Row | None: ...  # noqa: A002
    def invocations(self, filter: InvocationFilter, newest_first: bool, limit: int) -> list[_Row]: ...  # noqa: A002
    def session_summary(self, session_id: str) -> _Row | None: ...
    def hourly_aggregates(self, filter: InvocationFilter, limit: int) -> list[_Row]: ...  # noqa: A002
    def phase_effectiveness(self, filter: InvocationFilter, limit: int) -> list[_Row]: ...  # noqa: A002
    def error_counts(self, filter: InvocationFilter, limit: int) -> list[tuple[str, int]]: ...  # noqa: A002

def validation_error(fields: dict[str, object], /) -> str: ...

class SkillsStore:
    def __init__(self, path: str, busy_timeout: float) -> None: ...
    def store(self, fields: dict[str, object]) -> int: ...
    def store_many(self, many: list[dict[str, object]]) -> list[int]: ...
    def metrics(self, skill_name: str) -> SkillMetricsRow | None: ...
    def all_metrics(self, limit: int) -> list[SkillMetricsRow]: ...
    def real_time_metrics(self, limit: int, window_seconds: float) -> list[realtime_types.PlainTopSkill]: ...
    def queries(self) -> SkillsQueries: ...
    def close(self) -> None: ...

def transcript_roots(*, also_missing: bool = False) -> list[Path]: ...
def import_transcripts(
    paths: list[Path],
    db_path: str,
    *,
    busy_timeout: float,
    progress: Callable[[int, int], bool] | None = None,
    tools: str = "",
    builtin_commands: bool = False,
    reclassify: bool = False,
    dry_run: bool = False,
    hook_timeout: float = 3600.0,
) -> dict[str, object]: ...
def watch_transcripts(
    paths: list[Path],
    db_path: str,
    *,
    report: Callable[[dict[str, Any]], object],
    go_on: Callable[[], bool],
    progress: Callable[[int, int], object] | None = None,
    once: bool = False,
    tools: str = "",
    builtin_commands: bool = False,
    hook_timeout: float = 3600.0,
) -> None: ...
def load_transcripts(
    paths: list[Path], *, progress: Callable[[int, int], bool] | None = None
) -> tuple[list[tuple[str, float, str, bool, float | None, str | None]], dict[str, object]]: ...
def prune(
    db_path: str, keep: float, *, dry_run: bool = False, progress: Callable[[int, int], bool] | None = None
) -> PruneSummary: ...
def forget_skill(
    db_path: str, skill_name: str, *, dry_run: bool = False, progress: Callable[[int, int], bool] | None = None
) -> Correction: ...
def forget_invocation(db_path: str, invocation_id: int, *, dry_run: bool = False) -> Correction: ...
def rename_skill(
    db_path: str, old: str, new: str, *, dry_run: bool = False, progress: Callable[[int, int], bool] | None = None
) -> Correction: ...
def skill_name_for_command(words: list[str], /, *, tools: str = "") -> str | None: ...
def classify_error(text: str, /) -> str: ...
def is_valid_skill_name(name: str, /) -> bool: ...
def detect_anomalies(
    db_path: str,
    at: int,
    *,
    threshold: float,
    baseline_window: float,
    observation_window: float,
    min_samples: int,
) -> list[_Row]: ...
def backtest(
    db_path: str,
    start: int | None,
    end: int,
    skill: str,
    alert_budgets: list[str],
    *,
    threshold: float,
    baseline_window: float,
    observation_window: float,
    min_samples: int,
) -> _Row: ...

class AnomalyDetector:
    def __init__(
        self,
        *,
        threshold: float,
        baseline_window: float,
        observation_window: float,
        min_samples: int,
        alert_budget: str,
    ) -> None: ...
    def update(
        self,
        skill: str,
        completed: bool | None,
        duration: float | None,
        at: int,
        error_type: str,
        duration_is_bound: bool,
        session_id: str,
    ) -> list[_Row]: ...
    def advance(self, to: int) -> None: ...
    def anomalies(self, at: int | None) -> list[_Row]: ...
    def episodes(self) -> list[_Row]: ...
    def alerts(self) -> list[_Row]: ...

class AlertPage(TypedDict):
    total: int
    alerts: list[realtime_types.Alert]
    mutes: list[realtime_types.Mute]

def alerts(db_path: str, *, open: bool | None, skill: str | None, limit: int) -> AlertPage: ...  # noqa: A002
def acknowledge_alert(db_path: str, id: int, note: str) -> realtime_types.Alert | None: ...  # noqa: A002
def mute_skill(db_path: str, skill: str, until: int | None, reason: str) -> realtime_types.Mute: ...
def unmute_skill(db_path: str, skill: str) -> bool: ...

class Snapshot:
    def to_dict(self) -> realtime_types.Snapshot: ...

class RealTimeServer:
    def __init__(self, settings: dict[str, object]) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def reload(self) -> None: ...
    def port(self) -> int: ...
    def endpoints(self) -> list[str]: ...
    def snapshot(self) -> realtime_types.Snapshot: ...
    def metrics(self, skill_name: str) -> realtime_types.SkillSummary | None: ...
    def settings(self) -> dict[str, bool | int | float | str]: ...

class SnapshotFeed:
    def __init__(self, server: RealTimeServer, capacity: int) -> None: ...
    def next(self, timeout: float) -> Snapshot | None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def dropped(self) -> int: ...
