"""Functions in several versions: latest unless pinned, and a resume asks for the one that it began with."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, Info
from resonate.testing import Harness
from resonate.testing.replaying import Agreement, replay


async def checkout(ctx: Context) -> str:
    await ctx.sleep(3600)
    return f"old {ctx.info.version}"


async def newer(ctx: Context) -> str:
    await ctx.sleep(1)
    return f"new {ctx.info.version}"


async def test_the_latest_runs_unless_one_is_pinned(client):
    client.register(checkout)
    client.register(name="checkout", version=2)(newer)
    assert await client.run("a", "checkout") == "new 2"
    assert await client.options(version=1).run("b", "checkout") == "old 1"
    assert await client.rpc("c", "checkout") == "new 2"
    assert await client.options(version=1).rpc("d", "checkout") == "old 1"


async def test_a_function_that_is_given_itself_runs_as_it_is_registered(client):
    client.register(checkout)
    client.register(name="checkout", version=2)(newer)
    assert await client.run("a", checkout) == "old 1"
    assert await client.run("b", newer) == "new 2"
    assert await client.options(version=2).run("c", checkout) == "new 2"


async def test_a_workflow_pins_versions_too(client):
    @client.register(name="tax")
    def old(cents: int) -> int:
        return cents + 1

    @client.register(name="tax", version=2)
    def new(cents: int) -> int:
        return cents + 2

    @client.register
    async def both(ctx: Context) -> list[int]:
        pinned = ctx.options(version=1)
        return [
            await ctx.run("tax", 100),
            await pinned.run("tax", 100),
            await ctx.rpc("tax", 100),
            await pinned.rpc("tax", 100),
            await pinned.run(new, 100),
        ]

    assert await client.run("a", both) == [102, 101, 102, 101, 101]


async def test_an_execution_goes_on_with_the_version_it_began_with(harness):
    one = await harness.open(harness.client(pid="one"))
    one.register(checkout)
    await one.begin_run("a", "checkout")
    await harness.clock.advance(timedelta(minutes=1))
    await harness.crash(one)
    two = await harness.open(harness.client(pid="two"))
    two.register(checkout)
    two.register(name="checkout", version=2)(newer)
    assert await two.get("a") == "old 1"


async def test_a_worker_without_that_version_leaves_it_to_one_that_has_it(harness):
    one = await harness.open(harness.client(pid="one"))
    one.register(checkout)
    await one.begin_run("a", "checkout")
    await harness.clock.advance(timedelta(minutes=1))
    await harness.crash(one)
    two = await harness.open(harness.client(pid="two"))
    two.register(name="checkout", version=2)(newer)
    result = asyncio.ensure_future(two.get("a").result())
    await harness.clock.advance(timedelta(hours=2))
    assert not result.done()
    three = await harness.open(harness.client(pid="three"))
    three.register(checkout)
    assert await result == "old 1"


async def test_the_same_call_attaches_whatever_its_version(client):
    client.register(checkout)
    handle = await client.begin_run("a", "checkout")
    client.register(name="checkout", version=2)(newer)
    assert await client.run("a", "checkout") == "old 1" == await handle


async def test_a_step_knows_its_version(client):
    @client.register(version=3)
    def which(info: Info) -> list[object]:
        return [info.function, info.version]

    assert await client.run("a", which) == ["which", 3]


# ---------------------------------------------------------------- started by a name alone


def first() -> str:
    return "first"


def second() -> str:
    return "second"


async def one_step(ctx: Context) -> str:
    done = await ctx.run(first)
    await ctx.sleep(3600)
    return f"{done}, old {ctx.info.version}"


async def two_steps(ctx: Context) -> str:
    await ctx.run(second)
    await ctx.run(second)
    await ctx.sleep(3600)
    return f"new {ctx.info.version}"


async def begins_in_a_task(ctx: Context) -> str:
    async def task() -> str:
        return await ctx.run(first)

    done = await asyncio.create_task(task())
    await ctx.sleep(3600)
    return f"{done}, old {ctx.info.version}"


async def calls_it(ctx: Context) -> str:
    return await ctx.rpc("order")


async def runs_it(ctx: Context) -> str:
    return await ctx.run("order")


def worker(harness, *versions):
    client = harness.client(group="shop")
    for number, fn in enumerate(versions, 1):
        client.register(fn, name="order", version=number)
    client.register(calls_it)
    client.register(runs_it)
    return client


@pytest.mark.parametrize("old", [one_step, begins_in_a_task])
@pytest.mark.parametrize("how", ["rpc", "ctx.rpc", "ctx.run", "schedule"])
async def test_what_was_started_by_a_name_goes_on_with_the_version_that_began_it(harness, how, old):
    desk = await harness.open(harness.client(group="desk"))
    one = await harness.open(worker(harness, old))
    started = "o"
    if how == "rpc":
        await desk.options(target="shop").begin_rpc("o", "order")
    elif how == "schedule":
        await one.schedule("s", "* * * * *", "order")
        await harness.clock.advance(timedelta(seconds=61))
        started = "s-1735689660000"
        await one.schedules.delete("s")
    else:
        await one.begin_run("o", calls_it if how == "ctx.rpc" else runs_it)
    await harness.clock.advance(timedelta(seconds=30))
    await harness.crash(one)
    await harness.open(worker(harness, old, two_steps))
    await harness.clock.advance(timedelta(hours=2))
    handle = desk.get(started)
    assert await handle.done(), "it is stuck"
    assert await handle.result() == "first, old 1"
    assert await desk.options(target="shop").rpc("later", "order") == "new 2"


async def test_a_worker_without_the_version_that_began_it_leaves_it_to_one_that_has_it(harness):
    desk = await harness.open(harness.client(group="desk"))
    new = await harness.open(worker(harness, one_step, two_steps))
    await desk.options(target="shop").begin_rpc("o", "order")
    await harness.clock.advance(timedelta(seconds=30))
    await harness.crash(new)
    old = await harness.open(worker(harness, one_step))
    await harness.clock.advance(timedelta(hours=2))
    assert not await desk.get("o").done()
    await harness.crash(old)
    await harness.open(worker(harness, one_step, two_steps))
    assert await desk.get("o").result() == "new 2"


async def test_what_runs_within_and_is_no_longer_here_in_its_version_stops_the_execution(harness):
    one = await harness.open(worker(harness, one_step))
    await one.begin_run("o", runs_it)
    await harness.clock.advance(timedelta(seconds=30))
    await harness.crash(one)
    two = harness.client(group="shop")
    two.register(two_steps, name="order", version=2)
    two.register(runs_it)
    await harness.open(two)
    await harness.clock.advance(timedelta(hours=2))
    assert not await two.get("o").done()
    await harness.crash(two)
    three = await harness.open(worker(harness, one_step, two_steps))
    assert await three.get("o").result() == "first, old 1"


async def test_a_recording_is_replayed_by_the_version_that_began_it():
    async with Harness() as harness:
        desk = await harness.open(harness.client(group="desk"))
        await harness.open(worker(harness, one_step))
        await desk.options(target="shop").begin_rpc("o", "order")
        await harness.clock.advance(timedelta(seconds=30))
        recording = await desk.record("o")
        verdict = replay(recording, worker(harness, one_step, two_steps))
    assert verdict.agreement is Agreement.SO_FAR, str(verdict)
