"""A step that cancels its own task fails, as one that raises does; nobody waits for it until its deadline."""

from __future__ import annotations

import asyncio

import pytest

from resonate import Context, Never, PromiseCanceled


async def cancels_itself() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def cancels_itself_later() -> None:
    await asyncio.sleep(0)
    await cancels_itself()


@pytest.mark.parametrize("step", [cancels_itself, cancels_itself_later])
async def test_its_caller_hears_of_it_at_once(harness, step):
    async def calls(ctx: Context) -> str:
        try:
            await ctx.run(step)
        except PromiseCanceled:
            return "canceled"
        return "not canceled"

    client = await harness.open(harness.client(retry=Never()))
    client.register(calls)
    began = harness.clock.now()
    assert await client.run("a", calls) == "canceled"
    assert harness.clock.now() - began < 1_000
