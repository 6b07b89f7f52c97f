"""The task requests: get, create, acquire, fence, heartbeat, suspend, fulfill, release, halt, continue.

Law 1: a task whose promise is past its deadline reads as fulfilled, to every request.
Law 2: the version grows by one on pending -> acquired and never else; it is the fencing token.
Law 3: the lease (pid, ttl, expires_at) comes and goes as one, and only with the state `acquired`.
Law 4: whatever settles between a suspension's decision and its arrival is seen: the suspension is redirected.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from resonate.core.protocol.effects import AddCallback, ClearResumes, Effect, PutPromise, PutTask
from resonate.core.protocol.guards import BRANCH, TARGET, is_live, tags_refusal
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.projection import project, project_task, task_record
from resonate.core.protocol.promises import (
    do_create,
    do_settle,
    new_record,
    new_task,
    not_external,
    not_settleable,
    settled_record,
    settlement,
)
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import PromiseRecord, PromiseState, TaskRecord, TaskState
from resonate.core.protocol.requests import (
    ClaimReply,
    Done,
    FenceReply,
    PromiseCreate,
    PromiseReply,
    Rejection,
    SuspendReply,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskRelease,
    TaskReply,
    TaskSuspend,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.transitions import (
    SETTLED_BY,
    TASK_BIRTHS,
    TASK_TABLE,
    TaskBirth,
    TaskEvent,
    task_after,
)
from resonate.core.protocol.validation import (
    create_wrong,
    fenced_wrong,
    id_wrong,
    lease_wrong,
    ref_wrong,
    refs_wrong,
    settle_wrong,
    suspend_wrong,
)
from resonate.errors import EngineBug

R = TypeVar("R")
Answer: TypeAlias = tuple[R | Rejection, tuple[Effect, ...]]
Held: TypeAlias = tuple[Task, Promise, TaskState]

_DONE = Done()
_FENCE: Final = TaskEvent.FENCE


def get(request: TaskGet, reads: Reads, now: int, _settings: Settings) -> Answer[TaskReply]:
    """Answer with the task as it reads now."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    task = reads.task(request.id)
    if task is None:
        return _no_task(request.id), ()
    return TaskReply(read_task(task, promise_of(task, reads).record, reads, now)), ()


def create(request: TaskCreate, reads: Reads, now: int, settings: Settings) -> Answer[ClaimReply]:
    """Create a promise with its task acquired, or acquire the pending task of one that exists."""
    action = request.action
    wrong = lease_wrong(request.pid, request.ttl) or create_wrong(action)
    if wrong is None and TARGET not in action.tags:
        wrong = f"a task is created with a promise that has a {TARGET}"
    wrong = wrong or tags_refusal(action.tags, action.timeout_at, settings)
    if wrong is not None:
        return Rejection(400, wrong), ()
    promise = reads.promise(action.id)
    if promise is None:
        return _create_claimed(request, now)
    task = reads.task(action.id)
    if task is None:
        return Rejection(422, f"the promise {action.id} has no {TARGET}, so it has no task"), ()
    return _claim_existing(request, task, promise, reads, now)


def _create_claimed(request: TaskCreate, now: int) -> Answer[ClaimReply]:
    action = request.action
    record = new_record(action.id, action.timeout_at, action.param, action.tags, created_at=now, now=now)
    if record.state is PromiseState.PENDING:
        state = TASK_BIRTHS[TaskBirth.CREATE_ACQUIRED]
        task = Task(record.id, state, 1, request.pid, request.ttl, now + request.ttl)
    else:
        task = new_task(record, now)
    effects = (PutPromise(Promise(record, action.tags.get(BRANCH) or None)), PutTask(task))
    return ClaimReply(task_record(task, 0), record), effects


def _claim_existing(request: TaskCreate, task: Task, promise: Promise, reads: Reads, now: int) -> Answer[ClaimReply]:
    state = project_task(task, promise.record, now).state
    if state is TaskState.FULFILLED:
        return ClaimReply(read_task(task, promise.record, reads, now), project(promise.record, now)), ()
    after = TASK_TABLE[state, TaskEvent.ACQUIRE]
    if after is None:
        return _cannot(state, TaskEvent.ACQUIRE), ()
    preload = history(promise.record, reads, now)
    return _claim((task, promise, after), request.pid, request.ttl, preload, now)


def acquire(request: TaskAcquire, reads: Reads, now: int, _settings: Settings) -> Answer[ClaimReply]:
    """Lease a pending task to `pid`; of two who try at one version, one wins."""
    wrong = ref_wrong(request.id, request.version) or lease_wrong(request.pid, request.ttl)
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, request.version, TaskEvent.ACQUIRE, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    preload = resumed(request.id, reads, now) if request.delta else history(held[1].record, reads, now)
    return _claim(held, request.pid, request.ttl, preload, now)


def _claim(held: Held, pid: str, ttl: int, preload: tuple[PromiseRecord, ...], now: int) -> Answer[ClaimReply]:
    task, promise, after = held
    claimed = Task(task.id, after, task.version + 1, pid, ttl, now + ttl)
    reply = ClaimReply(task_record(claimed, 0), promise.record, preload)
    return reply, (PutTask(claimed), ClearResumes(task.id))


def fence(request: TaskFence, reads: Reads, now: int, settings: Settings) -> Answer[FenceReply]:
    """Create or settle another promise, if the task is still held at this version."""
    action = request.action
    wrong = ref_wrong(request.id, request.version) or fenced_wrong(action)
    if wrong is None and action.id == request.id:
        wrong = "a task cannot fence a write of its own promise"
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, request.version, _FENCE, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    if isinstance(action, PromiseCreate):
        reply, effects = do_create(action, branch_of(held[1].record), reads, now, settings)
    else:
        reply, effects = do_settle(action, reads, now)
    return FenceReply(reply), effects


def heartbeat(request: TaskHeartbeat, reads: Reads, now: int, _settings: Settings) -> Answer[Done]:
    """Extend each named lease that `pid` still holds; pass the others over."""
    wrong = id_wrong("pid", request.pid) or refs_wrong(request.tasks)
    if wrong is not None:
        return Rejection(400, wrong), ()
    effects: list[Effect] = []
    for ref in request.tasks:
        held = hold(ref.id, ref.version, TaskEvent.HEARTBEAT, reads, now)
        if not isinstance(held, Rejection):
            task, _, after = held
            if task.pid == request.pid and task.ttl is not None:
                effects.append(PutTask(Task(task.id, after, task.version, task.pid, task.ttl, now + task.ttl)))
    return _DONE, tuple(effects)


def suspend(request: TaskSuspend, reads: Reads, now: int, _settings: Settings) -> Answer[SuspendReply]:
    """Give the lease back until one of the awaited settles; or say that one already has."""
    wrong = ref_wrong(request.id, request.version) or suspend_wrong(request.id, request.actions)
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, request.version, TaskEvent.SUSPEND, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    settled: dict[str, PromiseRecord] = {}
    for action in request.actions:
        awaited = reads.promise(action.awaited)
        if awaited is None:
            return Rejection(422, f"no promise has the id {action.awaited} of the awaited"), ()
        refusal = not_external(awaited.record)
        if refusal is not None:
            return refusal, ()
        if not is_live(awaited.record, now):
            settled[action.awaited] = project(awaited.record, now)
    resumes = reads.resumes(request.id)
    if settled or resumes:
        return _redirect(request.id, held[0], settled, reads, now)
    task, _, after = held
    callbacks = [
        AddCallback(action.awaited, request.id)
        for action in request.actions
        if not reads.has_callback(action.awaited, request.id)
    ]
    return SuspendReply(), (*callbacks, PutTask(Task(task.id, after, task.version)))


def _redirect(id: str, task: Task, settled: dict[str, PromiseRecord], reads: Reads, now: int) -> Answer[SuspendReply]:
    task_after(task.state, TaskEvent.REDIRECT)
    known = {record.id: record for record in resumed(id, reads, now)} | settled
    return SuspendReply(redirect=True, preload=tuple(known.values())), (ClearResumes(id),)


def fulfill(request: TaskFulfill, reads: Reads, now: int, _settings: Settings) -> Answer[PromiseReply]:
    """Settle the task's own promise, if the task is still held at this version."""
    action = request.action
    wrong = ref_wrong(request.id, request.version) or settle_wrong(action)
    if wrong is None and action.id != request.id:
        wrong = "a task is fulfilled by settling its own promise"
    if wrong is not None:
        return Rejection(400, wrong), ()
    if action.state not in SETTLED_BY:
        return not_settleable(action.state), ()
    held = hold(request.id, request.version, TaskEvent.FULFILL, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    task, promise, _ = held
    record = settled_record(promise.record, action, now)
    return PromiseReply(record), settlement(promise, record, task)


def release(request: TaskRelease, reads: Reads, now: int, _settings: Settings) -> Answer[Done]:
    """Give the lease back; the task is dispatched again at once."""
    wrong = ref_wrong(request.id, request.version)
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, request.version, TaskEvent.RELEASE, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    task, _, after = held
    return _DONE, (PutTask(Task(task.id, after, task.version, retry_at=now)),)


def halt(request: TaskHalt, reads: Reads, now: int, _settings: Settings) -> Answer[Done]:
    """Stop a task until it is continued; halting a halted one changes nothing."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, None, TaskEvent.HALT, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    task, _, after = held
    return _DONE, () if task.state is after else (PutTask(Task(task.id, after, task.version)),)


def continue_(request: TaskContinue, reads: Reads, now: int, _settings: Settings) -> Answer[Done]:
    """Let a halted task be dispatched again."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    held = hold(request.id, None, TaskEvent.CONTINUE, reads, now)
    if isinstance(held, Rejection):
        return held, ()
    task, _, after = held
    return _DONE, (PutTask(Task(task.id, after, task.version, retry_at=now)),)


# ---------------------------------------------------------------- guards and reads


def hold(id: str, version: int | None, event: TaskEvent, reads: Reads, now: int) -> Held | Rejection:
    """Return the task, its promise and the state after `event`, or the refusal: absent, wrong state, other version.

    A `version` of None is any.
    """
    task = reads.task(id)
    if task is None:
        return _no_task(id)
    promise = reads.promise(id) or promise_of(task, reads)
    state = task.state if is_live(promise.record, now) else TaskState.FULFILLED
    after = TASK_TABLE[state, event]
    if after is None:
        return _cannot(state, event)
    if version is not None and task.version != version:
        return Rejection(409, f"the task is at version {task.version}, not {version}")
    return task, promise, after


def promise_of(task: Task, reads: Reads) -> Promise:
    """Return a task's promise, which is there for every task that is."""
    promise = reads.promise(task.id)
    if promise is None:
        raise EngineBug("the store holds a task without its promise", execution=task.id)
    return promise


def read_task(task: Task, record: PromiseRecord, reads: Reads, now: int) -> TaskRecord:
    """Return what the wire shows of a task at `now`, given its promise's stored record."""
    seen = project_task(task, record, now)
    return task_record(seen, 0 if seen.state is TaskState.FULFILLED else len(reads.resumes(task.id)))


def branch_of(record: PromiseRecord) -> str:
    """Return the branch whose history a task drives: its promise's branch tag, or its id."""
    return record.tags.get(BRANCH) or record.id


def history(record: PromiseRecord, reads: Reads, now: int) -> tuple[PromiseRecord, ...]:
    """Return all that is known of the branch that the task of `record` drives, itself left out."""
    return tuple(project(known, now) for known in reads.preload(branch_of(record)) if known.id != record.id)


def resumed(id: str, reads: Reads, now: int) -> tuple[PromiseRecord, ...]:
    """Return the promises that settled since the task was last acquired."""
    promises = [reads.promise(awaited) for awaited in reads.resumes(id)]
    return tuple(project(promise.record, now) for promise in promises if promise is not None)


def _no_task(id: str) -> Rejection:
    return Rejection(404, f"no task has the id {id}")


def _cannot(state: TaskState, event: TaskEvent) -> Rejection:
    return Rejection(409, f"a task that is {state} cannot {event}")
