"""Instants and spans of time as people read them, and commands as they type them.

Law 1: every int has a text; none raises.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def instant(at: int) -> str:
    """Return an instant in epoch ms as UTC: `2026-11-21 17:05:09 UTC`."""
    try:
        return datetime.fromtimestamp(at // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"instant {at}"


def span(length: int) -> str:
    """Return a length in ms by its two largest units: `41 s`, `3 h 12 min`; below 10 s with a decimal."""
    length = max(length, 0)
    if length < 1_000:
        return f"{length} ms"
    if length < 10_000:
        return f"{length / 1000:.1f} s"
    left = length // 1_000
    parts: list[str] = []
    for size, name in _UNITS:
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append(f"{amount} {name}")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if not part.startswith("0 "))


def count(number: int, what: str) -> str:
    """Return `1 worker`, `2 workers`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def command(verb: str, id: str) -> str:
    """Return a command on an id, to be pasted into a shell: `resonate why 'order 1'`."""
    return f"resonate {verb} {'-- ' if id.startswith('-') else ''}{shlex.quote(id)}"
