"""What a client starts begins where it is started, and may be over by the time that its handle is there."""

from __future__ import annotations

import asyncio

import pytest

from resonate import Context, PromiseState, Resonate


async def double(n: int) -> int:
    return n * 2


async def twice(ctx: Context, n: int) -> int:
    return await ctx.run(double, n) + await ctx.run(double, n)


@pytest.fixture
async def client():
    async with Resonate() as client:
        client.register(double)
        client.register(twice)
        yield client


async def test_what_waits_for_nothing_is_over_when_its_handle_is_there(client):
    handle = await client.begin_run("a", twice, 1)
    record = await client.promises.get("a")
    assert record.state is PromiseState.RESOLVED
    assert await handle.result() == await handle == 4


async def test_what_waits_goes_on_behind_its_handle(client):
    reached = asyncio.Event()

    async def reach() -> None:
        reached.set()

    @client.register
    async def waits(ctx: Context) -> str:
        await ctx.run(reach)
        return await (await ctx.promise(returns=str))

    handle = await client.begin_run("a", waits)
    assert reached.is_set()
    assert not await handle.done()
    await client.promises.resolve("a:2", "now")
    assert await handle == "now"


async def test_steps_that_start_executions_in_steps_pile_up_no_stack(client):
    deep = 300

    async def deeper(n: int) -> int:
        return 0 if n == deep else 1 + await client.run(f"at-{n}", down, n + 1)

    async def down(ctx: Context, n: int) -> int:
        return await ctx.run(deeper, n)

    client.register(down)
    assert await asyncio.wait_for(client.run("top", down, 0), 60) == deep


async def test_who_starts_many_leaves_the_event_loop_to_others(client):
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(others())
    for number in range(80):
        await client.begin_run(f"a{number}", twice, 1)
    ticking.cancel()
    assert turns >= 10
