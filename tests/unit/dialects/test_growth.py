"""Neither requests nor bytes for a step grow with history, on servers that repeat it or tell too little of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from resonate import Context
from resonate.testing import FIELD, FieldServer, Harness
from tests.unit.dialects.conftest import Meter, quiet

pytestmark = pytest.mark.filterwarnings("ignore")


async def double(n: int) -> int:
    return 2 * n


async def steps(ctx: Context, n: int) -> int:
    for number in range(n):
        await ctx.run(double, number)
    return n


async def calls(ctx: Context, n: int) -> int:
    for number in range(n):
        await ctx.rpc(double, number)
    return n


async def naps(ctx: Context, n: int) -> int:
    for _ in range(n):
        await ctx.sleep(5)
    return n


async def calls_at_once(ctx: Context, n: int) -> int:
    return len(await asyncio.gather(*(ctx.rpc(double, number) for number in range(n))))


FUNCTIONS = (double, steps, calls, naps, calls_at_once)
AT_MOST = {steps: 2, calls: 6, naps: 4, calls_at_once: 4}
"""Requests for each: a step is created and settled; a call is created, suspended on, acquired, fulfilled, and the
caller is acquired again and asks how it ended; a sleep is created, suspended on, acquired and settled; of many calls at
once, one suspension and one resumption are for all."""
CONSTANT = 10


async def cost(dialect, fn, n):
    """Return requests and bytes of a run of n."""
    async with Harness(dialect=dialect) as harness:
        meter = Meter(FieldServer(harness.server, dialect, preload_limit=None))
        client = harness.client(backend=meter, ttl=86_400)
        for function in FUNCTIONS:
            client.register(function)
        await harness.open(client)
        assert await client.run("root", fn, n) == n
        return meter.total, meter.size


@pytest.mark.parametrize("fn", AT_MOST)
async def test_four_times_the_work_costs_four_times_as_much(dialect, fn):
    n = 400 if dialect == quiet(FIELD) else 100
    few, few_bytes = await cost(dialect, fn, n)
    many, many_bytes = await cost(dialect, fn, 4 * n)
    assert few <= AT_MOST[fn] * n + CONSTANT
    assert many <= AT_MOST[fn] * 4 * n + CONSTANT
    assert many_bytes < 4.1 * few_bytes  # ids grow by a digit


async def test_a_server_that_repeats_the_branch_has_none_to_repeat():
    # What the figures above are worth: were the promises of a workflow on its branch, each write would tell them all.
    async def run_on(branch_of_its_own):
        async with Harness(dialect=quiet(FIELD)) as harness:
            dialect = evolve(quiet(FIELD), whole_preload=not branch_of_its_own)
            server = FieldServer(harness.server, dialect, preload_limit=None)
            meter = Meter(server)
            client = harness.client(backend=meter)
            client.register(steps)
            await harness.open(client)
            await client.run("root", steps, 100)
            return meter.size

    assert await run_on(branch_of_its_own=False) > 10 * await run_on(branch_of_its_own=True)


async def recorded(harness, fn, n):
    """Run fn up to a promise that nobody settles, lose the worker, and return a meter and the next one."""
    meter = Meter(harness.backend)
    first = harness.client(pid="first", ttl=10)

    async def waits(ctx: Context, n: int) -> int:
        await fn(ctx, n)
        return await (await ctx.promise())

    for client in (first, second := harness.client(backend=meter, pid="second", ttl=10)):
        client.register(waits)
        client.register(double)
    await harness.open(first)
    handle = await first.begin_run("root", waits, n)
    await harness.clock.advance(timedelta(seconds=10 * n + 60))
    await harness.crash(first)
    await harness.open(second)
    assert meter.kinds["task.create"] == 0
    del handle
    return meter, second


@pytest.mark.parametrize("n", [400, 1_600])
async def test_a_cold_replay_takes_few_requests_where_there_is_search(n):
    async with Harness(dialect=quiet(FIELD)) as harness:
        meter, second = await recorded(harness, steps, n)
        await second.promises.resolve(f"root:{n + 1}", 7)
        assert await second.get("root") == 7
        assert meter.kinds["promise.search"] == n // 1_000 + 1
        assert meter.kinds["fence promise.create"] == 0
        assert meter.total < 10


@pytest.mark.parametrize("n", [400, 1_600])
async def test_a_cold_replay_takes_few_round_trips_where_there_is_none(dialect, n):
    async with Harness(dialect=evolve(dialect, searches=False)) as harness:
        meter, second = await recorded(harness, steps, n)
        await second.promises.resolve(f"root{dialect.separator}{n + 1}", 7)
        assert await second.get("root") == 7
        assert meter.total < 1.2 * n + 300
        assert meter.batches < 30


async def test_a_first_attempt_asks_for_no_history(harness, meter):
    client = await harness.open(harness.client(backend=meter))
    client.register(steps)
    handle = await client.begin_rpc("root", steps, 3)
    assert await handle == 3
    assert meter.kinds["promise.search"] == meter.kinds["promise.get"] == 0
