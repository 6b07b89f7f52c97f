"""What an execution leaves behind goes by reference counts: the garbage collector finds no more after a longer one."""

from __future__ import annotations

import asyncio
import gc

import pytest

from resonate import Context, MemoryServer, Resonate


async def step(number: int) -> int:
    return number


def threaded(number: int) -> int:
    return number


async def in_sequence(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def in_threads(ctx: Context, n: int) -> int:
    return sum([await ctx.run(threaded, number) for number in range(n)])


async def by_handles(ctx: Context, n: int) -> int:
    return sum([await (await ctx.begin_run(step, number)) for number in range(n)])


async def remotely(ctx: Context, n: int) -> int:
    return sum(await asyncio.gather(*[ctx.rpc(step, number) for number in range(n)]))


async def nested(ctx: Context, n: int) -> int:
    return sum([await ctx.run(in_sequence, 2) for _ in range(n)])


async def under_timeouts(ctx: Context, n: int) -> int:
    total = 0
    for number in range(n):
        async with asyncio.timeout(60):
            total += await ctx.run(step, number)
    return total


KEPT: list[MemoryServer] = []


async def garbage_of(workflow, size):
    """Return how many objects only the garbage collector could free after an execution."""
    server = MemoryServer()
    KEPT.append(server)  # what it has stored is no garbage
    gc.collect()
    gc.disable()
    try:
        async with Resonate(server) as client:
            for function in (workflow, step, in_sequence):
                client.register(function)
            await client.run("w", workflow, size)
        del client
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("workflow", [in_sequence, in_threads, by_handles, remotely, nested, under_timeouts])
async def test_a_call_leaves_no_garbage(workflow):
    await garbage_of(workflow, 1)
    few, many = await garbage_of(workflow, 10), await garbage_of(workflow, 60)
    assert many - few < 50, "less than one object for each call more"
