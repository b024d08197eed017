"""`session_buddy.integrations`."""
