"""The 21 requests of the protocol and the replies they earn.

Law 1: a request says everything; who sends it and when is not part of it.
Law 2: a refusal is a `Rejection` value, not an exception; exceptions are for stores that could not answer.
Law 3: each request class names its reply: `PromiseGet` is a `Request[PromiseReply]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Generic, TypeAlias, TypeVar

from attrs import field

from resonate.core.frozen import frozen
from resonate.core.protocol.records import (
    NO_VALUE,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    TaskRecord,
    TaskState,
    Value,
    no_tags,
)

# ---------------------------------------------------------------- replies


class Status(IntEnum):
    """The status numbers of the protocol that a machine answers with."""

    OK = 200
    REDIRECT = 300
    BAD_REQUEST = 400
    NOT_FOUND = 404
    CONFLICT = 409
    UNPROCESSABLE = 422


@frozen
class Rejection:
    """The server understood and refused. `message` is a sentence with the state and the event."""

    status: int
    message: str


@frozen
class PromiseReply:
    """200 of promise.get, create, settle, register_callback, register_listener, task.fulfill."""

    promise: PromiseRecord


@frozen
class TaskReply:
    """200 of task.get."""

    task: TaskRecord


@frozen
class ClaimReply:
    """200 of task.create and task.acquire. The order of `preload` means nothing."""

    task: TaskRecord
    promise: PromiseRecord
    preload: tuple[PromiseRecord, ...] = ()


@frozen
class FenceReply:
    """200 of task.fence: the inner action's own reply."""

    action: PromiseReply | Rejection
    preload: tuple[PromiseRecord, ...] = ()


@frozen
class SuspendReply:
    """200 of task.suspend, or its 300 (`redirect`): "don't suspend, here is more"."""

    redirect: bool = False
    preload: tuple[PromiseRecord, ...] = ()


@frozen
class Done:
    """200 with nothing in it: heartbeat, release, halt, continue, schedule.delete."""


@frozen
class ScheduleReply:
    """200 of schedule.create and schedule.get."""

    schedule: ScheduleRecord


@frozen
class PromisePage:
    """200 of promise.search; `cursor` is None on the last page."""

    promises: tuple[PromiseRecord, ...]
    cursor: str | None = None


@frozen
class TaskPage:
    """200 of task.search; `cursor` is None on the last page."""

    tasks: tuple[TaskRecord, ...]
    cursor: str | None = None


@frozen
class SchedulePage:
    """200 of schedule.search; `cursor` is None on the last page."""

    schedules: tuple[ScheduleRecord, ...]
    cursor: str | None = None


Reply: TypeAlias = (
    PromiseReply
    | TaskReply
    | ClaimReply
    | FenceReply
    | SuspendReply
    | Done
    | ScheduleReply
    | PromisePage
    | TaskPage
    | SchedulePage
)

R_co = TypeVar("R_co", covariant=True)


class Request(Generic[R_co]):
    """Base of all requests; the parameter is the reply that a success earns."""

    __slots__ = ()
    kind: ClassVar[str]


# ---------------------------------------------------------------- promises


@frozen
class PromiseGet(Request[PromiseReply]):
    """Read one promise."""

    kind: ClassVar[str] = "promise.get"
    id: str


@frozen
class PromiseCreate(Request[PromiseReply]):
    """Make a promise; an existing one is answered as it is stored, whatever these fields say."""

    kind: ClassVar[str] = "promise.create"
    id: str
    timeout_at: int
    param: Value = NO_VALUE
    tags: Mapping[str, str] = field(factory=no_tags)


@frozen
class PromiseSettle(Request[PromiseReply]):
    """Give a promise its outcome; the first one counts, later ones are answered with it."""

    kind: ClassVar[str] = "promise.settle"
    id: str
    state: PromiseState
    value: Value = NO_VALUE


@frozen(kw_only=True)
class PromiseRegisterCallback(Request[PromiseReply]):
    """Resume the task `awaiter` when the promise `awaited` settles."""

    kind: ClassVar[str] = "promise.register_callback"
    awaited: str
    awaiter: str


@frozen(kw_only=True)
class PromiseRegisterListener(Request[PromiseReply]):
    """Send `Unblock` to `address` when the promise `awaited` settles."""

    kind: ClassVar[str] = "promise.register_listener"
    awaited: str
    address: str


@frozen(kw_only=True)
class PromiseSearch(Request[PromisePage]):
    """Page through promises by id; all `tags` must match. `limit` is 1 to 1000."""

    kind: ClassVar[str] = "promise.search"
    state: PromiseState | None = None
    tags: Mapping[str, str] = field(factory=no_tags)
    limit: int = 100
    cursor: str | None = None


# ---------------------------------------------------------------- tasks


@frozen
class TaskGet(Request[TaskReply]):
    """Read one task."""

    kind: ClassVar[str] = "task.get"
    id: str


@frozen(kw_only=True)
class TaskCreate(Request[ClaimReply]):
    """Create a targeted promise with its task acquired by `pid` for `ttl` ms, or claim a pending one."""

    kind: ClassVar[str] = "task.create"
    pid: str
    ttl: int
    action: PromiseCreate


@frozen(kw_only=True)
class TaskAcquire(Request[ClaimReply]):
    """Claim a pending task at `version`.

    `delta` asks for the records of the task's resumes alone as preload, instead of all its history:
    for a worker that still holds the live continuation. Servers that do not know it ignore it.
    """

    kind: ClassVar[str] = "task.acquire"
    id: str
    version: int
    pid: str
    ttl: int
    delta: bool = False


@frozen
class TaskFence(Request[FenceReply]):
    """Do `action` only if the task is acquired at `version`."""

    kind: ClassVar[str] = "task.fence"
    id: str
    version: int
    action: PromiseCreate | PromiseSettle


@frozen
class TaskRef:
    """A task at a version, as a heartbeat names it."""

    id: str
    version: int


@frozen(kw_only=True)
class TaskHeartbeat(Request[Done]):
    """Extend the leases that `pid` holds on `tasks`; what it does not hold is passed over."""

    kind: ClassVar[str] = "task.heartbeat"
    pid: str
    tasks: tuple[TaskRef, ...]


@frozen(kw_only=True)
class TaskSuspend(Request[SuspendReply]):
    """Give the lease back until one of the promises awaited settles."""

    kind: ClassVar[str] = "task.suspend"
    id: str
    version: int
    actions: tuple[PromiseRegisterCallback, ...]


@frozen(kw_only=True)
class TaskFulfill(Request[PromiseReply]):
    """Settle the task's own promise, and so end the task."""

    kind: ClassVar[str] = "task.fulfill"
    id: str
    version: int
    action: PromiseSettle


@frozen(kw_only=True)
class TaskRelease(Request[Done]):
    """Give the lease back at once; any worker may have the task."""

    kind: ClassVar[str] = "task.release"
    id: str
    version: int


@frozen
class TaskHalt(Request[Done]):
    """Stop a task until it is continued."""

    kind: ClassVar[str] = "task.halt"
    id: str


@frozen
class TaskContinue(Request[Done]):
    """Let a halted task run again."""

    kind: ClassVar[str] = "task.continue"
    id: str


@frozen(kw_only=True)
class TaskSearch(Request[TaskPage]):
    """Page through tasks by id; `tags` match the task's promise. `limit` is 1 to 1000."""

    kind: ClassVar[str] = "task.search"
    state: TaskState | None = None
    tags: Mapping[str, str] = field(factory=no_tags)
    limit: int = 100
    cursor: str | None = None


# ---------------------------------------------------------------- schedules


@frozen(kw_only=True)
class ScheduleCreate(Request[ScheduleReply]):
    """Create promises by cron; an existing schedule is answered as it is stored."""

    kind: ClassVar[str] = "schedule.create"
    id: str
    cron: str
    promise_id: str
    promise_timeout: int
    promise_param: Value = NO_VALUE
    promise_tags: Mapping[str, str] = field(factory=no_tags)


@frozen
class ScheduleGet(Request[ScheduleReply]):
    """Read one schedule."""

    kind: ClassVar[str] = "schedule.get"
    id: str


@frozen
class ScheduleDelete(Request[Done]):
    """Delete a schedule; the promises it fired stay."""

    kind: ClassVar[str] = "schedule.delete"
    id: str


@frozen(kw_only=True)
class ScheduleSearch(Request[SchedulePage]):
    """Page through schedules by id; `tags` match the promise tags. `limit` is 1 to 1000."""

    kind: ClassVar[str] = "schedule.search"
    tags: Mapping[str, str] = field(factory=no_tags)
    limit: int = 100
    cursor: str | None = None


REQUESTS: tuple[type[Request[object]], ...] = (
    PromiseGet,
    PromiseCreate,
    PromiseSettle,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSearch,
    TaskGet,
    TaskCreate,
    TaskAcquire,
    TaskFence,
    TaskHeartbeat,
    TaskSuspend,
    TaskFulfill,
    TaskRelease,
    TaskHalt,
    TaskContinue,
    TaskSearch,
    ScheduleCreate,
    ScheduleGet,
    ScheduleDelete,
    ScheduleSearch,
)
