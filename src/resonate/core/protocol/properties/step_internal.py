"""What the server's internal steps may not do, though requests may. Checked at internal steps only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from resonate.core.protocol.properties.named import StepProperty, over_each
from resonate.core.protocol.properties.reading import is_settled_by_deadline
from resonate.core.protocol.properties.view import Cause, Move, Step
from resonate.core.protocol.records import TaskState
from resonate.core.protocol.snapshot import PromiseSnapshot

_EDGES: Final = frozenset(
    {
        (None, TaskState.PENDING),
        (None, TaskState.FULFILLED),
        (TaskState.PENDING, TaskState.FULFILLED),
        (TaskState.ACQUIRED, TaskState.PENDING),
        (TaskState.ACQUIRED, TaskState.FULFILLED),
        (TaskState.SUSPENDED, TaskState.PENDING),
        (TaskState.SUSPENDED, TaskState.FULFILLED),
        (TaskState.HALTED, TaskState.FULFILLED),
    }
)


def _task_edges(s: Step) -> Iterable[tuple[TaskState | None, TaskState]]:
    if s.cause is Cause.INTERNAL:
        yield from ((m.old.state, m.new.state) for m in s.transitions)
        yield from ((None, t.state) for t in s.born_tasks)


def _changed_state(s: Step) -> Iterable[Move[PromiseSnapshot]]:
    if s.cause is Cause.INTERNAL:
        yield from (m for m in s.moved_promises if m.old.record.state is not m.new.record.state)


@over_each(_task_edges)
def consistent_task_state_edge_internal_admissible(edge: tuple[TaskState | None, TaskState]) -> bool:
    """The server alone may make a task (by a schedule), make it pending again, resume or fulfil it.

    It never acquires, suspends, halts or continues one.
    """
    return edge in _EDGES


@over_each(_changed_state)
def consistent_promise_state_edge_internal_admissible(m: Move[PromiseSnapshot]) -> bool:
    """The server alone settles a promise only by its deadline, once that has come."""
    return m.new.record.timeout_at <= m.now and is_settled_by_deadline(m.new.record)


PROPERTIES: Final[tuple[StepProperty, ...]] = (
    consistent_task_state_edge_internal_admissible,
    consistent_promise_state_edge_internal_admissible,
)
