"""The skills database: writing, querying, and what can go wrong with it."""

from session_buddy._native import DatabaseBusyError, InvalidRecordError, StorageError

__all__ = ["DatabaseBusyError", "InvalidRecordError", "StorageError"]
