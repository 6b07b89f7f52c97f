"""Functions that are defined inside a workflow live no longer than it does."""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Awaitable, Callable

from resonate import Context
from resonate.testing.harness import Harness


class Big:
    """Something that a function closes over."""


async def test_a_step_and_what_it_closes_over_are_let_go() -> None:
    seen: list[weakref.ref[Big]] = []

    async def workflow(ctx: Context) -> bool:
        big = Big()
        seen.append(weakref.ref(big))

        async def step() -> bool:
            return isinstance(big, Big)

        return await ctx.run(step)

    async with Harness() as harness:
        client = harness.client()
        client.register(workflow)
        await harness.open(client)
        assert await client.run("o", workflow)
        gc.collect()
        assert [ref() for ref in seen] == [None]


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def add(self, n: int) -> int:
        return self.start + n


async def test_methods_of_two_objects_and_wrapped_functions_are_told_apart() -> None:
    async def plain(n: int) -> int:
        return n

    def doubling(fn: Callable[[int], Awaitable[int]]) -> Callable[[int], Awaitable[int]]:
        @functools.wraps(fn)
        async def wrapper(n: int) -> int:
            return 2 * await fn(n)

        return wrapper

    async def workflow(ctx: Context) -> list[int]:
        first = await ctx.run(plain, 1)  # looked at before it is wrapped
        return [
            first,
            await ctx.run(doubling(plain), 1),
            await ctx.run(Counter(10).add, 1),
            await ctx.run(Counter(20).add, 1),
        ]

    async with Harness() as harness:
        client = harness.client()
        client.register(workflow)
        await harness.open(client)
        assert await client.run("o", workflow) == [1, 2, 11, 21]
