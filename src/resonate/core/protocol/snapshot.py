"""A whole store at one instant, as tests, simulators and the named properties see it.

Sequences, not sets or dicts, wherever a property says "unique": a snapshot must be able to be wrong.
"""

from __future__ import annotations

from attrs import frozen

from resonate.core.protocol.records import Message, PromiseRecord, ScheduleRecord, TaskState


@frozen(kw_only=True)
class PromiseSnapshot:
    """A promise's stored record with its obligations, in registration order."""

    record: PromiseRecord
    callbacks: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ()


@frozen(kw_only=True)
class TaskSnapshot:
    """A task with everything the server knows of it; `resumes` are awaited ids in arrival order."""

    id: str
    state: TaskState
    version: int = 0
    pid: str | None = None
    ttl: int | None = None
    expires_at: int | None = None
    retry_at: int | None = None
    resumes: tuple[str, ...] = ()


@frozen(kw_only=True)
class OutboxEntry:
    """A message on its way. Its key is the task id, or (promise id, address)."""

    address: str
    message: Message


@frozen(kw_only=True)
class Snapshot:
    """All objects of a store, each sequence in id order, as stored (not projected), at `now`."""

    now: int
    promises: tuple[PromiseSnapshot, ...] = ()
    tasks: tuple[TaskSnapshot, ...] = ()
    schedules: tuple[ScheduleRecord, ...] = ()
    outbox: tuple[OutboxEntry, ...] = ()
