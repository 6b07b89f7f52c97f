"""What was raised, as text.

Law 1: nothing here raises, whatever the exception's own methods do.
"""

from __future__ import annotations

from resonate.errors import ResonateError


def message_of(error: BaseException) -> str:
    """Return an exception's text, without the names of notes and parts that some add when they are shown."""
    try:
        return str(error.message if isinstance(error, BaseExceptionGroup | ResonateError) else error)
    except Exception as failed:  # noqa: BLE001 - a user's __str__ raises what it likes
        return f"(its text can't be had: {type(failed).__name__})"


def titled(error: BaseException) -> str:
    """Return an exception's class and text, as the last line of a traceback has them."""
    return f"{type(error).__name__}: {message_of(error)}".removesuffix(": ")
