"""Sets of tasks and futures have the same order in every replay."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from resonate import Context, DeterminismError
from resonate.testing.harness import Harness

MANY = 8


async def step(n: int) -> int:
    return n


async def chain(ctx: Context, n: int) -> int:
    return await ctx.run(step, n)


def as_task(ctx: Context, n: int) -> Awaitable[int]:
    return asyncio.create_task(chain(ctx, n))


def as_call(ctx: Context, n: int) -> Awaitable[int]:
    return ctx.run(step, n)


@pytest.mark.parametrize("start", [as_task, as_call])
async def test_the_set_that_wait_returns_has_one_order(start: Callable[[Context, int], Awaitable[int]]) -> None:
    kept: list[bytearray] = []

    async def loops(ctx: Context) -> list[int]:
        started: list[Awaitable[int]] = []
        for number in range(MANY):
            kept.extend(bytearray(random.randrange(64, 1200)) for _ in range(random.randrange(40)))
            started.append(start(ctx, number))
        done, _ = await asyncio.wait(started)  # type: ignore[type-var]  # they are futures
        found = [await ctx.run(step, one.result()) for one in done]
        await ctx.sleep(1)
        return found

    async with Harness(continuations=0) as harness:
        client = harness.client()
        client.register(loops)
        await harness.open(client)
        assert sorted(await asyncio.wait_for(client.run("o", loops), 60)) == list(range(MANY))


async def test_as_completed_takes_tasks_and_refuses_coroutines() -> None:
    async def bare(ctx: Context) -> list[int]:
        chains = [chain(ctx, 1), chain(ctx, 2)]
        try:
            return [await one for one in asyncio.as_completed(chains)]
        finally:
            for one in chains:
                one.close()

    async def tasks(ctx: Context) -> list[int]:
        return [await one for one in asyncio.as_completed([asyncio.create_task(chain(ctx, n)) for n in (1, 2)])]

    async with Harness(continuations=0) as harness:
        client = harness.client()
        client.register(bare)
        client.register(tasks)
        await harness.open(client)
        with pytest.raises(DeterminismError, match="as_completed"):
            await client.run("bare", bare)
        assert sorted(await client.run("tasks", tasks)) == [1, 2]
