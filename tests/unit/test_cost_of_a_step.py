"""What a step costs, counted: requests to the store and function calls. Counts say the same on every machine."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Self

import pytest

from resonate import Context, MemoryServer, Resonate
from resonate.core.protocol.records import TaskState
from resonate.testing import Faulty

MOST_CALLS = 213
"""Of Python functions, for a step through all layers; a few more than it takes. Raise it only with a reason."""
MOST_CALLS_REPLAYED = 80


async def step(number: int) -> int:
    return number


async def steps(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def calls(ctx: Context, n: int) -> int:
    return sum([await ctx.rpc(step, number) for number in range(n)])


async def deeper(ctx: Context, n: int) -> int:
    return n + await ctx.run(deeper, n - 1) if n else 0


async def once_more(ctx: Context, n: int) -> int:
    total = await steps(ctx, n)
    await (await ctx.promise())
    return total


@pytest.fixture
async def server():
    return MemoryServer()


@pytest.fixture
async def client(server: MemoryServer):
    async with Resonate(server, continuations=0) as client:
        for function in (step, steps, calls, deeper, once_more):
            client.register(function)
        yield client


class Calls:
    """Counts calls of Python functions in this thread, while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        gc.collect()
        gc.disable()  # finalizers would be counted where they happen to run
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        gc.enable()

    def _profile(self, _frame: object, event: str, _arg: object) -> None:
        self.count += event == "call"


async def calls_for(client: Resonate, id: str, n: int, workflow: Callable[..., object] = steps) -> int:
    with Calls() as counted:
        assert await client.run(id, workflow, n) == n * (n - 1) // 2 + n * (workflow is deeper)
    return counted.count


async def test_a_step_takes_so_many_calls_and_no_more_after_a_long_history(client: Resonate) -> None:
    await calls_for(client, "warm", 10)
    some, twice, many = [await calls_for(client, f"{n}", n) for n in (200, 400, 3_200)]
    first, last = (twice - some) / 200, (many - twice) / 2_800
    assert first < MOST_CALLS
    assert last == pytest.approx(first, rel=0.02)


async def test_a_workflow_in_a_workflow_takes_so_many_calls_however_deep_it_lies(client: Resonate) -> None:
    _ = await calls_for(client, "warm", 10, deeper)
    some, twice, many = [await calls_for(client, f"{n}", n, deeper) for n in (50, 100, 400)]
    assert (many - twice) / 300 == pytest.approx((twice - some) / 50, rel=0.05)


async def test_a_replayed_step_takes_so_many_calls(client: Resonate, server: MemoryServer) -> None:
    async def replay_of(n: int) -> int:
        handle = await client.begin_run(f"{n}", once_more, n)
        while not any(  # noqa: ASYNC110 - a server has no event for it
            task.id == f"{n}" and task.state is TaskState.SUSPENDED for task in server.snapshot().tasks
        ):
            await asyncio.sleep(0)
        with Calls() as counted:
            await client.promises.resolve(f"{n}:{n + 1}")
            await handle.result()
        return counted.count

    await replay_of(10)
    some, twice, many = [await replay_of(n) for n in (200, 400, 1_600)]
    first, last = (twice - some) / 200, (many - twice) / 1_200
    assert first < MOST_CALLS_REPLAYED
    assert last == pytest.approx(first, rel=0.05)


@pytest.mark.parametrize(("workflow", "each"), [(steps, 2), (calls, 5)], ids=["step", "rpc"])
async def test_a_step_takes_so_many_requests(workflow: Callable[..., object], each: int) -> None:
    backend = Faulty(MemoryServer())
    async with Resonate(backend) as client:
        client.register(step)
        client.register(workflow)
        counts: list[int] = []
        for n in (50, 100, 400):
            before = len(backend.requests)
            await client.run(f"{n}", workflow, n)
            counts.append(len(backend.requests) - before)
    assert (counts[1] - counts[0]) / 50 == (counts[2] - counts[1]) / 300 == each
