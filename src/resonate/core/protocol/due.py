"""When the clock makes an internal step due; shared by all stores.

Law 1: pure functions of one stored object (and, for a task, its promise's deadline), so a store may keep
their answers in an index and refresh them whenever it writes the object.
Law 2: a store that fires every step at its instant, in any order among equal instants, misses nothing.
"""

from __future__ import annotations

from typing import Final

from resonate.core.protocol.guards import is_external
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PENDING, ScheduleRecord, TaskState
from resonate.core.protocol.steps import LeaseTimeout, RetryDispatch

NEVER: Final = 2**53 - 1
"""The instant that does not come: `next_run_at` of a schedule whose cron has no further instant."""


def promise_due(promise: Promise) -> int | None:
    """Return when `PromiseTimeout` is due: the deadline of a pending external promise, else None."""
    record = promise.record
    return record.timeout_at if record.state is PENDING and is_external(record.tags) else None


def task_due(task: Task, deadline: int) -> tuple[int, LeaseTimeout | RetryDispatch] | None:
    """Return when which step of a task is due; None if none, or not before its promise's `deadline`.

    Past the deadline `PromiseTimeout` has the say: a targeted promise is external.
    """
    if task.state is TaskState.ACQUIRED:
        instant = task.expires_at
        if instant is not None and instant < deadline:
            return instant, LeaseTimeout(task.id)
    elif task.state is TaskState.PENDING:
        instant = task.retry_at
        if instant is not None and instant < deadline:
            return instant, RetryDispatch(task.id)
    return None


def schedule_due(schedule: ScheduleRecord) -> int | None:
    """Return when `ScheduleFire` is due; None if never again."""
    return schedule.next_run_at if schedule.next_run_at < NEVER else None
