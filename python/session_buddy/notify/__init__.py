"""Notifications about the start and end of each anomaly: the parts of ``session-buddy notify``."""
