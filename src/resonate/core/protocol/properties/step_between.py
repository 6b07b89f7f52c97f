"""What every step moves together, and keeps together, between objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from resonate.core.protocol.properties.named import StepProperty, over_each, over_each_seeing
from resonate.core.protocol.properties.reading import TARGET, is_idle, is_live, is_pending
from resonate.core.protocol.properties.view import Cause, Move, Notice, Post, Step
from resonate.core.protocol.records import PromiseState, ScheduleRecord, TaskState
from resonate.core.protocol.snapshot import TaskSnapshot

Pair: TypeAlias = tuple[str, str]


def _becoming_pending(s: Step) -> Iterable[TaskSnapshot]:
    yield from (m.new for m in s.entering(TaskState.PENDING))
    yield from (t for t in s.born_tasks if t.state is TaskState.PENDING)


def _new_posts(s: Step) -> Iterable[Post]:
    return s.new_posts


def _new_notices(s: Step) -> Iterable[Notice]:
    return s.new_notices


def _settling_with_task(s: Step) -> Iterable[TaskSnapshot]:
    return (s.b.tasks[m.new.record.id] for m in s.settling if m.new.record.id in s.b.tasks)


def _becoming_fulfilled(s: Step) -> Iterable[TaskSnapshot]:
    return (m.new for m in s.entering(TaskState.FULFILLED))


def _consumed(s: Step) -> Iterable[str]:
    yield from (awaited for awaited, _ in s.consumed_callbacks)
    yield from (promise for promise, _ in s.consumed_listeners)


def _consumed_callbacks(s: Step) -> Iterable[Pair]:
    return s.consumed_callbacks


def _consumed_listeners(s: Step) -> Iterable[Pair]:
    return s.consumed_listeners


def _woken(s: Step) -> Iterable[TaskSnapshot]:
    return (m.new for m in s.leaving(TaskState.SUSPENDED) if m.new.state is TaskState.PENDING)


def _becoming_suspended(s: Step) -> Iterable[TaskSnapshot]:
    yield from (m.new for m in s.entering(TaskState.SUSPENDED))
    yield from (t for t in s.born_tasks if t.state is TaskState.SUSPENDED)


def _keys_to_keep(s: Step) -> Iterable[tuple[str, ...]]:
    return () if s.cause is Cause.DELIVERY else s.a.outbox_keys


def _schedules(s: Step) -> Iterable[Move[ScheduleRecord]]:
    return s.schedules


@over_each_seeing(_becoming_pending)
def preserved_no_dead_dispatch(s: Step, t: TaskSnapshot) -> bool:
    """No task becomes pending, or is born so, when its promise is past its deadline."""
    return s.b.reads_live(t.id)


@over_each_seeing(_new_posts)
def preserved_execute_only_for_live_task(s: Step, post: Post) -> bool:
    """No execute is sent for a task whose promise is past its deadline."""
    return s.b.reads_live(post.message.id)


@over_each(_settling_with_task)
def consistent_settlement_fulfils_task(t: TaskSnapshot) -> bool:
    """A promise that settles fulfils and clears its task in the same step."""
    return t.state is TaskState.FULFILLED and is_idle(t) and not t.resumes


@over_each_seeing(_becoming_fulfilled)
def consistent_task_fulfilment_needs_settlement(s: Step, t: TaskSnapshot) -> bool:
    """A task becomes fulfilled only in the step in which its promise settles."""
    before, after = s.a.promises.get(t.id), s.b.promises.get(t.id)
    return before is not None and is_pending(before) and after is not None and not is_pending(after)


@over_each_seeing(_consumed)
def consistent_obligation_discharge_requires_settled(s: Step, promise: str) -> bool:
    """A callback or a listener is consumed only of a promise that is stored settled."""
    return not is_pending(s.b.promises[promise])


@over_each_seeing(_consumed_callbacks)
def consistent_callback_consumption_resumes_awaiter(s: Step, callback: Pair) -> bool:
    """A callback that is consumed is noted in the resumes of its awaiter's task, and makes it pending if suspended.

    A task that is fulfilled, or whose promise is past its deadline, it leaves alone.
    """
    awaited, awaiter = callback
    before, after = s.a.tasks.get(awaiter), s.b.tasks.get(awaiter)
    if before is None or after is None:
        return False
    if after.state is TaskState.FULFILLED or not s.b.reads_live(awaiter):
        woken = after.state not in {TaskState.FULFILLED, before.state}
        return not woken and set(after.resumes) <= set(before.resumes)
    state = TaskState.PENDING if before.state is TaskState.SUSPENDED else before.state
    return awaited in after.resumes and after.state is state


@over_each_seeing(_woken)
def consistent_wake_follows_callback_consumption(s: Step, t: TaskSnapshot) -> bool:
    """A suspended task becomes pending only as one of its callbacks is consumed, which alone is then in its resumes."""
    return any(awaiter == t.id and t.resumes == (awaited,) for awaited, awaiter in s.consumed_callbacks)


@over_each_seeing(_consumed_listeners)
def consistent_listener_consumption_enqueues_unblock(s: Step, listener: Pair) -> bool:
    """A listener that is consumed leaves exactly one unblock of its promise for its address in the outbox."""
    promise, address = listener
    sent = [n for n in s.b.notices if n.address == address and n.message.promise.id == promise]
    return len(sent) == 1 and sent[0].message.promise.state is not PromiseState.PENDING


@over_each_seeing(_becoming_suspended)
def consistent_suspension_registers_callback(s: Step, t: TaskSnapshot) -> bool:
    """A task that becomes suspended is after that step a callback of a promise that reads as pending."""
    return any(awaiter == t.id and is_live(p.record, s.now) for p, awaiter in s.b.callbacks)


@over_each_seeing(_keys_to_keep)
def monotone_outbox_keys_never_disappear(s: Step, key: tuple[str, ...]) -> bool:
    """No step but a delivery takes a message out of the outbox; at most another replaces it under its key."""
    return key in s.b.outbox_keys


@over_each_seeing(_new_posts)
def consistent_new_execute_matches_task_and_target(s: Step, post: Post) -> bool:
    """An execute is sent for a pending task, at its version, to its promise's target."""
    task, promise = s.b.tasks.get(post.message.id), s.b.promises.get(post.message.id)
    if task is None or promise is None or task.state is not TaskState.PENDING:
        return False
    return post.message.version == task.version and post.address == promise.record.tags.get(TARGET)


@over_each_seeing(_new_notices)
def consistent_new_unblock_carries_stored_record(s: Step, notice: Notice) -> bool:
    """An unblock carries its promise's record as it is stored, settled."""
    sent = notice.message.promise
    promise = s.b.promises.get(sent.id)
    return sent.state is not PromiseState.PENDING and promise is not None and promise.record == sent


@over_each_seeing(_new_notices)
def consistent_new_unblock_discharges_its_listener(s: Step, notice: Notice) -> bool:
    """An unblock is sent only as the listener of its promise and address is consumed."""
    return (notice.message.promise.id, notice.address) in s.consumed_listeners


@over_each(_schedules)
def preserved_schedule_birth_fields_immutable(m: Move[ScheduleRecord]) -> bool:
    """No step changes of a schedule anything but when it last ran and is to run next."""
    return m.old is m.new or _born_with(m.old) == _born_with(m.new)


def _born_with(s: ScheduleRecord) -> tuple[object, ...]:
    return s.cron, s.promise_id, s.promise_timeout, s.promise_param, s.promise_tags, s.created_at


PROPERTIES: Final[tuple[StepProperty, ...]] = (
    preserved_no_dead_dispatch,
    preserved_execute_only_for_live_task,
    consistent_settlement_fulfils_task,
    consistent_task_fulfilment_needs_settlement,
    consistent_obligation_discharge_requires_settled,
    consistent_callback_consumption_resumes_awaiter,
    consistent_wake_follows_callback_consumption,
    consistent_listener_consumption_enqueues_unblock,
    consistent_suspension_registers_callback,
    monotone_outbox_keys_never_disappear,
    consistent_new_execute_matches_task_and_target,
    consistent_new_unblock_carries_stored_record,
    consistent_new_unblock_discharges_its_listener,
    preserved_schedule_birth_fields_immutable,
)
