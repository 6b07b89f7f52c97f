"""What n of something cost is n times what one does: lines are counted, so it is the same on every machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

import pytest
from attrs import evolve

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.deliveries import HEADER
from resonate.core.protocol.records import PromiseRecord, PromiseState, Value
from tests.unit.engine.world import World

FEW = 40


def lines_of(what: Callable[[], object]) -> int:
    """Count the lines that are run, those of a loop each time."""
    counted = 0

    def count(_frame: object, _event: str, _arg: object) -> object:
        nonlocal counted
        counted += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        what()
    finally:
        sys.settrace(before)
    return counted


def step(n: int) -> int:
    return n


async def with_cleanup(ctx: Context, n: int) -> int:
    try:
        await ctx.sleep(1000)
    finally:
        await ctx.run(step, n)
    return 1


async def canceled_and_over(ctx: Context, n: int) -> int:
    children = [ctx.run(with_cleanup, number) for number in range(n)]
    await ctx.run(step, 0)
    for child in children:
        child.cancel()
    return n


async def leaves_a_task(ctx: Context, n: int) -> int:
    async def task() -> None:
        await ctx.run(step, n)

    left.append(asyncio.create_task(task()))
    await ctx.run(step, 0)
    return 1


left: list[asyncio.Task[None]] = []


async def leave_tasks(ctx: Context, n: int) -> int:
    return sum(await asyncio.gather(*(ctx.run(leaves_a_task, number) for number in range(n))))


def answered(world: World) -> None:
    while world.writes:
        world.answer()


def ends(world: World) -> int:
    """Let the steps that run return, each in a turn of its own; return what that costs."""

    def one_by_one() -> None:
        for step_id in tuple(world.steps):
            world.happen(f"s:{step_id}")
            answered(world)

    lines = lines_of(one_by_one)
    assert isinstance(world.end, do.Fulfill)
    return lines


def ends_of_canceled(n: int) -> int:
    world = World(canceled_and_over, n, functions=[with_cleanup, step], observed=False, many=100_000)
    world.start()
    answered(world)
    (first,) = world.steps
    world.happen(f"s:{first}")
    answered(world)
    assert len(world.steps) == n  # the body is over, and each of what it has canceled is cleaning up
    return ends(world)


def ends_of_left(n: int) -> int:
    world = World(leave_tasks, n, functions=[leaves_a_task, step], observed=False, many=100_000)
    world.start()
    answered(world)
    for step_id in [each for each in world.steps if each.count(".") == 1]:
        world.happen(f"s:{step_id}")
        answered(world)
    assert len(world.steps) == n  # all bodies are over, and each has left a task
    return ends(world)


@pytest.mark.parametrize("cost", [ends_of_canceled, ends_of_left])
def test_each_end_costs_the_same_however_many_there_are(cost):
    few, many = cost(FEW), cost(4 * FEW)
    assert many < 4.4 * few


async def joins(ctx: Context, n: int) -> int:
    waits = await ctx.promise()
    for number in range(n):
        await ctx.options(id=f"root:x{number}").run(step, number)
    await waits
    return n


def others(world: World) -> dict[str, PromiseRecord]:
    """Return what is stored as if others had made it: it says nothing of what this workflow has heard of."""
    store = {"root": world.store["root"]}
    for key, record in world.store.items():
        if ":x" in key:
            param = Value(
                {name: text for name, text in record.param.headers.items() if name != HEADER}, record.param.data
            )
            store[key] = evolve(record, param=param)
    return store


def longest_header_of_joins(n: int) -> int:
    """Run a workflow whose calls are all there already, and are all answered with what they were made with."""
    world = World(joins, n, functions=[step], observed=False, many=100_000)
    world.play()
    again = World(joins, n, functions=[step], observed=False, many=100_000, store=others(world), history=[])
    assert isinstance(again.play(), do.Suspend)
    written = [command.action for command in again.sent if isinstance(command, do.Write)]
    headers = [(one.param if hasattr(one, "param") else one.value).headers for one in written]
    return max(len(each.get(HEADER, "")) for each in headers)


def test_calls_of_what_is_there_already_do_not_carry_all_that_was_heard_before():
    assert longest_header_of_joins(4 * FEW) <= longest_header_of_joins(FEW) + 8


def test_what_was_recorded_apart_is_known_to_a_replay():
    world = World(joins, FEW, functions=[step], observed=False)
    world.play()
    again = World(joins, FEW, functions=[step], store=others(world), history=[])
    again.play()
    assert any(each.startswith("root:0.") for each in again.store)
    third = again.again()
    assert isinstance(third.play(), do.Suspend)
    assert third.awaiting == ("root:1",)
    assert [each for each in third.store if each.startswith("root:0")] == [
        each for each in again.store if each.startswith("root:0")
    ]
    third.store["root:1"] = third.settle("root:1").promise
    third.resume(third.store["root:1"])
    assert third.state is PromiseState.RESOLVED


async def joins_beside_steps(ctx: Context, n: int) -> int:
    waits = await ctx.promise()

    async def beside() -> None:
        for number in range(n):
            await ctx.run(step, number)

    task = asyncio.create_task(beside())
    for number in range(n):
        await ctx.options(id=f"root:x{number}").run(step, number)
    await task
    await waits
    return n


def test_what_depends_on_a_stretch_that_is_being_recorded_apart_waits_for_it():
    world = World(joins_beside_steps, FEW, functions=[step])
    world.play()
    again = World(joins_beside_steps, FEW, functions=[step], store=others(world), history=[])

    def stretches_last(pending: Sequence[str]) -> str:
        return next((each for each in pending if not each.startswith("w:root:0.")), pending[0])

    again.play(choose=stretches_last)
    third = again.again()
    assert isinstance(third.play(), do.Suspend)
    assert third.awaiting == ("root:1",)
