"""Live metrics of AI coding skills over WebSocket: a native server in a Python package.

- `session_buddy.realtime.websocket_server.RealTimeMetricsServer`: the server, for asyncio programs.
- `session_buddy.storage.skills_storage.SkillsStorage`: writes and queries the database that the server follows.
- `session_buddy.core.skills_tracker.SkillsTracker`: records skill invocations from within a program, non-blocking.
"""

from session_buddy._native import __version__

__all__ = ["__version__"]
