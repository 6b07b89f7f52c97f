"""A workflow that is answered at once, again and again, leaves the event loop to others too."""

from __future__ import annotations

import asyncio

from resonate import Context, Resonate


async def restless(ctx: Context, turns: int) -> int:
    for _ in range(turns):
        await ctx.now()
    return turns


async def test_a_restless_workflow_leaves_the_loop_to_others():
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    async with Resonate() as client:
        client.register(restless)
        ticking = asyncio.create_task(tick())
        assert await client.run("r", restless, 2_000) == 2_000
        ticking.cancel()
    assert ticks > 40
