"""Time: each workflow's own, the same in every replay, and what the store's clock says against ours."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import evolve

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.protocol.dialect import FIELD
from resonate.core.protocol.records import PromiseState
from resonate.errors import PromiseCanceled, PromiseTimedOut
from tests.unit.engine.world import T0, World

RESOLVED = PromiseState.RESOLVED


def step(value: str) -> str:
    return value


async def far() -> None: ...


def seconds(ctx: Context) -> float:
    del ctx
    return asyncio.get_running_loop().time() - T0 / 1000


# ---------------------------------------------------------------- logical time


def test_the_start_of_a_detached_execution_moves_time_to_its_start_in_a_replay_too():
    async def flow(ctx: Context) -> list[float]:
        nap = ctx.sleep(100)  # so that the order of what is heard is recorded
        await ctx.detached(far)
        taken = [seconds(ctx)]
        await ctx.run(step, "x")
        nap.cancel()
        return [*taken, seconds(ctx)]

    world = World(flow, functions=[far])
    world.start()
    world.now = T0 + 2_000
    world.answer()
    world.play()
    assert world.result[0] == 2
    again = world.again()
    again.play()
    assert again.result == world.result


@pytest.mark.parametrize("hot", [True, False])
def test_each_workflow_has_a_time_of_its_own_that_begins_when_its_promise_does(hot):
    async def inner(ctx: Context) -> list[float]:
        began = seconds(ctx)
        await ctx.sleep(5)
        return [began, seconds(ctx)]

    async def flow(ctx: Context) -> list[float]:
        child = ctx.run(inner)
        await ctx.run(step, "x")
        return [*await child, seconds(ctx)]

    world = World(flow)
    world.start()
    world.answer("root:2")
    world.now = T0 + 60_000
    world.returns("root:2", "x")
    world.answer("root:2")  # the step is over before the workflow's promise is known to be there
    world.answer("root:1")
    assert isinstance(world.play(), do.Suspend)
    rung = world.store["root:1.1"] = world.read_at(world.store["root:1.1"], T0 + 65_000)
    if hot:
        world.resume(rung, now=T0 + 65_000)
    else:
        world = world.again(now=T0 + 65_000)
    world.play()
    assert world.result == [60, 65, 65]


def test_time_can_be_asked_for_in_a_context_that_was_emptied():
    async def flow(ctx: Context) -> float:
        await ctx.sleep(5)
        return contextvars.Context().run(seconds, ctx)

    world = World(flow)
    world.play()
    world.resume(evolve(world.store["root:1"], state=RESOLVED, settled_at=T0 + 5_000), now=T0 + 5_000)
    assert world.result == 5


def test_a_sleep_that_was_taken_back_before_it_was_sent_is_no_longer_than_it_was_in_a_replay():
    async def flow(ctx: Context) -> str:
        await ctx.sleep(1_800)
        await ctx.run(step, "x")
        ready = asyncio.get_running_loop().create_future()
        ready.set_result(None)
        limit = ctx.sleep(1_700)
        await asyncio.wait([ready, limit], return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        await ctx.rpc("far")
        return "ok"

    world = World(flow, timeout_ms=3_600_000)
    world.play()
    world.resume(world.read_at(world.store["root:1"], T0 + 1_800_000), now=T0 + 1_800_000)
    world.play()
    assert world.awaiting == ("root:4",)
    world.settle("root:4")
    again = world.again(now=T0 + 3_000_000, timeout_ms=3_600_000)
    again.play()
    assert again.result == "ok"


# ---------------------------------------------------------------- deadlines by two clocks


async def naps_too_long(ctx: Context) -> str:
    await asyncio.sleep(3_600)
    await ctx.detached(far)
    return "never"


def with_a_deadline(inner: Callable[[Context], Awaitable[object]]) -> Callable[[Context], Awaitable[str]]:
    """Return a workflow that gives another ten seconds."""

    async def flow(ctx: Context) -> str:
        try:
            await ctx.options(timeout=timedelta(seconds=10)).run(inner)
        except PromiseTimedOut:
            return "timed out"
        except PromiseCanceled:
            return "canceled"
        return "over"

    return flow


@pytest.mark.parametrize("behind", [0, 50])
@pytest.mark.parametrize("hot", [True, False])
def test_a_sleep_that_ends_at_the_deadline_of_its_workflow_ends_the_workflow_by_either_clock(behind, hot):
    world = World(with_a_deadline(naps_too_long), functions=[far, naps_too_long])
    assert isinstance(world.play(), do.Suspend)
    rung = world.read_at(world.store["root:1.1"], T0 + 10_000)
    assert rung.state is RESOLVED
    world.store[rung.id] = rung
    if hot:
        world.resume(rung, now=T0 + 10_000 - behind)
    else:
        world = world.again(now=T0 + 10_000 - behind, history=[rung, world.store["root:1"]])
    world.play()
    assert world.result == "timed out"
    assert not [each for each in world.store if "~" in each], "nothing was detached"


@pytest.mark.parametrize("ahead", [0, 1, 3_000])
def test_a_workflow_past_its_deadline_has_timed_out_also_where_our_clock_is_ahead_of_the_stores(ahead):
    async def inner(ctx: Context) -> str:
        return await ctx.run(step, "slow")

    world = World(with_a_deadline(inner))
    world.start()
    world.answer()
    world.answer()
    assert "root:1.1" in world.steps
    world.step(now=T0 + 10_000 + ahead)
    world.now = T0 + 10_000  # the store's, which is behind
    for promise_id in tuple(world.writes):
        world.now = T0 + 9_999
        world.answer(promise_id)
    world.play()
    assert world.result == "timed out"


def test_a_timer_of_its_own_that_a_store_ahead_of_us_has_rung_is_asked_after_and_not_waited_for_again():
    async def locked(ctx: Context) -> str:
        await asyncio.Event().wait()
        return "never"

    world = World(with_a_deadline(locked), dialect=FIELD)
    assert isinstance(world.play(), do.Suspend)
    assert world.awaiting == ("root:1.0",)
    world.resume(now=T0 + 9_000)  # a second behind the server, where the timer has rung
    (looks,) = world.looks.values()
    assert looks == ("root:1.0",)
    world.store["root:1.0"] = evolve(world.store["root:1.0"], state=RESOLVED, settled_at=T0 + 10_000)
    world.play()
    assert world.result == "timed out"


def test_time_is_not_moved_by_what_another_workflow_heard_of():
    async def inner(ctx: Context) -> None:
        await ctx.sleep(5)
        await ctx.sleep(50)

    async def flow(ctx: Context) -> float:
        child = ctx.run(inner)
        await ctx.rpc("far")
        heard = seconds(ctx)
        await child
        return heard

    world = World(flow)
    assert isinstance(world.play(), do.Suspend)
    world.resume(world.read_at(world.store["root:1.1"], T0 + 5_000), now=T0 + 7_000)
    assert isinstance(world.play(), do.Suspend)
    far = world.store["root:2"] = evolve(world.settle("root:2").promise, settled_at=T0 + 1_000)
    world.resume(far, now=T0 + 8_000)
    assert isinstance(world.play(), do.Suspend)
    world.resume(now=T0 + 60_000)
    world.play()
    assert world.result == 1, "the inner workflow heard of something later, which is its own affair"


def test_a_timer_that_is_due_since_the_store_has_told_of_the_others_is_left_to_it():
    async def flow(ctx: Context) -> str:
        await asyncio.gather(ctx.sleep(1), ctx.sleep(1.002))
        return "up"

    world = World(flow)
    assert isinstance(world.play(), do.Suspend)
    world.resume(now=T0 + 1_002, behind=2)
    assert world.writes == {}
    assert world.awaiting == ("root:2",), "it is settled by the time that it is asked for"
    world.resume()
    assert world.result == "up"


def test_a_workflow_within_one_with_a_deadline_is_brought_back_by_then():
    async def locked(ctx: Context) -> None:
        await asyncio.Event().wait()

    async def limited(ctx: Context) -> None:
        await ctx.run(locked)

    world = World(with_a_deadline(limited), functions=[limited, locked])
    assert isinstance(world.play(), do.Suspend)
    assert world.awaiting == ("root:1.0",)
    world.resume(now=T0 + 10_000)
    world.play()
    assert world.result == "timed out"


def test_a_canceled_workflow_that_goes_on_waiting_does_not_keep_one_with_a_deadline_from_it():
    async def stubborn(ctx: Context) -> None:
        try:
            await ctx.sleep(5)
        finally:
            await asyncio.Event().wait()

    async def limited(ctx: Context) -> None:
        child = ctx.run(stubborn)
        await ctx.sleep(1)
        child.cancel()
        await asyncio.Event().wait()

    world = World(with_a_deadline(limited), functions=[limited, stubborn], timeout_ms=60_000)
    assert isinstance(world.play(), do.Suspend)
    world.resume(now=T0 + 1_000)
    world.play()
    assert world.awaiting == ("root:1.0",)
