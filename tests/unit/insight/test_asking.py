"""What is asked of a store: lists by page, executions with ids of their own, and those of servers without searches."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Context, NotFound, Resonate, StoreError, UsageError, sync
from resonate.adapters.memory import MemoryServer
from resonate.core.insight.tree import Status
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseReply,
    PromiseSearch,
    Rejection,
    TaskGet,
    TaskHalt,
)
from resonate.runtime import insight
from resonate.runtime.listing import LIVE, OVER, Wanted, executions
from resonate.runtime.relay import Relay
from resonate.testing import FIELD, NO_SEARCHES, Harness, VirtualClock


@pytest.fixture(params=["ours", "field", "no searches"])
async def harness(request):
    dialect = {"field": FIELD, "no searches": NO_SEARCHES}.get(request.param)
    async with Harness(clock=VirtualClock(auto_jump=False), dialect=dialect, grace=0) as harness:
        yield harness


async def store_of(harness):
    store = harness.backend.connect(group="stranger", pid="stranger")
    await store.start()
    return store


def shape(node):
    return (node.id, [shape(child) for child in node.children if not child.own])


async def test_branches_of_tasks_are_found(harness):
    client = await harness.open(harness.client())

    async def chain(ctx: Context, length: int) -> None:
        for n in range(length):
            await ctx.run(lambda n=n: n)

    @client.register
    async def two_chains(ctx: Context) -> None:
        await asyncio.gather(chain(ctx, 2), chain(ctx, 12))
        await ctx.sleep(60)

    @client.register
    async def outer(ctx: Context) -> None:
        await ctx.rpc(two_chains)

    await client.begin_run("a", outer)
    await harness.clock.advance(timedelta(seconds=1))
    tree = await insight.tree(await store_of(harness), "a", now=harness.clock.now())
    (inner,) = tree.root.children
    assert [child.id for child in inner.children if not child.own] == [
        *(f"a:1.1.{n}" for n in range(1, 3)),
        *(f"a:1.2.{n}" for n in range(1, 13)),
        "a:1.3",
    ]
    assert tree.whole is (harness.backend is harness.server or harness.backend.dialect.searches)


async def test_a_call_under_a_chosen_id_stands_below_its_caller(harness):
    client = await harness.open(harness.client())

    @client.register
    async def ship(ctx: Context) -> None:
        await (await ctx.promise())

    @client.register
    async def checkout(ctx: Context) -> None:
        await ctx.options(id="a:parcel").rpc(ship)

    await client.begin_run("a", checkout)
    await harness.clock.advance(timedelta(seconds=1))
    store = await store_of(harness)
    if store.dialect.searches:  # an id that somebody chose can't be guessed
        tree = await insight.tree(store, "a", now=harness.clock.now())
        assert shape(tree.root) == ("a", [("a:parcel", [("a:parcel.1", [])])])
        assert (await client.why("a")).cause.path == ("a", "a:parcel", "a:parcel.1")


async def test_calls_under_roots_of_their_own_are_followed(harness):
    """As other SDKs may make them."""
    store = await store_of(harness)

    async def create(id: str, origin: str, parent: str, **tags: str) -> None:
        below = {Tag.ORIGIN: origin, Tag.PARENT: parent, Tag.BRANCH: id, **tags}
        assert isinstance(
            await store.send(PromiseCreate(id=id, timeout_at=harness.clock.now() + 10**6, tags=below)), PromiseReply
        )

    target = {Tag.TARGET: "poll://any@nobody"}
    for each, origin, parent in (("a", "a", "a"), ("b", "a", "a"), ("c", "b", "b"), ("c:1", "c", "c")):
        if harness.backend is harness.server:  # others check that an origin is a part of the id
            await create(each, origin, parent, **target)
    if harness.backend is harness.server:
        tree = await insight.tree(store, "a", now=harness.clock.now())
        assert shape(tree.root) == ("a", [("b", [("c", [("c:1", [])])])])


async def test_a_client_answers_for_itself(harness):
    client = await harness.open(harness.client())

    @client.register
    async def nap(ctx: Context) -> None:
        await ctx.sleep(60)

    await client.begin_run("a", nap)
    await harness.clock.advance(timedelta(seconds=1))
    assert shape((await client.tree("a")).root) == ("a", [("a:1", [])])
    assert (await client.why("a")).line.startswith("a waits for a:1: the timer a:1 rings in 59 s")
    with pytest.raises(NotFound, match="There is no promise b"):
        await client.tree("b")
    with pytest.raises(UsageError):
        await client.why("")


def test_the_blocking_twin_answers_too():
    with sync.Resonate(grace=0) as client:
        client.promises.create("p")
        assert client.tree("p").root.id == "p"
        assert client.why("p").line.startswith("Nobody has settled the promise p in ")


# ---------------------------------------------------------------- lists


async def crowded(harness):
    client = await harness.open(harness.client(group="clients"))
    for n in range(30):
        id = f"e-{n:02}"
        await client.options(target="workers").begin_rpc(id, "ship" if n % 3 else "pack")
        if n % 5 == 0:
            await client.cancel(id)
    store = await store_of(harness)
    for id in ("e-07", "e-19"):
        await store.send(TaskHalt(id))
    return store


async def listed(store, wanted, limit):
    found, after = [], None
    while True:
        page = await executions(store, wanted, limit=limit, after=after)
        assert len(page.executions) <= limit
        found += page.executions
        after = page.cursor
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 4, 7, 100])
async def test_pages_show_each_execution_once(harness, limit):
    store = await crowded(harness)
    if not store.dialect.searches:
        with pytest.raises(UsageError, match="can't list what it has"):
            await executions(store, Wanted(), limit=limit)
        return
    everything = await listed(store, Wanted(statuses=(*LIVE, *OVER)), limit)
    assert sorted(one.id for one in everything) == [f"e-{n:02}" for n in range(30)]
    assert [one.id for one in everything][:2] == ["e-07", "e-19"]
    assert {one.id for one in everything if one.status is Status.CANCELED} == {f"e-{n:02}" for n in range(0, 30, 5)}
    packs = await listed(store, Wanted(function="pack"), limit)
    assert [one.id for one in packs] == [f"e-{n:02}" for n in range(0, 30, 3) if n % 5]


async def test_lists_are_cut_by_age(harness):
    store = await crowded(harness)
    if store.dialect.searches:
        await harness.clock.advance(timedelta(minutes=1))
        young = Wanted(created_before=harness.clock.now() - 61_000)
        old = Wanted(created_before=harness.clock.now() - 60_000)
        assert (await executions(store, young, limit=100)).executions == ()
        assert len((await executions(store, old, limit=100)).executions) == 24


class Failing(Relay):
    """A store that answers gets and searches as it is told."""

    answers: dict[type, object] = {}  # noqa: RUF012 - each test sets its own

    async def send(self, request):
        return self.answers.get(type(request)) or await self.inner.send(request)

    async def send_all(self, requests):
        return [self.answers.get(type(one)) or await self.inner.send(one) for one in requests]


async def test_a_store_that_refuses_or_fails_is_told(monkeypatch):
    server = MemoryServer()
    async with Resonate(server, group="clients", grace=0) as client:
        await client.options(target="workers").begin_rpc("a", "ship")
        inner = server.connect(group="x", pid="x")
        await inner.start()
        store = Failing(inner)
        monkeypatch.setattr(Failing, "answers", {PromiseSearch: Rejection(400, "no")})
        with pytest.raises(StoreError, match="refused to search for the promises of a: no"):
            await insight.tree(store, "a", now=0)
        with pytest.raises(StoreError, match="refused the search"):
            await executions(store, Wanted(statuses=OVER), limit=1)
        monkeypatch.setattr(Failing, "answers", {TaskGet: StoreError("down"), PromiseGet: StoreError("down")})
        with pytest.raises(StoreError, match="down"):
            await executions(store, Wanted(), limit=1)
        monkeypatch.setattr(Failing, "answers", {TaskGet: StoreError("down")})
        with pytest.raises(StoreError, match="down"):
            await insight.tree(store, "a", now=0)
        await inner.stop()
