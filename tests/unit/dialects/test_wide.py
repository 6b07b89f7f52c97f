"""Many calls at once, against a server that says that something has settled, and not what."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from resonate import Context

MANY = 60


async def double(n: int) -> int:
    return 2 * n


async def slowly(ctx: Context, n: int) -> int:
    await ctx.sleep(n / 10)
    return 2 * n


def registered(client):
    @client.register
    async def fan(ctx: Context) -> int:
        return sum(await asyncio.gather(*(ctx.options(target="far").rpc("slowly", n) for n in range(MANY))))

    return fan


async def far(harness):
    client = harness.client(group="far")
    client.register(slowly)
    return await harness.open(client)


async def test_results_that_trickle_in_cost_a_suspension_a_second_and_not_one_each(harness, meter):
    await far(harness)
    client = harness.client(backend=meter)
    fan = registered(client)
    await harness.open(client)
    started = harness.clock.now()
    assert await client.run("root", fan) == MANY * (MANY - 1)
    seconds = (harness.clock.now() - started) / 1_000
    assert meter.kinds["task.suspend"] <= seconds + 10  # the last few are waited for one by one
    assert meter.total < 6 * MANY


async def test_the_task_is_given_up_between_results_that_are_far_apart(harness):
    client = harness.client(ttl=10)
    fan = registered(client)
    await harness.open(client)
    handle = await client.begin_run("root", fan)
    await harness.clock.advance(timedelta(seconds=60))
    await client.promises.resolve(ids_of(harness)[0], 5)
    await harness.clock.advance(timedelta(seconds=60))
    (task,) = [task for task in harness.snapshot().tasks if task.id == "root"]
    assert task.state == "suspended"
    for promise_id in ids_of(harness):
        await client.promises.resolve(promise_id, 5)
    assert await handle == 5 * MANY


async def test_a_message_that_is_lost_while_it_lingers_loses_nothing(harness, monkeypatch):
    monkeypatch.setattr("resonate.runtime.watcher.Watcher.told", lambda *_: None)
    client = harness.client()
    fan = registered(client)
    await harness.open(client)
    await client.begin_run("root", fan)
    await harness.clock.advance(timedelta(seconds=60))
    for promise_id in ids_of(harness):
        await client.promises.resolve(promise_id, 5)
        await harness.clock.advance(timedelta(seconds=0.3))
    await harness.clock.advance(timedelta(seconds=60))
    (root,) = [one.record for one in harness.snapshot().promises if one.record.id == "root"]
    assert root.state == "resolved"


def ids_of(harness):
    return [
        one.record.id
        for one in harness.snapshot().promises
        if one.record.state == "pending" and one.record.id != "root"
    ]
