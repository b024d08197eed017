"""Integrations with other tools that run skills."""

from session_buddy.integrations.crackerjack import CrackerjackIntegration

__all__ = ["CrackerjackIntegration"]
