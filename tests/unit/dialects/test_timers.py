"""Timers that need a target, and the tasks which they then have, that nobody is to run."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from resonate import Context
from resonate.core.protocol.records import Execute, PromiseState, Tag
from resonate.testing import FIELD, Harness
from tests.unit.dialects.conftest import Meter, quiet


async def naps(ctx: Context, n: int) -> int:
    for _ in range(n):
        await ctx.sleep(3_600)
    return n


def timers(harness):
    return [one.record for one in harness.snapshot().promises if one.record.tags.get(Tag.TIMER) == "true"]


@pytest.mark.parametrize("targeted", [True, False])
async def test_a_timer_has_a_target_where_it_needs_one_and_nowhere_else(dialect, targeted):
    async with Harness(dialect=evolve(dialect, targeted_timers=targeted, enforces_deadlines=not targeted)) as harness:
        client = await harness.open(harness.client())

        @client.register
        async def workflow(ctx: Context) -> None:
            await ctx.now()
            async with asyncio.timeout(60):
                await ctx.race(ctx.sleep(5), ctx.sleep(50))

        await client.run("root", workflow)
        by_kind = {}
        for record in timers(harness):
            if kind := record.param.headers.get("resonate:kind"):
                by_kind.setdefault(kind, []).append(Tag.TARGET in record.tags)
        assert by_kind == {"sleep": [targeted] * 2, "timer": [targeted], "record": [False] * 2}


async def test_the_worker_that_made_a_timer_asks_nothing_for_its_task(harness, meter):
    client = await harness.open(harness.client(backend=meter))
    client.register(naps)
    assert await client.run("root", naps, 5) == 5
    offered = [record.id for record in timers(harness)]
    assert len(offered) == 5
    assert {request.id for request in meter.requests if request.kind == "task.acquire"} == {"root"}


async def test_another_worker_takes_a_timer_s_task_once_and_neither_releases_it_nor_asks_again(harness, meter):
    one = await harness.open(harness.client(pid="one"))
    other = harness.client(backend=meter, pid="two", ttl=10)
    one.register(naps)
    other.register(naps)
    await harness.open(other)
    await one.begin_run("root", naps, 2)  # offered in turn: one timer's task to each of the two
    await harness.clock.advance(timedelta(minutes=1))
    (timer,) = timers(harness)
    for _ in range(100):  # as a server does each half minute, and whenever the lease has lapsed
        harness.backend.post("default", Execute(timer.id, 0))
        await harness.clock.advance(timedelta(seconds=30))
    about = [request.kind for request in meter.requests if getattr(request, "id", None) == timer.id]
    assert about in ([], ["task.acquire"])
    assert "task.release" not in meter.kinds
    assert timer.state is PromiseState.PENDING
    assert await one.get("root") == 2


async def test_more_timers_than_are_remembered_cost_an_acquisition_each_time(monkeypatch):
    monkeypatch.setattr("resonate.runtime.worker.MOST_TIMERS", 2)
    async with Harness(dialect=quiet(FIELD)) as harness:
        meter = Meter(harness.backend)
        client = harness.client(backend=meter)

        @client.register
        async def workflow(ctx: Context) -> None:
            await asyncio.gather(*(ctx.sleep(60) for _ in range(3)))

        await harness.open(client)
        await client.begin_run("root", workflow)
        await harness.clock.advance(timedelta(seconds=1))
        for n in (3, 2, 1):
            harness.backend.post("default", Execute(f"root:{n}", 0))
        await harness.clock.advance(timedelta(seconds=1))
        assert meter.kinds["task.acquire"] > 0
        assert await client.get("root") is None
        assert meter.kinds["task.release"] == 0


async def test_among_many_canceled_timers_the_one_that_is_left_rings_at_its_time(harness):
    """Those that are canceled are forgotten now and then, long before they would ring."""
    client = harness.client()
    before, rang = harness.clock.now(), []

    async def busy() -> None:
        """Keep the workflow from being suspended, so that its worker sees to its timers."""
        await harness.clock.sleep_until(before + 2_000_000)

    @client.register
    async def impatient(ctx: Context) -> None:
        working = ctx.run(busy)
        nap = asyncio.ensure_future(ctx.sleep(1_000))
        for _ in range(100):
            other = asyncio.ensure_future(ctx.sleep(3_600))
            await ctx.sleep(1)
            other.cancel()
        await nap
        rang.append(harness.clock.now() - before)
        await working

    await harness.open(client)
    await client.run("root", impatient)
    assert 1_000_000 <= rang[0] < 1_001_000
