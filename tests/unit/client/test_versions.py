"""Functions in several versions: latest unless pinned, and a resume asks for the one that it began with."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from resonate import Context, Info


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
