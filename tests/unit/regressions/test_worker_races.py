"""What can happen while a worker waits for an answer, or holds a task that it can't drive."""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from itertools import pairwise

import pytest

from resonate import Conflict, Context, Resonate, StoreError
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseSettle,
    Request,
    TaskAcquire,
    TaskCreate,
    TaskFence,
    TaskFulfill,
)
from resonate.runtime.lease import LeaseKeeper
from resonate.testing.harness import Harness
from tests.unit.regressions.slow import Slow, a_moment

SOON = 60
user: ContextVar[str] = ContextVar("user", default="nobody")


async def one() -> int:
    return 1


async def echo(n: int) -> int:
    return n


async def test_begin_run_keeps_to_the_concurrency_limit() -> None:
    running = most = 0

    async def step() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1

    async with Harness(concurrency=3) as harness:
        client = harness.client(backend=Slow(harness.server))
        client.register(step)
        await harness.open(client)
        await asyncio.gather(*[client.run(f"o{number}", step) for number in range(20)])
        assert most <= 3


async def test_a_claim_that_is_answered_while_the_client_closes_is_given_back_or_driven() -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def after(request: Request[object]) -> None:
        if isinstance(request, TaskCreate):
            asked.set()
            await gate.wait()

    async with Harness() as harness:
        client = harness.client(backend=Slow(harness.server, after=after), grace=60)
        client.register(one)
        async with client:
            starting = asyncio.create_task(client.begin_run("o", one))
            await asked.wait()
            asyncio.get_running_loop().call_soon(gate.set)
        await starting
        assert [task.state for task in harness.snapshot().tasks] != ["acquired"]


async def test_an_acquire_that_is_answered_while_the_client_closes_is_given_back() -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def after(request: Request[object]) -> None:
        if isinstance(request, TaskAcquire):
            asked.set()
            await gate.wait()

    async with Harness() as harness:
        client = harness.client(backend=Slow(harness.server, after=after), grace=60)
        client.register(one)
        async with client:
            await client.begin_rpc("o", one)
            await asked.wait()
            asyncio.get_running_loop().call_soon(gate.set)
        assert [(task.state, task.pid) for task in harness.snapshot().tasks] == [("pending", None)]


async def test_what_was_begun_is_driven_although_the_client_closes_at_once() -> None:
    async with Harness() as harness:
        client = harness.client(grace=60)
        client.register(one)
        async with client:
            await client.begin_run("o", one)
        assert [task.state for task in harness.snapshot().tasks] == ["fulfilled"]


async def test_a_conflict_leaves_the_task_to_its_workers() -> None:
    async with Harness() as harness:
        starter, other, worker = (harness.client(group=group) for group in ("starters", "others", "workers"))
        for client in (other, worker):
            client.register(echo)
        await harness.open(starter)
        await starter.options(target="workers").begin_rpc("o", echo, 1)
        await harness.open(other)
        with pytest.raises(Conflict):
            await other.run("o", echo, 2)
        assert [(task.state, task.pid) for task in harness.snapshot().tasks] == [("pending", None)]


async def test_a_continuation_is_not_evicted_while_its_task_is_acquired() -> None:
    gate, asked, writes = asyncio.Event(), asyncio.Event(), list[str]()

    async def before(request: Request[object]) -> None:
        await a_moment(request)
        if isinstance(request, TaskFence) and isinstance(request.action, PromiseCreate | PromiseSettle):
            writes.append(request.action.id)
        if isinstance(request, TaskAcquire) and request.id == "first":
            asked.set()
            await gate.wait()

    async def first(ctx: Context) -> int:
        found = await ctx.run(echo, 7)
        await ctx.sleep(1)
        return found

    async def second(ctx: Context) -> None:
        await ctx.sleep(1000)

    async with Harness(continuations=1) as harness:
        client = harness.client(backend=Slow(harness.server, before))
        client.register(first)
        client.register(second)
        await harness.open(client)
        handle = await client.begin_run("first", first)
        await asked.wait()
        await client.begin_run("second", second)
        for _ in range(100):
            await asyncio.sleep(0)
        gate.set()
        assert await handle == 7
        assert writes.count("first:1") == 2, "asked for and settled once; nothing is asked for again"


async def test_steps_do_not_see_the_variables_of_other_callers() -> None:
    seen: dict[str, str] = {}

    async def step(name: str) -> None:
        seen[name] = user.get()
        for _ in range(10):
            await asyncio.sleep(0)

    async def request(client: Resonate, name: str) -> None:
        user.set(name)
        await client.run(name, step, name)

    async with Harness(concurrency=1) as harness:
        client = harness.client()
        client.register(step)
        await harness.open(client)
        await asyncio.gather(*[asyncio.create_task(request(client, name)) for name in ("alice", "bob", "carol")])
    assert seen == dict.fromkeys(("alice", "bob", "carol"), "nobody")


async def test_a_lease_lost_while_the_task_is_held_back_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    keepers: list[LeaseKeeper] = []
    start = LeaseKeeper.start

    def started(keeper: LeaseKeeper) -> None:
        keepers.append(keeper)
        start(keeper)

    monkeypatch.setattr(LeaseKeeper, "start", started)
    async with Harness(ttl=60) as harness:
        client = harness.client()
        await harness.open(client)
        handle = await client.begin_rpc("o", "late", 5)
        while not harness.snapshot().tasks or harness.snapshot().tasks[0].state != "acquired":  # noqa: ASYNC110 - a store has no event for it
            await asyncio.sleep(0)
        keepers[0]._give_up(keepers[0]._by_origin(dict(keepers[0]._held))["o"], "no answer for too long")

        async def late(n: int) -> int:
            return n

        client.register(late)
        assert await asyncio.wait_for(handle.result(), SOON) == 5


async def test_an_execution_that_is_stopped_before_its_handle_is_there_is_told_of_once() -> None:
    async def before(request: Request[object]) -> None:
        if isinstance(request, TaskFulfill) and failures:
            raise failures.pop()

    failures = [StoreError("not this one")]
    async with Harness() as harness:
        client = harness.client(backend=Slow(harness.server, before))
        client.register(one)
        await harness.open(client)
        handle = await client.begin_run("o", one)
        assert failures == []
        with pytest.raises(StoreError, match="not this one"):
            await handle.result()
        assert await handle.result() == 1


async def test_a_store_that_fails_one_execution_delays_it_ever_more_and_leaves_the_worker_healthy() -> None:
    asked: list[int] = []

    async def before(request: Request[object]) -> None:
        if isinstance(request, TaskFulfill) and len(asked) < 5:
            asked.append(harness.clock.now())
            raise StoreError("not this one")

    async with Harness() as harness:
        client = harness.client(backend=Slow(harness.server, before))
        client.register(one)
        await harness.open(client)
        heard = 0
        handle = await client.begin_run("o", one)
        while True:
            try:
                assert await handle.result() == 1
                break
            except StoreError:  # who waits is told each time; the execution is kept
                heard += 1
                handle = client.get("o")
        assert heard == 5
        assert [later - earlier for earlier, later in pairwise(asked)] == [1000, 2000, 4000, 8000]
        assert client.healthy
