"""Ids that a workflow chooses itself, in an execution whose own id is not a root."""

from __future__ import annotations

import asyncio

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
