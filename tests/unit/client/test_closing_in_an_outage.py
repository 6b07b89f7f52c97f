"""The end of `async with` while the store is away: it comes all the same, and what was held lapses."""

from __future__ import annotations

import asyncio
import threading

import pytest
from attrs import evolve

from resonate import Context, MemoryServer, NetworkError, StoreError, sync, wiring
from resonate.testing import Faulty, VirtualClock
from tests.unit.regressions.slow import Slow

GIVING_BACK_MS = 5_000


class Away:
    """A way to a backend that can be cut: requests are not answered, or fail."""

    def __init__(self, backend, how):
        self.cut = asyncio.Event()
        self._how = how
        self.backend = Slow(backend, before=self._pass)

    async def _pass(self, _request):
        if self.cut.is_set():
            if self._how == "silent":
                await asyncio.get_running_loop().create_future()
            raise NetworkError("the server is away")


async def held_up(client, count):
    """Start so many executions that do not end by themselves."""
    began = []

    async def step() -> None:
        began.append(None)
        await asyncio.get_running_loop().create_future()

    async def workflow(ctx: Context) -> None:
        await ctx.run(step)

    client.register(workflow)
    for number in range(count):
        await client.begin_run(f"held-{number}", workflow)
    while len(began) < count:  # noqa: ASYNC110 - on virtual time
        await asyncio.sleep(0)


def said(caplog):
    return [line for line in caplog.messages if "given back" in line]


@pytest.mark.parametrize("how", ["silent", "fails"])
async def test_closing_ends_and_says_once_how_much_lapses(harness, caplog, how):
    away = Away(harness.backend, how)
    async with harness.client(backend=away.backend, grace=1) as client:
        await held_up(client, 20)
        away.cut.set()
        started = harness.clock.now()
    assert harness.clock.now() - started == 1_000 + GIVING_BACK_MS
    assert len(said(caplog)) == 1
    assert said(caplog)[0].startswith("20 tasks could not be given back, their leases will lapse: ")


async def test_nothing_is_given_back_whose_lease_has_ended(harness, caplog):
    away = Away(harness.backend, "silent")
    async with harness.client(backend=away.backend, grace=1, ttl=4) as client:
        started = harness.clock.now()
        await held_up(client, 3)
        away.cut.set()
    assert harness.clock.now() - started == 4_000
    assert len(said(caplog)) == 1


async def test_what_lapsed_goes_on_elsewhere_and_what_could_be_given_back_does_at_once(harness, caplog):
    ran = []

    def registered(client, pid):
        async def step() -> str:
            ran.append(pid)
            if len(ran) == 1:
                await asyncio.get_running_loop().create_future()
            return pid

        @client.register
        async def workflow(ctx: Context) -> str:
            return await ctx.run(step)

        return workflow

    away = Away(harness.backend, "fails")

    async def comes_back():
        await harness.clock.sleep_until(harness.clock.now() + 2_000)
        away.cut.clear()

    two = harness.client(pid="two")
    registered(two, "two")
    async with harness.client(backend=away.backend, pid="one", grace=1) as one:
        await one.begin_run("a", registered(one, "one"))
        await harness.clock.advance(0)
        away.cut.set()
        coming = asyncio.ensure_future(comes_back())
        started = harness.clock.now()
    await coming
    assert harness.clock.now() - started < 1_000 + GIVING_BACK_MS
    assert said(caplog) == []
    await harness.open(two)
    assert await two.get("a") == "two"
    assert harness.clock.now() - started < 15_000


async def test_what_can_be_given_back_again_is_so_however_pauses_are_drawn(harness, caplog, monkeypatch):
    started = harness.clock.now()

    def draw() -> float:
        """Draw short pauses, so that many tries fail, and then, just before the store is back, the longest."""
        return float(harness.clock.now() - started > 1_990)

    monkeypatch.setattr(wiring, "VIRTUAL", evolve(wiring.VIRTUAL, draw=draw))
    away = Away(harness.backend, "fails")

    async def comes_back():
        await harness.clock.sleep_until(started + 2_000)
        away.cut.clear()

    async with harness.client(backend=away.backend, grace=1) as client:
        await held_up(client, 3)
        away.cut.set()
        coming = asyncio.ensure_future(comes_back())
    await coming
    assert 2_000 < harness.clock.now() - started <= 2_800
    assert said(caplog) == []


async def test_neither_an_outcome_nor_a_suspension_nor_a_claim_is_waited_for(harness):
    away = Away(harness.backend, "silent")

    async def step(n: int) -> int:
        await harness.clock.sleep_until(harness.clock.now() + 500)
        return n

    async def workflow(ctx: Context, n: int) -> int:
        number = await ctx.run(step, n)
        if n:
            await ctx.sleep(3600)
        return number

    async with harness.client(backend=away.backend, grace=1) as client:
        client.register(workflow)
        for n in range(2):
            await client.begin_run(f"{n}", workflow, n)
        waiting = asyncio.ensure_future(client.run("0", workflow, 0))
        await harness.clock.advance(100)
        away.cut.set()
        claiming = asyncio.ensure_future(client.begin_run("2", workflow, 2))
        asked = asyncio.ensure_future(client.promises.get("0"))
        started = harness.clock.now()
    assert harness.clock.now() - started <= 1_000 + GIVING_BACK_MS
    for task in (waiting, claiming, asked):
        task.cancel()
    await asyncio.gather(waiting, claiming, asked, return_exceptions=True)


async def test_who_waits_to_ask_again_hears_that_the_store_was_stopped(harness):
    away = Away(harness.backend, "fails")
    async with harness.client(backend=away.backend) as client:
        away.cut.set()
        asked = [asyncio.ensure_future(client.promises.get("p")) for _ in range(3)]
        await harness.clock.advance(30_000)
    for task in asked:
        with pytest.raises(StoreError, match="stopped"):
            await task


def test_the_blocking_client_closes_too():
    clock = VirtualClock()
    faulty = Faulty(MemoryServer(clock))
    began = threading.Event()

    async def step() -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    async def workflow(ctx: Context) -> None:
        await ctx.run(step)

    with sync.Resonate(faulty, clock=clock, grace=1) as client:
        client.register(workflow)
        client.begin_run("a", workflow)
        assert began.wait(60)
        faulty.crashed.set()
        started = clock.now()
    assert clock.now() - started <= 1_000 + GIVING_BACK_MS
