"""What runs here past its deadline is stopped there, and so is what a canceled workflow has started."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest

from resonate import Context, PromiseTimedOut, UsageError
from resonate.core.protocol.dialect import FIELD, Dialect
from resonate.testing.harness import Harness

SOON = 60


async def never() -> None:
    await asyncio.get_running_loop().create_future()


async def nested(ctx: Context) -> None:
    await ctx.run(never)


async def starts_and_returns(ctx: Context) -> None:
    ctx.run(never)


@pytest.mark.parametrize("called", [never, nested, starts_and_returns])
async def test_a_local_call_is_interrupted_at_its_deadline(called: object) -> None:
    async def workflow(ctx: Context) -> str:
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=10).run(called)  # type: ignore[call-overload]
        return "went on"

    async with Harness() as harness:
        client = harness.client()
        client.register(workflow)
        await harness.open(client)
        start = harness.clock.now()
        assert await asyncio.wait_for(client.run("o", workflow), SOON) == "went on"
        assert harness.clock.now() - start < 20_000


@pytest.mark.parametrize("called", [nested, starts_and_returns])
async def test_an_execution_ends_at_its_own_deadline(called: object) -> None:
    async with Harness() as harness:
        client = harness.client()
        client.register(called)  # type: ignore[call-overload]
        await harness.open(client)
        start = harness.clock.now()
        with pytest.raises(PromiseTimedOut):
            await asyncio.wait_for(client.options(timeout=10).run("o", called), SOON)  # type: ignore[call-overload]
        assert harness.clock.now() - start < 20_000


async def test_a_canceled_workflow_cancels_what_it_did_not_await() -> None:
    async def background(ctx: Context) -> None:
        ctx.run(never)
        await ctx.sleep(60)

    async def workflow(ctx: Context) -> str:
        try:
            async with asyncio.timeout(1):
                await ctx.run(background)
        except TimeoutError:
            return "gave up"
        return "waited"

    async with Harness() as harness:
        client = harness.client()
        client.register(workflow)
        await harness.open(client)
        assert await asyncio.wait_for(client.run("o", workflow), SOON) == "gave up"


async def test_a_workflow_that_polls_with_sleep_0_is_refused() -> None:
    async def spins(ctx: Context) -> None:
        waited = asyncio.ensure_future(ctx.run(never))
        while not waited.done():  # noqa: ASYNC110 - that is the point
            await asyncio.sleep(0)

    async with Harness() as harness:
        client = harness.client()
        client.register(spins)
        await harness.open(client)
        with pytest.raises(UsageError, match="without waiting"):
            await client.run("o", spins)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python's, when it lets the body go
async def test_a_body_that_catches_everything_for_ever_can_be_closed() -> None:
    async def catches(ctx: Context) -> None:
        while True:
            try:  # noqa: SIM105 - as people write it
                await ctx.sleep(3600)
            except BaseException:  # noqa: BLE001 - that is the point
                pass

    async with Harness() as harness:
        client = harness.client()
        client.register(catches)
        await harness.open(client)
        await client.begin_run("o", catches)
        await asyncio.sleep(0)
        await harness.crash(client)
    gc.collect()


@pytest.mark.parametrize("continuations", [1_000, 0])
@pytest.mark.parametrize("dialect", [None, FIELD])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("held", [0, 3_600])
async def test_a_workflow_that_waits_for_nothing_durable_is_stopped_at_its_deadline(
    held: int, deep: bool, dialect: Dialect | None, continuations: int
) -> None:
    async def flow(ctx: Context) -> timedelta:
        lock = asyncio.Lock()

        async def holder() -> None:
            async with lock:
                await ctx.sleep(held)

        async def waits(ctx: Context) -> None:
            async with lock:
                pass

        async def waits_deep_below(ctx: Context) -> None:
            await ctx.run(waits)

        if held:
            task = asyncio.create_task(holder())
            await asyncio.sleep(0)
        else:
            await lock.acquire()
        begun = await ctx.now()
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=10).run(waits_deep_below if deep else waits)
        took = await ctx.now() - begun
        if held:
            await task
        return took

    async with Harness(dialect=dialect, continuations=continuations) as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        took = await asyncio.wait_for(client.run("o", flow), 10_000)
        assert timedelta(seconds=10) <= took < timedelta(seconds=12)


async def test_a_workflow_that_is_woken_by_its_deadline_anyway_needs_no_timer_for_it() -> None:
    async def asks(ctx: Context) -> None:
        await (await ctx.promise())

    async def flow(ctx: Context) -> None:
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=10).run(asks)

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        await asyncio.wait_for(client.run("o", flow), SOON)
        assert {one.record.id for one in harness.snapshot().promises} == {"o", "o:1", "o:1.1"}


async def test_deadlines_of_workflows_that_are_over_are_forgotten() -> None:
    async def quick(ctx: Context) -> None:
        pass

    async def flow(ctx: Context) -> timedelta:
        for _ in range(200):
            await ctx.options(timeout=100).run(quick)
        lock = asyncio.Lock()
        await lock.acquire()

        async def waits(ctx: Context) -> None:
            async with lock:
                pass

        begun = await ctx.now()
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=1_000).run(waits)
        return await ctx.now() - begun

    async with Harness() as harness:
        client = harness.client()
        client.register(flow)
        await harness.open(client)
        took = await asyncio.wait_for(client.run("o", flow), 10_000)
        assert timedelta(seconds=1_000) <= took < timedelta(seconds=1_010)
        own = [one.record.id for one in harness.snapshot().promises if one.record.id.endswith(".0")]
        assert own == ["o:202.0"], "of those that were over by then, none needed a timer"
