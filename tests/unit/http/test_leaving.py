"""A worker that leaves a server: what it gives back goes to others at once."""

from __future__ import annotations

import asyncio

from resonate import Context
from tests.unit.http.wild import Wild


async def test_what_a_worker_gives_back_is_not_offered_to_the_one_that_leaves(wild: Wild):
    ran: list[str] = []

    def worker(pid: str):
        client = wild.client(group="g", pid=pid, grace=0)

        @client.register
        async def step() -> None:
            ran.append(pid)
            if pid == "one":
                await asyncio.get_running_loop().create_future()

        @client.register
        async def workflow(ctx: Context) -> str:
            await ctx.run(step)
            return pid

        return client

    async with worker("one") as one:
        await one.begin_run("a", "workflow")
        while not ran:  # noqa: ASYNC110 - no event tells that a step has begun
            await asyncio.sleep(0)
    left = wild.clock.now()
    async with worker("two") as two:
        assert await two.get("a").result() == "two"
    assert ran == ["one", "two"]
    assert wild.clock.now() - left < 5_000  # when the server offers again what nobody took
