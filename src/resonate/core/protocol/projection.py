"""How stored objects read at an instant.

Law 1: a pending promise whose deadline has passed reads as settled at its deadline: resolved if it is a timer, else
rejected_timedout, with no value; its task reads as fulfilled and cleared.
Law 2: projecting is reading; nothing here decides to write.
"""

from __future__ import annotations

from resonate.core.protocol.guards import is_timer
from resonate.core.protocol.objects import Task
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, TaskRecord
from resonate.core.protocol.transitions import PROMISE_TABLE, PromiseEvent, TaskEvent, task_after


def project(record: PromiseRecord, now: int) -> PromiseRecord:
    """Return the record as it reads at `now`."""
    if record.state is not PromiseState.PENDING or record.timeout_at > now:
        return record
    event = PromiseEvent.ELAPSE if is_timer(record.tags) else PromiseEvent.TIME_OUT
    return PromiseRecord(
        id=record.id,
        state=PROMISE_TABLE[record.state, event],
        param=record.param,
        value=NO_VALUE,
        tags=record.tags,
        timeout_at=record.timeout_at,
        created_at=record.created_at,
        settled_at=record.timeout_at,
    )


def fulfilled(task: Task) -> Task:
    """Return the task as it is once its promise has settled: fulfilled and cleared."""
    return Task(task.id, task_after(task.state, TaskEvent.SETTLE), task.version)


def project_task(task: Task, record: PromiseRecord, now: int) -> Task:
    """Return the task as it reads at `now`, given its promise's stored record."""
    if record.state is PromiseState.PENDING and record.timeout_at > now:
        return task
    return fulfilled(task)


def task_record(task: Task, resumes: int) -> TaskRecord:
    """Return what the wire shows of a (projected) task."""
    return TaskRecord(id=task.id, state=task.state, version=task.version, resumes=resumes, ttl=task.ttl, pid=task.pid)
