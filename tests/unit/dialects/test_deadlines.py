"""Deadlines that the server does not enforce: whoever waits hears of them all the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, PromiseTimedOut
from resonate.core.protocol.records import PromiseState, Tag
from resonate.testing import Harness


@pytest.fixture(params=[1_000, 0], ids=["in place", "replayed"])
def mode(request):
    return request.param


@pytest.fixture
async def harness(dialect, mode):
    async with Harness(dialect=dialect, grace=1, continuations=mode) as harness:
        yield harness


async def test_a_promise_past_its_deadline_raises_in_the_workflow_that_is_suspended_on_it(harness):
    client = await harness.open(harness.client())

    @client.register
    async def workflow(ctx: Context) -> str:
        try:
            await (await ctx.promise(timeout=90))
        except PromiseTimedOut:
            return "timed out"
        return "settled"

    started = harness.clock.now()
    assert await client.run("root", workflow) == "timed out"
    assert 90_000 <= harness.clock.now() - started < 92_000


async def test_a_promise_that_is_settled_in_time_does_not(harness, dialect):
    client = await harness.open(harness.client())

    @client.register
    async def workflow(ctx: Context) -> list[object]:
        value = await (await ctx.promise(timeout=90))
        await ctx.sleep(3_600)  # the timer that stood in for the deadline fires meanwhile, for nobody
        return [value, await ctx.run(double, 4)]

    async def double(n: int) -> int:
        return 2 * n

    handle = await client.begin_run("root", workflow)
    await harness.clock.advance(timedelta(seconds=30))
    await client.promises.resolve(f"root{dialect.separator}1", "signed")
    assert await handle == ["signed", 8]


async def test_each_of_many_promises_has_its_own_deadline(harness):
    client = await harness.open(harness.client())
    heard = {}

    @client.register
    async def workflow(ctx: Context) -> int:
        async def wait(seconds: int) -> None:
            try:
                await (await ctx.promise(timeout=seconds))
            except PromiseTimedOut:
                heard.setdefault(seconds, round((harness.clock.now() - started) / 1_000))

        await asyncio.gather(*(wait(seconds) for seconds in range(100, 2_000, 100)))
        return 1

    started = harness.clock.now()
    await client.run("root", workflow)
    assert sorted(heard) == list(range(100, 2_000, 100))
    assert all(at - seconds <= 2 for seconds, at in heard.items())


async def test_a_promise_that_may_take_as_long_as_its_workflow_needs_no_timer(harness):
    client = await harness.open(harness.client())

    @client.register
    async def workflow(ctx: Context) -> None:
        await (await ctx.promise())

    with pytest.raises(PromiseTimedOut):
        await client.options(timeout=60).run("root", workflow)
    assert not [one for one in harness.snapshot().promises if one.record.tags.get(Tag.TIMER) == "true"]


async def test_while_a_step_holds_the_task_the_deadline_is_heard_of(harness):
    client = await harness.open(harness.client(ttl=20))
    heard = []

    @client.register
    async def workflow(ctx: Context) -> str:
        busy = ctx.run(step)
        try:
            await (await ctx.promise(timeout=90))
        except PromiseTimedOut:
            heard.append(harness.clock.now() - started)
        return await busy

    async def step() -> str:
        await harness.clock.sleep_until(harness.clock.now() + 600_000)
        return "done"

    started = harness.clock.now()
    assert await client.run("root", workflow) == "done"
    assert heard
    assert heard[0] < 92_000


async def test_a_handle_hears_of_it_too(harness):
    client = await harness.open(harness.client())
    await client.promises.create("p", timeout=90)
    started = harness.clock.now()
    with pytest.raises(PromiseTimedOut):
        await client.get("p")
    assert harness.clock.now() - started < 92_000


async def test_a_workflow_that_was_down_over_the_deadline_hears_of_it_afterwards(harness):
    def registered(client):
        @client.register
        async def workflow(ctx: Context) -> str:
            try:
                await (await ctx.promise(timeout=90))
            except PromiseTimedOut:
                return "timed out"
            return "settled"

        return workflow

    first = await harness.open(harness.client(pid="first"))
    await first.begin_run("root", registered(first))
    await harness.clock.advance(timedelta(seconds=10))
    await harness.crash(first)
    await harness.clock.advance(timedelta(hours=2))
    second = harness.client(pid="second")
    registered(second)
    await harness.open(second)
    assert await second.get("root") == "timed out"


async def test_a_workflow_s_own_deadline_and_a_call_s_are_the_server_s(harness):
    client = await harness.open(harness.client())

    @client.register
    async def calls(ctx: Context) -> str:
        try:
            await ctx.options(timeout=60, target="nobody").rpc("anything")
        except PromiseTimedOut:
            return "timed out"
        return "?"

    assert await client.run("root", calls) == "timed out"
    states = {one.record.state for one in harness.snapshot().promises}
    assert states == {PromiseState.RESOLVED, PromiseState.REJECTED_TIMEDOUT}
