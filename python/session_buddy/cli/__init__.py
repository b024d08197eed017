"""The session-buddy command."""
