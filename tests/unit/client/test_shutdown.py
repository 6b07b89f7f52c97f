"""The end of `async with`: what runs ends within grace, the rest goes to other workers at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, PromiseState, UsageError


async def test_what_runs_ends_and_is_recorded(harness, caplog):
    caplog.set_level("INFO", "resonate.worker")
    ended = []

    async def step() -> str:
        await harness.clock.sleep_until(harness.clock.now() + 5_000)
        ended.append(1)
        return "done"

    async def workflow(ctx: Context) -> str:
        return await ctx.run(step)

    async with harness.client(grace=10) as client:
        client.register(workflow)
        await client.begin_run("a", workflow)
        await harness.clock.advance(0)
        started = harness.clock.now()
    assert ended == [1]
    assert harness.clock.now() - started == 5_000
    assert "Waiting up to 10.0 s for 1 executions to finish or suspend." in caplog.messages
    (promise,) = [each.record for each in harness.snapshot().promises if each.record.id == "a"]
    assert promise.state is PromiseState.RESOLVED


async def test_what_does_not_end_within_grace_goes_to_another_worker_at_once(harness):
    ran = []

    def registered(client, pid):
        async def step() -> str:
            ran.append(pid)
            if pid == "one":
                await asyncio.get_running_loop().create_future()
            return pid

        @client.register
        async def workflow(ctx: Context) -> str:
            return await ctx.run(step)

        return workflow

    two = harness.client(pid="two")
    registered(two, "two")
    async with harness.client(pid="one", grace=10) as one:
        await one.begin_run("a", registered(one, "one"))
        await harness.clock.advance(0)
        started = harness.clock.now()
    assert harness.clock.now() - started == 10_000
    await harness.open(two)
    assert await two.get("a") == "two"
    assert ran == ["one", "two"]
    assert harness.clock.now() - started < 15_000  # an offer that the one that leaves had read would come again then


async def test_what_is_suspended_is_not_waited_for_and_goes_on_elsewhere(harness):
    async def workflow(ctx: Context) -> str:
        await ctx.sleep(3600)
        return "rested"

    async with harness.client(pid="one", grace=30) as one:
        one.register(workflow)
        await one.begin_run("a", workflow)
        await harness.clock.advance(timedelta(minutes=1))
        started = harness.clock.now()
    assert harness.clock.now() == started
    two = await harness.open(harness.client(pid="two"))
    two.register(workflow)
    assert await two.get("a") == "rested"


async def test_no_more_work_is_taken_while_it_shuts_down(harness):
    began = []

    async def slow(n: int) -> int:
        began.append(n)
        await harness.clock.sleep_until(harness.clock.now() + 5_000)
        return n

    one, two = harness.client(pid="one", grace=10), harness.client(pid="two", group="elsewhere")
    await harness.open(two)
    async with one:
        one.register(slow)
        await one.begin_run("a", slow, 1)
        await harness.clock.advance(0)
        late = asyncio.ensure_future(two.options(target="default").begin_rpc("b", "slow", 2))
    await late
    await harness.clock.advance(timedelta(minutes=1))
    assert began == [1]


async def test_a_result_that_is_still_awaited_says_that_the_client_was_closed(harness):
    async def workflow(ctx: Context) -> None:
        await ctx.sleep(3600)

    async with harness.client() as client:
        client.register(workflow)
        waiting = asyncio.ensure_future(client.run("a", workflow))
        await harness.clock.advance(0)
    with pytest.raises(UsageError, match="closed"):
        await waiting


async def test_a_client_can_be_opened_again(harness):
    client = harness.client()

    @client.register
    async def double(n: int) -> int:
        return 2 * n

    for number in range(3):
        async with client:
            assert await client.run(f"{number}", double, number) == 2 * number


async def test_an_error_inside_the_block_comes_through(harness):
    with pytest.raises(ZeroDivisionError):
        async with harness.client():
            raise ZeroDivisionError
