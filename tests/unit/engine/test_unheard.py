"""A failure that a workflow never asks for is told of when the workflow is over; nothing else is."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from contextlib import suppress

import pytest

from resonate.core.engine import unheard
from resonate.core.engine.context import Context
from resonate.core.protocol.records import PromiseState
from resonate.core.trace import FailureUnheard
from tests.unit.engine.world import World

HERE = "test_unheard.py"


def charge(cents: int) -> None:
    raise ValueError(f"no card for {cents}")


def ship() -> str:
    return "shipped"


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(n for n, line in enumerate(lines) if text in line)


def told(world):
    return [event for event in world.all_events if isinstance(event, FailureUnheard)]


async def forgetful(ctx: Context) -> str:
    ctx.run(charge, 5)
    return await ctx.run(ship)


def test_a_failed_call_that_nobody_awaits():
    world = World(forgetful)
    said = []
    object.__setattr__(world.env, "warn", said.append)
    world.play()
    assert world.result == "shipped"
    site = f"{HERE}:{line_of(forgetful, 'charge')}"
    assert told(world) == [
        FailureUnheard(id="root:1", execution="root", function="charge@1", site=site, error="ValueError: no card for 5")
    ]
    (sentence,) = said
    assert sentence == (
        f"charge@1 (root:1, at {site}) failed with ValueError: no card for 5, and the workflow of the execution root "
        "that called it never asked how it ended. Await it, and handle what may fail; cancel what is not needed any "
        "more."
    )


def test_it_is_told_of_though_no_one_observes():
    world = World(forgetful, observed=False)
    said = []
    object.__setattr__(world.env, "warn", said.append)
    world.play()
    assert len(said) == 1


async def in_a_task(ctx: Context) -> str:
    async def pays() -> None:
        try:
            await ctx.run(charge, 5)
        finally:
            await ctx.run(ship)

    task = asyncio.create_task(pays())
    await ctx.run(ship)
    return task.get_name() and "over"


def test_a_task_that_a_failed_call_ends():
    world = World(in_a_task)
    world.play()
    site = f"{HERE}:{line_of(in_a_task, 'charge')}"
    (event,) = told(world)
    assert (event.id, event.function, event.site) == ("root:1.1", "charge@1", site)


async def wraps_the_error(ctx: Context) -> None:
    async def pays() -> None:
        try:
            await ctx.run(charge, 5)
        except ValueError as error:
            raise RuntimeError("not paid") from error

    task = asyncio.create_task(pays())
    await ctx.run(ship)
    assert task.done()


def test_a_task_that_fails_because_of_a_call():
    world = World(wraps_the_error)
    world.play()
    (event,) = told(world)
    assert (event.id, event.function, event.error) == ("root:1.1", "charge@1", "RuntimeError: not paid")


async def fails_by_itself(ctx: Context) -> None:
    async def breaks() -> None:
        raise AssertionError

    task = asyncio.create_task(breaks())
    await ctx.run(ship)
    assert task.done()


def test_a_task_that_fails_by_itself():
    world = World(fails_by_itself)
    world.play()
    (event,) = told(world)
    assert event.id == "root"
    assert event.function.endswith("breaks")
    assert event.site == f"{HERE}:{line_of(fails_by_itself, 'raise')}"
    assert event.error == "AssertionError"
    assert unheard.told(event).startswith("fails_by_itself.<locals>.breaks (root, at test_unheard.py:")


async def child(ctx: Context) -> None:
    ctx.run(charge, 7)


async def parent(ctx: Context) -> None:
    await ctx.run(child)


def test_a_nested_workflow_tells_of_its_own_and_once():
    world = World(parent, functions=[child])
    world.start()
    for _ in range(100):
        if world.end is not None:
            break
        world.happen(world.pending[0])
    (event,) = told(world)
    assert (event.id, event.execution) == ("root:1.1", "root")
    again = world.again()
    again.play()
    assert told(again) == []


def test_a_remote_call():
    async def flow(ctx: Context) -> None:
        ctx.rpc("far")

    world = World(flow)
    world.start()
    world.answer()
    world.step(world.settle("root:1", ValueError("far away"), PromiseState.REJECTED))
    (event,) = told(world)
    assert (event.id, event.function, event.error) == ("root:1", "far", "ValueError: far away")


def test_a_refused_call_is_told_of_once_whatever_the_workflow_holds_of_it():
    async def flow(ctx: Context) -> None:
        ctx.begin_run(ship)
        ctx.run(ship)

    world = World(flow)
    world.start()
    world.refuse("root:1")
    world.refuse("root:2")
    assert [event.id for event in told(world)] == ["root:1", "root:2"]


async def caught(ctx: Context) -> None:
    with suppress(ValueError):
        await ctx.run(charge, 1)


async def looked_at(ctx: Context) -> None:
    call = ctx.run(charge, 1)
    await asyncio.wait([call])
    assert isinstance(call.exception(), ValueError)


async def gathered(ctx: Context) -> None:
    await asyncio.gather(ctx.run(charge, 1), ctx.run(charge, 2), return_exceptions=True)


async def gathered_and_caught(ctx: Context) -> None:
    with suppress(ValueError):
        await asyncio.gather(ctx.run(charge, 1), ctx.run(charge, 2))


async def grouped(ctx: Context) -> None:
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for cents in (1, 2):
                group.create_task(caught_too_late(ctx, cents))


async def caught_too_late(ctx: Context, cents: int) -> None:
    await ctx.run(charge, cents)


async def raced(ctx: Context) -> None:
    slow, fast = ctx.run(charge, 1), ctx.run(ship)
    await asyncio.wait([slow, fast])
    await ctx.race(fast, slow)


async def raced_against_a_task(ctx: Context) -> None:
    async def untidy() -> None:
        try:
            await ctx.sleep(60)
        finally:
            await ctx.run(charge, 1)

    await ctx.race(untidy(), ctx.run(ship))


async def mapped(ctx: Context) -> None:
    with suppress(ValueError):
        await ctx.map(charge, [1, 2, 3])


async def canceled(ctx: Context) -> None:
    call = ctx.run(charge, 1)
    call.cancel()
    await ctx.run(ship)


async def canceled_task(ctx: Context) -> None:
    async def waits() -> None:
        await ctx.sleep(60)

    task = asyncio.create_task(waits())
    await ctx.run(ship)
    assert not task.done()


async def fails_itself(ctx: Context) -> None:
    await ctx.run(charge, 1)


@pytest.mark.parametrize(
    "flow",
    [
        caught,
        looked_at,
        gathered,
        gathered_and_caught,
        grouped,
        raced,
        raced_against_a_task,
        mapped,
        canceled,
        canceled_task,
        fails_itself,
    ],
    ids=lambda flow: flow.__name__,
)
def test_what_is_heard_of_or_canceled_is_no_news(flow):
    world = World(flow)
    world.play()
    assert told(world) == []


def test_a_promise_that_was_canceled_has_not_failed():
    async def flow(ctx: Context) -> None:
        ctx.rpc("far")

    world = World(flow)
    world.start()
    world.answer()
    world.step(world.settle("root:1", None, PromiseState.REJECTED_CANCELED))
    assert told(world) == []


async def stopped_in_the_middle(ctx: Context) -> None:
    ctx.run(charge, 1)
    await ctx.run(ship)
    await ctx.sleep(60)


async def stops_it(ctx: Context) -> None:
    call = ctx.run(stopped_in_the_middle)
    await ctx.run(ship)
    await ctx.sleep(1)
    call.cancel()


def test_a_canceled_workflow_had_no_chance_to_ask():
    world = World(stops_it, functions=[stopped_in_the_middle])
    world.play()
    world.step(now=world.now + 1_000)
    world.play()
    assert world.result is None
    assert told(world) == []


def test_what_was_asked_for_is_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(unheard, "MANY", 2)
    calls = []

    async def flow(ctx: Context) -> int:
        ctx.run(charge, 0)
        for cents in range(1, 20):
            call = ctx.run(charge, cents)
            calls.append(weakref.ref(call))
            with suppress(ValueError):
                await call
        gc.collect()
        return sum(call() is not None for call in calls)

    world = World(flow)
    world.play()
    assert world.result < 8
    assert [event.id for event in told(world)] == ["root:1"]
