"""Schedules: their requests, and their firing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resonate.core.protocol.records import PromiseState, TaskState, Value
from resonate.core.protocol.requests import PromiseGet, ScheduleCreate, ScheduleDelete, ScheduleGet
from resonate.testing.contracts.expect import agree, hold
from resonate.testing.contracts.store.stage import DAY, EXTERNAL, TARGETED, TIMER, Stage, StoreChecks

CHECKS: Final = StoreChecks()

_MINUTE: Final = 60_000


def _schedule(
    id: str = "s",
    cron: str = "* * * * *",
    promise_id: str = "{{.id}}.{{.timestamp}}",
    tags: Mapping[str, str] = TARGETED,
    timeout: int = DAY,
) -> ScheduleCreate:
    return ScheduleCreate(
        id=id,
        cron=cron,
        promise_id=promise_id,
        promise_timeout=timeout,
        promise_param=Value(data="param"),
        promise_tags=tags,
    )


@CHECKS
async def create_and_get_a_schedule(stage: Stage) -> None:
    await stage.refused(ScheduleGet("s"), 404, "there is no such schedule")
    made = (await stage.ask(_schedule())).schedule
    agree((made.id, made.cron, made.promise_timeout), ("s", "* * * * *", DAY), "the schedule")
    agree((made.promise_param, dict(made.promise_tags)), (Value(data="param"), dict(TARGETED)), "its promises")
    agree((made.created_at, made.last_run_at), (stage.now, None), "its instants")
    agree(made.next_run_at, stage.now - stage.now % _MINUTE + _MINUTE, "its first occurrence")
    agree((await stage.ask(ScheduleGet("s"))).schedule, made, "what get answers")
    agree((await stage.ask(_schedule(cron="0 0 1 1 *"))).schedule, made, "a second create")


@CHECKS
async def create_refuses_what_cannot_fire(stage: Stage) -> None:
    for request, why in (
        (_schedule(cron="nonsense"), "the cron expression is none"),
        (_schedule(cron="0 0 30 2 *"), "February has no 30th"),
        (_schedule(tags=EXTERNAL), "a schedule's promises need a target"),
    ):
        await stage.refused(request, 400, why)
    if not stage.store.dialect.targeted_timers:
        await stage.refused(_schedule(tags={**TARGETED, **TIMER}), 400, "a timer has no target")
    await stage.refused(ScheduleGet("s"), 404, "what was refused is not stored")


@CHECKS
async def delete_ends_a_schedule_and_keeps_its_promises(stage: Stage) -> None:
    await stage.refused(ScheduleDelete("s"), 404, "there is no such schedule")
    first = (await stage.ask(_schedule())).schedule.next_run_at
    await stage.past(first)
    await stage.ask(ScheduleDelete("s"))
    await stage.refused(ScheduleGet("s"), 404, "the schedule is deleted")
    await stage.past(first + 3 * _MINUTE)
    await stage.promise(f"s.{first}")
    await stage.refused(PromiseGet(f"s.{first + _MINUTE}"), 404, "a deleted schedule fires no more")
    again = (await stage.ask(_schedule())).schedule
    agree(again.created_at, stage.now, "a schedule of the same name is a new one")


@CHECKS
async def a_schedule_fires_at_each_occurrence(stage: Stage) -> None:
    first = (await stage.ask(_schedule(timeout=5_000))).schedule.next_run_at
    await stage.past(first - 1)
    await stage.refused(PromiseGet(f"s.{first}"), 404, "its instant has not come")
    await stage.past(first)
    made = await stage.promise(f"s.{first}")
    agree((made.created_at, made.timeout_at), (first, first + 5_000), "the instants of the promise")
    agree((made.state, made.param), (PromiseState.PENDING, Value(data="param")), "the promise")
    hold(TARGETED.items() <= made.tags.items(), "the promise has the schedule's tags")
    agree(made.tags.get("resonate:schedule"), "s", "the tag that names the schedule")
    agree((await stage.task(made.id)).state, TaskState.PENDING, "its task")
    agree(len(stage.me.executes(made.id)), 1, "its dispatches")
    schedule = (await stage.ask(ScheduleGet("s"))).schedule
    agree((schedule.last_run_at, schedule.next_run_at), (first, first + _MINUTE), "the schedule's clock")
    await stage.past(first + _MINUTE)
    await stage.promise(f"s.{first + _MINUTE}")


@CHECKS
async def a_schedule_catches_up_on_what_it_missed(stage: Stage) -> None:
    first = (await stage.ask(_schedule())).schedule.next_run_at
    stage.at(first + 2 * _MINUTE + 30_000)
    await stage.quiet()
    for instant in (first, first + _MINUTE, first + 2 * _MINUTE):
        made = await stage.promise(f"s.{instant}")
        agree((made.created_at, made.timeout_at), (instant, instant + DAY), "the instants of a missed occurrence")
    await stage.refused(PromiseGet(f"s.{first + 3 * _MINUTE}"), 404, "its instant has not come")
    schedule = (await stage.ask(ScheduleGet("s"))).schedule
    wanted = (first + 2 * _MINUTE, first + 3 * _MINUTE)
    agree((schedule.last_run_at, schedule.next_run_at), wanted, "the schedule's clock")


@CHECKS
async def an_occurrence_that_is_dead_already_is_born_settled(stage: Stage) -> None:
    first = (await stage.ask(_schedule(timeout=1_000))).schedule.next_run_at
    stage.at(first + 30_000)
    await stage.quiet()
    agree((await stage.promise(f"s.{first}")).state, PromiseState.REJECTED_TIMEDOUT, "a missed occurrence")
    agree(stage.me.executes(), [], "dispatches of what is dead")


@CHECKS
async def an_occurrence_that_exists_is_left_alone(stage: Stage) -> None:
    made = await stage.create("fixed", EXTERNAL)
    first = (await stage.ask(_schedule(promise_id="fixed"))).schedule.next_run_at
    await stage.past(first + _MINUTE)
    agree(await stage.promise("fixed"), made, "the promise that was there")
    agree((await stage.ask(ScheduleGet("s"))).schedule.last_run_at, first + _MINUTE, "the schedule's clock")
