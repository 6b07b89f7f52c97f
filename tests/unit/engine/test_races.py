"""Whatever happens in whatever order: each race is a list of events."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.deliveries import HEADER
from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.requests import PromiseCreate
from resonate.errors import Conflict, PromiseTimedOut
from tests.unit.engine.world import T0, World


def name(what: str) -> str:
    return what


async def three(ctx: Context) -> list[str]:
    return list(await asyncio.gather(ctx.run(name, "a"), ctx.run(name, "b"), ctx.run(name, "c")))


IDS = ["root:1", "root:2", "root:3"]


@pytest.mark.parametrize("created", list(permutations(IDS)))
@pytest.mark.parametrize("together", [True, False])
def test_answers_to_creations_in_any_order(created, together):
    world = World(three)
    world.start()
    if together:
        world.answer(*created)
    else:
        for promise_id in created:
            world.answer(promise_id)
    world.play()
    assert world.result == ["a", "b", "c"]
    assert world.broken_laws == ()


@pytest.mark.parametrize("finished", list(permutations(IDS)))
@pytest.mark.parametrize("settled", list(permutations(IDS)))
def test_ends_of_steps_and_answers_to_their_settling_in_any_order(finished, settled):
    world = World(three)
    world.start()
    world.answer()
    for promise_id in finished:
        world.happen(f"s:{promise_id}")
    for promise_id in settled:
        world.answer(promise_id)
    assert world.result == ["a", "b", "c"]
    again = world.again()
    assert [type(command) for command in again.start()] == [do.Fulfill]
    assert again.result == ["a", "b", "c"]


def test_a_step_that_ends_while_another_write_is_under_way():
    world = World(three)
    world.start()
    world.answer("root:1")
    world.happen("s:root:1")
    assert set(world.writes) == {"root:1", "root:2", "root:3"}
    world.answer("root:1", "root:3", "root:2")
    world.play()
    assert world.result == ["a", "b", "c"]


async def first_of_three(ctx: Context) -> str:
    calls = [ctx.run(name, "a"), ctx.run(name, "b"), ctx.run(name, "c")]
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    (winner,) = done
    return await ctx.run(name, f"winner {winner.result()}")


@pytest.mark.parametrize("order", list(permutations(IDS)))
def test_the_first_to_be_heard_of_wins_in_every_replay_though_all_settle_in_one_millisecond(order):
    world = World(first_of_three)
    world.start()
    world.answer()
    for promise_id in order:
        world.happen(f"s:{promise_id}")
        world.happen(f"w:{promise_id}")
    world.play()
    again = world.again()
    again.start()
    assert again.result == world.result == f"winner {'abc'[int(order[0][-1]) - 1]}"


@pytest.mark.parametrize("order", list(permutations(IDS)))
def test_the_first_wins_also_where_the_replay_begins_right_after_the_write_that_depends_on_it(order):
    world = World(first_of_three)
    world.start()
    world.answer()
    for promise_id in order:
        world.happen(f"s:{promise_id}")
    world.answer(order[0])
    world.apply(world.writes["root:4"])  # the client is lost before it hears of it
    world.now += 1000
    for promise_id in order[1:]:
        world.apply(world.writes[promise_id])
    again = world.again()
    again.play()
    assert again.result == f"winner {'abc'[int(order[0][-1]) - 1]}"


def test_results_that_are_told_together_are_heard_in_the_order_in_which_they_settled():
    async def flow(ctx: Context) -> list[int]:
        order: list[int] = []

        async def watch(n: int) -> None:
            promise = await ctx.promise()
            await promise
            order.append(n)

        await asyncio.gather(watch(1), watch(2), watch(3))
        return order

    world = World(flow)
    world.start()
    world.answer()
    events = []
    for late, n in enumerate([3, 1, 2]):
        world.now = T0 + 10 + late
        events.append(world.settle(f"root:{n}.1", n))
    world.step(*reversed(events))
    assert world.result == [3, 1, 2]


def test_a_record_is_written_once_with_the_first_write_that_depends_on_it():
    world = World(first_of_three)
    world.start()
    world.answer()
    world.happen("s:root:2")
    world.answer("root:2")
    (write,) = [command.action for command in world.commands if isinstance(command, do.Write)]
    assert write.param.headers[HEADER] == "0 2"
    world.answer("root:4")
    assert all(HEADER not in write.param.headers for write in world.writes.values() if isinstance(write, PromiseCreate))


def test_what_is_heard_of_without_a_choice_is_not_recorded():
    async def flow(ctx: Context) -> None:
        for n in range(5):
            await ctx.run(name, str(n))

    world = World(flow)
    world.play()
    assert not any(HEADER in record.param.headers for record in world.store.values())


def test_a_refused_creation_is_raised_where_the_call_is_awaited():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(name, "a")
        except Conflict as error:
            return error.step
        return "no"

    world = World(flow)
    world.start()
    world.refuse("root:1")
    assert world.result == "root:1"
    assert world.broken_laws == ()


def test_a_refused_creation_is_raised_where_its_handle_is_awaited():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.begin_rpc("far")
        except Conflict as error:
            return error.step
        return "no"

    world = World(flow)
    world.start()
    world.refuse("root:1")
    assert world.result == "root:1"


def test_a_refused_settling_is_raised_too_and_the_rest_goes_on():
    async def flow(ctx: Context) -> list[str]:
        found = await asyncio.gather(ctx.run(name, "a"), ctx.run(name, "b"), return_exceptions=True)
        return [one if isinstance(one, str) else type(one).__name__ for one in found]

    world = World(flow)
    world.start()
    world.answer()
    world.happen("s:root:1")
    world.refuse("root:1")
    world.play()
    assert world.result == ["Conflict", "b"]


def test_a_refusal_of_what_nobody_asked_for_is_ignored():
    world = World(three)
    world.start()
    world.step(do.WriteRefused("root:99", Conflict("what?")))
    world.play()
    assert world.result == ["a", "b", "c"]


def test_news_of_what_nobody_asked_for_is_ignored():
    world = World(three)
    world.start()
    world.answer()
    stranger = World(three, id="root:99").store["root:99"]
    world.step(do.PromiseKnown(stranger), do.StepReturned("root:98", 1), do.StepFailed("root:97", ValueError()))
    world.play()
    assert world.result == ["a", "b", "c"]


def test_a_step_that_answers_twice_is_heard_once():
    world = World(three)
    world.start()
    world.answer()
    world.happen("s:root:1")
    world.step(do.StepReturned("root:1", "again"))
    world.play()
    assert world.result == ["a", "b", "c"]


def test_a_promise_that_is_told_twice_is_heard_once():
    async def flow(ctx: Context) -> object:
        promise = await ctx.promise()
        other = await ctx.promise()
        return [await promise, await other]

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    event = world.settle("root:1", "x")
    world.step(event, event)
    world.step(event)
    world.step(world.settle("root:2", "y"))
    assert world.result == ["x", "y"]


def test_a_step_whose_promise_somebody_else_settled_is_stopped_and_gives_their_result():
    async def flow(ctx: Context) -> str:
        return await ctx.run(name, "a")

    world = World(flow)
    world.start()
    world.answer()
    world.step(world.settle("root:1", "theirs"))
    assert world.canceled == ["root:1"]
    assert world.result == "theirs"
    assert world.broken_laws == ()


def test_a_step_that_ends_after_its_promise_was_settled_by_somebody_else():
    async def flow(ctx: Context) -> str:
        return await ctx.run(name, "a")

    world = World(flow)
    world.start()
    world.answer()
    world.settle("root:1", "theirs")
    world.happen("s:root:1")
    world.answer("root:1")
    assert world.result == "theirs"


def test_a_workflow_whose_promise_somebody_else_settled_is_canceled():
    async def inner(ctx: Context) -> str:
        await ctx.sleep(1000)
        return "mine"

    async def flow(ctx: Context) -> str:
        return await ctx.run(inner)

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    world.step(world.settle("root:1", "theirs"))
    world.play()
    assert world.result == "theirs"
    assert world.store["root:1.1"].state is PromiseState.REJECTED_CANCELED


def test_two_timers_that_are_due_at_once_fire_in_the_order_of_their_instants():
    async def flow(ctx: Context) -> list[int]:
        order: list[int] = []

        async def nap(n: int) -> None:
            await ctx.sleep(n)
            order.append(n)

        await asyncio.gather(nap(3), nap(1), nap(2))
        return order

    world = World(flow)
    world.start()
    world.answer()
    world.step(now=T0 + 60_000)
    world.answer()
    assert world.result == [1, 2, 3]


def test_a_timer_and_a_result_in_one_millisecond_are_heard_in_the_same_order_by_a_replay():
    async def flow(ctx: Context) -> str:
        promise = await ctx.promise()
        done, _ = await asyncio.wait([promise, ctx.sleep(1)], return_when=asyncio.FIRST_COMPLETED)
        await ctx.run(name, "after")
        return "promise" if promise in done else "timer"

    for told_first in (True, False):
        world = World(flow)
        world.start()
        world.answer()
        world.answer()
        world.now = T0 + 1000
        event = do.PromiseKnown(
            world.store["root:1"].__class__(
                id="root:1", state=PromiseState.RESOLVED, timeout_at=T0 * 2, created_at=T0, settled_at=T0 + 1000
            )
        )
        world.store["root:1"] = event.promise
        if told_first:
            # The driver's clock is behind the store's: it hears of the promise before it sees that the timer is due.
            world.now = T0 + 999
            world.step(event)
            world.now = T0 + 1000
        else:
            world.step()
            world.answer()
            world.step(event)
        world.play()
        again = world.again()
        again.start()
        assert again.result == world.result == ("promise" if told_first else "timer")


def test_a_promise_that_was_past_its_deadline_when_it_was_made():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.options(timeout=0).run(name, "a")
        except PromiseTimedOut:
            return "late"
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "late"
    assert not world.steps
    assert world.broken_laws == ()


def test_while_steps_run_the_rest_is_watched_and_timers_ring():
    async def flow(ctx: Context) -> str:
        promise = await ctx.promise()
        step = ctx.run(name, "slow")
        done, _ = await asyncio.wait([promise, ctx.sleep(5), step], return_when=asyncio.FIRST_COMPLETED)
        return "promise" if promise in done else "timer" if step not in done else "step"

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    assert world.watched == {"root:1"}
    assert world.alarm == T0 + 5000
    world.step(world.settle("root:1", 1))
    world.play()
    assert world.result == "promise"
    assert world.broken_laws == ()


def test_a_suspension_that_is_refused_with_news():
    async def flow(ctx: Context) -> list[object]:
        one, two = await ctx.promise(), await ctx.promise()
        return [await one, await two]

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    assert world.awaiting == ("root:1", "root:2")
    world.step(world.settle("root:1", "x"))
    assert world.awaiting == ("root:2",)
    world.step()
    assert world.awaiting == ("root:2",)
    world.step(world.settle("root:2", "y"))
    assert world.result == ["x", "y"]
    assert world.broken_laws == ()


def test_a_second_suspension_names_only_what_is_new_where_the_store_remembers():
    from resonate.core.protocol.dialect import Dialect

    async def flow(ctx: Context) -> None:
        promises = [await ctx.promise() for _ in range(3)]
        await promises[0]
        await (await ctx.promise())
        await promises[1]
        await promises[2]

    for remembers in (True, False):
        world = World(flow, dialect=Dialect(keeps_resumes=remembers, loses_answers=False))
        world.start()
        for _ in range(3):
            world.answer()
        assert world.awaiting == ("root:1", "root:2", "root:3")
        world.resume(world.settle("root:1").promise)
        world.answer()
        assert world.awaiting == (("root:4",) if remembers else ("root:2", "root:3", "root:4"))
        world.resume(world.settle("root:4").promise)
        assert world.awaiting == (("root:3",) if remembers else ("root:2", "root:3")), "any one of what is left"
        world.resume(world.settle("root:2").promise, world.settle("root:3").promise)
        assert world.state is PromiseState.RESOLVED


def test_what_was_watched_in_one_attempt_is_watched_in_the_next():
    async def flow(ctx: Context) -> str:
        promise = await ctx.promise()
        await ctx.run(name, "before")
        await ctx.sleep(1)
        done, _ = await asyncio.wait([promise, ctx.run(name, "slow")], return_when=asyncio.FIRST_COMPLETED)
        return "promise" if promise in done else "step"

    world = World(flow)
    world.start()
    for what in ["w:root:1", "w:root:2"]:
        world.happen(what)
    assert world.watched == {"root:1"}
    for what in ["s:root:2", "w:root:2", "w:root:3"]:
        world.happen(what)
    world.resume(now=T0 + 1000)
    world.answer()
    assert "root:4" in world.steps
    assert world.watched == {"root:1"}


def test_many_promises_are_watched_only_once_steps_have_taken_long():
    async def flow(ctx: Context) -> str:
        calls = [ctx.rpc("far", n) for n in range(20)]
        step = ctx.run(name, "slow")
        done, _ = await asyncio.wait([*calls, step], return_when=asyncio.FIRST_COMPLETED)
        return "far" if step not in done else "step"

    world = World(flow)
    world.start()
    world.answer()
    assert not world.watched
    assert world.alarm == T0 + 1000
    world.step(now=T0 + 1000)
    assert len(world.watched) == 20
    world.step(world.settle("root:7", 1))
    world.step(*[world.settle(f"root:{n}") for n in range(1, 21) if n != 7])
    world.play()
    assert world.result == "far"


def test_many_promises_beside_a_step_that_is_quick_cost_nothing():
    async def flow(ctx: Context) -> None:
        calls = [ctx.rpc("far", n) for n in range(20)]
        await ctx.run(name, "quick")
        await asyncio.wait(calls)

    world = World(flow)
    world.start()
    world.answer()
    world.happen("s:root:21")
    world.answer()
    assert len(world.awaiting) == 20
    assert not any(isinstance(command, do.Watch) for command in world.sent)


@pytest.mark.parametrize("chosen", ["root:order-42", "root:a b", "root:1-2", "root:x^y!", "root:=z"])
def test_a_race_inside_a_workflow_with_an_id_of_its_own(chosen):
    async def inner(ctx: Context) -> str:
        return await first_of_three(ctx)

    async def flow(ctx: Context) -> str:
        ctx.rpc("far")
        return await ctx.options(id=chosen).run(inner)

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    for n in (3, 1, 2):
        world.happen(f"s:{chosen}.{n}")
        world.happen(f"w:{chosen}.{n}")
    world.apply(world.writes[f"{chosen}.4"])
    other = world.again()
    other.play()
    other.step(other.settle("root:1"))
    assert other.result == "winner c"


def test_a_detached_execution_is_not_taken_for_a_child_of_the_same_number():
    """Its id lies below no execution, however much of it looks like one's lineage."""
    world = World(first_of_three, id="root:1.2.3.4.5.6.7.8")
    child = world.execution._suffix("root~000000000000007")
    assert child.startswith("=")
    assert world.execution._suffix("root:1.2.3.4.5.6.7.8.7") == "7"
    assert world.execution._suffix("root:1.2.3.4.5.6.7.8.07").startswith("=")
