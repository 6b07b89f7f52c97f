"""What a settled promise owes: its callbacks and listeners, discharged one each.

Law 1: an obligation is discharged only when its promise is settled in the store, and then once.
Law 2: an awaiter that is past its own deadline is not resumed, even if nobody has noticed yet that it is.
"""

from __future__ import annotations

from resonate.core.protocol.effects import AddResume, Effect, PutTask, RemoveCallback, RemoveListener, Send
from resonate.core.protocol.guards import is_live
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import PromiseState, Unblock
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import CallbackDrain, ListenerDrain
from resonate.core.protocol.tasks import promise_of
from resonate.core.protocol.transitions import TASK_TABLE, TaskEvent


def callback(step: CallbackDrain, reads: Reads, now: int, _settings: Settings) -> tuple[Effect, ...]:
    """Consume a callback: resume the task that waits, or note that there is something new for it."""
    awaited = _settled(step.awaited, reads)
    if awaited is None or not reads.has_callback(step.awaited, step.awaiter):
        return ()
    removed = RemoveCallback(step.awaited, step.awaiter)
    task = reads.task(step.awaiter)
    after = None if task is None else TASK_TABLE[task.state, TaskEvent.RESUME]
    if task is None or after is None or not is_live(promise_of(task, reads).record, now):
        return (removed,)
    effects: list[Effect] = [removed]
    if after is not task.state:
        effects.append(PutTask(Task(task.id, after, task.version, retry_at=now)))
    if not reads.has_resume(step.awaiter, step.awaited):
        effects.append(AddResume(step.awaiter, step.awaited))
    return tuple(effects)


def listener(step: ListenerDrain, reads: Reads, _now: int, _settings: Settings) -> tuple[Effect, ...]:
    """Consume a listener: tell it the outcome."""
    promise = _settled(step.promise, reads)
    if promise is None or not reads.has_listener(step.promise, step.address):
        return ()
    return RemoveListener(step.promise, step.address), Send(step.address, Unblock(promise.record))


def _settled(id: str, reads: Reads) -> Promise | None:
    promise = reads.promise(id)
    return None if promise is None or promise.record.state is PromiseState.PENDING else promise
