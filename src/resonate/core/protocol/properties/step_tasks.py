"""What every step does, and does not do, to tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from resonate.core.protocol.properties.named import StepProperty, over_each, over_each_seeing
from resonate.core.protocol.properties.reading import (
    TARGET,
    delay_of,
    is_acquired,
    is_idle,
    is_leased,
    is_pending,
    is_unleased,
    lease,
)
from resonate.core.protocol.properties.view import Move, Step
from resonate.core.protocol.records import TaskState
from resonate.core.protocol.snapshot import TaskSnapshot

MovedTask: TypeAlias = Move[TaskSnapshot]

_EDGES: Final = frozenset(
    {
        (TaskState.PENDING, TaskState.ACQUIRED),
        (TaskState.PENDING, TaskState.HALTED),
        (TaskState.PENDING, TaskState.FULFILLED),
        (TaskState.ACQUIRED, TaskState.PENDING),
        (TaskState.ACQUIRED, TaskState.SUSPENDED),
        (TaskState.ACQUIRED, TaskState.HALTED),
        (TaskState.ACQUIRED, TaskState.FULFILLED),
        (TaskState.SUSPENDED, TaskState.PENDING),
        (TaskState.SUSPENDED, TaskState.HALTED),
        (TaskState.SUSPENDED, TaskState.FULFILLED),
        (TaskState.HALTED, TaskState.PENDING),
        (TaskState.HALTED, TaskState.FULFILLED),
    }
)


def _kept(s: Step) -> Iterable[MovedTask]:
    return s.tasks


def _ids_before(s: Step) -> Iterable[str]:
    return s.a.tasks


def _born(s: Step) -> Iterable[TaskSnapshot]:
    return s.born_tasks


def _births(s: Step) -> Iterable[str]:
    yield from (t.id for t in s.born_tasks)
    yield from (p.record.id for p in s.born_promises if TARGET in p.record.tags)


def _transitions(s: Step) -> Iterable[MovedTask]:
    return s.transitions


def _entering(state: TaskState) -> Callable[[Step], Iterable[MovedTask]]:
    return lambda s: s.entering(state)


def _leaving(state: TaskState) -> Callable[[Step], Iterable[MovedTask]]:
    return lambda s: s.leaving(state)


def _fulfilled_before(s: Step) -> Iterable[str]:
    return (t.id for t in s.a.in_state(TaskState.FULFILLED))


def _coming_to_suspended(s: Step) -> Iterable[tuple[TaskState | None, TaskSnapshot]]:
    yield from ((m.old.state, m.new) for m in s.entering(TaskState.SUSPENDED))
    yield from ((None, t) for t in s.born_tasks if t.state is TaskState.SUSPENDED)


def _re_leased(s: Step) -> Iterable[TaskSnapshot]:
    yield from (m.new for m in s.moved_tasks if lease(m.new) != lease(m.old) and m.new.expires_at is not None)
    yield from (t for t in s.born_tasks if t.expires_at is not None)


def _held_on(s: Step) -> Iterable[MovedTask]:
    return (m for m in s.tasks if is_acquired(m.old) and is_acquired(m.new) and m.old.version == m.new.version)


def _lease_moved(s: Step) -> Iterable[MovedTask]:
    return (m for m in s.moved_tasks if lease(m.old) != lease(m.new))


def _resumed_before(s: Step) -> Iterable[MovedTask]:
    return (m for m in s.tasks if m.old.resumes)


def _resumes_cleared(s: Step) -> Iterable[MovedTask]:
    return (m for m in s.moved_tasks if m.old.resumes and not m.new.resumes)


def _rearmed(s: Step) -> Iterable[MovedTask]:
    pending = TaskState.PENDING
    return (
        m
        for m in s.moved_tasks
        if m.old.state is pending and m.new.state is pending and m.old.retry_at != m.new.retry_at
    )


def _woken(s: Step) -> Iterable[MovedTask]:
    return (m for m in s.leaving(TaskState.SUSPENDED) if m.new.state is TaskState.PENDING)


@over_each_seeing(_ids_before)
def monotone_task_set_grows(s: Step, id: str) -> bool:
    """No step removes a task."""
    return id in s.b.tasks


@over_each(_kept)
def monotone_task_version_increases_only_on_acquisition(m: MovedTask) -> bool:
    """A task's version grows by exactly one as it goes from pending to acquired, and else does not move."""
    acquired = m.old.state is TaskState.PENDING and m.new.state is TaskState.ACQUIRED
    return m.new.version == m.old.version + (1 if acquired else 0)


@over_each_seeing(_fulfilled_before)
def preserved_fulfilled_task(s: Step, id: str) -> bool:
    """No step changes anything of a fulfilled task."""
    return s.b.tasks.get(id) == s.a.tasks[id]


@over_each(_transitions)
def consistent_task_state_edge_admissible(m: MovedTask) -> bool:
    """A task changes state only along the edges of the protocol."""
    return (m.old.state, m.new.state) in _EDGES


@over_each(_entering(TaskState.ACQUIRED))
def preserved_task_acquisition_only_from_pending(m: MovedTask) -> bool:
    """A task that becomes acquired was pending, or is born so."""
    return m.old.state is TaskState.PENDING


@over_each(_coming_to_suspended)
def preserved_task_suspension_only_from_acquired(item: tuple[TaskState | None, TaskSnapshot]) -> bool:
    """A task that becomes suspended was acquired; none is born so."""
    return item[0] is TaskState.ACQUIRED


@over_each(_leaving(TaskState.HALTED))
def preserved_task_halted_only_reenters_via_pending(m: MovedTask) -> bool:
    """A halted task becomes pending or fulfilled, nothing else."""
    return m.new.state in {TaskState.PENDING, TaskState.FULFILLED}


@over_each_seeing(_born)
def consistent_task_birth_state(s: Step, t: TaskSnapshot) -> bool:
    """A task is born without resumes, in one of three shapes.

    Pending, version 0, to be dispatched now or after its promise's delay; acquired, version 1, under a lease that ends
    at now + ttl; fulfilled, version 0, cleared.
    """
    if t.resumes:
        return False
    if t.state is TaskState.PENDING:
        promise = s.b.promises.get(t.id)
        delay = delay_of(promise.record.tags) if promise else None
        return t.version == 0 and is_unleased(t) and t.retry_at == max(delay or 0, s.now)
    if t.state is TaskState.ACQUIRED:
        return t.version == 1 and is_leased(t) and t.retry_at is None and t.expires_at == s.now + (t.ttl or 0)
    return t.state is TaskState.FULFILLED and t.version == 0 and is_idle(t)


@over_each_seeing(_births)
def consistent_task_birth_couples_promise_birth(s: Step, id: str) -> bool:
    """A task and its promise, which has a target, are born in the same step.

    The task is born fulfilled exactly if the promise is born settled.
    """
    promise, task = s.b.promises.get(id), s.b.tasks.get(id)
    if promise is None or task is None or TARGET not in promise.record.tags:
        return False
    together = id not in s.a.promises and id not in s.a.tasks
    return together and is_pending(promise) == (task.state is not TaskState.FULFILLED)


@over_each(_entering(TaskState.ACQUIRED))
def consistent_task_acquisition_is_atomic(m: MovedTask) -> bool:
    """A task becomes acquired in one step: pid, ttl, expires_at = now + ttl, version + 1, no dispatch, no resumes."""
    new = m.new
    leased = is_leased(new) and new.expires_at == m.now + (new.ttl or 0)
    return leased and new.version == m.old.version + 1 and new.retry_at is None and not new.resumes


@over_each_seeing(_re_leased)
def consistent_task_lease_deadline_is_now_plus_ttl(s: Step, t: TaskSnapshot) -> bool:
    """A lease that is given or extended ends at now + ttl."""
    return t.ttl is not None and t.expires_at == s.now + t.ttl


@over_each(_leaving(TaskState.ACQUIRED))
def consistent_task_lease_released_atomically(m: MovedTask) -> bool:
    """A task that is no longer acquired has lost its whole lease in the same step, and kept its version."""
    return is_unleased(m.new) and m.new.version == m.old.version


@over_each(_held_on)
def preserved_task_lease_holder_stable(m: MovedTask) -> bool:
    """While a task stays acquired at one version, its holder and the length of its lease stay the same."""
    return (m.old.pid, m.old.ttl) == (m.new.pid, m.new.ttl)


@over_each(_lease_moved)
def consistent_task_lease_fields_move_together(m: MovedTask) -> bool:
    """A lease is set whole as the task becomes acquired and cleared whole as it stops being so.

    Between these only its end moves.
    """
    if is_acquired(m.old) and is_acquired(m.new):
        return (m.old.pid, m.old.ttl) == (m.new.pid, m.new.ttl)
    if is_acquired(m.new):
        return is_leased(m.new)
    return is_acquired(m.old) and is_unleased(m.new)


@over_each(_resumed_before)
def monotone_task_resumes_grow_or_clear(m: MovedTask) -> bool:
    """A task's resumes are only added to, or cleared all at once."""
    return not m.new.resumes or m.old.resumes == m.new.resumes[: len(m.old.resumes)]


@over_each(_resumes_cleared)
def consistent_task_resumes_cleared_only_on_dispatch_or_park(m: MovedTask) -> bool:
    """A task's resumes are cleared only as it is acquired, redirected (and stays acquired), suspended or fulfilled."""
    return m.new.state in {TaskState.ACQUIRED, TaskState.SUSPENDED, TaskState.FULFILLED}


@over_each(_entering(TaskState.PENDING))
def consistent_task_pending_entry_arms_retry(m: MovedTask) -> bool:
    """A task that becomes pending again is to be dispatched now."""
    return m.new.retry_at == m.now


@over_each(_rearmed)
def consistent_task_retry_rearm_only_when_due(m: MovedTask) -> bool:
    """The dispatch of a task that stays pending is moved only once it is due."""
    return m.old.retry_at is not None and m.old.retry_at <= m.now


@over_each(_rearmed)
def monotone_task_retry_rearm_advances(m: MovedTask) -> bool:
    """The dispatch of a task that stays pending is moved past now, so that it is not due again at once."""
    return m.new.retry_at is not None and m.now < m.new.retry_at


@over_each(_woken)
def consistent_task_wake_records_resume(m: MovedTask) -> bool:
    """A suspended task that becomes pending knows what woke it, is to be dispatched now, and keeps its version."""
    return bool(m.new.resumes) and m.new.retry_at == m.now and m.new.version == m.old.version


PROPERTIES: Final[tuple[StepProperty, ...]] = (
    monotone_task_set_grows,
    monotone_task_version_increases_only_on_acquisition,
    preserved_fulfilled_task,
    consistent_task_state_edge_admissible,
    preserved_task_acquisition_only_from_pending,
    preserved_task_suspension_only_from_acquired,
    preserved_task_halted_only_reenters_via_pending,
    consistent_task_birth_state,
    consistent_task_birth_couples_promise_birth,
    consistent_task_acquisition_is_atomic,
    consistent_task_lease_deadline_is_now_plus_ttl,
    consistent_task_lease_released_atomically,
    preserved_task_lease_holder_stable,
    consistent_task_lease_fields_move_together,
    monotone_task_resumes_grow_or_clear,
    consistent_task_resumes_cleared_only_on_dispatch_or_park,
    consistent_task_pending_entry_arms_retry,
    consistent_task_retry_rearm_only_when_due,
    monotone_task_retry_rearm_advances,
    consistent_task_wake_records_resume,
)
