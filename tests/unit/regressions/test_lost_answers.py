"""An answer that is lost after the write: asked again, the claim is refused, and the task must not lie idle for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from resonate import Context, NetworkError
from resonate.core.protocol.requests import (
    Request,
    TaskAcquire,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskSuspend,
)
from resonate.testing import Harness
from tests.unit.regressions.slow import Slow, a_moment

CLAIMS_AND_WRITES = [TaskCreate, TaskAcquire, TaskFence, TaskSuspend, TaskFulfill]


async def one() -> int:
    return 1


async def workflow(ctx: Context) -> int:
    first = await ctx.run(one)
    await ctx.sleep(1)
    return first + await ctx.run(one)


@pytest.mark.parametrize("call", ["run", "rpc"])
@pytest.mark.parametrize(
    "kind", [TaskCreate, TaskAcquire, TaskFence, TaskSuspend, TaskFulfill], ids=lambda kind: kind.kind
)
async def test_a_lost_answer_costs_no_lease(kind, call):
    lost: list[Request[Any]] = []

    async def lose(request: Request[Any]) -> None:
        losing = isinstance(request, kind) and not lost
        if losing:
            lost.append(request)
        await a_moment(request)
        if losing:
            raise NetworkError("the answer was lost")

    async with Harness() as harness:
        client = await harness.open(harness.client(backend=Slow(harness.server, after=lose)))
        client.register(workflow)
        started = harness.clock.now()
        assert await getattr(client, call)("o", workflow) == 2
        assert harness.clock.now() - started < 10_000
        assert bool(lost) == (kind is not TaskCreate or call == "run")


@pytest.mark.parametrize("delivered", ["once", "twice", "once, and the answer lost"])
async def test_what_a_redirect_tells_is_told_again(delivered):
    suspensions: list[Request[Any]] = []
    names = ["one", "two", "three"]

    async def waits(ctx: Context) -> list[str]:
        promises = [await ctx.options(id=f"o:{name}").promise(returns=str) for name in names]
        return list(await asyncio.gather(*[branch(ctx, promise) for promise in promises]))

    async def branch(ctx: Context, promise: Awaitable[str]) -> str:
        done.append(await promise)
        return await ctx.run(said, done[-1])

    async def said(text: str) -> str:
        stepped.append(text)
        return text

    async def before(request: Request[Any]) -> None:
        if isinstance(request, TaskSuspend):
            suspensions.append(request)
            if len(suspensions) == 2:  # after the first was heard of
                await outside.promises.resolve("o:two", "b")

    async def after(request: Request[Any]) -> None:
        if isinstance(request, TaskSuspend) and len(suspensions) == 2:
            if delivered == "twice":
                await spare.send(request)
            elif delivered != "once":
                raise NetworkError("the answer was lost")

    done: list[str] = []
    stepped: list[str] = []
    async with Harness() as harness:
        spare = harness.server.connect(group="spare", pid="spare")
        await spare.start()
        outside = await harness.open(harness.client(group="outside"))
        client = await harness.open(harness.client(backend=Slow(harness.server, before, after)))
        client.register(waits)
        handle = await client.begin_run("o", waits)
        await harness.clock.advance(1_000)
        await outside.promises.resolve("o:one", "a")
        await harness.clock.advance(5_000)
        assert stepped == ["a", "b"]
        await outside.promises.resolve("o:three", "c")
        assert await handle.result() == ["a", "b", "c"]
        await spare.stop()


async def test_two_calls_for_one_id_do_not_take_the_task_from_each_other():
    began: list[int] = []

    async def counted() -> int:
        began.append(1)
        return len(began)

    async def counting(ctx: Context) -> int:
        return await ctx.run(counted)

    async with Harness() as harness:
        client = await harness.open(harness.client(backend=Slow(harness.server)))
        client.register(counting)
        handles = [await client.begin_run("o", counting) for _ in range(3)]
        assert [await handle.result() for handle in handles] == [1, 1, 1]
