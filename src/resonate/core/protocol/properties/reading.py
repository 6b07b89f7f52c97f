"""How the properties read single objects.

Law 1: nothing here is shared with the machine: a rule misread there must not be misread here by the same code.
Law 2: nothing here raises, however wrong a snapshot is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resonate.core.protocol.records import NO_VALUE, Execute, PromiseRecord, PromiseState, Tag, TaskState, Value
from resonate.core.protocol.snapshot import OutboxEntry, PromiseSnapshot, TaskSnapshot

TARGET: Final = Tag.TARGET
_TIMER: Final = Tag.TIMER
_EXTERNAL: Final = Tag.EXTERNAL
DELAY: Final = Tag.DELAY
_DELIVERABLE: Final = ("http://", "https://")


def is_timer(tags: Mapping[str, str]) -> bool:
    """Tell whether the deadline resolves what carries these tags."""
    return tags.get(_TIMER) == "true"


def is_external(tags: Mapping[str, str]) -> bool:
    """Tell whether what carries these tags may be awaited and listened to."""
    return is_timer(tags) or TARGET in tags or tags.get(_EXTERNAL) == "true"


def is_timer_and_targeted(tags: Mapping[str, str]) -> bool:
    """Tell whether these tags are the malformed pair."""
    return is_timer(tags) and TARGET in tags


def delay_of(tags: Mapping[str, str]) -> int | None:
    """Return the instant before which a task is not dispatched; None if there is none, or none that can be read."""
    text = tags.get(DELAY, "")
    return int(text) if text.isascii() and text.isdigit() else None


def is_deliverable(address: str) -> bool:
    """Tell whether an `unblock` can be sent there."""
    return address.startswith(_DELIVERABLE) or (address.startswith("poll://") and "@" in address)


def is_pending(promise: PromiseSnapshot) -> bool:
    """Tell whether a promise is pending as stored."""
    return promise.record.state is PromiseState.PENDING


def is_live(record: PromiseRecord, now: int) -> bool:
    """Tell whether a promise reads as pending at `now`."""
    return record.state is PromiseState.PENDING and now < record.timeout_at


def deadline_verdict(record: PromiseRecord) -> PromiseState:
    """Return the state that the deadline gives."""
    return PromiseState.RESOLVED if is_timer(record.tags) else PromiseState.REJECTED_TIMEDOUT


def is_settled_by_deadline(record: PromiseRecord) -> bool:
    """Tell whether a promise carries its deadline's verdict, stamped at its deadline."""
    return record.state is deadline_verdict(record) and record.settled_at == record.timeout_at


def has_no_value(value: Value) -> bool:
    """Tell whether there is nothing in a value."""
    return value == NO_VALUE


def lease(task: TaskSnapshot) -> tuple[str | None, int | None, int | None]:
    """Return the fields under which a task is held."""
    return task.pid, task.ttl, task.expires_at


def is_leased(task: TaskSnapshot) -> bool:
    """Tell whether every field of the lease is set."""
    return None not in lease(task)


def is_unleased(task: TaskSnapshot) -> bool:
    """Tell whether every field of the lease is clear."""
    return lease(task) == (None, None, None)


def is_idle(task: TaskSnapshot) -> bool:
    """Tell whether neither a lease nor a dispatch is armed."""
    return is_unleased(task) and task.retry_at is None


def is_acquired(task: TaskSnapshot) -> bool:
    """Tell whether a task is acquired."""
    return task.state is TaskState.ACQUIRED


def is_unique(items: tuple[object, ...]) -> bool:
    """Tell whether no two are equal."""
    return len(set(items)) == len(items)


def outbox_key(entry: OutboxEntry) -> tuple[str, ...]:
    """Return what a newer message replaces an older one by."""
    message = entry.message
    return (message.id,) if isinstance(message, Execute) else (message.promise.id, entry.address)
