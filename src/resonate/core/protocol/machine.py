"""The server as a pure machine: a request or an internal step, what is stored and the instant give reply and writes.

Law 1: one step is one transaction: it reads one snapshot, does not see its own writes, all its effects are applied.
Law 2: every reply and every guard uses the projected view: past its deadline a promise reads as settled.
Law 3: a refusal is a `Rejection` and writes nothing; no request, however malformed, raises.
Law 4: the cost of a step does not grow with history (but for the searches and a preload).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

from resonate.core.protocol import drains, promises, schedules, searches, tasks, timeouts
from resonate.core.protocol.effects import Effect
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleSearch,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskRelease,
    TaskSearch,
    TaskSuspend,
)
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    LeaseTimeout,
    ListenerDrain,
    PromiseTimeout,
    RetryDispatch,
    ScheduleFire,
)

__all__ = [
    "CallbackDrain",
    "InternalStep",
    "LeaseTimeout",
    "ListenerDrain",
    "PromiseTimeout",
    "RetryDispatch",
    "ScheduleFire",
    "Settings",
    "fire",
    "handle",
]

R = TypeVar("R")

_Handler: TypeAlias = Callable[[Any, Reads, int, Settings], tuple[Any, tuple[Effect, ...]]]
_Step: TypeAlias = Callable[[Any, Reads, int, Settings], tuple[Effect, ...]]

# Each handler takes its own request only, which no type of a table can say; hence the casts.
_HANDLERS: Final = cast(
    "Mapping[type[Request[Any]], _Handler]",
    {
        PromiseGet: promises.get,
        PromiseCreate: promises.create,
        PromiseSettle: promises.settle,
        PromiseRegisterCallback: promises.register_callback,
        PromiseRegisterListener: promises.register_listener,
        PromiseSearch: searches.promises,
        TaskGet: tasks.get,
        TaskCreate: tasks.create,
        TaskAcquire: tasks.acquire,
        TaskFence: tasks.fence,
        TaskHeartbeat: tasks.heartbeat,
        TaskSuspend: tasks.suspend,
        TaskFulfill: tasks.fulfill,
        TaskRelease: tasks.release,
        TaskHalt: tasks.halt,
        TaskContinue: tasks.continue_,
        TaskSearch: searches.tasks,
        ScheduleCreate: schedules.create,
        ScheduleGet: schedules.get,
        ScheduleDelete: schedules.delete,
        ScheduleSearch: searches.schedules,
    },
)

_STEPS: Final = cast(
    "Mapping[type[InternalStep], _Step]",
    {
        PromiseTimeout: timeouts.time_out,
        CallbackDrain: drains.callback,
        ListenerDrain: drains.listener,
        LeaseTimeout: timeouts.expire,
        RetryDispatch: timeouts.dispatch,
        ScheduleFire: schedules.fire,
    },
)


def handle(
    request: Request[R], reads: Reads, now: int, settings: Settings = DEFAULT_SETTINGS
) -> tuple[R | Rejection, tuple[Effect, ...]]:
    """Do one request at `now`; return the reply and what to write."""
    handler = _HANDLERS.get(type(request))
    if handler is None:
        return Rejection(400, f"{type(request).__name__} is no request of the protocol"), ()
    return handler(request, reads, now, settings)


def fire(step: InternalStep, reads: Reads, now: int, settings: Settings = DEFAULT_SETTINGS) -> tuple[Effect, ...]:
    """Do one internal step at `now`; return what to write, nothing if it is not due."""
    return _STEPS[type(step)](step, reads, now, settings)
