"""The promise requests: get, create, settle, register_callback, register_listener.

Law 1: a promise is created once and settled once; whoever comes later is answered with what is stored, as it reads now.
Law 2: settling a promise, by whatever path, fulfils its task in the same step.
Law 3: settling does not walk callbacks and listeners; the drains do, one each.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from resonate.core.protocol.effects import AddCallback, AddListener, ClearResumes, Effect, PutPromise, PutTask
from resonate.core.protocol.guards import (
    BRANCH,
    DELAY,
    TARGET,
    is_deliverable,
    is_external,
    is_live,
    is_timer,
    tags_refusal,
)
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.projection import fulfilled, project
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import NO_VALUE, PENDING, PromiseRecord, PromiseState, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSettle,
    Rejection,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.transitions import (
    PROMISE_BIRTHS,
    PROMISE_TABLE,
    SETTLED_BY,
    TASK_BIRTHS,
    PromiseBirth,
    TaskBirth,
)
from resonate.core.protocol.validation import create_wrong, id_wrong, settle_wrong

Answer: TypeAlias = tuple[PromiseReply | Rejection, tuple[Effect, ...]]

_BORN: Final = PROMISE_BIRTHS[PromiseBirth.CREATE]


def get(request: PromiseGet, reads: Reads, now: int, _settings: Settings) -> Answer:
    """Answer with the promise as it reads now."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    promise = reads.promise(request.id)
    if promise is None:
        return no_promise(request.id), ()
    return PromiseReply(project(promise.record, now)), ()


def create(request: PromiseCreate, reads: Reads, now: int, settings: Settings) -> Answer:
    """Create a promise, and its task if it is targeted."""
    wrong = create_wrong(request)
    if wrong is not None:
        return Rejection(400, wrong), ()
    return do_create(request, request.tags.get(BRANCH) or None, reads, now, settings)


def settle(request: PromiseSettle, reads: Reads, now: int, _settings: Settings) -> Answer:
    """Settle a promise, and fulfil its task."""
    wrong = settle_wrong(request)
    if wrong is not None:
        return Rejection(400, wrong), ()
    return do_settle(request, reads, now)


def register_callback(request: PromiseRegisterCallback, reads: Reads, now: int, _settings: Settings) -> Answer:
    """Remember that a task waits for a promise."""
    wrong = id_wrong("awaited", request.awaited) or id_wrong("awaiter", request.awaiter)
    if wrong is not None:
        return Rejection(400, wrong), ()
    if request.awaited == request.awaiter:
        return Rejection(400, "a task cannot wait for its own promise"), ()
    awaited = reads.promise(request.awaited)
    if awaited is None:
        return no_promise(request.awaited), ()
    awaiter = reads.promise(request.awaiter)
    refusal = _awaiter_refusal(awaiter, request.awaiter) or not_external(awaited.record)
    if refusal is not None:
        return refusal, ()
    reply = PromiseReply(project(awaited.record, now))
    waits = awaiter is not None and is_live(awaited.record, now) and is_live(awaiter.record, now)
    if not waits or reads.has_callback(request.awaited, request.awaiter):
        return reply, ()
    return reply, (AddCallback(request.awaited, request.awaiter),)


def _awaiter_refusal(awaiter: Promise | None, id: str) -> Rejection | None:
    if awaiter is None:
        return Rejection(422, f"no promise has the id {id} of the awaiter")
    if TARGET not in awaiter.record.tags:
        return Rejection(422, f"the awaiter {id} has no {TARGET}, so it has no task to resume")
    return None


def register_listener(request: PromiseRegisterListener, reads: Reads, now: int, _settings: Settings) -> Answer:
    """Remember that an address wants to be told of a promise's outcome."""
    wrong = id_wrong("awaited", request.awaited) or id_wrong("address", request.address)
    if wrong is not None:
        return Rejection(400, wrong), ()
    if not is_deliverable(request.address):
        return Rejection(400, "a listener's address must be http://, https://, or poll:// with an @"), ()
    promise = reads.promise(request.awaited)
    if promise is None:
        return no_promise(request.awaited), ()
    refusal = not_external(promise.record)
    if refusal is not None:
        return refusal, ()
    reply = PromiseReply(project(promise.record, now))
    if not is_live(promise.record, now) or reads.has_listener(request.awaited, request.address):
        return reply, ()
    return reply, (AddListener(request.awaited, request.address),)


# ---------------------------------------------------------------- shared with tasks, schedules and timeouts


def no_promise(id: str) -> Rejection:
    """Return the 404 of a promise."""
    return Rejection(404, f"no promise has the id {id}")


def not_external(record: PromiseRecord) -> Rejection | None:
    """Refuse what nothing would ever discharge: waiting for a promise that the clock does not settle."""
    if is_external(record.tags):
        return None
    return Rejection(422, f"the promise {record.id} is internal: it is not targeted, a timer or external")


def do_create(request: PromiseCreate, home: str | None, reads: Reads, now: int, settings: Settings) -> Answer:
    """Create from a well-formed request, as part of the history of branch `home`."""
    tags = request.tags
    refusal = tags_refusal(tags, request.timeout_at, settings)
    if refusal is not None:
        return Rejection(400, refusal), ()
    stored = reads.promise(request.id)
    if stored is not None:
        return PromiseReply(project(stored.record, now)), ()
    record = new_record(request.id, request.timeout_at, request.param, tags, created_at=now, now=now)
    reply = PromiseReply(record)
    if TARGET in tags:
        return reply, (PutPromise(Promise(record, home)), PutTask(new_task(record, now)))
    return reply, (PutPromise(Promise(record, home)),)


def new_record(
    id: str, timeout_at: int, param: Value, tags: Mapping[str, str], *, created_at: int, now: int
) -> PromiseRecord:
    """Return a promise at birth: pending since `created_at`, or settled if its deadline is behind `now`."""
    if timeout_at > now:
        return PromiseRecord(id, _BORN, timeout_at, created_at, None, param, NO_VALUE, _kept(tags))
    birth = PromiseBirth.CREATE_LATE_TIMER if is_timer(tags) else PromiseBirth.CREATE_LATE
    return PromiseRecord(
        id=id,
        state=PROMISE_BIRTHS[birth],
        param=param,
        tags=_kept(tags),
        timeout_at=timeout_at,
        created_at=timeout_at,
        settled_at=timeout_at,
    )


def _kept(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return tags that stay as they are: a copy, unless they can't be changed anyway."""
    return tags if isinstance(tags, MappingProxyType) else dict(tags)


def new_task(record: PromiseRecord, now: int) -> Task:
    """Return the task that is born with a promise: to be dispatched at once or after its delay, or fulfilled."""
    if record.state is not PENDING:
        return Task(record.id, TASK_BIRTHS[TaskBirth.CREATE_LATE])
    retry_at = max(int(record.tags.get(DELAY, "0")), now)
    return Task(record.id, TASK_BIRTHS[TaskBirth.CREATE], retry_at=retry_at)


def do_settle(request: PromiseSettle, reads: Reads, now: int) -> Answer:
    """Settle from a well-formed request."""
    if request.state not in SETTLED_BY:
        return not_settleable(request.state), ()
    promise = reads.promise(request.id)
    if promise is None:
        return no_promise(request.id), ()
    if not is_live(promise.record, now):
        return PromiseReply(project(promise.record, now)), ()
    record = settled_record(promise.record, request, now)
    task = reads.task(request.id) if TARGET in record.tags else None
    return PromiseReply(record), settlement(promise, record, task)


def not_settleable(state: PromiseState) -> Rejection:
    """Return the 400 of a client that asks for a state which is not a client's to give."""
    return Rejection(400, f"a promise cannot be settled as {state} by a client")


def settled_record(record: PromiseRecord, request: PromiseSettle, now: int) -> PromiseRecord:
    """Return a pending record as a client settles it, with a state known to be settleable."""
    state = PROMISE_TABLE[record.state, SETTLED_BY[request.state]]
    return PromiseRecord(
        record.id, state, record.timeout_at, record.created_at, now, record.param, request.value, record.tags
    )


def settlement(promise: Promise, record: PromiseRecord, task: Task | None) -> tuple[Effect, ...]:
    """Return what to write when `promise` settles as `record`: the promise, and its task fulfilled and cleared."""
    put = PutPromise(Promise(record, promise.home))
    return (put,) if task is None else (put, PutTask(fulfilled(task)), ClearResumes(task.id))
