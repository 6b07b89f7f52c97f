"""Work for a function that is not registered here: kept with a growing delay, given back, never dropped."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, DecodingError
from resonate.core.trace import FunctionMissing, TaskAcquired, TaskFulfilled, TaskReleased


class Listener:
    def __init__(self) -> None:
        self.events: list[object] = []

    def record(self, event: object) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def heard() -> Listener:
    return Listener()


async def test_it_is_given_back_after_a_growing_delay_and_said_loudly(harness, heard, caplog):
    client = await harness.open(harness.client(tracers=[heard]))
    await client.begin_rpc("a", "charge", 5)
    await harness.clock.advance(timedelta(minutes=10))
    delays = [event.delay_ms for event in heard.of(FunctionMissing)]
    assert delays[:7] == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]
    assert set(delays[7:]) == {60_000}
    assert len(delays) < 20
    assert {(event.id, event.name, event.version) for event in heard.of(FunctionMissing)} == {("a", "charge", None)}
    assert len(heard.of(TaskAcquired)) - len(heard.of(TaskReleased)) in {0, 1}
    assert "'charge'" in caplog.text


async def test_another_worker_that_has_it_goes_on(harness):
    one = await harness.open(harness.client(pid="one"))
    handle = await one.begin_rpc("a", "charge", 5)
    await harness.clock.advance(timedelta(minutes=5))
    two = await harness.open(harness.client(pid="two"))
    charged: list[int] = []

    @two.register
    async def charge(cents: int) -> int:
        charged.append(cents)
        return cents

    assert await handle == 5
    assert charged == [5]


async def test_registered_here_in_the_end_it_goes_on_here(client, harness):
    handle = await client.begin_rpc("a", "charge", 5)
    await harness.clock.advance(timedelta(seconds=10))

    @client.register
    async def charge(cents: int) -> int:
        return cents

    assert await handle == 5


async def test_a_workflow_waits_for_it_as_for_anything_else(client, harness):
    @client.register
    async def checkout(ctx: Context) -> int:
        return await ctx.rpc("charge", 5)

    handle = await client.begin_run("a", checkout)
    await harness.clock.advance(timedelta(seconds=10))
    assert not await handle.done()

    @client.register
    async def charge(cents: int) -> int:
        return cents

    assert await handle == 5


async def test_what_is_kept_takes_no_room(harness):
    client = await harness.open(harness.client(concurrency=1))

    @client.register
    async def double(n: int) -> int:
        return 2 * n

    for number in range(3):
        await client.begin_rpc(f"unknown{number}", "unknown")
    await harness.clock.advance(timedelta(seconds=5))
    started = harness.clock.now()
    assert await asyncio.gather(*(client.run(f"{n}", double, n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert harness.clock.now() - started < 10_000


async def test_a_shutdown_gives_it_back_at_once(harness):
    one = harness.client(pid="one", grace=30)
    async with one:
        await one.begin_rpc("a", "charge", 5)
        await harness.clock.advance(timedelta(minutes=5))
        started = harness.clock.now()
    assert harness.clock.now() - started < 1_000
    two = await harness.open(harness.client(pid="two"))

    @two.register
    async def charge(cents: int) -> int:
        return cents

    assert await two.get("a") == 5
    assert harness.clock.now() - started < 10_000


async def test_registered_in_the_end_and_refusing_its_arguments_it_is_over(harness, heard):
    client = await harness.open(harness.client(pid="one", tracers=[heard]))
    handle = await client.begin_rpc("a", "charge", "not a number")
    await harness.clock.advance(1)
    client.register(name="charge")(charge)
    with pytest.raises(DecodingError, match="cents"):
        await handle
    released = len(heard.of(TaskReleased))
    await harness.clock.advance(timedelta(minutes=5))
    assert len(heard.of(TaskFulfilled)) == 1
    assert len(heard.of(TaskReleased)) == released


async def charge(cents: int) -> int:
    return cents
