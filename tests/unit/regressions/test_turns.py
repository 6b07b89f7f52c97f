"""A turn goes on until nothing is left to run, also where it began with an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, PromiseTimedOut
from resonate.core.protocol.records import PromiseState, Tag
from resonate.testing.harness import Harness

HOUR = 3_600
SOON = 1_000_000


async def asks(ctx: Context) -> None:
    await (await ctx.promise())


async def starts_and_returns(ctx: Context) -> None:
    ctx.run(asks)


@pytest.mark.parametrize("continuations", [1_000, 0])
@pytest.mark.parametrize("beside", [False, True])
async def test_the_end_of_a_child_that_nobody_awaits_ends_its_parent(continuations: int, beside: bool) -> None:
    async def outer(ctx: Context) -> timedelta:
        begun = await ctx.now()
        if beside:
            ctx.sleep(100 * HOUR)
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=HOUR).run(starts_and_returns)
        return await ctx.now() - begun

    async with Harness(continuations=continuations) as harness:
        client = harness.client()
        client.register(outer)
        await harness.open(client)
        assert await asyncio.wait_for(client.run("o", outer), SOON) == timedelta(hours=1)


@pytest.mark.parametrize("continuations", [1_000, 0])
async def test_what_a_canceled_workflow_has_started_cleans_up(continuations: int) -> None:
    released: list[str] = []

    async def release() -> None:
        released.append("lock")

    async def holds(ctx: Context) -> None:
        try:
            await (await ctx.promise())
        finally:
            await ctx.run(release)

    async def starts_holder(ctx: Context) -> None:
        ctx.run(holds)

    async def gives_up(ctx: Context) -> str:
        handle = await ctx.begin_run(starts_holder)
        await ctx.sleep(1)
        handle.cancel()
        return "done"

    async with Harness(continuations=continuations) as harness:
        client = harness.client()
        client.register(gives_up)
        await harness.open(client)
        assert await asyncio.wait_for(client.run("o", gives_up), SOON) == "done"
        assert released == ["lock"]
        pending = [one.record for one in harness.snapshot().promises if one.record.state is PromiseState.PENDING]
        assert [record.tags.get(Tag.EXTERNAL) for record in pending] == ["true"]  # which is not the workflow's to end
