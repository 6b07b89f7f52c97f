"""Short words for hand-built snapshots. Everything is well-formed unless told otherwise, at instant `NOW`."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from resonate.core.protocol.records import (
    Execute,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    TaskState,
    Unblock,
    Value,
)
from resonate.core.protocol.snapshot import OutboxEntry, PromiseSnapshot, Snapshot, TaskSnapshot

NOW = 1_000
BORN = 500
DEADLINE = 2_000
RETRY = 5_000

TARGET = "poll://any@workers"
ADDRESS = "http://ears/1"
OTHER_ADDRESS = "poll://uni@ears/2"
TARGETED = {"resonate:target": TARGET}
TIMER = {"resonate:timer": "true"}
EXTERNAL = {"resonate:external": "true"}
VALUE = Value(data="42")


def promise(
    id: str = "p", *, callbacks: tuple[str, ...] = (), listeners: tuple[str, ...] = (), **fields: Any
) -> PromiseSnapshot:
    """Return a pending internal promise."""
    given: dict[str, Any] = {"state": PromiseState.PENDING, "timeout_at": DEADLINE, "created_at": BORN} | fields
    return PromiseSnapshot(record=PromiseRecord(id=id, **given), callbacks=callbacks, listeners=listeners)


def external(id: str = "p", **fields: Any) -> PromiseSnapshot:
    """Return a pending external promise."""
    return promise(id, **{"tags": EXTERNAL} | fields)


def targeted(id: str = "t", **fields: Any) -> PromiseSnapshot:
    """Return a pending promise that has a task."""
    return promise(id, **{"tags": TARGETED} | fields)


def resolved(p: PromiseSnapshot, **fields: Any) -> PromiseSnapshot:
    """Return the promise as a client resolved it now."""
    given: dict[str, Any] = {"state": PromiseState.RESOLVED, "value": VALUE, "settled_at": NOW} | fields
    return evolve(p, record=evolve(p.record, **given))


def timed_out(p: PromiseSnapshot, **fields: Any) -> PromiseSnapshot:
    """Return the promise as its deadline settled it; it had better be past."""
    given: dict[str, Any] = {"state": PromiseState.REJECTED_TIMEDOUT, "settled_at": p.record.timeout_at} | fields
    return evolve(p, record=evolve(p.record, **given))


def pending(id: str = "t", **fields: Any) -> TaskSnapshot:
    """Return a pending task that waits for its dispatch."""
    return TaskSnapshot(id=id, **{"state": TaskState.PENDING, "retry_at": NOW + 100} | fields)


def acquired(id: str = "t", **fields: Any) -> TaskSnapshot:
    """Return a task acquired for the first time, for 60 ms, now."""
    given = {"state": TaskState.ACQUIRED, "version": 1, "pid": "w1", "ttl": 60, "expires_at": NOW + 60}
    return TaskSnapshot(id=id, **given | fields)


def suspended(id: str = "t", **fields: Any) -> TaskSnapshot:
    """Return a task that waits."""
    return TaskSnapshot(id=id, **{"state": TaskState.SUSPENDED, "version": 1} | fields)


def halted(id: str = "t", **fields: Any) -> TaskSnapshot:
    """Return a task that was stopped."""
    return TaskSnapshot(id=id, **{"state": TaskState.HALTED, "version": 1} | fields)


def fulfilled(id: str = "t", **fields: Any) -> TaskSnapshot:
    """Return a task that has ended."""
    return TaskSnapshot(id=id, **{"state": TaskState.FULFILLED, "version": 1} | fields)


def schedule(id: str = "s", **fields: Any) -> ScheduleRecord:
    """Return a schedule that is to run for the first time."""
    given: dict[str, Any] = {
        "cron": "* * * * *",
        "promise_id": "{{.id}}.{{.timestamp}}",
        "promise_timeout": 100,
        "promise_tags": TARGETED,
        "created_at": BORN,
        "next_run_at": 3_000,
    }
    return ScheduleRecord(id=id, **given | fields)


def execute(id: str = "t", version: int = 0, address: str = TARGET) -> OutboxEntry:
    """Return an `Execute` on its way."""
    return OutboxEntry(address=address, message=Execute(id, version))


def unblock(p: PromiseSnapshot, address: str = ADDRESS) -> OutboxEntry:
    """Return an `Unblock` on its way."""
    return OutboxEntry(address=address, message=Unblock(p.record))


def store(*objects: PromiseSnapshot | TaskSnapshot | ScheduleRecord | OutboxEntry, now: int = NOW) -> Snapshot:
    """Return a store of these objects, each kind in the order given."""
    return Snapshot(
        now=now,
        promises=tuple(x for x in objects if isinstance(x, PromiseSnapshot)),
        tasks=tuple(x for x in objects if isinstance(x, TaskSnapshot)),
        schedules=tuple(x for x in objects if isinstance(x, ScheduleRecord)),
        outbox=tuple(x for x in objects if isinstance(x, OutboxEntry)),
    )
