"""What `resonate.store.prune` deletes, and above all what it does not."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resonate import Context, Resonate
from resonate.adapters.sqlite import SqliteServer
from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.protocol.snapshot import Snapshot
from resonate.errors import NotFound, UsageError
from resonate.testing import VirtualClock

DAY = timedelta(days=1)


async def add(a: int, b: int) -> int:
    return a + b


async def child(ctx: Context, n: int) -> int:
    return await ctx.run(add, n, 1)


async def parent(ctx: Context, n: int) -> int:
    total = 0
    for number in range(n):
        total += await ctx.rpc(child, number)
        total += await ctx.run(add, number, 1)
    await ctx.sleep(1)
    return total


async def waiting(ctx: Context) -> str:
    await ctx.detached(child, 1)
    for number in range(3):
        await ctx.run(add, number, 1)
    approval = await ctx.promise(returns=str)
    return await approval


async def naps(ctx: Context) -> None:
    await ctx.sleep(3_600)


async def starts(ctx: Context) -> str:
    await ctx.detached(naps)
    await ctx.run(add, 1, 1)
    return "started"


class Shop:
    """A file on virtual time, and a client that knows the functions."""

    def __init__(self, path: Path) -> None:
        self.clock = VirtualClock()
        self.server = SqliteServer(path, clock=self.clock, durability="normal")
        self.client = Resonate(self.server)
        for function in (child, parent, waiting, naps, starts):
            self.client.register(function)

    def ids(self) -> set[str]:
        return {promise.record.id for promise in self.snapshot().promises}

    def snapshot(self) -> Snapshot:
        return self.server.snapshot()

    async def wait(self, duration: timedelta) -> None:
        await self.clock.sleep_until(self.clock.now() + int(duration.total_seconds() * 1_000))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop.db")


async def test_what_is_over_goes_as_a_whole(shop: Shop) -> None:
    async with shop.client as client:
        await client.run("old", parent, 5)
        await shop.wait(10 * DAY)
        await client.run("new", parent, 2)
        before = shop.ids()
        deleted = await client.store.prune(before=9 * DAY)
        left = shop.ids()
    assert {id.split(":")[0] for id in before - left} == {"old"}
    assert {id.split(":")[0] for id in left} == {"new"}
    assert deleted == len(before - left) > 10
    snapshot = shop.snapshot()
    assert {task.id for task in snapshot.tasks} <= left
    assert not [promise for promise in snapshot.promises if promise.callbacks]


async def test_nothing_goes_that_was_over_later(shop: Shop) -> None:
    async with shop.client as client:
        await client.run("a", parent, 1)
        before = shop.ids()
        assert await client.store.prune(before=datetime.fromtimestamp(shop.clock.now() / 1_000, UTC) - DAY) == 0
        assert shop.ids() == before


async def test_a_live_execution_keeps_all_it_may_read_again(shop: Shop) -> None:
    async with shop.client as client:
        handle = await client.begin_run("live", waiting)
        await shop.wait(20 * DAY)
        before = shop.ids()
        assert await client.store.prune(before=DAY) == 0
        assert shop.ids() == before
        await client.promises.resolve("live:5", "yes")
        assert await handle == "yes"
        await shop.wait(2 * DAY)
        assert await client.store.prune(before=DAY) == len(before)
        assert shop.ids() == set()


async def test_a_pruned_live_execution_goes_on_after_a_crash(shop: Shop, tmp_path: Path) -> None:
    async with shop.client as client:
        await client.begin_run("live", waiting)
        await shop.wait(5 * DAY)
        await client.store.prune(before=DAY)
        await client._kill()
    again = Resonate(shop.server)
    for function in (child, waiting):
        again.register(function)
    async with again:
        await again.promises.resolve("live:5", "yes")
        assert await again.get("live") == "yes"


async def test_a_promise_of_nobody_goes_when_it_is_settled(shop: Shop) -> None:
    async with shop.client as client:
        await client.promises.create("open", timeout=timedelta(days=100))
        await client.promises.create("shut", timeout=timedelta(days=100))
        await client.promises.resolve("shut", 1)
        await shop.wait(DAY)
        assert await client.store.prune(before=timedelta(hours=1)) == 1
        assert (await client.promises.get("open")).state is PromiseState.PENDING
        with pytest.raises(NotFound):
            await client.promises.get("shut")


async def test_promises_that_name_no_origin_go_one_by_one_however_many(shop: Shop) -> None:
    store = shop.server.connect(group="g", pid="p")
    await store.start()
    far = shop.clock.now() + int((1_000 * DAY).total_seconds() * 1_000)
    ids = [f"p{number:03}" for number in range(300)]
    await store.send_all([PromiseCreate(id=id, timeout_at=far) for id in ids])
    await store.send_all([PromiseSettle(id=id, state=PromiseState.RESOLVED) for id in reversed(ids[:200])])
    shop.clock.jump_to(shop.clock.now() + 10)
    await store.send_all([PromiseSettle(id=id, state=PromiseState.RESOLVED) for id in ids[200:250]])
    assert await store.prune(shop.clock.now()) == 200
    assert shop.ids() == set(ids[200:])
    await store.stop()


async def test_what_is_past_its_deadline_is_over_though_nobody_has_noticed(shop: Shop) -> None:
    async with shop.client as client:
        await client.begin_run("late", waiting)
        await shop.wait(timedelta(days=31))
        await client.store.prune(before=timedelta(hours=1))
        assert {id for id in shop.ids() if id.startswith("late")} == set()


async def test_others_work_while_much_is_pruned(shop: Shop) -> None:
    async with shop.client as client:
        await asyncio.gather(*(client.run(f"old-{number}", child, number) for number in range(200)))
        await shop.wait(2 * DAY)
        pruning = asyncio.create_task(client.store.prune(before=DAY))
        results = await asyncio.gather(*(client.run(f"new-{number}", child, number) for number in range(20)))
        assert results == [number + 1 for number in range(20)]
        assert await pruning == 400


async def test_an_id_that_is_gone_is_run_anew(shop: Shop) -> None:
    async with shop.client as client:
        assert await client.run("a", child, 1) == 2
        await shop.wait(2 * DAY)
        await client.store.prune(before=DAY)
        assert await client.run("a", child, 5) == 6


async def test_only_stores_that_keep_things_can_be_pruned(shop: Shop) -> None:
    async with Resonate() as client:
        with pytest.raises(UsageError, match="MemoryStore can't be pruned"):
            await client.store.prune(before=DAY)
    async with shop.client as client:
        with pytest.raises(UsageError, match="no time zone"):
            await client.store.prune(before=datetime(2025, 1, 1))  # noqa: DTZ001 - what is refused
        with pytest.raises(UsageError, match="a datetime or a timedelta, not int"):
            await client.store.prune(before=5)  # type: ignore[arg-type]  # what is refused


async def test_nothing_is_left_of_what_outlived_the_workflow_that_started_it(shop: Shop, tmp_path: Path) -> None:
    async with shop.client as client:
        for number in range(3):
            run = await client.begin_run(f"starter-{number}", starts)
            assert await run == "started"
        await shop.wait(timedelta(seconds=1))
        assert await client.store.prune(before=timedelta(0)) == 6, "the starter and its step; the other still sleeps"
        await shop.wait(DAY)
        assert await client.store.prune(before=timedelta(0)) == 6
        assert shop.ids() == set()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as db:
        assert db.execute("SELECT count(*) FROM names").fetchone() == (0,)
