"""Deadlines: capped by the parent's, and what happens at them."""

from __future__ import annotations

import asyncio

import pytest

from resonate import Context, Info, Never, PromiseCanceled, PromiseState, PromiseTimedOut, UsageError


async def never_ends() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_childs_deadline_is_capped_by_its_parents(client, harness):
    seen: list[int] = []

    async def step(info: Info) -> None:
        seen.append(info.timeout_at)

    async def inner(ctx: Context) -> None:
        seen.append(ctx.info.timeout_at)
        await ctx.options(timeout=1000).run(step)

    @client.register
    async def outer(ctx: Context) -> None:
        await ctx.options(timeout=1000).run(step)
        await ctx.options(timeout=30).run(step)
        await ctx.options(timeout=40).run(inner)
        await ctx.options(timeout=1000).rpc("remote")

    @client.register
    async def remote(ctx: Context) -> None:
        seen.append(ctx.info.timeout_at)

    start = harness.clock.now()
    await client.options(timeout=60).run("a", outer)
    assert [(at - start) / 1000 for at in seen] == [60, 30, 40, 40, 60]


async def test_the_timeout_of_a_step_interrupts_it(client, harness):
    interrupted: list[int] = []

    async def slow() -> None:
        try:
            await never_ends()
        finally:
            interrupted.append(harness.clock.now())

    @client.register
    async def workflow(ctx: Context) -> str:
        try:
            await ctx.options(timeout=30).run(slow)
        except PromiseTimedOut:
            return "too slow"
        return "ended"

    start = harness.clock.now()
    assert await client.run("a", workflow) == "too slow"
    assert [at - start for at in interrupted] == [30_000]


async def test_the_timeout_of_a_step_that_was_started_from_outside_interrupts_it(client, harness):
    client.register(timeout=30)(never_ends)
    with pytest.raises(PromiseTimedOut):
        await client.run("a", never_ends)
    start = (await client.promises.get("a")).created_at
    assert harness.clock.now() - start == 30_000


async def test_the_timeout_of_a_workflow_within_a_workflow_ends_it(client, harness):
    async def inner(ctx: Context) -> None:
        await asyncio.sleep(3600)

    @client.register
    async def outer(ctx: Context) -> str:
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=30).run(inner)
        return "on time"

    start = harness.clock.now()
    assert await client.run("a", outer) == "on time"
    assert harness.clock.now() - start < 60_000


async def test_a_remote_call_that_takes_too_long_times_out(client):
    @client.register
    async def remote(ctx: Context) -> None:
        await asyncio.sleep(3600)

    @client.register
    async def caller(ctx: Context) -> str:
        with pytest.raises(PromiseTimedOut):
            await ctx.options(timeout=30).rpc(remote)
        return "on time"

    assert await client.run("a", caller) == "on time"


async def test_a_promise_that_nobody_settles_times_out(client, harness):
    @client.register
    async def waiter(ctx: Context) -> str:
        promise = await ctx.promise(timeout=30)
        with pytest.raises(PromiseTimedOut):
            await promise
        return promise.id

    asked = await client.run("a", waiter)
    assert (await client.promises.get(asked)).state is PromiseState.REJECTED_TIMEDOUT


async def test_a_workflow_past_its_deadline_makes_no_further_step(client, harness):
    steps: list[int] = []

    async def step(n: int) -> None:
        steps.append(n)

    @client.register
    async def workflow(ctx: Context) -> None:
        await ctx.run(step, 1)
        await asyncio.sleep(3600)
        await ctx.run(step, 2)

    with pytest.raises(PromiseTimedOut):
        await client.options(timeout=60).run("a", workflow)
    await harness.clock.advance(7_200_000)
    assert steps == [1]


async def test_a_step_that_says_timeout_itself_has_failed(client):
    @client.register(retry=Never())
    async def step() -> None:
        raise TimeoutError("the bank did not answer")

    with pytest.raises(TimeoutError, match="the bank"):
        await client.run("a", step)


async def test_a_canceled_child_is_canceled_for_good(client):
    started = []

    async def slow() -> None:
        started.append(1)
        await never_ends()

    @client.register
    async def workflow(ctx: Context) -> str:
        call = ctx.run(slow)
        await ctx.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return call.id

    canceled = await client.run("a", workflow)
    assert started == [1]
    with pytest.raises(PromiseCanceled):
        await client.get(canceled)


async def test_a_sleep_past_the_deadline_is_refused_at_once(client, harness):
    @client.register(timeout=60)
    async def workflow(ctx: Context) -> str:
        with pytest.raises(UsageError, match="after the workflow's deadline") as refused:
            await ctx.sleep(61)
        await ctx.sleep(59)
        return str(refused.value)

    start = harness.clock.now()
    assert "options(timeout=...)" in await client.run("a", workflow)
    assert harness.clock.now() - start == 59_000


async def test_a_step_gives_up_after_a_day_unless_it_says_otherwise(client, harness):
    @client.register
    async def workflow(ctx: Context) -> str:
        with pytest.raises(PromiseTimedOut):
            await ctx.run(never_ends)
        return "went on"

    start = harness.clock.now()
    assert await client.run("a", workflow) == "went on"
    assert harness.clock.now() - start == 86_400_000
