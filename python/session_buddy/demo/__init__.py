"""Generated skill invocations that resemble a developer's day: history for a database, and a live feed."""

from session_buddy.demo.history import make_history
from session_buddy.demo.live import LiveFeed
from session_buddy.demo.skills import SKILLS, SkillProfile

__all__ = ["SKILLS", "LiveFeed", "SkillProfile", "make_history"]
