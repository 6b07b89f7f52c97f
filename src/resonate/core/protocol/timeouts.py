"""What the clock does to promises and tasks: deadlines, leases, dispatches.

Law 1: a deadline is enforced for every external promise, targeted or not, and for no internal one.
Law 2: nothing dead is offered again: a lease or a dispatch that comes due past the deadline enforces the deadline.
"""

from __future__ import annotations

from resonate.core.protocol.effects import Effect, PutTask, Send
from resonate.core.protocol.guards import TARGET, is_external, is_live, is_timer
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.projection import project
from resonate.core.protocol.promises import settlement
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import Execute, PromiseState
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import LeaseTimeout, PromiseTimeout, RetryDispatch
from resonate.core.protocol.tasks import promise_of
from resonate.core.protocol.transitions import TASK_TABLE, TaskEvent


def time_out(step: PromiseTimeout, reads: Reads, now: int, _settings: Settings) -> tuple[Effect, ...]:
    """Settle an external promise whose deadline has passed."""
    promise = reads.promise(step.id)
    if promise is None or not is_external(promise.record.tags):
        return ()
    if promise.record.state is not PromiseState.PENDING or promise.record.timeout_at > now:
        return ()
    return _enforce_deadline(promise, reads.task(step.id), now)


def expire(step: LeaseTimeout, reads: Reads, now: int, _settings: Settings) -> tuple[Effect, ...]:
    """Offer a task again whose lease has run out."""
    task = reads.task(step.id)
    if task is None or task.expires_at is None or task.expires_at > now:
        return ()
    after = TASK_TABLE[task.state, TaskEvent.EXPIRE]
    if after is None:
        return ()
    promise = promise_of(task, reads)
    if not is_live(promise.record, now):
        return _enforce_deadline(promise, task, now)
    return (PutTask(Task(task.id, after, task.version, retry_at=now)),)


def dispatch(step: RetryDispatch, reads: Reads, now: int, settings: Settings) -> tuple[Effect, ...]:
    """Send a pending task to its target, and again after the retry interval for as long as nobody takes it."""
    task = reads.task(step.id)
    if task is None or task.retry_at is None or task.retry_at > now:
        return ()
    after = TASK_TABLE[task.state, TaskEvent.DISPATCH]
    if after is None:
        return ()
    promise = promise_of(task, reads)
    if not is_live(promise.record, now):
        return _enforce_deadline(promise, task, now)
    if is_timer(promise.record.tags):  # a targeted timer: nobody is to run it, its deadline is all it waits for
        return (PutTask(Task(task.id, after, task.version, retry_at=promise.record.timeout_at)),)
    rearmed = Task(task.id, after, task.version, retry_at=now + settings.retry_interval)
    return PutTask(rearmed), Send(promise.record.tags[TARGET], Execute(task.id, task.version))


def _enforce_deadline(promise: Promise, task: Task | None, now: int) -> tuple[Effect, ...]:
    return settlement(promise, project(promise.record, now), task)
