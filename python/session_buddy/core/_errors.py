"""From whatever went wrong to the short class that error_type holds. Messages are looked at and forgotten."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re

from session_buddy import _native

__all__ = ["classify_error_text", "classify_exception"]

# A word such as exit_code, TimeoutError or ruff.E501: nothing in which somebody could write a sentence or a path.
_SHORT_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_INTERRUPTIONS = (KeyboardInterrupt, asyncio.CancelledError, concurrent.futures.CancelledError, GeneratorExit)


def classify_error_text(text: str) -> str:
    """The text itself where it is a short class, else the class of errors that begin in this way, or ``tool_error``."""
    if _SHORT_CLASS.fullmatch(text):
        return text
    return _native.classify_error(text.encode("utf-8", "replace").decode())


def classify_exception(error: BaseException) -> str | None:
    """The name of the exception's class; ``interrupted`` where it was stopped, ``exit_code`` where it left the program.

    Returns:
        None for a SystemExit that means success.
    """
    if isinstance(error, SystemExit):
        return None if error.code is None or error.code == 0 else "exit_code"
    if isinstance(error, _INTERRUPTIONS):
        return "interrupted"
    name = type(error).__name__
    return name if _SHORT_CLASS.fullmatch(name) else "tool_error"
