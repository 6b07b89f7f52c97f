"""The legal edges of promises and tasks: literal, complete tables `(state, event) -> state`.

Law 1: every state is listed with every event; `REFUSED` says that the event cannot happen in that state.
Law 2: handlers take each new state from here and from nowhere else.
Law 3: guards that a table cannot hold (versions, deadlines, tags) are the named predicates of `guards`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeAlias

from resonate.core.protocol.records import PromiseState, TaskState
from resonate.errors import EngineBug

REFUSED: Final = None

# ---------------------------------------------------------------- promises


class PromiseBirth(StrEnum):
    """How a promise comes to be."""

    CREATE = "create"
    CREATE_LATE = "create past the deadline"
    CREATE_LATE_TIMER = "create a timer past its deadline"


class PromiseEvent(StrEnum):
    """What happens to a promise; `TIME_OUT` and `ELAPSE` (a timer's deadline) are the server's alone."""

    RESOLVE = "resolve"
    REJECT = "reject"
    CANCEL = "cancel"
    TIME_OUT = "time out"
    ELAPSE = "elapse"


PROMISE_BIRTHS: Final[Mapping[PromiseBirth, PromiseState]] = {
    PromiseBirth.CREATE: PromiseState.PENDING,
    PromiseBirth.CREATE_LATE: PromiseState.REJECTED_TIMEDOUT,
    PromiseBirth.CREATE_LATE_TIMER: PromiseState.RESOLVED,
}

PromiseTable: TypeAlias = Mapping[tuple[PromiseState, PromiseEvent], PromiseState]

PROMISE_TABLE: Final[PromiseTable] = {
    (PromiseState.PENDING, PromiseEvent.RESOLVE): PromiseState.RESOLVED,
    (PromiseState.PENDING, PromiseEvent.REJECT): PromiseState.REJECTED,
    (PromiseState.PENDING, PromiseEvent.CANCEL): PromiseState.REJECTED_CANCELED,
    (PromiseState.PENDING, PromiseEvent.TIME_OUT): PromiseState.REJECTED_TIMEDOUT,
    (PromiseState.PENDING, PromiseEvent.ELAPSE): PromiseState.RESOLVED,
    # Settled is final. Settling again is no error: it changes nothing and is answered with what is stored.
    (PromiseState.RESOLVED, PromiseEvent.RESOLVE): PromiseState.RESOLVED,
    (PromiseState.RESOLVED, PromiseEvent.REJECT): PromiseState.RESOLVED,
    (PromiseState.RESOLVED, PromiseEvent.CANCEL): PromiseState.RESOLVED,
    (PromiseState.RESOLVED, PromiseEvent.TIME_OUT): PromiseState.RESOLVED,
    (PromiseState.RESOLVED, PromiseEvent.ELAPSE): PromiseState.RESOLVED,
    (PromiseState.REJECTED, PromiseEvent.RESOLVE): PromiseState.REJECTED,
    (PromiseState.REJECTED, PromiseEvent.REJECT): PromiseState.REJECTED,
    (PromiseState.REJECTED, PromiseEvent.CANCEL): PromiseState.REJECTED,
    (PromiseState.REJECTED, PromiseEvent.TIME_OUT): PromiseState.REJECTED,
    (PromiseState.REJECTED, PromiseEvent.ELAPSE): PromiseState.REJECTED,
    (PromiseState.REJECTED_CANCELED, PromiseEvent.RESOLVE): PromiseState.REJECTED_CANCELED,
    (PromiseState.REJECTED_CANCELED, PromiseEvent.REJECT): PromiseState.REJECTED_CANCELED,
    (PromiseState.REJECTED_CANCELED, PromiseEvent.CANCEL): PromiseState.REJECTED_CANCELED,
    (PromiseState.REJECTED_CANCELED, PromiseEvent.TIME_OUT): PromiseState.REJECTED_CANCELED,
    (PromiseState.REJECTED_CANCELED, PromiseEvent.ELAPSE): PromiseState.REJECTED_CANCELED,
    (PromiseState.REJECTED_TIMEDOUT, PromiseEvent.RESOLVE): PromiseState.REJECTED_TIMEDOUT,
    (PromiseState.REJECTED_TIMEDOUT, PromiseEvent.REJECT): PromiseState.REJECTED_TIMEDOUT,
    (PromiseState.REJECTED_TIMEDOUT, PromiseEvent.CANCEL): PromiseState.REJECTED_TIMEDOUT,
    (PromiseState.REJECTED_TIMEDOUT, PromiseEvent.TIME_OUT): PromiseState.REJECTED_TIMEDOUT,
    (PromiseState.REJECTED_TIMEDOUT, PromiseEvent.ELAPSE): PromiseState.REJECTED_TIMEDOUT,
}

SETTLED_BY: Final[Mapping[PromiseState, PromiseEvent]] = {
    PromiseState.RESOLVED: PromiseEvent.RESOLVE,
    PromiseState.REJECTED: PromiseEvent.REJECT,
    PromiseState.REJECTED_CANCELED: PromiseEvent.CANCEL,
}
"""The event by which a client asks for a state; what is not here, a client cannot ask for."""

# ---------------------------------------------------------------- tasks


class TaskBirth(StrEnum):
    """How a task comes to be, always together with its promise."""

    CREATE = "create"
    CREATE_ACQUIRED = "create acquired"
    CREATE_LATE = "create past the deadline"


class TaskEvent(StrEnum):
    """What happens to a task; the value completes "a task that is pending cannot ..."."""

    ACQUIRE = "be acquired"
    FENCE = "fence a promise"
    HEARTBEAT = "be kept alive"
    SUSPEND = "be suspended"
    REDIRECT = "be redirected"
    FULFILL = "be fulfilled"
    RELEASE = "be released"
    HALT = "be halted"
    CONTINUE = "be continued"
    SETTLE = "see its promise settle"
    RESUME = "be resumed"
    EXPIRE = "lose its lease"
    DISPATCH = "be dispatched"


TASK_BIRTHS: Final[Mapping[TaskBirth, TaskState]] = {
    TaskBirth.CREATE: TaskState.PENDING,
    TaskBirth.CREATE_ACQUIRED: TaskState.ACQUIRED,
    TaskBirth.CREATE_LATE: TaskState.FULFILLED,
}

TaskTable: TypeAlias = Mapping[tuple[TaskState, TaskEvent], TaskState | None]

TASK_TABLE: Final[TaskTable] = {
    (TaskState.PENDING, TaskEvent.ACQUIRE): TaskState.ACQUIRED,
    (TaskState.PENDING, TaskEvent.FENCE): REFUSED,
    (TaskState.PENDING, TaskEvent.HEARTBEAT): REFUSED,
    (TaskState.PENDING, TaskEvent.SUSPEND): REFUSED,
    (TaskState.PENDING, TaskEvent.REDIRECT): REFUSED,
    (TaskState.PENDING, TaskEvent.FULFILL): REFUSED,
    (TaskState.PENDING, TaskEvent.RELEASE): REFUSED,
    (TaskState.PENDING, TaskEvent.HALT): TaskState.HALTED,
    (TaskState.PENDING, TaskEvent.CONTINUE): REFUSED,
    (TaskState.PENDING, TaskEvent.SETTLE): TaskState.FULFILLED,
    (TaskState.PENDING, TaskEvent.RESUME): TaskState.PENDING,
    (TaskState.PENDING, TaskEvent.EXPIRE): REFUSED,
    (TaskState.PENDING, TaskEvent.DISPATCH): TaskState.PENDING,
    (TaskState.ACQUIRED, TaskEvent.ACQUIRE): REFUSED,
    (TaskState.ACQUIRED, TaskEvent.FENCE): TaskState.ACQUIRED,
    (TaskState.ACQUIRED, TaskEvent.HEARTBEAT): TaskState.ACQUIRED,
    (TaskState.ACQUIRED, TaskEvent.SUSPEND): TaskState.SUSPENDED,
    (TaskState.ACQUIRED, TaskEvent.REDIRECT): TaskState.ACQUIRED,
    (TaskState.ACQUIRED, TaskEvent.FULFILL): TaskState.FULFILLED,
    (TaskState.ACQUIRED, TaskEvent.RELEASE): TaskState.PENDING,
    (TaskState.ACQUIRED, TaskEvent.HALT): TaskState.HALTED,
    (TaskState.ACQUIRED, TaskEvent.CONTINUE): REFUSED,
    (TaskState.ACQUIRED, TaskEvent.SETTLE): TaskState.FULFILLED,
    (TaskState.ACQUIRED, TaskEvent.RESUME): TaskState.ACQUIRED,
    (TaskState.ACQUIRED, TaskEvent.EXPIRE): TaskState.PENDING,
    (TaskState.ACQUIRED, TaskEvent.DISPATCH): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.ACQUIRE): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.FENCE): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.HEARTBEAT): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.SUSPEND): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.REDIRECT): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.FULFILL): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.RELEASE): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.HALT): TaskState.HALTED,
    (TaskState.SUSPENDED, TaskEvent.CONTINUE): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.SETTLE): TaskState.FULFILLED,
    (TaskState.SUSPENDED, TaskEvent.RESUME): TaskState.PENDING,
    (TaskState.SUSPENDED, TaskEvent.EXPIRE): REFUSED,
    (TaskState.SUSPENDED, TaskEvent.DISPATCH): REFUSED,
    (TaskState.HALTED, TaskEvent.ACQUIRE): REFUSED,
    (TaskState.HALTED, TaskEvent.FENCE): REFUSED,
    (TaskState.HALTED, TaskEvent.HEARTBEAT): REFUSED,
    (TaskState.HALTED, TaskEvent.SUSPEND): REFUSED,
    (TaskState.HALTED, TaskEvent.REDIRECT): REFUSED,
    (TaskState.HALTED, TaskEvent.FULFILL): REFUSED,
    (TaskState.HALTED, TaskEvent.RELEASE): REFUSED,
    (TaskState.HALTED, TaskEvent.HALT): TaskState.HALTED,
    (TaskState.HALTED, TaskEvent.CONTINUE): TaskState.PENDING,
    (TaskState.HALTED, TaskEvent.SETTLE): TaskState.FULFILLED,
    (TaskState.HALTED, TaskEvent.RESUME): TaskState.HALTED,
    (TaskState.HALTED, TaskEvent.EXPIRE): REFUSED,
    (TaskState.HALTED, TaskEvent.DISPATCH): REFUSED,
    (TaskState.FULFILLED, TaskEvent.ACQUIRE): REFUSED,
    (TaskState.FULFILLED, TaskEvent.FENCE): REFUSED,
    (TaskState.FULFILLED, TaskEvent.HEARTBEAT): REFUSED,
    (TaskState.FULFILLED, TaskEvent.SUSPEND): REFUSED,
    (TaskState.FULFILLED, TaskEvent.REDIRECT): REFUSED,
    (TaskState.FULFILLED, TaskEvent.FULFILL): REFUSED,
    (TaskState.FULFILLED, TaskEvent.RELEASE): REFUSED,
    (TaskState.FULFILLED, TaskEvent.HALT): REFUSED,
    (TaskState.FULFILLED, TaskEvent.CONTINUE): REFUSED,
    (TaskState.FULFILLED, TaskEvent.SETTLE): TaskState.FULFILLED,
    (TaskState.FULFILLED, TaskEvent.RESUME): REFUSED,
    (TaskState.FULFILLED, TaskEvent.EXPIRE): REFUSED,
    (TaskState.FULFILLED, TaskEvent.DISPATCH): REFUSED,
}


def task_after(state: TaskState, event: TaskEvent) -> TaskState:
    """Return the state after an event that is known to be possible; raise `EngineBug` if the table refuses it."""
    after = TASK_TABLE[state, event]
    if after is None:
        raise EngineBug(f"a task that is {state} cannot {event}")
    return after
