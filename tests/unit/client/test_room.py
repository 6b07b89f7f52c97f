"""How much a worker does at once, and what it keeps in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, UsageError
from resonate.core.trace import TaskAcquired


class Listener:
    def __init__(self) -> None:
        self.acquired: list[str] = []

    def record(self, event: object) -> None:
        if isinstance(event, TaskAcquired):
            self.acquired.append(event.id)


async def test_a_task_is_acquired_only_when_there_is_room(harness):
    heard = Listener()
    busy, most = [], []
    gate = asyncio.Event()

    async def work(n: int) -> int:
        busy.append(n)
        most.append(len(busy))
        await gate.wait()
        busy.remove(n)
        return n

    client = await harness.open(harness.client(concurrency=3, tracers=[heard]))
    client.register(work)
    handles = [await client.begin_run(f"{n}", work, n) for n in range(10)]
    await harness.clock.advance(timedelta(seconds=30))
    assert len(heard.acquired) == len(busy) == 3
    gate.set()
    assert sorted(await asyncio.gather(*handles)) == list(range(10))
    assert max(most) == 3


async def test_another_worker_takes_what_one_has_no_room_for(harness):
    gate = asyncio.Event()
    ran: dict[str, list[int]] = {"one": [], "two": []}

    def registered(client, pid):
        @client.register
        async def work(n: int) -> int:
            ran[pid].append(n)
            await gate.wait()
            return n

        return work

    one = await harness.open(harness.client(pid="one", concurrency=2))
    two = await harness.open(harness.client(pid="two", concurrency=2))
    registered(two, "two")
    work = registered(one, "one")
    handles = [await one.begin_run(f"{n}", work, n) for n in range(4)]
    await harness.clock.advance(timedelta(minutes=1))
    assert {pid: len(numbers) for pid, numbers in ran.items()} == {"one": 2, "two": 2}
    gate.set()
    assert sorted(await asyncio.gather(*handles)) == [0, 1, 2, 3]


async def test_suspended_workflows_take_no_room(harness):
    client = await harness.open(harness.client(concurrency=2))

    @client.register
    async def rest(ctx: Context, n: int) -> int:
        await ctx.sleep(3600)
        return n

    started = harness.clock.now()
    results = await asyncio.gather(*(client.run(f"{n}", rest, n) for n in range(50)))
    assert results == list(range(50))
    assert harness.clock.now() - started < 2 * 3_600_000


async def test_only_so_many_plain_steps_run_at_once(harness):
    import threading

    client = await harness.open(harness.client(threads=2))
    lock, running, most = threading.Lock(), [], []

    def work(n: int) -> int:
        with lock:
            running.append(n)
            most.append(len(running))
        for _ in range(1000):
            pass
        with lock:
            running.remove(n)
        return n

    client.register(work)
    assert await asyncio.gather(*(client.run(f"{n}", work, n) for n in range(20))) == list(range(20))
    assert max(most) <= 2


@pytest.mark.parametrize("continuations", [0, 1, 5, 1000])
async def test_an_evicted_workflow_replays_and_a_parked_one_goes_on(harness, continuations):
    client = await harness.open(harness.client(continuations=continuations))
    begun, steps = [], []

    async def step(n: int) -> int:
        steps.append(n)
        return n

    @client.register
    async def workflow(ctx: Context, n: int) -> int:
        begun.append(n)
        first = await ctx.run(step, n)
        await ctx.sleep(60)
        return first + await ctx.run(step, n)

    results = await asyncio.gather(*(client.run(f"{n}", workflow, n) for n in range(20)))
    assert results == [2 * n for n in range(20)]
    assert sorted(steps) == sorted([*range(20), *range(20)])
    assert len(begun) - 20 >= (20 - continuations if continuations < 20 else 0)
    if continuations == 1000:
        assert len(begun) == 20


@pytest.mark.parametrize(("age", "replayed"), [(30, [60, 120, 600]), (90, [120, 600]), (300, [600]), (None, [])])
async def test_a_workflow_that_was_parked_for_too_long_replays(harness, age, replayed):
    client = await harness.open(harness.client(continuation_age=age))
    begun = []

    @client.register
    async def workflow(ctx: Context, seconds: int) -> int:
        begun.append(seconds)
        await ctx.sleep(seconds)
        return seconds

    handles = []
    for seconds in (600, 60, 120):  # parked at different times, resumed in another order
        handles.append(await client.begin_run(f"{seconds}", workflow, seconds))
        await harness.clock.advance(timedelta(seconds=7))
    assert sorted([await handle.result() for handle in handles]) == [60, 120, 600]
    assert [seconds for seconds in (60, 120, 600) if begun.count(seconds) == 2] == replayed


async def test_a_durable_call_in_the_finally_of_an_evicted_workflow_is_refused(harness):
    client = await harness.open(harness.client(continuations=1))
    refused, cleaned = [], []

    async def clean_up(n: int) -> None:
        cleaned.append(n)

    @client.register
    async def workflow(ctx: Context, n: int) -> int:
        try:
            await ctx.sleep(60)
        finally:
            try:
                await ctx.run(clean_up, n)
            except UsageError as error:
                refused.append(str(error))
                raise
        return n

    first = await client.begin_run("1", workflow, 1)
    second = await client.begin_run("2", workflow, 2)
    await harness.clock.advance(timedelta(seconds=1))
    assert len(refused) == 1
    assert "over" in refused[0]
    assert cleaned == []
    assert await asyncio.gather(first, second) == [1, 2]
    assert sorted(cleaned) == [1, 2]
