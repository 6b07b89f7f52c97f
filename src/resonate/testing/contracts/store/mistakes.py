"""What implementations get wrong, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSettle,
    Request,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskHalt,
    TaskHeartbeat,
    TaskRef,
    TaskRelease,
)
from resonate.testing.contracts.expect import agree, hold
from resonate.testing.contracts.store.stage import (
    EXTERNAL,
    PID,
    TARGETED,
    TTL,
    Stage,
    StoreChecks,
    suspension,
)

CHECKS: Final = StoreChecks()


@CHECKS
async def deadlines_are_not_for_targeted_promises_only(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("external", EXTERNAL, stage.now + 1_000)
    await stage.suspend("p", 1, ["external"])
    await stage.past(stage.now + 1_000)
    agree((await stage.task("p")).state, TaskState.PENDING, "who waited for an external promise that timed out")


@CHECKS
async def nobody_waits_for_an_internal_promise(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("internal", {"resonate:external": "false", "resonate:timer": "no"})
    why = "nothing would ever discharge it"
    await stage.refused(PromiseRegisterCallback(awaited="internal", awaiter="p"), 422, why)
    await stage.refused(PromiseRegisterListener(awaited="internal", address="poll://any@g"), 422, why)
    await stage.refused(suspension("p", 1, ["internal"]), 422, why)


@CHECKS
async def a_dead_workflow_is_not_leased(stage: Stage) -> None:
    await stage.create("p", TARGETED, stage.now + 1_000)
    await stage.quiet()
    stage.at(stage.now + 1_000)
    action = PromiseCreate(id="p", timeout_at=stage.far, tags=TARGETED)
    reply = await stage.ask(TaskCreate(pid=PID, ttl=TTL, action=action))
    agree((reply.task.state, reply.task.pid), (TaskState.FULFILLED, None), "the task that task.create answers")
    await stage.create("q", TARGETED, stage.now + 1_000)
    await stage.quiet()
    stage.at(stage.now + 1_000)
    await stage.refused(TaskAcquire(id="q", version=0, pid=PID, ttl=TTL), 409, "its promise is past its deadline")


@CHECKS
async def a_dead_workflow_is_not_halted_or_continued(stage: Stage) -> None:
    await stage.claim("acquired", stage.now + 1_000)
    stage.at(stage.now + 1_000)
    await stage.refused(TaskHalt("acquired"), 409, "its promise is past its deadline")
    await stage.claim("halted", stage.now + 1_000)
    await stage.ask(TaskHalt("halted"))
    stage.at(stage.now + 1_000)
    await stage.refused(TaskContinue("halted"), 409, "its promise is past its deadline")


@CHECKS
async def a_dead_workflow_is_not_kept_alive(stage: Stage) -> None:
    await stage.claim("p", stage.now + 1_000)
    stage.at(stage.now + 1_000)
    await stage.ask(TaskHeartbeat(pid=PID, tasks=(TaskRef("p", 1),)))
    agree((await stage.task("p")).state, TaskState.FULFILLED, "the task")
    await stage.create("awaited", EXTERNAL)
    for number, request in enumerate(
        (
            TaskFence(id="p0", version=1, action=PromiseCreate(id="child", timeout_at=stage.far)),
            TaskRelease(id="p1", version=1),
            TaskFulfill(id="p2", version=1, action=PromiseSettle(id="p2", state=PromiseState.RESOLVED)),
            suspension("p3", 1, ["awaited"]),
        )
    ):
        await stage.claim(f"p{number}", stage.now + 1_000)
        stage.at(stage.now + 1_000)
        await stage.refused(request, 409, "its promise is past its deadline")
    await stage.refused(PromiseGet("child"), 404, "a fenced write that was refused is not done")


@CHECKS
async def a_dead_workflow_is_not_offered_again(stage: Stage) -> None:
    deadline = stage.now + 10_000
    await stage.claim("leased", deadline, ttl=10_000)
    await stage.create("delayed", {**TARGETED, "resonate:delay": str(deadline - 1)}, deadline)
    await stage.claim("late", deadline, ttl=5_000)
    stage.at(deadline + 1)
    await stage.past(stage.now + 10 * stage.retry_interval)
    agree(stage.me.executes(), [], "dispatches of what is dead")


@CHECKS
async def a_drain_does_not_resume_a_dead_awaiter(stage: Stage) -> None:
    deadline = stage.now + 1_000
    await stage.claim("p", deadline)
    await stage.create("awaited", EXTERNAL, stage.far)
    await stage.suspend("p", 1, ["awaited"])
    stage.at(deadline)
    await stage.settle("awaited")
    await stage.past(stage.now + 2 * stage.retry_interval)
    agree((await stage.task("p")).state, TaskState.FULFILLED, "the awaiter")
    agree(stage.me.executes(), [], "dispatches of what is dead")


@CHECKS
async def every_reply_shows_what_reads_now(stage: Stage) -> None:
    await stage.claim("other")
    asked: Sequence[Callable[[str], Request[PromiseReply]]] = (
        PromiseGet,
        lambda one: PromiseCreate(id=one, timeout_at=stage.far),
        lambda one: PromiseSettle(id=one, state=PromiseState.RESOLVED),
        lambda one: PromiseRegisterListener(awaited=one, address=stage.store.unicast),
        lambda one: PromiseRegisterCallback(awaited=one, awaiter="other"),
    )
    for number, ask in enumerate(asked):
        id = f"p{number}"
        await stage.claim(id, stage.now + 1_000)
        stage.at(stage.now + 1_000)  # and the request is the first that finds it so
        request = ask(id)
        shown = (await stage.ask(request)).promise
        agree(
            (shown.state, shown.settled_at), (PromiseState.REJECTED_TIMEDOUT, stage.now), f"what {request.kind} shows"
        )
    await stage.claim("t", stage.now + 1_000)
    stage.at(stage.now + 1_000)
    agree((await stage.task("t")).state, TaskState.FULFILLED, "what task.get shows")
    await stage.create("internal", {}, stage.now + 1_000)
    stage.at(stage.now + 1_000)
    agree((await stage.promise("internal")).state, PromiseState.REJECTED_TIMEDOUT, "what get shows")


@CHECKS
async def a_version_counts_acquisitions_alone(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    await stage.create("a", EXTERNAL)
    for version, turn in enumerate(("release", "suspend", "halt", "lease", "release"), 1):
        agree((await stage.acquire("p", version - 1)).task.version, version, "the version acquired")
        match turn:
            case "release":
                await stage.ask(TaskRelease(id="p", version=version))
            case "suspend":
                await stage.suspend("p", version, ["a"])
                await stage.settle("a")
            case "halt":
                await stage.ask(TaskHalt("p"))
                await stage.ask(TaskContinue("p"))
            case _:
                await stage.past(stage.now + TTL)
        await stage.quiet()
        agree((await stage.task("p")).version, version, f"the version after {turn}")


@CHECKS
async def a_client_cannot_time_out_a_promise(stage: Stage) -> None:
    await stage.create("p")
    await stage.claim("t")
    for state in (PromiseState.REJECTED_TIMEDOUT, PromiseState.PENDING):
        settle = PromiseSettle(id="p", state=state)
        await stage.refused(settle, 400, f"{state} is not a client's to give")
        reply = await stage.ask(TaskFence(id="t", version=1, action=settle))
        hold(getattr(reply.action, "status", 200) == 400, f"{state} is not a client's to give, fenced or not")
    agree((await stage.promise("p")).state, PromiseState.PENDING, "the promise")


@CHECKS
async def resumes_name_each_promise_once(stage: Stage) -> None:
    await stage.claim("p")
    for id in ("a", "b"):
        await stage.create(id, EXTERNAL)
    await stage.ask(PromiseRegisterCallback(awaited="a", awaiter="p"))
    await stage.suspend("p", 1, ["a", "b"])
    await stage.settle("a")
    await stage.settle("b")
    await stage.quiet()
    agree((await stage.task("p")).resumes, 2, "the resumes")


@CHECKS
async def what_could_never_be_dispatched_is_refused(stage: Stage) -> None:
    nobody = {"resonate:target": ""}
    never = {**TARGETED, "resonate:delay": str(stage.far)}
    for tags, why in ((nobody, "the target is empty"), (never, "the delay is not over before the deadline")):
        action = PromiseCreate(id="p", timeout_at=stage.far, tags=tags)
        await stage.refused(action, 400, why)
        await stage.refused(TaskCreate(pid=PID, ttl=TTL, action=action), 400, why)
    await stage.refused(PromiseGet("p"), 404, "what was refused is not stored")


@CHECKS
async def a_lease_of_no_length_is_refused(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    action = PromiseCreate(id="q", timeout_at=stage.far, tags=TARGETED)
    for ttl in (0, -1):
        why = "the lease would expire as it is granted"
        await stage.refused(TaskAcquire(id="p", version=0, pid=PID, ttl=ttl), 400, why)
        await stage.refused(TaskCreate(pid=PID, ttl=ttl, action=action), 400, why)


@CHECKS
async def a_preload_is_complete_whatever_the_order_of_its_ids(stage: Stage) -> None:
    await stage.claim("p")
    children = {f"p:{number}" for number in range(1, 13)}
    for id in sorted(children):
        action = PromiseCreate(id=id, timeout_at=stage.far)
        await stage.ask(TaskFence(id="p", version=1, action=action))
    await stage.ask(TaskRelease(id="p", version=1))
    agree({record.id for record in (await stage.acquire("p", 1)).preload}, children, "the preload")


@CHECKS
async def a_queue_of_dispatches_does_not_grow(stage: Stage) -> None:
    await stage.create("p", {"resonate:target": "poll://any@elsewhere"})
    await stage.past(stage.now + 50 * stage.retry_interval)
    late = await stage.join("elsewhere", "e1")
    await stage.quiet()
    hold(len(late.executes("p")) <= 1, "fifty dispatches that nobody took are one message to who comes")
    await stage.past(stage.now + stage.retry_interval)
    hold(1 <= len(late.executes("p")) <= 2, "who comes has the task within the retry interval")
