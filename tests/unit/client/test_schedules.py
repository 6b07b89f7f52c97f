"""Schedules: a cron expression that starts executions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from resonate import Context, NotFound, PromiseState
from resonate.testing import VirtualClock

MINUTE = 60_000


def report(ran: list[str]):
    async def nightly(ctx: Context, shop: str) -> str:
        ran.append(ctx.id)
        await ctx.sleep(1)
        return shop

    return nightly


async def test_a_schedule_runs_its_function_at_every_instant(client, harness):
    ran: list[str] = []
    nightly = client.register(report(ran))
    start = harness.clock.now()
    schedule = await client.schedule("s", "*/10 * * * *", nightly, "north")
    assert (schedule.id, schedule.cron) == ("s", "*/10 * * * *")
    await harness.clock.advance(timedelta(minutes=35))
    assert ran == [f"s-{start + 10 * number * MINUTE}" for number in (1, 2, 3)]
    assert await client.get(ran[0]).result() == "north"


async def test_it_is_kept_as_it_was_made_first(client):
    client.register(report([]))
    first = await client.schedule("s", "*/10 * * * *", "nightly", "north")
    assert await client.schedule("s", "*/20 * * * *", "nightly", "south") == first
    assert await client.schedules.get("s") == first


async def test_what_came_due_while_nothing_ran_is_run_once_each(harness):
    ran: list[str] = []
    one = await harness.open(harness.client(pid="one"))
    one.register(report(ran))
    await one.schedule("s", "0 * * * *", "nightly", "north")
    await harness.crash(one)
    await harness.clock.advance(timedelta(hours=3, minutes=5))
    assert ran == []
    two = await harness.open(harness.client(pid="two"))
    two.register(report(ran))
    await harness.clock.advance(timedelta(minutes=5))
    assert len(ran) == len(set(ran)) == 3
    for each in ran:
        assert (await two.promises.get(each)).state is PromiseState.RESOLVED


async def test_an_execution_knows_for_which_instant_it_is_also_where_it_comes_late(harness):
    seen: set[tuple[str, str, datetime | None]] = set()

    async def inner(ctx: Context) -> None:
        await ctx.sleep(1)
        seen.add((ctx.info.execution, "inner", ctx.scheduled_at))

    async def due(ctx: Context) -> None:
        seen.add((ctx.id, "due", ctx.scheduled_at))
        await ctx.run(inner)

    first = harness.clock.now() + 60 * MINUTE
    one = await harness.open(harness.client(pid="one"))
    one.register(due)
    await one.schedule("s", "0 * * * *", due)
    await harness.crash(one)
    await harness.clock.advance(timedelta(hours=2, minutes=5))
    two = await harness.open(harness.client(pid="two"))
    two.register(due)
    two.register(inner)
    await harness.clock.advance(timedelta(minutes=5))
    assert seen == {
        (f"s-{instant}", where, datetime.fromtimestamp(instant / 1_000, UTC))
        for instant in (first, first + 60 * MINUTE)
        for where in ("due", "inner")
    }


async def test_an_execution_that_no_schedule_started_is_for_no_instant(client):
    async def due(ctx: Context) -> bool:
        return ctx.scheduled_at is None

    client.register(due)
    assert await client.run("due-1735700400000", due)


async def test_a_deleted_schedule_fires_no_more_and_what_it_started_goes_on(client, harness):
    ran: list[str] = []
    client.register(report(ran))
    await client.schedule("s", "* * * * *", "nightly", "north")
    await harness.clock.advance(timedelta(seconds=60, milliseconds=500))
    await client.schedules.delete("s")
    await harness.clock.advance(timedelta(minutes=10))
    assert len(ran) == 1
    assert await client.get(ran[0]).result() == "north"
    for ask in (client.schedules.get, client.schedules.delete):
        with pytest.raises(NotFound, match="no schedule s"):
            await ask("s")


@pytest.mark.usefixtures("searches")
async def test_the_options_are_those_of_the_executions(harness):
    shop = await harness.open(harness.client(group="shop"))
    bank = await harness.open(harness.client(group="bank"))
    bank.register(report([]))
    await shop.options(target="bank", timeout=60, tags={"kind": "report"}).schedule("s", "0 * * * *", "nightly", "x")
    await harness.clock.advance(timedelta(hours=1, minutes=2))
    (found,) = [promise async for promise in shop.promises.search(tags={"kind": "report"})]
    assert found.state is PromiseState.RESOLVED
    assert found.timeout_at - found.created_at == 60_000
    assert [schedule.id async for schedule in shop.schedules.search(tags={"kind": "report"})] == ["s"]


@pytest.mark.usefixtures("searches")
async def test_search_goes_through_all_pages(client):
    client.register(report([]))
    for number in range(5):
        await client.schedule(f"s{number}", "0 0 * * *", "nightly", "x")
    assert [schedule.id async for schedule in client.schedules.search(page=2)] == [f"s{n}" for n in range(5)]
    assert [schedule.id async for schedule in client.schedules.search(tags={"no": "such"})] == []


async def test_time_that_stands_still_fires_nothing(harness):
    assert isinstance(harness.clock, VirtualClock)
    ran: list[str] = []
    client = await harness.open(harness.client())
    client.register(report(ran))
    await client.schedule("s", "* * * * *", "nightly", "x")
    await harness.clock.advance(timedelta(seconds=59))
    assert ran == []
