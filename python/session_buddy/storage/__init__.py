"""The skills database: writing, queries and errors."""

from session_buddy._native import DatabaseBusyError, InvalidRecordError, StorageError

__all__ = ["DatabaseBusyError", "InvalidRecordError", "StorageError"]
