"""Tracking skills from inside a Python program."""
