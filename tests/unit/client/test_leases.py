"""Leases: what happens when one is lost, and that a blocked event loop loses none."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from resonate import Context, MemoryServer, sync
from resonate.core.trace import LeaseLost, TaskAcquired
from tests.unit.told import Told


class Listener:
    def __init__(self) -> None:
        self.events: list[object] = []

    def record(self, event: object) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


async def test_a_long_step_keeps_its_lease(harness):
    heard = Listener()
    one = await harness.open(harness.client(pid="one", ttl=10, tracers=[heard]))
    two = await harness.open(harness.client(pid="two", ttl=10, tracers=[heard]))
    runs = []

    async def slow() -> str:
        runs.append(1)
        await harness.clock.sleep_until(harness.clock.now() + 600_000)
        return "done"

    for client in (one, two):
        client.register(slow)
    assert await one.run("a", slow) == "done"
    assert runs == [1]
    assert len(heard.of(TaskAcquired)) == 1


async def test_a_crash_costs_one_lease(harness):
    one = await harness.open(harness.client(pid="one", ttl=10))
    two = await harness.open(harness.client(pid="two", ttl=10))
    runs = []

    def registered(client, pid):
        @client.register
        async def work(ctx: Context) -> str:
            return await ctx.run(step)

        async def step() -> str:
            runs.append(pid)
            if pid == "one":
                await asyncio.get_running_loop().create_future()
            return pid

        return work

    registered(two, "two")
    await one.begin_run("a", registered(one, "one"))
    await harness.clock.advance(0)
    started = harness.clock.now()
    await harness.crash(one)
    assert await two.get("a") == "two"
    assert runs == ["one", "two"]
    assert 5_000 <= harness.clock.now() - started <= 20_000


async def test_after_the_machine_slept_the_lease_is_given_up_and_the_work_done_again(harness):
    heard = Listener()
    one = await harness.open(harness.client(pid="one", ttl=10, tracers=[heard]))
    two = await harness.open(harness.client(pid="two", ttl=10))
    runs, canceled = [], []

    async def step() -> int:
        runs.append(1)
        try:
            if len(runs) == 1:
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            canceled.append(1)
            raise
        return len(runs)

    async def work(ctx: Context) -> int:
        return await ctx.run(step)

    for client in (one, two):
        client.register(work)
    handle = await one.begin_run("a", work)
    await harness.clock.advance(timedelta(seconds=1))
    harness.clock.jump_to(harness.clock.now() + 3_600_000)
    slept = harness.clock.now()
    assert await handle == 2
    assert harness.clock.now() - slept < 30_000
    assert canceled == [1]
    assert [event.id for event in heard.of(LeaseLost)] == ["a"]


async def test_a_cancel_in_this_process_stops_the_step_that_runs(harness):
    heard = Listener()
    one = await harness.open(harness.client(pid="one", ttl=10, tracers=[heard]))
    canceled = []

    @one.register
    async def work(ctx: Context) -> None:
        await ctx.run(step)

    async def step() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            canceled.append(1)
            raise

    await one.begin_run("a", work)
    await harness.clock.advance(timedelta(seconds=1))
    await one.cancel("a")
    await harness.clock.advance(timedelta(seconds=1))
    assert canceled == [1]
    assert [event.id for event in heard.of(LeaseLost)] == ["a"]


def test_heartbeats_go_on_while_a_step_blocks_the_event_loop():
    # Two workers on two event loops, so that one can take over while the other's loop stands still.
    clock, heard = Told(), Listener()
    server = MemoryServer(clock)
    runs = []

    def is_renewed() -> bool:
        (task,) = server.snapshot().tasks
        return task.expires_at == clock.at + 10_000

    async def rude() -> str:
        runs.append(1)
        for _ in range(6):  # which blocks the loop for three lengths of its lease
            clock.pass_by(5_000, is_renewed)
        return "done"

    with (
        sync.Resonate(server, pid="one", ttl=10, grace=0, tracers=[heard]) as one,
        sync.Resonate(server, pid="two", ttl=10, grace=0, tracers=[heard]) as two,
    ):
        one.register(rude)
        two.register(rude)
        assert one.begin_run("a", rude).result(timeout=60) == "done"
    assert runs == [1]
    assert heard.of(LeaseLost) == []
    assert len(heard.of(TaskAcquired)) == 1
