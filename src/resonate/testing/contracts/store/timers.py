"""What a store does unasked, when its instant has come."""

from __future__ import annotations

from typing import Final

from resonate.core.protocol.records import PromiseState, TaskState
from resonate.testing.contracts.expect import agree
from resonate.testing.contracts.store.stage import EXTERNAL, INTERNAL, TARGETED, TIMER, TTL, Stage, StoreChecks

CHECKS: Final = StoreChecks()


@CHECKS
async def a_deadline_settles_what_is_external(stage: Stage) -> None:
    deadline = stage.now + 1_000
    for id, tags in (("timer", TIMER), ("external", EXTERNAL)):
        await stage.create(id, tags, deadline)
        await stage.subscribe(id)
    await stage.claim("targeted", deadline)
    await stage.subscribe("targeted")
    await stage.past(deadline - 1)
    agree(stage.me.heard, [], "messages before the deadline")
    await stage.past(deadline)
    told = {one.promise.id: one.promise for one in stage.me.unblocks()}
    agree(
        {id: record.state for id, record in told.items()},
        {
            "timer": PromiseState.RESOLVED,
            "external": PromiseState.REJECTED_TIMEDOUT,
            "targeted": PromiseState.REJECTED_TIMEDOUT,
        },
        "what the listeners are told at the deadline",
    )
    agree({record.settled_at for record in told.values()}, {deadline}, "when they settled")
    agree((await stage.task("targeted")).state, TaskState.FULFILLED, "the task of what timed out")


@CHECKS
async def a_deadline_that_is_noticed_late_still_settles_at_its_instant(stage: Stage) -> None:
    deadline = stage.now + 1_000
    await stage.create("timer", TIMER, deadline)
    await stage.subscribe("timer")
    stage.at(deadline + 5_000)
    await stage.quiet()
    agree([one.promise.settled_at for one in stage.me.unblocks()], [deadline], "when it settled")


@CHECKS
async def deadlines_come_in_their_order(stage: Stage) -> None:
    start = stage.now
    for offset in (30, 10, 20, 40):
        await stage.create(f"p{offset}", TIMER, start + offset)
        await stage.subscribe(f"p{offset}")
    await stage.past(start + 35)
    agree([one.promise.id for one in stage.me.unblocks()], ["p10", "p20", "p30"], "the order")


@CHECKS
async def an_earlier_deadline_is_met_though_a_later_one_was_first(stage: Stage) -> None:
    start = stage.now
    await stage.create("later", TIMER, start + 1_000)
    await stage.subscribe("later")
    await stage.past(start + 10)
    await stage.create("sooner", TIMER, start + 20)
    await stage.subscribe("sooner")
    await stage.past(start + 20)
    agree([one.promise.id for one in stage.me.unblocks()], ["sooner"], "who is told first")


@CHECKS
async def a_timer_resumes_who_waits_for_it(stage: Stage) -> None:
    await stage.claim("p")
    await stage.create("timer", TIMER, stage.now + 1_000)
    await stage.suspend("p", 1, ["timer"])
    await stage.past(stage.now + 999)
    agree((await stage.task("p")).state, TaskState.SUSPENDED, "the task before the timer's instant")
    await stage.past(stage.now + 1)
    task = await stage.task("p")
    agree((task.state, task.version, task.resumes), (TaskState.PENDING, 1, 1), "the task at the timer's instant")
    agree([one.version for one in stage.me.executes("p")], [1], "the versions dispatched")


@CHECKS
async def a_lease_that_runs_out_offers_the_task_again(stage: Stage) -> None:
    await stage.claim("p", ttl=1_000)
    await stage.past(stage.now + 999)
    agree((await stage.task("p")).state, TaskState.ACQUIRED, "the task while the lease holds")
    await stage.past(stage.now + 1)
    task = await stage.task("p")
    agree((task.state, task.version, task.pid, task.ttl), (TaskState.PENDING, 1, None, None), "the task")
    agree([one.version for one in stage.me.executes("p")], [1], "the versions dispatched")


@CHECKS
async def a_dispatch_that_nobody_answers_is_repeated(stage: Stage) -> None:
    start = stage.now
    await stage.create("p", TARGETED)
    await stage.quiet()
    agree(len(stage.me.executes("p")), 1, "dispatches at once")
    for count in (1, 2, 3):
        due = start + count * stage.retry_interval
        await stage.clock.advance(due - 1 - stage.now)
        agree(len(stage.me.executes("p")), count, "dispatches before the interval is over")
        await stage.past(due)
        agree(len(stage.me.executes("p")), count + 1, "dispatches, one more after each interval")
    await stage.acquire("p", 0)
    await stage.past(stage.now + TTL - 1)  # a retry's instant may be in between, the lease's end is not
    agree(len(stage.me.executes("p")), 4, "dispatches of a task that was taken")


@CHECKS
async def a_delay_holds_the_first_dispatch_back(stage: Stage) -> None:
    at = stage.now + 60_000
    await stage.create("p", {**TARGETED, "resonate:delay": str(at)})
    await stage.past(at - 1)
    agree(stage.me.heard, [], "dispatches before the delay is over")
    agree((await stage.task("p")).state, TaskState.PENDING, "the task before the delay is over")
    await stage.past(at)
    agree(len(stage.me.executes("p")), 1, "dispatches when the delay is over")


@CHECKS
async def a_delay_that_is_over_does_not_matter(stage: Stage) -> None:
    await stage.create("p", {**TARGETED, "resonate:delay": str(stage.now - 1)})
    await stage.quiet()
    agree(len(stage.me.executes("p")), 1, "dispatches at once")


@CHECKS
async def nothing_that_is_settled_comes_due(stage: Stage) -> None:
    for id, tags in (("timer", TIMER), ("external", EXTERNAL), ("internal", INTERNAL)):
        await stage.create(id, tags, stage.now + 1_000)
        await stage.settle(id, PromiseState.REJECTED)
    await stage.claim("acquired", stage.now + 3 * TTL)
    await stage.settle("acquired")
    await stage.create("pending", TARGETED, stage.now + 3 * TTL)
    await stage.quiet()
    await stage.settle("pending")
    stage.me.heard.clear()
    await stage.past(stage.now + 4 * TTL)
    agree(stage.me.heard, [], "messages about what is settled")
    for id in ("timer", "external", "internal"):
        agree((await stage.promise(id)).state, PromiseState.REJECTED, f"the state of {id}")


@CHECKS
async def a_task_outlives_any_number_of_leases(stage: Stage) -> None:
    await stage.claim("p")
    for version in range(1, 10):
        await stage.past(stage.now + TTL)
        agree((await stage.acquire("p", version)).task.version, version + 1, "the version")
