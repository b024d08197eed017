"""Tracks Crackerjack's quality gates as invocations with workflow phases, and summarizes the phases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, TypedDict, overload

from session_buddy.storage.skills_storage import SkillsStorage

if TYPE_CHECKING:
    from session_buddy.core.skills_tracker import SkillsTracker, TrackedRun

__all__ = ["PHASES", "CrackerjackIntegration", "PhaseSummary", "WorkflowReport", "phase_labels"]

PHASES: Mapping[str, str] = MappingProxyType(
    {
        "fast_hooks": "setup",
        "tests": "execution",
        "comprehensive_hooks": "verification",
        "ai_fix": "execution",
    }
)
"""Crackerjack phase → workflow_phase."""

_WORKFLOW = "crackerjack"
_MAX_TOOLS = 10_000  # per phase
_MAX_FAILURES = 100


class PhaseSummary(TypedDict):
    """One phase of Crackerjack in one session. Rates are 0 to 100, as in v_skill_effectiveness_by_phase."""

    phase_name: str
    workflow_phase: str
    total_invocations: int
    completed_invocations: int
    completion_rate: float
    total_duration_seconds: float
    avg_duration_seconds: float  # mean over invocations with a duration; 0.0 without any
    tools_used: list[str]  # sorted by name
    common_failures: dict[str, int]  # error type → count, the most frequent first


class WorkflowReport(TypedDict):
    """All phases in the order in which Crackerjack runs them, including those without invocations."""

    session_id: str
    generated_at: str
    total_invocations: int
    completed_invocations: int
    total_duration_seconds: float
    phases: list[PhaseSummary]


def phase_labels(phase: str) -> dict[str, str]:
    """The labels of an invocation in a phase: Crackerjack phases are mapped to workflow phases, others are kept."""
    if phase in PHASES:
        return {"workflow_path": _WORKFLOW, "workflow_phase": PHASES[phase], "workflow_step_id": phase}
    return {"workflow_phase": phase}


class CrackerjackIntegration:
    """Tracks Crackerjack's tools as invocations in the session of a tracker.

    The workflow phase is stored as `workflow_phase`, Crackerjack's phase name as `workflow_step_id`, which
    distinguishes ``tests`` from ``ai_fix``. Summaries include all invocations of the session, from every source.
    """

    def __init__(self, tracker: SkillsTracker) -> None:
        self._tracker = tracker

    def get_workflow_phase(self, phase_name: str) -> str:
        """The workflow_phase of a Crackerjack phase.

        Raises:
            ValueError: Unknown phase.
        """
        if phase_name not in PHASES:
            raise ValueError(f"unknown Crackerjack phase {phase_name!r}; available: {', '.join(PHASES)}")
        return PHASES[phase_name]

    @overload
    def track_crackerjack_phase(self, phase_name: str, skill_name: str) -> TrackedRun: ...

    @overload
    def track_crackerjack_phase(
        self,
        phase_name: str,
        skill_name: str,
        completed: bool,
        duration_seconds: float,
        error_message: str | BaseException | None = None,
    ) -> None: ...

    def track_crackerjack_phase(
        self,
        phase_name: str,
        skill_name: str,
        completed: bool | None = None,
        duration_seconds: float | None = None,
        error_message: str | BaseException | None = None,
    ) -> TrackedRun | None:
        """Track a tool in a phase: around a block or function, or afterwards with a measured duration.

        Args:
            phase_name: fast_hooks, tests, comprehensive_hooks or ai_fix.
            skill_name: The tool, such as ``ruff-check``.
            completed: Whether it passed. None: returns a context manager (``with``, ``async with``) and decorator.
            duration_seconds: Duration; the start time is now minus the duration.
            error_message: Error text or exception. Only a short error class is stored, never the text.

        Raises:
            TypeError, ValueError: Unknown phase, or an invalid value.
        """
        self.get_workflow_phase(phase_name)
        labels = phase_labels(phase_name)
        if completed is None:
            if duration_seconds is not None or error_message is not None:
                raise TypeError("duration_seconds and error_message require completed")
            return self._tracker.track(skill_name, **labels)
        if duration_seconds is None:
            raise TypeError("completed requires duration_seconds")
        self._tracker.record(
            skill_name, completed=completed, duration_seconds=duration_seconds, error_type=error_message, **labels
        )
        return None

    def get_phase_summary(self, phase_name: str) -> PhaseSummary:
        """Summary of one phase. Flushes the tracker and reads the database, so it blocks.

        Raises:
            ValueError: Unknown phase.
            session_buddy.storage.StorageError: The database cannot be read.
        """
        self.get_workflow_phase(phase_name)
        self._tracker.flush()
        with SkillsStorage(self._tracker.db_path) as storage:
            return self._summary(storage, phase_name)

    def _summary(self, storage: SkillsStorage, phase_name: str) -> PhaseSummary:
        session_id = self._tracker.session_id
        rows = storage.get_effectiveness_by_phase(
            session_id=session_id, workflow_step_id=phase_name, workflow_phase=PHASES[phase_name], limit=_MAX_TOOLS
        )
        total = sum(row.total_invocations for row in rows)
        completed = sum(row.completed_count for row in rows)
        timed = sum(row.timed_count for row in rows)
        seconds = sum(row.total_duration_seconds for row in rows)
        return {
            "phase_name": phase_name,
            "workflow_phase": PHASES[phase_name],
            "total_invocations": total,
            "completed_invocations": completed,
            "completion_rate": 100.0 * completed / total if total else 0.0,
            "total_duration_seconds": seconds,
            "avg_duration_seconds": seconds / timed if timed else 0.0,
            "tools_used": sorted(row.skill_name for row in rows),
            "common_failures": storage.get_error_counts(
                session_id=session_id, workflow_step_id=phase_name, limit=_MAX_FAILURES
            ),
        }

    def get_report(self) -> WorkflowReport:
        """Summary of all phases, JSON-serializable. Blocks like get_phase_summary."""
        self._tracker.flush()
        with SkillsStorage(self._tracker.db_path) as storage:
            phases = [self._summary(storage, name) for name in PHASES]
        return {
            "session_id": self._tracker.session_id,
            "generated_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "total_invocations": sum(phase["total_invocations"] for phase in phases),
            "completed_invocations": sum(phase["completed_invocations"] for phase in phases),
            "total_duration_seconds": sum(phase["total_duration_seconds"] for phase in phases),
            "phases": phases,
        }

    def get_crackerjack_workflow_report(self) -> str:
        """The report as human-readable text."""
        report = self.get_report()
        lines = [f"Crackerjack in session {report['session_id']}, {report['generated_at']}", ""]
        for phase in report["phases"]:
            heading = f"{phase['phase_name']} ({phase['workflow_phase']})"
            if not phase["total_invocations"]:
                lines.append(f"{heading}: not run")
                continue
            lines.append(
                f"{heading}: {phase['completed_invocations']} of {phase['total_invocations']} completed "
                f"({phase['completion_rate']:.1f} %), {phase['total_duration_seconds']:.1f} s, "
                f"{phase['avg_duration_seconds']:.1f} s each"
            )
            lines.append(f"  tools: {', '.join(phase['tools_used'])}")
            if phase["common_failures"]:
                failures = (f"{name} ({count})" for name, count in phase["common_failures"].items())
                lines.append(f"  failures: {', '.join(failures)}")
        return "\n".join(lines)
