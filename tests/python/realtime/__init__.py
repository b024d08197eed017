"""`session_buddy.realtime`: the server inside a Python process, and the exporter."""
