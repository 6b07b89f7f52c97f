"""The task requests, row by row."""

from __future__ import annotations

from typing import Final

from resonate.core.protocol.records import PromiseState, TaskRecord, TaskState, Value
from resonate.core.protocol.requests import (
    FenceReply,
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseReply,
    PromiseSettle,
    Rejection,
    Request,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskRef,
    TaskRelease,
    TaskSuspend,
)
from resonate.testing.contracts.expect import agree, hold
from resonate.testing.contracts.store.stage import (
    EXTERNAL,
    INTERNAL,
    PID,
    TARGETED,
    TIMER,
    TTL,
    Stage,
    StoreChecks,
    suspension,
)

CHECKS: Final = StoreChecks()


def _create(id: str, timeout_at: int, ttl: int = TTL) -> TaskCreate:
    return TaskCreate(pid=PID, ttl=ttl, action=PromiseCreate(id=id, timeout_at=timeout_at, tags=TARGETED))


def _fulfill(id: str, version: int, state: PromiseState = PromiseState.RESOLVED) -> TaskFulfill:
    return TaskFulfill(id=id, version=version, action=PromiseSettle(id=id, state=state, value=Value(data="out")))


def _fenced_create(id: str, version: int, child: str, timeout_at: int) -> TaskFence:
    return TaskFence(id=id, version=version, action=PromiseCreate(id=child, timeout_at=timeout_at))


def _held_at(id: str, version: int, stage: Stage) -> tuple[Request[object], ...]:
    """Return one request of each kind that needs the task acquired at a version."""
    return (
        _fenced_create(id, version, "child", stage.far),
        suspension(id, version, ["awaited"]),
        _fulfill(id, version),
        TaskRelease(id=id, version=version),
    )


@CHECKS
async def every_verb_on_an_absent_task_is_not_found(stage: Stage) -> None:
    await stage.create("awaited", EXTERNAL)
    await stage.create("p", EXTERNAL)
    others = (TaskGet("p"), TaskHalt("p"), TaskContinue("p"), TaskAcquire(id="p", version=0, pid=PID, ttl=TTL))
    for request in (*others, *_held_at("p", 1, stage)):
        await stage.refused(request, 404, "a promise without target has no task")


@CHECKS
async def create_makes_an_acquired_task(stage: Stage) -> None:
    reply = await stage.claim("p")
    wanted = TaskRecord(id="p", state=TaskState.ACQUIRED, version=1, ttl=TTL, pid=PID)
    agree(reply.task, wanted, "the task")
    agree((reply.promise.id, reply.promise.state), ("p", PromiseState.PENDING), "the promise")
    agree(reply.preload, (), "the preload of a new task")
    agree(await stage.task("p"), wanted, "what get answers")
    await stage.quiet()
    agree(stage.me.heard, [], "dispatches of a task that is acquired already")


@CHECKS
async def create_needs_a_target_and_no_timer(stage: Stage) -> None:
    for tags in (INTERNAL, EXTERNAL, TIMER):
        action = PromiseCreate(id="p", timeout_at=stage.far, tags=tags)
        await stage.refused(TaskCreate(pid=PID, ttl=TTL, action=action), 400, "a task needs a target")
    await stage.refused(PromiseGet("p"), 404, "what was refused is not stored")


@CHECKS
async def create_past_the_deadline_is_fulfilled_at_birth(stage: Stage) -> None:
    reply = await stage.ask(_create("p", stage.now))
    agree((reply.task.state, reply.task.version), (TaskState.FULFILLED, 0), "the task")
    agree(reply.promise.state, PromiseState.REJECTED_TIMEDOUT, "the promise")


@CHECKS
async def create_on_a_promise_without_target_is_refused(stage: Stage) -> None:
    await stage.create("p", EXTERNAL)
    await stage.refused(_create("p", stage.far), 422, "the promise that exists has no target")


@CHECKS
async def create_acquires_what_is_pending(stage: Stage) -> None:
    made = await stage.create("p", TARGETED, param=Value(data="first"))
    reply = await stage.claim("p")
    agree((reply.task.state, reply.task.version), (TaskState.ACQUIRED, 1), "the task")
    agree(reply.promise, made, "the promise")


@CHECKS
async def create_on_a_task_that_is_taken_is_a_conflict(stage: Stage) -> None:
    await stage.create("awaited", EXTERNAL)
    await stage.claim("acquired")
    await stage.claim("suspended")
    await stage.suspend("suspended", 1, ["awaited"])
    await stage.claim("halted")
    await stage.ask(TaskHalt("halted"))
    for id in ("acquired", "suspended", "halted"):
        await stage.refused(_create(id, stage.far), 409, f"the task is {id}")


@CHECKS
async def create_on_a_fulfilled_task_answers_the_records(stage: Stage) -> None:
    await stage.claim("p")
    settled = (await stage.ask(_fulfill("p", 1))).promise
    reply = await stage.ask(_create("p", stage.far))
    agree((reply.task.state, reply.task.version), (TaskState.FULFILLED, 1), "the task")
    agree(reply.promise, settled, "the promise")


@CHECKS
async def acquire_counts_the_version_and_takes_the_lease(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    reply = await stage.acquire("p", 0)
    agree(reply.task, TaskRecord(id="p", state=TaskState.ACQUIRED, version=1, ttl=TTL, pid=PID), "the task")
    agree(reply.promise, await stage.promise("p"), "the promise")


@CHECKS
async def acquire_is_exclusive(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    other = await stage.join(pid="w2")
    replies = [
        await store.send(TaskAcquire(id="p", version=0, pid=pid, ttl=TTL))
        for store, pid in ((stage.store, PID), (other.store, "w2"), (stage.store, PID))
    ]
    agree([isinstance(reply, Rejection) for reply in replies], [False, True, True], "which were refused")
    agree((await stage.task("p")).pid, PID, "who holds the lease")


@CHECKS
async def acquire_needs_the_version_and_a_pending_task(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    wrong = TaskAcquire(id="p", version=1, pid=PID, ttl=TTL)
    await stage.refused(wrong, 409, "the task is at version 0")
    await stage.ask(TaskHalt("p"))
    await stage.refused(TaskAcquire(id="p", version=0, pid=PID, ttl=TTL), 409, "the task is halted")
    await stage.settle("p")
    await stage.refused(TaskAcquire(id="p", version=0, pid=PID, ttl=TTL), 409, "the task is fulfilled")


@CHECKS
async def what_needs_the_lease_is_refused_without_it(stage: Stage) -> None:
    await stage.create("awaited", EXTERNAL)
    await stage.create("pending", TARGETED)
    await stage.claim("other-version")
    await stage.claim("halted")
    await stage.ask(TaskHalt("halted"))
    await stage.claim("fulfilled")
    await stage.settle("fulfilled")
    for id, version in (("pending", 0), ("other-version", 2), ("other-version", 0), ("halted", 1), ("fulfilled", 1)):
        for request in _held_at(id, version, stage):
            await stage.refused(request, 409, f"the task is {id}")
    await stage.refused(PromiseGet("child"), 404, "a fenced write that was refused is not done")


@CHECKS
async def fence_creates_and_settles_under_the_lease(stage: Stage) -> None:
    await stage.claim("p")
    made = await stage.ask(_fenced_create("p", 1, "child", stage.far))
    agree(_inner(made), await stage.promise("child"), "what a fenced create answers")
    settle = PromiseSettle(id="child", state=PromiseState.REJECTED, value=Value(data="no"))
    done = await stage.ask(TaskFence(id="p", version=1, action=settle))
    agree(_inner(done), await stage.promise("child"), "what a fenced settle answers")
    agree((await stage.promise("child")).state, PromiseState.REJECTED, "the child's state")


def _inner(reply: FenceReply) -> object:
    return reply.action.promise if isinstance(reply.action, PromiseReply) else reply.action


@CHECKS
async def fence_carries_the_refusal_of_its_action_inside(stage: Stage) -> None:
    await stage.claim("p")
    settle = PromiseSettle(id="absent", state=PromiseState.RESOLVED)
    reply = await stage.ask(TaskFence(id="p", version=1, action=settle))
    hold(isinstance(reply.action, Rejection) and reply.action.status == 404, "the action's own 404 is inside a 200")


@CHECKS
async def fence_refuses_the_task_s_own_promise(stage: Stage) -> None:
    await stage.claim("p")
    for action in (
        PromiseCreate(id="p", timeout_at=stage.far),
        PromiseSettle(id="p", state=PromiseState.RESOLVED),
    ):
        await stage.refused(TaskFence(id="p", version=1, action=action), 400, "a task fences others' promises")


@CHECKS
async def heartbeat_extends_the_lease(stage: Stage) -> None:
    await stage.claim("p", ttl=1_000)
    for _ in range(5):
        await stage.past(stage.now + 900)
        await stage.ask(TaskHeartbeat(pid=PID, tasks=(TaskRef("p", 1),)))
    agree((await stage.task("p")).state, TaskState.ACQUIRED, "a task whose lease is extended")
    await stage.past(stage.now + 1_000)
    agree((await stage.task("p")).state, TaskState.PENDING, "a task whose lease is extended no more")


@CHECKS
async def heartbeat_passes_over_what_is_not_held(stage: Stage) -> None:
    await stage.claim("p", ttl=1_000)
    await stage.claim("kept", ttl=1_000)
    await stage.create("pending", TARGETED)
    await stage.past(stage.now + 900)
    await stage.ask(TaskHeartbeat(pid="w2", tasks=(TaskRef("p", 1),)))
    refs = (TaskRef("absent", 1), TaskRef("p", 2), TaskRef("pending", 0), TaskRef("kept", 1))
    await stage.ask(TaskHeartbeat(pid=PID, tasks=refs))
    await stage.past(stage.now + 100)
    agree((await stage.task("p")).state, TaskState.PENDING, "a task that nobody's heartbeat named rightly")
    agree((await stage.task("kept")).state, TaskState.ACQUIRED, "a task named among others that are not held")


@CHECKS
async def suspend_gives_the_lease_back_until_something_settles(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("a", EXTERNAL)
    await stage.create("b", TIMER)
    reply = await stage.suspend("p", 1, ["a", "b"])
    agree(reply.redirect, False, "whether a suspend on pending promises redirects")
    agree(await stage.task("p"), TaskRecord(id="p", state=TaskState.SUSPENDED, version=1), "the task")
    await stage.settle("a")
    await stage.quiet()
    agree(await stage.task("p"), TaskRecord(id="p", state=TaskState.PENDING, version=1, resumes=1), "the task")
    agree([one.version for one in stage.me.executes("p")], [1], "the versions dispatched")


@CHECKS
async def suspend_redirects_when_something_has_settled(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("a", EXTERNAL)
    await stage.create("b", EXTERNAL, stage.now + 5)
    await stage.create("c", EXTERNAL)
    settled = await stage.settle("a")
    stage.at(stage.now + 5)
    reply = await stage.suspend("p", 1, ["a", "b", "c"])
    hold(reply.redirect, "a suspend on what has settled redirects")
    known = {record.id: record for record in reply.preload}
    agree(known.get("a"), settled, "what was settled, in the preload")
    hold("b" in known and known["b"].state is PromiseState.REJECTED_TIMEDOUT, "what has timed out is in the preload")
    agree((await stage.task("p")).state, TaskState.ACQUIRED, "the task after a redirect")
    await stage.settle("c")
    await stage.quiet()
    agree((await stage.task("p")).resumes, 0, "resumes by callbacks that a redirect did not store")


@CHECKS
async def suspend_redirects_when_earlier_callbacks_have_fired(stage: Stage) -> None:
    if not stage.store.dialect.keeps_resumes:
        return
    await stage.claim("p")
    for id in ("a", "b", "c"):
        await stage.create(id, EXTERNAL)
    await stage.suspend("p", 1, ["a", "b"])
    await stage.settle("a")
    await stage.quiet()
    await stage.acquire("p", 1)
    await stage.settle("b")
    await stage.quiet()
    reply = await stage.suspend("p", 2, ["c"])
    hold(reply.redirect, "b has settled since the task was acquired, and its callback was registered before")
    agree([record.id for record in reply.preload], ["b"], "what the redirect brings")
    agree((await stage.suspend("p", 2, ["c"])).redirect, False, "a redirect for what was brought already")


@CHECKS
async def suspend_is_refused_where_it_cannot_work(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("a", EXTERNAL)
    await stage.create("internal")
    foreign = TaskSuspend(id="p", version=1, actions=(PromiseRegisterCallback(awaited="a", awaiter="other"),))
    for request, status, why in (
        (suspension("p", 1, []), 400, "it waits for nothing"),
        (suspension("p", 1, ["p"]), 400, "it waits for itself"),
        (suspension("p", 1, ["a", "a"]), 400, "it waits twice for the same"),
        (foreign, 400, "the callback is another task's"),
        (suspension("p", 1, ["a", "absent"]), 422, "an awaited is absent"),
        (suspension("p", 1, ["a", "internal"]), 422, "an awaited is internal"),
    ):
        await stage.refused(request, status, why)
    agree((await stage.task("p")).state, TaskState.ACQUIRED, "the task")
    await stage.settle("a")
    await stage.quiet()
    agree((await stage.task("p")).resumes, 0, "resumes by callbacks of a suspend that was refused")


@CHECKS
async def acquire_clears_the_resumes(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("a", EXTERNAL)
    await stage.suspend("p", 1, ["a"])
    await stage.settle("a")
    await stage.quiet()
    reply = await stage.acquire("p", 1)
    agree((reply.task.version, reply.task.resumes), (2, 0), "version and resumes")
    agree((await stage.task("p")).resumes, 0, "resumes as stored")


@CHECKS
async def fulfill_settles_the_promise_and_ends_the_task(stage: Stage) -> None:
    for state in (PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED):
        id = f"to-be-{state}"
        await stage.claim(id)
        reply = await stage.ask(_fulfill(id, 1, state))
        agree((reply.promise.state, reply.promise.value), (state, Value(data="out")), "the promise")
        agree(await stage.task(id), TaskRecord(id=id, state=TaskState.FULFILLED, version=1), "the task")


@CHECKS
async def fulfill_refuses_what_is_not_its_outcome(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("other")
    for state in (PromiseState.PENDING, PromiseState.REJECTED_TIMEDOUT):
        await stage.refused(_fulfill("p", 1, state), 400, f"a client cannot settle as {state}")
    action = PromiseSettle(id="other", state=PromiseState.RESOLVED)
    await stage.refused(TaskFulfill(id="p", version=1, action=action), 400, "the promise is another's")
    agree((await stage.task("p")).state, TaskState.ACQUIRED, "the task")


@CHECKS
async def release_offers_the_task_at_once(stage: Stage) -> None:
    await stage.claim("p")
    await stage.ask(TaskRelease(id="p", version=1))
    agree(await stage.task("p"), TaskRecord(id="p", state=TaskState.PENDING, version=1), "the task")
    await stage.quiet()
    agree([one.version for one in stage.me.executes("p")], [1], "the versions dispatched")


@CHECKS
async def halt_stops_a_task_until_it_is_continued(stage: Stage) -> None:
    await stage.create("awaited", EXTERNAL)
    await stage.create("pending", TARGETED)
    await stage.claim("acquired")
    await stage.claim("suspended")
    await stage.suspend("suspended", 1, ["awaited"])
    await stage.quiet()
    stage.me.heard.clear()
    for id in ("pending", "acquired", "suspended"):
        for _ in range(2):
            await stage.ask(TaskHalt(id))
        agree((await stage.task(id)).state, TaskState.HALTED, f"the task that was {id}")
    await stage.settle("awaited")
    await stage.past(stage.now + 2 * TTL)
    agree(stage.me.heard, [], "messages about halted tasks")
    agree((await stage.task("suspended")).resumes, 1, "what settled while the task was halted")
    for id, version in (("pending", 0), ("acquired", 1), ("suspended", 1)):
        await stage.ask(TaskContinue(id))
        await stage.quiet()
        agree((await stage.task(id)).state, TaskState.PENDING, f"the task that was {id}")
        agree([one.version for one in stage.me.executes(id)], [version], "the versions dispatched")


@CHECKS
async def halt_and_continue_are_refused_where_they_make_no_sense(stage: Stage) -> None:
    await stage.claim("p")
    await stage.refused(TaskContinue("p"), 409, "the task is not halted")
    await stage.ask(_fulfill("p", 1))
    await stage.refused(TaskHalt("p"), 409, "the task is fulfilled")
    await stage.refused(TaskContinue("p"), 409, "the task is fulfilled")


@CHECKS
async def a_claim_preloads_the_history_of_its_branch(stage: Stage) -> None:
    await stage.claim("p", tags={"resonate:branch": "p"})
    await stage.claim("other", tags={"resonate:branch": "other"})
    await stage.ask(_fenced_create("p", 1, "p:1", stage.far))
    await stage.create("p:2", {"resonate:branch": "p"})
    await stage.ask(TaskFence(id="p", version=1, action=PromiseCreate(id="p:3", timeout_at=stage.far, tags=TARGETED)))
    await stage.ask(_fenced_create("other", 1, "other:1", stage.far))
    await stage.create("elsewhere", {"resonate:branch": "elsewhere"})
    await stage.settle("p:1")
    await stage.ask(TaskRelease(id="p", version=1))
    reply = await stage.acquire("p", 1)
    known = {record.id: record.state for record in reply.preload}
    agree(known.get("p:1"), PromiseState.RESOLVED, "a settled child in the preload")
    hold({"p:1", "p:2"} <= set(known), "the preload has all of the branch")
    hold(not {"p", "other:1", "elsewhere"} & set(known), "the preload has nothing of other branches, nor itself")


@CHECKS
async def a_claim_of_the_difference_preloads_what_settled(stage: Stage) -> None:
    if not stage.store.dialect.delta_preload:
        return
    await stage.claim("p")
    await stage.ask(_fenced_create("p", 1, "p:1", stage.far))
    await stage.create("a", EXTERNAL)
    await stage.suspend("p", 1, ["a"])
    settled = await stage.settle("a", value=Value(data="done"))
    await stage.quiet()
    agree((await stage.acquire("p", 1, delta=True)).preload, (settled,), "the preload")
