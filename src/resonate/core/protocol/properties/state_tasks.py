"""What holds of every task in every state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from resonate.core.protocol.properties.named import StateProperty, at_each
from resonate.core.protocol.properties.reading import is_acquired, is_idle, is_unique
from resonate.core.protocol.properties.view import View
from resonate.core.protocol.records import TaskState
from resonate.core.protocol.snapshot import TaskSnapshot


def _all(v: View) -> Iterable[TaskSnapshot]:
    return v.fresh_tasks


def _in(state: TaskState) -> Callable[[View], Iterable[TaskSnapshot]]:
    return lambda v: (t for t in v.fresh_tasks if t.state is state)


def _several_resumes(v: View) -> Iterable[TaskSnapshot]:
    return (t for t in v.fresh_tasks if len(t.resumes) > 1)


def _with_ttl(v: View) -> Iterable[int]:
    return (t.ttl for t in v.fresh_tasks if t.ttl is not None)


@at_each(_all)
def well_formed_task_acquired_iff_has_pid(t: TaskSnapshot) -> bool:
    """A task has a holder exactly while it is acquired."""
    return is_acquired(t) == (t.pid is not None)


@at_each(_all)
def well_formed_task_acquired_iff_has_ttl(t: TaskSnapshot) -> bool:
    """A task has a lease length exactly while it is acquired."""
    return is_acquired(t) == (t.ttl is not None)


@at_each(_all)
def well_formed_task_acquired_iff_has_expires_at(t: TaskSnapshot) -> bool:
    """A task has an end of its lease exactly while it is acquired."""
    return is_acquired(t) == (t.expires_at is not None)


@at_each(_all)
def well_formed_task_pending_iff_has_retry_at(t: TaskSnapshot) -> bool:
    """A task has an instant of dispatch exactly while it is pending."""
    return (t.state is TaskState.PENDING) == (t.retry_at is not None)


@at_each(_in(TaskState.FULFILLED))
def well_formed_task_fulfilled_is_cleared(t: TaskSnapshot) -> bool:
    """A fulfilled task has no lease, no dispatch and no resumes."""
    return is_idle(t) and not t.resumes


@at_each(_in(TaskState.SUSPENDED))
def well_formed_task_suspended_is_cleared(t: TaskSnapshot) -> bool:
    """A suspended task has no lease and no dispatch."""
    return is_idle(t)


@at_each(_in(TaskState.HALTED))
def well_formed_task_halted_is_cleared(t: TaskSnapshot) -> bool:
    """A halted task has no lease and no dispatch; it keeps its resumes."""
    return is_idle(t)


@at_each(_in(TaskState.SUSPENDED))
def well_formed_task_suspended_has_no_resumes(t: TaskSnapshot) -> bool:
    """A suspended task has no resumes: the first wakes it."""
    return not t.resumes


@at_each(_several_resumes)
def well_formed_task_resumes_unique(t: TaskSnapshot) -> bool:
    """A task is resumed by no promise twice."""
    return is_unique(t.resumes)


@at_each(_in(TaskState.ACQUIRED))
def well_formed_task_acquired_version_positive(t: TaskSnapshot) -> bool:
    """An acquired task has been acquired at least once: its version is 1 or more."""
    return t.version >= 1


@at_each(_with_ttl)
def well_formed_task_ttl_positive(ttl: int) -> bool:
    """No lease expires as it is granted: its length is 1 ms or more."""
    return ttl >= 1


PROPERTIES: Final[tuple[StateProperty, ...]] = (
    well_formed_task_acquired_iff_has_pid,
    well_formed_task_acquired_iff_has_ttl,
    well_formed_task_acquired_iff_has_expires_at,
    well_formed_task_pending_iff_has_retry_at,
    well_formed_task_fulfilled_is_cleared,
    well_formed_task_suspended_is_cleared,
    well_formed_task_halted_is_cleared,
    well_formed_task_suspended_has_no_resumes,
    well_formed_task_resumes_unique,
    well_formed_task_acquired_version_positive,
    well_formed_task_ttl_positive,
)
