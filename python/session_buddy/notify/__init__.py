"""Tells others of the start and the end of each anomaly: what ``session-buddy notify`` is made of."""
