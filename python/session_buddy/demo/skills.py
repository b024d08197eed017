"""The skills of the demo and their characteristics."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

__all__ = ["SKILLS", "Row", "SkillProfile", "make_row", "pick_skill"]

Row = dict[str, object]
"""Keyword arguments of ``SkillsStorage.store_invocation``."""

SLOWDOWN_FACTOR = 3.0  # factor of the duration while a skill is degraded
BAD_SUCCESS_RATE = 0.1


class SkillProfile(NamedTuple):
    """Frequency, duration and failures of a skill."""

    name: str
    weight: float  # relative frequency
    median_seconds: float
    spread: float  # sigma of the log-normal duration
    success_rate: float  # 0 to 1
    errors: tuple[tuple[str, float], ...]  # error type and its relative frequency
    phase: str


SKILLS: tuple[SkillProfile, ...] = (
    SkillProfile("Read", 22, 0.04, 0.6, 0.99, (("tool_error", 1),), "setup"),
    SkillProfile("Edit", 17, 0.06, 0.5, 0.96, (("tool_error", 8), ("rejected", 2)), "execution"),
    SkillProfile("Bash", 13, 0.8, 1.1, 0.93, (("exit_code", 8), ("timeout", 1), ("interrupted", 1)), "execution"),
    SkillProfile("pytest-run", 12, 5.2, 0.45, 0.90, (("exit_code", 9), ("timeout", 1)), "verification"),
    SkillProfile("ruff-check", 9, 0.35, 0.3, 0.91, (("exit_code", 1),), "verification"),
    SkillProfile("ruff-format", 6, 0.28, 0.3, 0.995, (("exit_code", 1),), "execution"),
    SkillProfile("mypy", 6, 3.4, 0.4, 0.85, (("exit_code", 1),), "verification"),
    SkillProfile("git commit", 4, 1.6, 0.5, 0.92, (("exit_code", 9), ("rejected", 1)), "cleanup"),
    SkillProfile("npm test", 3.5, 8.5, 0.5, 0.88, (("exit_code", 8), ("timeout", 2)), "verification"),
    SkillProfile("agent:Explore", 3, 42.0, 0.6, 0.95, (("interrupted", 3), ("tool_error", 1)), "setup"),
    SkillProfile("mcp__github__create_issue", 1.5, 0.9, 0.4, 0.97, (("tool_error", 1),), "cleanup"),
    SkillProfile("review-pr", 1.5, 24.0, 0.5, 0.94, (("interrupted", 1), ("tool_error", 1)), "verification"),
)


def pick_skill(rng: random.Random) -> SkillProfile:
    """A random skill, by weight."""
    return rng.choices(SKILLS, weights=[skill.weight for skill in SKILLS])[0]


def make_row(rng: random.Random, skill: SkillProfile, invoked_at: str, session_id: str, *, bad: bool = False) -> Row:
    """One invocation. ``bad``: the skill is degraded, so it mostly fails and takes longer."""
    completed = rng.random() < (BAD_SUCCESS_RATE if bad else skill.success_rate)
    duration = skill.median_seconds * math.exp(rng.gauss(0.0, skill.spread)) * (SLOWDOWN_FACTOR if bad else 1.0)
    error_type = None
    if not completed:
        error_type = rng.choices([name for name, _ in skill.errors], weights=[share for _, share in skill.errors])[0]
    return {
        "skill_name": skill.name,
        "invoked_at": invoked_at,
        "session_id": session_id,
        "completed": completed,
        "duration_seconds": round(duration, 3),
        "error_type": error_type,
        "workflow_phase": skill.phase,
    }
