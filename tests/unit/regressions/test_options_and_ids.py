"""A client with options is the client; an id of an independent execution belongs to whoever used it first."""

from __future__ import annotations

import pytest

from resonate import Conflict, Context, UsageError
from resonate.testing.harness import Harness


async def echo(n: int) -> int:
    return n


async def test_options_may_be_set_before_the_client_is_open_and_end_with_it() -> None:
    async with Harness() as harness:
        client = harness.client()
        quick = client.options(timeout=5)
        client.register(echo)
        async with client:
            assert await quick.run("a", echo, 1) == 1
        with pytest.raises(UsageError, match="not open"):
            await quick.run("b", echo, 1)
        async with client:
            assert await quick.run("c", echo, 1) == 1


async def test_detached_attaches_to_the_same_call_and_raises_conflict_for_another() -> None:
    async def starts(ctx: Context, n: int) -> str:
        try:
            return await ctx.options(id="job").detached(echo, n)
        except Conflict:
            await ctx.sleep(1)
            return "conflict"

    async with Harness(continuations=0) as harness:
        client = harness.client()
        client.register(starts)
        client.register(echo)
        await harness.open(client)
        await client.rpc("job", echo, 1)
        assert await client.run("a", starts, 1) == "job"
        assert await client.run("b", starts, 2) == "conflict"
        assert await client.run("c", starts, 1) == "job"
