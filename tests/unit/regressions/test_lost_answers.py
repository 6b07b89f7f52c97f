"""An answer that is lost after the write: asked again, the claim is refused, and the task must not lie idle for it."""

from __future__ import annotations

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
