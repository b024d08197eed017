"""`session_buddy.demo`, and the command that serves its data."""
