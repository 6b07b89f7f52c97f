"""Ids that a workflow chooses itself, in an execution whose own id is not a root."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context
from resonate.testing.harness import Harness


async def step(n: int) -> int:
    return n


async def nested(ctx: Context, n: int) -> int:
    return await ctx.run(step, n)


@pytest.mark.parametrize("names", [("o:xa", "o:ya"), ("o:12", "o:13")])
async def test_results_below_chosen_ids_are_never_taken_for_each_other(names: tuple[str, str]) -> None:
    async def inner(ctx: Context) -> list[int]:
        calls = [ctx.options(id=name).run(nested, number) for number, name in enumerate(names)]
        return list(await asyncio.gather(*calls))

    async def outer(ctx: Context) -> list[int]:
        return await ctx.rpc(inner)

    async with Harness() as harness:
        client = harness.client()
        client.register(inner)
        client.register(outer)
        await harness.open(client)
        assert await client.run("o", outer) == [0, 1]


async def test_every_timer_has_the_id_that_was_chosen_for_it() -> None:
    async def naps(ctx: Context) -> None:
        await ctx.options(id="o:nap").sleep(1)
        await ctx.options(id="o:until").sleep_until(await ctx.now() + timedelta(days=1))

    async with Harness() as harness:
        client = harness.client()
        client.register(naps)
        await harness.open(client)
        handle = await client.begin_run("o", naps)
        await harness.clock.advance(timedelta(seconds=2))
        assert {one.record.id for one in harness.snapshot().promises} == {"o", "o:1", "o:nap", "o:until"}
        await handle.cancel()
