"""The schedule requests and the firing."""

from __future__ import annotations

from typing import Any

import pytest

from resonate.core.protocol.due import NEVER
from resonate.core.protocol.records import PromiseState, ScheduleRecord, TaskState, Value
from resonate.core.protocol.requests import (
    Done,
    Rejection,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleReply,
)
from resonate.core.protocol.schedules import MAX_OCCURRENCES
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import ScheduleFire
from tests.unit.protocol.world import TARGET, TIMER, World

MINUTE = 60_000
START = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC


def request(**changes: Any) -> ScheduleCreate:
    fields: dict[str, Any] = {
        "id": "s",
        "cron": "* * * * *",
        "promise_id": "{{.id}}-{{.timestamp}}",
        "promise_timeout": 90_000,
        "promise_tags": TARGET,
    }
    return ScheduleCreate(**fields | changes)


def status(reply: object) -> int:
    return reply.status if isinstance(reply, Rejection) else 200


@pytest.fixture
def world() -> World:
    world = World()
    world.now = START + 5
    return world


def test_create_computes_the_first_occurrence_after_now(world: World) -> None:
    reply = world.ask(request(promise_param=Value(data="x")))
    assert reply == ScheduleReply(
        ScheduleRecord(
            id="s",
            cron="* * * * *",
            promise_id="{{.id}}-{{.timestamp}}",
            promise_timeout=90_000,
            promise_param=Value(data="x"),
            promise_tags=TARGET,
            created_at=START + 5,
            next_run_at=START + MINUTE,
        )
    )
    assert world.ask(ScheduleGet("s")) == reply


def test_an_occurrence_at_the_instant_of_creation_is_not_to_come(world: World) -> None:
    world.now = START
    world.ask(request())
    assert world.schedules["s"].next_run_at == START + MINUTE


def test_create_of_an_existing_schedule_answers_with_what_is_stored(world: World) -> None:
    first = world.ask(request())
    assert world.ask(request(cron="@daily", promise_id="other")) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"promise_tags": {}},
        {"promise_tags": {"resonate:target": ""}},
        {"promise_tags": TARGET | TIMER},
        {"promise_tags": TARGET | {"resonate:delay": "5"}},
        {"cron": "* * * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "0 0 0 1 1 * 2020"},
        {"promise_timeout": -1},
    ],
)
def test_create_refuses(world: World, changes: dict[str, Any]) -> None:
    assert status(world.ask(request(**changes))) == 400
    assert world.schedules == {}


def test_get_and_delete_answer_404_for_an_absent_schedule(world: World) -> None:
    assert world.ask(ScheduleGet("s")) == Rejection(404, "no schedule has the id s")
    assert status(world.ask(ScheduleDelete("s"))) == 404


def test_delete_keeps_what_was_fired(world: World) -> None:
    world.ask(request())
    world.now = START + MINUTE
    world.step(ScheduleFire("s"))
    assert world.ask(ScheduleDelete("s")) == Done()
    assert world.schedules == {}
    assert [*world.promises] == [f"s-{START + MINUTE}"]
    assert world.step(ScheduleFire("s")) == ()


def test_fire_creates_the_promise_of_its_instant(world: World) -> None:
    world.ask(request(promise_param=Value(data="x"), promise_tags=TARGET | {"resonate:branch": "mine", "a": "b"}))
    world.now = START + MINUTE - 1
    assert world.step(ScheduleFire("s")) == ()
    world.now = START + MINUTE + 7
    world.step(ScheduleFire("s"))
    id = f"s-{START + MINUTE}"
    record = world.record(id)
    assert record.state is PromiseState.PENDING
    assert (record.created_at, record.timeout_at) == (START + MINUTE, START + MINUTE + 90_000)
    assert record.param == Value(data="x")
    names = {f"resonate:{name}": id for name in ("origin", "branch", "parent", "prefix")}
    assert record.tags == TARGET | {"a": "b", "resonate:schedule": "s"} | names
    assert world.promises[id].home == id
    assert (world.tasks[id].state, world.tasks[id].retry_at) == (TaskState.PENDING, world.now)
    schedule = world.schedules["s"]
    assert (schedule.last_run_at, schedule.next_run_at) == (START + MINUTE, START + 2 * MINUTE)
    assert world.step(ScheduleFire("s")) == ()


def test_fire_catches_up_oldest_first_and_the_late_are_born_timed_out(world: World) -> None:
    world.ask(request())
    world.now = START + 4 * MINUTE
    world.step(ScheduleFire("s"))
    assert [*world.promises] == [f"s-{START + minute * MINUTE}" for minute in (1, 2, 3, 4)]
    states = [promise.record.state for promise in world.promises.values()]
    assert states == [PromiseState.REJECTED_TIMEDOUT] * 2 + [PromiseState.PENDING] * 2
    assert [task.state for task in world.tasks.values()] == [TaskState.FULFILLED] * 2 + [TaskState.PENDING] * 2
    late = world.record(f"s-{START + MINUTE}")
    assert late.created_at == late.settled_at == late.timeout_at


def test_fire_leaves_an_existing_promise_alone(world: World) -> None:
    world.ask(request(promise_id="fixed"))
    before = world.create("fixed")
    world.now = START + MINUTE
    world.step(ScheduleFire("s"))
    assert world.record("fixed") == before
    assert world.tasks == {}
    assert world.schedules["s"].last_run_at == START + MINUTE


def test_fire_makes_one_promise_of_a_template_without_a_timestamp(world: World) -> None:
    world.ask(request(promise_id="{{.id}}"))
    world.now = START + 2 * MINUTE
    world.step(ScheduleFire("s"))
    assert world.record("s").created_at == START + MINUTE
    assert world.schedules["s"].last_run_at == START + 2 * MINUTE


def test_fire_is_bounded_and_stays_due(world: World) -> None:
    world.ask(request(cron="* * * * * *", promise_timeout=10_000_000))
    behind = MAX_OCCURRENCES + 10
    world.now = START + behind * 1_000
    world.step(ScheduleFire("s"))
    assert len(world.promises) == MAX_OCCURRENCES
    assert ScheduleFire("s") in world.due()
    world.step(ScheduleFire("s"))
    assert len(world.promises) == behind
    assert world.schedules["s"].next_run_at == world.now + 1_000


def test_a_schedule_that_has_no_more_occurrences_is_never_due_again(world: World) -> None:
    world.ask(request(cron="0 0 9 15 1 * 2027"))
    world.now = START + 60 * MINUTE
    world.step(ScheduleFire("s"))
    assert world.schedules["s"].last_run_at == world.now
    assert world.schedules["s"].next_run_at == NEVER
    world.now += 400 * 24 * 60 * MINUTE
    assert ScheduleFire("s") not in world.due()


def test_a_schedule_of_targeted_timers_is_accepted_by_setting() -> None:
    world = World(Settings(targeted_timers=True))
    assert status(world.ask(request(promise_tags=TARGET | TIMER))) == 200
