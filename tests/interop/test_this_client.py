"""What this client does through a server that is not its own: each kind of durable thing, for real."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.relay import Passed, relay
from resonate import Context, PromiseTimedOut, Resonate, errors
from tests.interop import functions
from tests.interop.conftest import Site

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def cell(site: Site, record_property: Any) -> None:
    record_property("row", "this client by itself")
    record_property("column", site.server.name)


@pytest.fixture
async def run(site: Site, client: Resonate) -> Any:
    """Register a workflow and run it in bounded time."""

    async def start(workflow: Any, *args: Any, seconds: float = 15) -> Any:
        client.register(workflow)
        async with asyncio.timeout(seconds):
            return await client.run(site.id(), workflow, *args)

    return start


async def test_steps_are_recorded_once(run: Any) -> None:
    done: list[int] = []

    async def step(i: int) -> int:
        done.append(i)
        return i * i

    async def steps(ctx: Context) -> list[int]:
        one_by_one = [await ctx.run(step, i) for i in range(20)]
        await ctx.sleep(0.01)
        return one_by_one + list(await asyncio.gather(*(ctx.run(step, i) for i in range(20, 40))))

    assert await run(steps) == [i * i for i in range(40)]
    assert sorted(done) == list(range(40))


async def test_a_cold_replay_repeats_no_step(site: Site) -> None:
    done: list[int] = []

    def step(i: int) -> int:
        done.append(i)
        return i

    async def naps(ctx: Context) -> int:
        total = 0
        for i in range(4):
            total += await ctx.run(step, i)
            await ctx.sleep(0.01)
        return total

    async with Resonate(site.server.url, group=site.group("cold"), continuations=0) as client, asyncio.timeout(20):
        client.register(naps)
        assert await client.run(site.id(), naps) == 6
    assert done == [0, 1, 2, 3]


async def test_a_generator_workflow(run: Any) -> None:
    def generator(ctx: Context, a: int) -> Any:
        b = yield ctx.run(functions.add, a, 1)
        handle = yield ctx.begin_run(functions.add, b, 1)
        c = yield handle
        return c

    assert await run(generator, 1) == 3


async def test_a_timer_fires_in_time(run: Any) -> None:
    async def nap(ctx: Context) -> None:
        await ctx.sleep(timedelta(seconds=0.3))

    started = time.monotonic()
    await run(nap)
    assert 0.3 <= time.monotonic() - started < 5


async def test_calls_to_another_worker(site: Site, run: Any) -> None:
    async def calls(ctx: Context, group: str) -> list[Any]:
        there = ctx.options(target=group)
        one_by_one = [await there.rpc("add", i, 1) for i in range(5)]
        return one_by_one + list(await asyncio.gather(*(there.rpc("add", i, 10) for i in range(5))))

    async with Resonate(site.server.url, group=site.group("other")) as other:
        functions.register(other)
        assert await run(calls, site.group("other")) == [1, 2, 3, 4, 5, 10, 11, 12, 13, 14]


async def test_failures_come_back_as_what_they_were(run: Any) -> None:
    async def catches(ctx: Context) -> str:
        try:
            await ctx.rpc("fail", "no such thing")
        except KeyError as error:
            return repr(error)
        return "none"

    assert await run(catches) == "KeyError('no such thing')"


async def test_a_promise_settled_from_outside(site: Site, client: Resonate, run: Any) -> None:
    ids: asyncio.Queue[str] = asyncio.Queue()

    async def asks(ctx: Context) -> Any:
        promise = await ctx.promise()
        await ctx.run(ids.put, promise.id)
        return await promise

    waiting = asyncio.create_task(run(asks))
    await client.promises.resolve(await ids.get(), {"answer": 42})
    assert await waiting == {"answer": 42}


async def test_a_promise_times_out_in_its_waiter(run: Any) -> None:
    async def waits(ctx: Context) -> str:
        try:
            await (await ctx.promise(timeout=0.3))
        except PromiseTimedOut:
            return "timed out"
        return "settled"

    assert await run(waits) == "timed out"


async def test_a_race_has_one_winner(run: Any) -> None:
    async def race(ctx: Context) -> str:
        async def slow() -> str:
            await ctx.sleep(60)
            return "slow"

        async def fast() -> str:
            await ctx.sleep(0.05)
            return "fast"

        return await ctx.race(slow(), fast())

    assert await run(race) == "fast"


async def test_map_is_bounded_and_whole(run: Any) -> None:
    async def double(i: int) -> int:
        return 2 * i

    async def maps(ctx: Context) -> list[int]:
        return list(await ctx.map(double, range(25), limit=5))

    assert await run(maps) == [2 * i for i in range(25)]


async def test_a_detached_execution_goes_its_own_way(client: Resonate, run: Any) -> None:
    async def parent(ctx: Context) -> str:
        return await ctx.detached("add", 20, 22)

    async with asyncio.timeout(10):
        assert await client.get(await run(parent)).result() == 42


async def test_the_same_id_attaches_and_another_call_conflicts(site: Site, client: Resonate) -> None:
    id = site.id()
    assert await client.run(id, "add", 1, 2) == 3
    assert await client.run(id, "add", 1, 2) == 3
    with pytest.raises(errors.Conflict):
        await client.run(id, "add", 1, 3)


async def test_a_canceled_execution_says_so(site: Site, client: Resonate) -> None:
    async def sleeper(ctx: Context) -> None:
        await ctx.sleep(3600)

    client.register(sleeper)
    handle = await client.begin_run(site.id(), sleeper)
    await handle.cancel()
    with pytest.raises(errors.PromiseCanceled):
        async with asyncio.timeout(10):
            await handle.result()


async def test_a_handle_of_another_client_is_told(site: Site, client: Resonate) -> None:
    async def nap(ctx: Context) -> str:
        await ctx.sleep(0.5)
        return "rested"

    client.register(nap)
    id = site.id()
    async with Resonate(site.server.url, group=site.group("watcher")) as watcher:
        await client.begin_run(id, nap)
        async with asyncio.timeout(10):
            assert await watcher.get(id).result() == "rested"


async def test_schedules_are_kept(site: Site, client: Resonate, record_property: Any) -> None:
    id = site.id()
    await client.schedule(id, "0 9 * * MON", functions.add, 1, 2)
    kept = await client.schedules.get(id)
    moment = time.gmtime(kept.next_run_at / 1000)
    assert (moment.tm_wday, moment.tm_hour, moment.tm_min) == (0, 9, 0)
    await client.schedules.delete(id)
    with pytest.raises(errors.NotFound):
        await client.schedules.get(id)
    await client.schedule(id, "0 9 * * 2", functions.add, 1, 2)
    day = time.gmtime((await client.schedules.get(id)).next_run_at / 1000).tm_wday
    await client.schedules.delete(id)
    if day != 0:
        record_property(
            "difference", "it counts the days of the week from 0 = Sunday, and not from 1: write names (MON)"
        )


async def test_a_schedule_fires(site: Site, client: Resonate) -> None:
    fired: asyncio.Queue[str] = asyncio.Queue()

    async def tick(what: str) -> None:
        await fired.put(what)

    client.register(tick)
    id = site.id()
    await client.schedule(id, "* * * * * *", tick, "now")
    async with asyncio.timeout(15):
        assert [await fired.get(), await fired.get()] == ["now", "now"]
    await client.schedules.delete(id)


async def test_search(site: Site, client: Resonate, record_property: Any) -> None:
    tags = {"batch": site.id()}
    for i in range(5):
        await client.promises.create(f"{tags['batch']}-{i}", timeout=60, tags=tags)
    if not site.server.searches:
        record_property("difference", "it has no searches: promises.search and schedules.search say so")
        record_property("refused", "yes")
        with pytest.raises(errors.ResonateError, match="refused"):
            _ = [found async for found in client.promises.search(tags=tags)]
        return
    found = [one.id async for one in client.promises.search(tags=tags, page=2)]
    assert found == [f"{tags['batch']}-{i}" for i in range(5)]


async def _passed(site: Site, workflow: Any, size: int, continuations: int) -> Passed:
    """Run the workflow through a relay; return what has passed."""
    async with relay(site.server.url) as (url, passed):
        group = f"{site.group('counted')}-{size}-{continuations}"
        async with Resonate(url, group=group, continuations=continuations) as client, asyncio.timeout(60):
            client.register(workflow)
            functions.register(client)
            await client.run(site.id(), workflow, size)
    return passed


async def test_a_step_costs_the_same_however_many_there_were_before(site: Site) -> None:
    async def steps(ctx: Context, size: int) -> None:
        for i in range(size):
            await ctx.run(functions.add, i, 1)

    few, many = [await _passed(site, steps, size, 100) for size in (20, 120)]
    assert many.requests - few.requests == 2 * 100
    assert many.bytes / 120 < 1.2 * few.bytes / 20


async def test_a_remote_call_costs_the_same_however_many_there_were_before(site: Site) -> None:
    async def calls(ctx: Context, size: int) -> None:
        for i in range(size):
            await ctx.rpc("add", i, 1)

    few, many = [await _passed(site, calls, size, 100) for size in (5, 25)]
    assert (many.requests - few.requests) / 20 < 8
    assert many.bytes / 25 < 1.2 * few.bytes / 5


async def test_a_cold_replay_asks_for_its_history_in_few_requests(site: Site, record_property: Any) -> None:
    async def steps(ctx: Context, size: int) -> None:
        for i in range(size):
            await ctx.run(functions.add, i, 1)
        await ctx.sleep(0.01)

    few, many = [await _passed(site, steps, size, 0) for size in (20, 120)]
    replay = many.requests - few.requests - 2 * 100
    if site.server.searches:
        assert replay < 10
    else:
        record_property("difference", "it has no searches: a cold replay asks for each recorded step")
        assert replay <= 110


async def test_a_hundred_workflows_at_once(site: Site, client: Resonate) -> None:
    async def small(ctx: Context, i: int) -> int:
        a = await ctx.run(functions.add, i, 1)
        return int(await ctx.rpc("add", a, 1))

    client.register(small)
    run = site.id()
    async with asyncio.timeout(30):
        results = await asyncio.gather(*(client.run(f"{run}-{i}", small, i) for i in range(100)))
    assert results == [i + 2 for i in range(100)]
