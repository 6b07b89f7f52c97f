"""What is canceled stops, and leaves nothing running behind it."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from resonate import Context, Resonate
from resonate.errors import NotFound
from resonate.runtime.driver import Driver
from resonate.testing.harness import Harness
from tests.unit.regressions.slow import Slow

SOON = 60


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_race_that_is_canceled_cancels_its_contestants() -> None:
    async def hurried(ctx: Context) -> str:
        try:
            async with asyncio.timeout(1):
                await ctx.race(ctx.run(never), ctx.run(never))
        except TimeoutError:
            return "gave up"
        return "won"

    async with Harness() as harness:
        client = harness.client()
        client.register(hurried)
        await harness.open(client)
        assert await asyncio.wait_for(client.run("o", hurried), SOON) == "gave up"


def heartbeats() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "resonate-heartbeat"}


async def test_a_client_whose_closing_is_canceled_is_closed() -> None:
    async def use(client: Resonate, closing: asyncio.Event) -> None:
        async with client:
            await client.begin_run("o", never)
            closing.set()

    client, closing = Resonate(grace=60), asyncio.Event()
    client.register(never)
    before, beating = asyncio.all_tasks(), heartbeats()
    using = asyncio.create_task(use(client, closing))
    await closing.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    using.cancel()
    await asyncio.wait([using])
    assert using.cancelled()
    assert not client.healthy
    assert heartbeats() <= beating
    for _ in range(10):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_an_attempt_keeps_nothing_of_the_steps_that_it_canceled() -> None:
    held: list[int] = []

    async def waits() -> None:
        await asyncio.get_running_loop().create_future()

    async def counts() -> None:
        (driver,) = [each for each in gc.get_objects() if isinstance(each, Driver) and each not in others]
        held.append(sum(len(each) for each in vars(driver).values() if isinstance(each, dict | set | list)))

    async def cancels(ctx: Context) -> None:
        for _ in range(200):
            lost = await ctx.begin_run(waits)
            await ctx.now()  # so that it has begun
            lost.cancel()
        await ctx.run(counts)

    gc.collect()
    others = [each for each in gc.get_objects() if isinstance(each, Driver)]  # which other tests have left alive
    async with Harness() as harness:
        client = await harness.open(harness.client())
        client.register(cancels)
        await client.run("a", cancels)
    assert held[0] < 60  # steps that were told to stop a moment ago


@pytest.mark.parametrize("turns", range(0, 24, 2))
async def test_an_execution_whose_starter_was_canceled_runs_without_waiting_for_a_lease(turns: int) -> None:
    async def flow(ctx: Context) -> str:
        await ctx.sleep(1)
        return "done"

    async with Harness() as harness:
        client = await harness.open(harness.client(backend=Slow(harness.server)))
        client.register(flow)
        start = harness.clock.now()
        starting = asyncio.create_task(client.run("o", flow))
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        try:
            assert await asyncio.wait_for(client.get("o").result(), SOON) == "done"
        except NotFound:
            assert turns < 10, "it was made"
        assert harness.clock.now() - start < 10_000
