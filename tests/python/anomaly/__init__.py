"""`session_buddy.anomaly`."""
