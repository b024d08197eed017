"""Tracking of skill invocations from within a Python program."""
