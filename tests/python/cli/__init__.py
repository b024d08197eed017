"""The commands of `session-buddy`, one module per command."""
