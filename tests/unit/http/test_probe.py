"""Asking a server how it speaks."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from resonate import Context, MemoryServer, UsageError
from resonate.core.protocol.dialect import OURS, Dialect
from resonate.core.protocol.requests import PromiseGet, Rejection
from resonate.core.protocol.settings import Settings
from resonate.testing import FIELD, NO_SEARCHES, OLDER, FieldServer, HttpFront
from tests.unit.http.wild import answer

OLDER_NO_SEARCHES = evolve(OLDER, searches=False)


def speaks(wild, dialect):
    inner = MemoryServer(wild.clock, settings=Settings(targeted_timers=dialect.targeted_timers))
    wild.server = FieldServer(inner, dialect)
    wild.front = HttpFront(wild.server)


async def told(wild, **options):
    store = wild.backend(**options).connect(group="g", pid="p")
    await store.start()
    await store.stop()
    return store.dialect


@pytest.mark.parametrize("dialect", [FIELD, OLDER, NO_SEARCHES, OLDER_NO_SEARCHES])
async def test_a_server_in_the_field_is_known_by_its_answers(wild, dialect):
    speaks(wild, dialect)
    assert await told(wild) == dialect


async def test_a_server_made_of_this_library_is_known_by_its_answers(wild):
    assert await told(wild) == OURS


@pytest.mark.parametrize("dialect", [None, FIELD, OLDER, NO_SEARCHES])
async def test_asking_changes_nothing_and_takes_few_requests(wild, dialect):
    if dialect is not None:
        speaks(wild, dialect)
    before = wild.server.snapshot()
    await told(wild)
    after = wild.server.snapshot()
    assert (after.promises, after.tasks, after.schedules, after.outbox) == ((), (), (), ())
    assert after == evolve(before, now=after.now)
    assert len(wild.kinds) <= 4


async def test_what_is_said_is_not_asked(wild):
    mine = Dialect(separator=".", searches=False)
    assert await told(wild, dialect=mine) == mine
    assert wild.kinds == []


async def test_a_token_that_may_not_ask_leaves_the_most_usual(wild):
    """One that is for a prefix of ids only: it may search nothing and look at none of the ids that are asked for."""
    wild.always = lambda request: answer(request, 403, "Forbidden") if request.content else None
    assert await told(wild) == NO_SEARCHES


async def test_a_server_with_both_grammars_or_none_is_spoken_to_in_the_newer(wild):
    wild.always = lambda request: answer(request, 400, "no") if b"register_callback" in request.content else None
    assert (await told(wild)).separator == ":"


async def test_asking_goes_on_when_the_server_fails_in_between(wild):
    wild.posts.extend([None, lambda request: answer(request, 503, "not now"), None])
    assert await told(wild) == OURS


@pytest.mark.parametrize("dialect", [FIELD, OLDER, NO_SEARCHES])
async def test_a_workflow_runs_in_each_dialect_that_was_asked_for(wild, dialect):
    speaks(wild, dialect)

    async def double(n: int) -> int:
        return 2 * n

    async def inner(ctx: Context, n: int) -> int:
        await ctx.sleep(5)
        return await ctx.run(double, n)

    async def flow(ctx: Context) -> list[int]:
        first = await ctx.run(double, 1)
        return [first, *await asyncio.gather(ctx.run(inner, 2), ctx.rpc(inner, 3))]

    client = wild.client(continuations=0)
    client.register(flow)
    client.register(inner)
    async with client:
        assert await client.run("root", flow) == [2, 4, 6]
    ids = {promise.record.id for promise in wild.server.snapshot().promises}
    assert f"root{dialect.separator}1" in ids


@pytest.mark.parametrize(("dialect", "root"), [(FIELD, "order:1"), (OLDER, "order.1")])
async def test_an_id_that_the_dialect_cannot_carry_is_refused_before_anything_is_sent(wild, dialect, root):
    speaks(wild, dialect)

    async def flow(ctx: Context) -> None: ...

    client = wild.client()
    client.register(flow)
    async with client:
        before = len(wild.kinds)
        for call in (client.run, client.rpc, client.begin_run, client.begin_rpc):
            with pytest.raises(UsageError, match="separates an id from its lineage"):
                await call(root, flow)
        assert len(wild.kinds) == before
        store = client._session.parts.backing
        assert isinstance(await store.send(PromiseGet(root)), Rejection)
