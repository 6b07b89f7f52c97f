"""Workloads through all layers, for any backend."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.harness import Spending, Spent
from resonate import Context, Resonate
from resonate.errors import NotFound
from resonate.ports.store import Backend
from resonate.testing.faults import Faulty

GROUP, PID = "bench", "one"

Workload = Callable[[int, Backend], Awaitable[Spent]]
Call = Callable[[Context, int], Awaitable[int]]

# ---------------------------------------------------------------- functions


async def step(number: int) -> int:
    return number


def threaded(number: int) -> int:
    return number


async def late(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def sequential(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def sequential_def(ctx: Context, n: int) -> int:
    return sum([await ctx.run(threaded, number) for number in range(n)])


async def fan_out(ctx: Context, n: int) -> int:
    return sum(await asyncio.gather(*[ctx.run(step, number) for number in range(n)]))


async def mapped(ctx: Context, n: int) -> int:
    return sum(await ctx.map(step, range(n), limit=100))


async def five_steps(ctx: Context) -> int:
    return sum([await ctx.run(step, number) for number in range(5)])


async def five_late_steps(ctx: Context) -> int:
    return sum([await ctx.run(late, number) for number in range(5)])


async def sequential_rpc(ctx: Context, n: int) -> int:
    return sum([await ctx.rpc(step, number) for number in range(n)])


async def fan_out_rpc(ctx: Context, n: int) -> int:
    return sum(await asyncio.gather(*[ctx.rpc(step, number) for number in range(n)]))


async def timeouts(ctx: Context, n: int) -> int:
    total = 0
    for number in range(n):
        async with asyncio.timeout(60):
            total += await ctx.run(step, number)
    return total


async def sleeps(ctx: Context, n: int) -> int:
    await asyncio.gather(*[ctx.sleep(0.001) for _ in range(n)])
    return n * (n - 1) // 2


# ---------------------------------------------------------------- workloads


def one_workflow(workflow: Callable[..., Any], name: str = "") -> Workload:
    """Time one execution of `workflow(ctx, size)`, under an id of its own if the store has seen others."""

    async def run(size: int, backend: Backend) -> Spent:
        async with new_client(backend) as client:
            spending = Spending(backend)
            total = await client.run(name or "w", workflow, size)
            spent = spending.spent()
        assert total == size * (size - 1) // 2
        return spent

    return run


def many_workflows(workflow: Callable[..., Any]) -> Workload:
    """Time `size` executions of `workflow(ctx)`, all started at once, with the room that there is by default."""

    async def run(size: int, backend: Backend) -> Spent:
        async with new_client(backend) as client:
            spending = Spending(backend)
            await asyncio.gather(*[client.run(f"w{number}", workflow) for number in range(size)])
            return spending.spent()

    return run


def workflows_at_once(count: int, name: str = "w") -> Workload:
    """Time so many workflows at once, each with its share of `size` steps one after another."""

    async def run(size: int, backend: Backend) -> Spent:
        async with new_client(backend) as client:
            spending = Spending(backend)
            await asyncio.gather(
                *[client.run(f"{name}-{number}", sequential, size // count) for number in range(count)]
            )
            return spending.spent()

    return run


def replayed(name: str) -> Workload:
    """Time a resume that has to replay `size` recorded steps, from its cause to the workflow's result."""
    return lambda size, backend: _resumed(name, size, backend, step_of)


def cold_calls(name: str, call: Call) -> Workload:
    """Time a resume after `size` recorded calls, from its cause until the step that comes next has begun."""
    return lambda size, backend: _resumed(name, size, backend, call, until_next=True)


def step_of(ctx: Context, number: int) -> Awaitable[int]:
    return ctx.run(step, number)


def rpc_of(ctx: Context, number: int) -> Awaitable[int]:
    return ctx.rpc(step, number)


async def _resumed(name: str, size: int, backend: Backend, call: Call, *, until_next: bool = False) -> Spent:
    """Record `size` calls with one client, and let another, which knows nothing of them, go on."""
    starts: list[float] = []
    begun: list[Spent] = []

    async def recorded(ctx: Context, n: int) -> int:
        starts.append(time.perf_counter())  # noqa: RSN101, RSN110 - when each run began is what is measured
        total = sum([await call(ctx, number) for number in range(n)])
        await (await ctx.promise())
        await ctx.run(noted)
        return total

    async def noted() -> None:
        begun.append(spending.spent())

    last = f"{name}:{size + 1}"
    async with new_client(backend) as client:
        client.register(recorded)
        client.register(noted)
        await client.begin_run(name, recorded, size)
        # Once the promise exists, the suspension on it is on its way.
        while not await _exists(client, last):  # noqa: ASYNC110 - a client has no event for it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
    async with new_client(backend) as client:
        client.register(recorded)
        client.register(noted)
        handle = client.get(name)
        gc.collect()
        resolved = time.perf_counter()
        spending = Spending(backend)
        await client.promises.resolve(last)
        assert await handle.result() == size * (size - 1) // 2
        spent = spending.spent()
    assert len(starts) == 2
    assert starts[1] > resolved
    return begun[-1] if until_next else spent


async def _exists(client: Resonate, promise_id: str) -> bool:
    try:
        await client.promises.get(promise_id)
    except NotFound:
        return False
    return True


def new_client(backend: Backend, **options: Any) -> Resonate:
    client = Resonate(backend, group=GROUP, **options)
    for function in (
        step,
        late,
        threaded,
        sequential,
        sequential_def,
        fan_out,
        mapped,
        five_steps,
        five_late_steps,
        sequential_rpc,
        fan_out_rpc,
        timeouts,
        sleeps,
    ):
        client.register(function)
    return client


async def requests_per_unit(workload: Workload, size: int, backend: Backend) -> float:
    """Return how many requests a workload sends for each unit."""
    counting = Faulty(backend)
    await workload(size, counting)
    return len(counting.requests) / size
