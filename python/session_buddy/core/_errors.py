"""Maps exceptions and error texts to the short error class stored in error_type; messages are never stored."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re

from session_buddy import _native

__all__ = ["classify_error_text", "classify_exception"]

# An identifier such as exit_code, TimeoutError or ruff.E501: too short for a sentence or a path.
_SHORT_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_INTERRUPTIONS = (KeyboardInterrupt, asyncio.CancelledError, concurrent.futures.CancelledError, GeneratorExit)


def classify_error_text(text: str) -> str:
    """The text itself if it is a short class, else the class of errors that start this way, or ``tool_error``."""
    if _SHORT_CLASS.fullmatch(text):
        return text
    return _native.classify_error(text.encode("utf-8", "replace").decode())


def classify_exception(error: BaseException) -> str | None:
    """The exception's class name; ``interrupted`` for cancellations, ``exit_code`` for SystemExit with an error.

    Returns:
        None for a SystemExit with success.
    """
    if isinstance(error, SystemExit):
        return None if error.code is None or error.code == 0 else "exit_code"
    if isinstance(error, _INTERRUPTIONS):
        return "interrupted"
    name = type(error).__name__
    return name if _SHORT_CLASS.fullmatch(name) else "tool_error"
