"""`session_buddy.storage`."""
