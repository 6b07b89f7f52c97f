"""Promises as such: made, read, settled and searched from outside."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import (
    ApplicationError,
    Context,
    NotFound,
    PromiseCanceled,
    PromiseState,
    PromiseTimedOut,
)


async def test_a_promise_is_made_read_and_resolved(client):
    made = await client.promises.create("approval", timeout=60, tags={"desk": "7"})
    assert (made.id, made.state, made.tags["desk"]) == ("approval", PromiseState.PENDING, "7")
    assert made.timeout_at - made.created_at == 60_000
    assert await client.promises.get("approval") == made
    resolved = await client.promises.resolve("approval", "yes")
    assert resolved.state is PromiseState.RESOLVED
    assert await client.get("approval").result() == "yes"


async def test_making_it_twice_returns_what_is_stored(client):
    made = await client.promises.create("approval", timeout=60)
    assert await client.promises.create("approval", timeout=90) == made


async def test_a_value_is_written_as_the_type_that_is_named(client):
    await client.promises.create("delay")
    await client.promises.resolve("delay", timedelta(hours=1), type=timedelta)
    assert await client.get("delay", returns=timedelta) == timedelta(hours=1)


async def test_a_rejection_is_raised_to_whoever_waits(client):
    await client.promises.create("a")
    await client.promises.create("b")
    assert (await client.promises.reject("a", ValueError("no stock"))).state is PromiseState.REJECTED
    with pytest.raises(ValueError, match="no stock"):
        await client.get("a").result()
    await client.promises.reject("b", "no stock")
    with pytest.raises(ApplicationError, match="no stock"):
        await client.get("b").result()


async def test_a_canceled_promise_says_so(client):
    await client.promises.create("a")
    assert (await client.promises.cancel("a")).state is PromiseState.REJECTED_CANCELED
    with pytest.raises(PromiseCanceled):
        await client.get("a").result()


async def test_a_promise_is_settled_once(client):
    await client.promises.create("a")
    first = await client.promises.resolve("a", 1)
    assert await client.promises.resolve("a", 2) == first
    assert await client.promises.reject("a", "no") == first
    assert await client.promises.cancel("a") == first


async def test_past_its_deadline_it_is_timed_out(client, harness):
    await client.promises.create("a", timeout=60)
    waiting = asyncio.ensure_future(client.get("a").result())
    await harness.clock.advance(timedelta(seconds=61))
    with pytest.raises(PromiseTimedOut):
        await waiting
    assert (await client.promises.resolve("a", 1)).state is PromiseState.REJECTED_TIMEDOUT


async def test_what_is_not_there_is_not_found(client):
    promises = client.promises
    for ask in (promises.get, promises.resolve, promises.cancel):
        with pytest.raises(NotFound, match="nobody"):
            await ask("nobody")
    with pytest.raises(NotFound, match="nobody"):
        await promises.reject("nobody", "no")


@pytest.mark.usefixtures("searches")
async def test_search_goes_through_all_pages_by_state_and_tags(client):
    for number in range(7):
        await client.promises.create(f"p{number}", tags={"even": str(number % 2 == 0)})
    await client.promises.resolve("p0")

    async def found(**wanted: object) -> list[str]:
        return [promise.id async for promise in client.promises.search(**wanted)]

    assert await found(page=2) == [f"p{number}" for number in range(7)]
    assert await found(tags={"even": "True"}, page=3) == ["p0", "p2", "p4", "p6"]
    assert await found(state=PromiseState.RESOLVED) == ["p0"]
    assert await found(state="pending", tags={"even": "True"}, page=1) == ["p2", "p4", "p6"]
    assert await found(tags={"even": "perhaps"}) == []


@pytest.mark.usefixtures("searches")
async def test_a_workflow_waits_for_a_promise_that_is_settled_from_outside(client, harness):
    @client.register
    async def approve(ctx: Context) -> str:
        promise = await ctx.promise(returns=str)
        return f"{promise.id}: {await promise}"

    handle = await client.begin_run("a", approve)
    await harness.clock.advance(timedelta(hours=1))
    (asked,) = [promise.id async for promise in client.promises.search(state="pending") if promise.id != "a"]
    await client.promises.resolve(asked, "granted")
    assert await handle == f"{asked}: granted"
