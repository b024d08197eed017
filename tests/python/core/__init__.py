"""`session_buddy.core`."""
