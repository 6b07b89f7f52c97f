"""What hardly ever happens."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from attrs import evolve

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.engine import commands as do
from resonate.core.engine.children import Role
from resonate.core.engine.context import Context
from resonate.core.engine.loop import Branch, GuardedCoroutine
from resonate.core.protocol.records import PromiseState
from resonate.errors import ApplicationError, DecodingError, EngineBug
from tests.unit.engine.world import CODEC, T0, World, bare


def name(what: str) -> str:
    return what


async def racing(ctx: Context) -> str:
    winner = await ctx.race(ctx.run(name, "fast"), ctx.rpc("far"))
    return await ctx.run(name, f"after {winner}")


def test_the_recorded_winner_of_a_race_is_waited_for_where_no_order_is_recorded():
    world = World(racing)
    world.play()
    far = world.settle("root:2", "far").promise
    history = [bare(far), bare(world.store["root:3"])]
    other = world.again(history=history)
    other.play()
    assert other.result == "after fast"


def test_a_timer_that_went_with_its_workflow_may_be_canceled_afterwards():
    handles = []

    async def inner(ctx: Context) -> None:
        handles.append(asyncio.get_running_loop().call_later(100, print))

    async def flow(ctx: Context) -> str:
        await ctx.run(inner)
        handles[0].cancel()
        return await ctx.run(name, "done")

    world = World(flow)
    world.play()
    assert world.result == "done"


def test_news_that_a_workflow_which_cleans_up_is_still_pending_is_no_news():
    async def inner(ctx: Context) -> None:
        try:
            await ctx.sleep(100)
        finally:
            await ctx.run(name, "cleanup")

    async def flow(ctx: Context) -> str:
        nested = ctx.run(inner)
        await ctx.run(name, "a")
        nested.cancel()
        return "done"

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    world.happen("s:root:2")
    world.answer("root:2")
    world.step(do.PromiseKnown(world.read("root:1")))
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is PromiseState.REJECTED_CANCELED


def test_what_is_known_by_its_creation_is_never_open():
    async def flow(ctx: Context) -> None:
        await ctx.sleep(1)

    world = World(flow)
    world.start()
    child = world.execution._children["root:1"]
    child.role = Role.RECORD
    with pytest.raises(EngineBug, match="never open"):
        world.execution._open(child, world.apply(world.writes["root:1"]))


def test_alarms_of_canceled_timers_do_not_pile_up():
    async def flow(ctx: Context) -> str:
        for n in range(300):
            nap = ctx.sleep(1000)
            await ctx.run(name, str(n))
            nap.cancel()
        await ctx.sleep(2000)
        return "up"

    world = World(flow)
    world.play()
    assert len(world.execution._alarms) < 150
    world.resume(now=T0 + 2_000_000)
    assert world.result == "up"


@pytest.mark.parametrize("chosen", [None, "root:my-own"])
def test_what_lies_in_a_workflow_whose_promise_is_not_known_yet_is_waited_for(chosen):
    async def inner(ctx: Context) -> str:
        calls = [ctx.run(name, "a"), ctx.run(name, "b")]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        (winner,) = done
        return await ctx.run(name, f"winner {winner.result()}")

    async def flow(ctx: Context) -> list[str]:
        mine = ctx if chosen is None else ctx.options(id=chosen)
        nested, other = mine.run(inner), ctx.rpc("far")
        done, _ = await asyncio.wait([nested, other], return_when=asyncio.FIRST_COMPLETED)
        first = "nested" if nested in done else "other"
        await ctx.run(name, f"first {first}")
        return [await nested, str(await other), first]

    inside = chosen or "root:1"
    far = "root:2" if chosen is None else "root:1"
    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    for n in (2, 1):
        world.happen(f"s:{inside}.{n}")
        world.happen(f"w:{inside}.{n}")
    world.answer(f"{inside}.3")
    world.step(world.settle(far, "far"))
    while world.pending:
        world.happen(world.pending[-1])
    assert world.result == ["winner b", "far", "other"]
    missing = [record for record in world.store.values() if record.id not in ("root", inside)]
    other = world.again(history=missing)
    other.play()
    assert other.result == world.result


def test_a_result_that_the_workflow_has_set_itself_is_kept():
    async def flow(ctx: Context) -> str:
        call = ctx.run(name, "theirs")
        call.set_result("mine")
        return await call

    world = World(flow)
    world.play()
    assert world.result == "mine"


class OddCodec(JsonCodec):
    """One that rebuilds whatever it reads, and has a hook that fails."""

    def decode_error(self, value: Any, *, at: str = "") -> Exception:
        return StopIteration("odd")

    def decode(self, value: Any, type_: Any = Any, *, at: str = "") -> Any:
        if CODEC.decode(value) == "hook":
            raise ZeroDivisionError
        return CODEC.decode(value, type_)


def test_an_error_that_no_future_can_hold_is_told_as_one_that_it_can():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(name, "a")
        except ApplicationError as error:
            return error.name
        return "no"

    world = World(flow)
    world.execution.env = evolve(world.env, codec=OddCodec())
    world.start()
    world.answer()
    world.fails("root:1", ValueError())
    world.play()
    assert world.result == "StopIteration"


def test_a_hook_that_fails_while_a_result_is_read_is_told_where_the_result_is_awaited():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(name, "hook")
        except DecodingError as error:
            return str(error.step)
        return "no"

    world = World(flow)
    world.execution.env = evolve(world.env, codec=OddCodec())
    world.play()
    assert world.result == "root:1"


def test_many_unrecorded_deliveries_are_written_once_and_the_rest_follows():
    async def flow(ctx: Context) -> str:
        calls = [ctx.run(name, str(n)) for n in range(12)]
        await asyncio.wait(calls)
        await asyncio.gather(*(ctx.run(name, letter) for letter in "abc"))
        return "done"

    world = World(flow)
    world.start()
    world.answer()
    for n in range(1, 13):
        world.happen(f"s:root:{n}")
        world.happen(f"w:root:{n}")
    assert list(world.writes) == ["root:13"]
    world.answer("root:13")
    assert {"root:14", "root:15"} <= set(world.writes)
    assert all("resonate:delivered" not in world.writes[i].param.headers for i in ("root:14", "root:15"))
    world.play()
    assert world.result == "done"
    again = world.again()
    again.start()
    assert again.result == "done"


def test_a_body_that_is_over_is_not_kept_by_a_nested_one_that_waits_for_nothing():
    async def inner(ctx: Context) -> None:
        await asyncio.get_running_loop().create_future()

    async def flow(ctx: Context) -> str:
        ctx.run(inner)
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"


def test_a_task_that_exits_while_it_is_canceled_fails_and_takes_nobody_along():
    async def flow(ctx: Context) -> str:
        async def leaves() -> None:
            try:
                await ctx.sleep(100)
            except asyncio.CancelledError:
                sys.exit(3)

        task = asyncio.create_task(leaves())
        await ctx.run(name, "a")
        task.cancel()
        try:
            await task
        except Exception as error:  # noqa: BLE001 - what comes out is what is tested
            return str(error)
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "SystemExit: 3"


def test_callbacks_that_are_canceled_and_tasks_with_names():
    ran = []

    async def flow(ctx: Context) -> str:
        loop = asyncio.get_running_loop()
        loop.call_soon(ran.append, 1).cancel()

        async def body() -> str:
            return asyncio.current_task().get_name()

        return await loop.create_task(body(), name="mine")

    world = World(flow)
    world.play()
    assert world.result == "mine"
    assert ran == []


def test_a_guarded_coroutine_can_be_awaited():
    async def five() -> int:
        return 5

    guarded = GuardedCoroutine(five(), None, None, Branch("x", None, ":"))
    with pytest.raises(StopIteration) as end:
        next(guarded.__await__())
    assert end.value.value == 5


def test_a_handle_that_nobody_waits_for_any_more_when_it_is_durable():
    async def flow(ctx: Context) -> str:
        try:
            async with asyncio.timeout(1):
                await ctx.begin_run(name, "a")
        except TimeoutError:
            return await ctx.run(name, "late")
        return "no"

    world = World(flow)
    world.start()
    world.answer("root:1")  # the timer; the step's creation stays under way
    world.step(now=T0 + 1000)
    world.answer("root:1")
    world.answer("root:2")
    world.play()
    assert world.result == "late"
    assert world.store["root:2"].state is PromiseState.RESOLVED
