"""Other tools that report what they run."""

from session_buddy.integrations.crackerjack import CrackerjackIntegration

__all__ = ["CrackerjackIntegration"]
