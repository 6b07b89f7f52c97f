"""What the transition tables cannot hold: named predicates over tags, addresses, deadlines and versions.

Law 1: a predicate that refuses returns the sentence that says why; one that holds returns None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resonate.core.protocol.records import PENDING, PromiseRecord, Tag
from resonate.core.protocol.settings import Settings

# Plain strings: a dict lookup by a `str` is faster than by a member of a `StrEnum`.
TARGET: Final[str] = Tag.TARGET
TIMER: Final[str] = Tag.TIMER
EXTERNAL: Final[str] = Tag.EXTERNAL
DELAY: Final[str] = Tag.DELAY
BRANCH: Final[str] = Tag.BRANCH

_MAX_DELAY_DIGITS: Final = 16


def is_timer(tags: Mapping[str, str]) -> bool:
    """Tell whether the deadline resolves the promise, where others are rejected by it."""
    return tags.get(TIMER) == "true"


def is_external(tags: Mapping[str, str]) -> bool:
    """Tell whether a promise is a timer, targeted or external: may be awaited, and is settled by the clock."""
    return TARGET in tags or tags.get(TIMER) == "true" or tags.get(EXTERNAL) == "true"


def is_live(record: PromiseRecord, now: int) -> bool:
    """Tell whether a promise is pending and before its deadline."""
    return record.state is PENDING and record.timeout_at > now


def is_deliverable(address: str) -> bool:
    """Tell whether a listener's address can be sent to: http, https, or poll with an `@`."""
    if address.startswith("poll://"):
        return "@" in address
    return address.startswith(("http://", "https://"))


def tags_refusal(tags: Mapping[str, str], timeout_at: int, settings: Settings) -> str | None:
    """Return why a promise with these tags cannot be created: target with timer, empty target, bad delay."""
    target = tags.get(TARGET)
    if target is None:
        return f"{DELAY} delays a dispatch, but the promise has no {TARGET}" if DELAY in tags else None
    if target == "":
        return f"{TARGET} is empty: the task would be dispatched to nobody"
    if not settings.targeted_timers and tags.get(TIMER) == "true":
        return "a promise cannot be both a timer and targeted"
    delay = tags.get(DELAY)
    return None if delay is None else _delay_refusal(delay, timeout_at)


def _delay_refusal(delay: str, timeout_at: int) -> str | None:
    if not (delay.isascii() and delay.isdigit() and len(delay) <= _MAX_DELAY_DIGITS):
        return f"{DELAY} must be an instant in epoch milliseconds"
    if int(delay) >= timeout_at:
        return f"{DELAY} must be before the deadline, or the task is never dispatched"
    return None


def schedule_tags_refusal(tags: Mapping[str, str], settings: Settings) -> str | None:
    """Return why a schedule cannot create promises with these tags."""
    if TARGET not in tags:
        return f"a schedule's promises need a {TARGET}"
    if DELAY in tags:
        return f"{DELAY} is one instant and cannot hold for every occurrence of a schedule"
    return tags_refusal(tags, 0, settings)
