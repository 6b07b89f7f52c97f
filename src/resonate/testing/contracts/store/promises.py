"""The promise requests, row by row."""

from __future__ import annotations

from typing import Final

from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, TaskRecord, TaskState, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSettle,
    TaskGet,
)
from resonate.testing.contracts.expect import agree
from resonate.testing.contracts.store.stage import EXTERNAL, INTERNAL, TARGETED, TIMER, Stage, StoreChecks

CHECKS: Final = StoreChecks()

_STATES: Final = (PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED)
_IDS: Final = ("a b", "a'b\"c`", "a%2Fb/c?d#e", "émoji-🙂", "A", "a", "x" * 1_000, "{{.id}}", "\n\t")
_VALUES: Final = (
    NO_VALUE,
    Value(data=""),
    Value(data="plain"),
    Value(headers={"k": "v", "": "", "ü": "🙂"}, data="'quoted' \"twice\" \\ \n 🙂"),
    Value(headers={"only": "headers"}),
    Value(data="x" * 100_000),
)


@CHECKS
async def get_of_an_absent_promise_is_not_found(stage: Stage) -> None:
    await stage.refused(PromiseGet("p"), 404, "there is no such promise")


@CHECKS
async def create_makes_a_pending_promise(stage: Stage) -> None:
    param = Value(headers={"h": "1"}, data="data")
    made = await stage.create("p", {"tag": "text"}, stage.now + 10, param)
    wanted = PromiseRecord(
        id="p",
        state=PromiseState.PENDING,
        param=param,
        tags={"tag": "text"},
        timeout_at=stage.now + 10,
        created_at=stage.now,
    )
    agree(made, wanted, "what create answers")
    agree(await stage.promise("p"), wanted, "what get answers")


@CHECKS
async def create_answers_what_is_stored_whatever_is_asked_for(stage: Stage) -> None:
    made = await stage.create("p", EXTERNAL, param=Value(data="first"))
    again = await stage.create("p", {"other": "tag"}, stage.now + 1, Value(data="second"))
    agree(again, made, "a second create of a pending promise")
    settled = await stage.settle("p", value=Value(data="done"))
    agree(await stage.create("p"), settled, "a create of a settled promise")


@CHECKS
async def create_with_a_target_makes_a_pending_task(stage: Stage) -> None:
    await stage.create("p", TARGETED)
    agree(await stage.task("p"), TaskRecord(id="p", state=TaskState.PENDING, version=0), "the task")


@CHECKS
async def create_without_a_target_makes_no_task(stage: Stage) -> None:
    await stage.create("p", EXTERNAL)
    await stage.refused(TaskGet("p"), 404, "a promise without target has no task")


@CHECKS
async def create_past_the_deadline_is_born_settled(stage: Stage) -> None:
    for id, tags, state in (
        ("internal", INTERNAL, PromiseState.REJECTED_TIMEDOUT),
        ("external", EXTERNAL, PromiseState.REJECTED_TIMEDOUT),
        ("targeted", TARGETED, PromiseState.REJECTED_TIMEDOUT),
        ("timer", TIMER, PromiseState.RESOLVED),
    ):
        for timeout_at in (stage.now, stage.now - 1):
            made = await stage.create(f"{id}.{timeout_at}", tags, timeout_at)
            agree(made.state, state, f"the state of {id} at birth")
            agree((made.created_at, made.settled_at), (timeout_at, timeout_at), f"the instants of {id} at birth")
            agree(made.value, NO_VALUE, f"the value of {id} at birth")
    task = await stage.task(f"targeted.{stage.now}")
    agree((task.state, task.version), (TaskState.FULFILLED, 0), "the task of what was born settled")
    await stage.quiet()
    agree(stage.me.heard, [], "messages about what was born settled")


@CHECKS
async def settle_gives_state_value_and_instant(stage: Stage) -> None:
    for state in _STATES:
        id = f"to-be-{state}"
        made = await stage.create(id)
        await stage.clock.advance(5)
        settled = await stage.settle(id, state, Value(data="outcome"))
        agree(settled.state, state, "the state")
        agree(settled.value, Value(data="outcome"), "the value")
        agree(settled.settled_at, stage.now, "the instant")
        agree((settled.created_at, settled.timeout_at), (made.created_at, made.timeout_at), "the birth fields")
        agree(await stage.promise(id), settled, "what get answers")


@CHECKS
async def settle_of_an_absent_promise_is_not_found(stage: Stage) -> None:
    await stage.refused(PromiseSettle(id="p", state=PromiseState.RESOLVED), 404, "there is no such promise")


@CHECKS
async def the_first_settle_counts(stage: Stage) -> None:
    await stage.create("p")
    first = await stage.settle("p", PromiseState.REJECTED, Value(data="first"))
    await stage.clock.advance(1)
    for state in _STATES:
        agree(await stage.settle("p", state, Value(data="later")), first, "a later settle")


@CHECKS
async def a_late_settle_is_answered_with_the_time_out(stage: Stage) -> None:
    await stage.create("p", timeout_at=stage.now + 10)
    stage.at(stage.now + 10)
    late = await stage.settle("p", value=Value(data="late"))
    agree((late.state, late.value), (PromiseState.REJECTED_TIMEDOUT, NO_VALUE), "a settle at the deadline")
    agree(late.settled_at, stage.now, "the instant of what timed out")


@CHECKS
async def settling_fulfils_the_task(stage: Stage) -> None:
    await stage.create("pending", TARGETED)
    await stage.claim("acquired")
    for id, version in (("pending", 0), ("acquired", 1)):
        await stage.settle(id)
        wanted = TaskRecord(id=id, state=TaskState.FULFILLED, version=version)
        agree(await stage.task(id), wanted, f"the task that was {id}")


@CHECKS
async def any_id_is_a_name(stage: Stage) -> None:
    for id in _IDS:
        agree((await stage.create(id, param=Value(data=id))).id, id, "the id")
    for id in _IDS:
        agree((await stage.promise(id)).param.data, id, f"what is stored under {id!r}")


@CHECKS
async def values_are_opaque(stage: Stage) -> None:
    for number, value in enumerate(_VALUES):
        await stage.create(f"p{number}", param=value)
        await stage.settle(f"p{number}", value=value)
        stored = await stage.promise(f"p{number}")
        agree((stored.param, stored.value), (value, value), "param and value")


@CHECKS
async def callback_is_refused_where_it_cannot_work(stage: Stage) -> None:
    await stage.create("awaiter", TARGETED)
    await stage.create("awaited", EXTERNAL)
    await stage.create("internal")
    for awaited, awaiter, status, why in (
        ("awaiter", "awaiter", 400, "a task cannot wait for itself"),
        ("absent", "awaiter", 404, "the awaited is absent"),
        ("awaited", "absent", 422, "the awaiter is absent"),
        ("awaited", "internal", 422, "the awaiter has no target"),
        ("internal", "awaiter", 422, "the awaited is internal"),
    ):
        await stage.refused(PromiseRegisterCallback(awaited=awaited, awaiter=awaiter), status, why)


@CHECKS
async def callback_resumes_the_awaiter_once(stage: Stage) -> None:
    await stage.claim("awaiter")
    awaited = await stage.create("awaited", EXTERNAL)
    for _ in range(2):
        reply = await stage.ask(PromiseRegisterCallback(awaited="awaited", awaiter="awaiter"))
        agree(reply.promise, awaited, "what register_callback answers")
    await stage.settle("awaited")
    await stage.quiet()
    task = await stage.task("awaiter")
    agree((task.state, task.resumes), (TaskState.ACQUIRED, 1), "the awaiter, acquired meanwhile")


@CHECKS
async def callback_on_a_settled_promise_is_answered_with_it(stage: Stage) -> None:
    await stage.claim("awaiter")
    await stage.create("awaited", EXTERNAL)
    settled = await stage.settle("awaited", value=Value(data="done"))
    reply = await stage.ask(PromiseRegisterCallback(awaited="awaited", awaiter="awaiter"))
    await stage.quiet()
    agree(reply.promise, settled, "what register_callback answers")
    agree((await stage.task("awaiter")).resumes, 0, "resumes by a callback that was never stored")


@CHECKS
async def listener_is_refused_where_it_cannot_work(stage: Stage) -> None:
    await stage.create("p", EXTERNAL)
    await stage.create("internal")
    for id, address, status, why in (
        ("p", "nowhere", 400, "the address has no scheme"),
        ("p", "poll://group", 400, "the address has no @"),
        ("p", "ftp://host", 400, "the scheme is unknown"),
        ("absent", "poll://any@g", 404, "the promise is absent"),
        ("internal", "poll://any@g", 422, "the promise is internal"),
    ):
        await stage.refused(PromiseRegisterListener(awaited=id, address=address), status, why)


@CHECKS
async def listener_is_told_once(stage: Stage) -> None:
    made = await stage.create("p", EXTERNAL)
    for _ in range(2):
        agree(await stage.subscribe("p"), made, "what register_listener answers")
    await stage.quiet()
    agree(stage.me.heard, [], "messages before the promise settles")
    settled = await stage.settle("p", value=Value(data="done"))
    await stage.quiet()
    agree([one.promise for one in stage.me.unblocks()], [settled], "what the listener is told")


@CHECKS
async def listener_on_a_settled_promise_is_answered_and_not_told(stage: Stage) -> None:
    await stage.create("p", EXTERNAL)
    settled = await stage.settle("p")
    agree(await stage.subscribe("p"), settled, "what register_listener answers")
    await stage.quiet()
    agree(stage.me.heard, [], "messages to a listener that came late")


@CHECKS
async def create_refuses_what_is_both_timer_and_targeted(stage: Stage) -> None:
    if stage.store.dialect.targeted_timers:
        return
    create = PromiseCreate(id="p", timeout_at=stage.far, tags={**TIMER, **TARGETED})
    await stage.refused(create, 400, "a promise cannot be both a timer and targeted")
    await stage.refused(PromiseGet("p"), 404, "what was refused is not stored")
