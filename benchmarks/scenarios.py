"""What is timed. The benches time one part alone; the growths time a workload through all layers at growing sizes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.costs import Spending, Spent
from benchmarks.harness import Bench, Growth, Scenario
from resonate import Context, Resonate
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.memory import MemoryServer
from resonate.adapters.memory.tables import Tables
from resonate.core.function import describe
from resonate.core.protocol.machine import handle
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle, Request, TaskCreate, TaskFence, TaskFulfill
from resonate.core.values import Call
from resonate.errors import NotFound
from resonate.ports.store import Backend
from resonate.testing.faults import Faulty

STEPS = 2_000
FOREVER = 2**52
GROUP, PID = "bench", "one"
LINEAR = 1.2
"""How much more a unit may cost at ten times the size: caches and the garbage collector have more to look at."""
CROWDED = 1.4
"""The same where all units are alive at once: each of the collector's rounds walks over all of them."""

# ---------------------------------------------------------------- parts alone


async def bare_tasks() -> None:
    async def body(number: int) -> int:
        return number

    total = 0
    for number in range(STEPS):
        total += await asyncio.create_task(body(number))
    assert total == STEPS * (STEPS - 1) // 2


def _requests(steps: int) -> list[Request[Any]]:
    """Return what a workflow of so many sequential steps sends, but for the values."""
    tags = {Tag.TARGET: f"poll://any@{GROUP}", Tag.BRANCH: "w"}
    child_tags = {Tag.SCOPE: "local", Tag.BRANCH: "w", Tag.PARENT: "w", Tag.ORIGIN: "w"}
    root = PromiseCreate(id="w", timeout_at=FOREVER, tags=tags)
    out: list[Request[Any]] = [TaskCreate(pid=PID, ttl=60_000, action=root)]
    for number in range(1, steps + 1):
        create = PromiseCreate(id=f"w:{number}", timeout_at=FOREVER, tags=child_tags)
        settle = PromiseSettle(id=f"w:{number}", state=PromiseState.RESOLVED)
        out += [TaskFence(id="w", version=1, action=create), TaskFence(id="w", version=1, action=settle)]
    out.append(TaskFulfill(id="w", version=1, action=PromiseSettle(id="w", state=PromiseState.RESOLVED)))
    return out


async def machine_alone() -> float:
    requests, tables = _requests(STEPS), Tables()
    started = time.perf_counter()
    for request in requests:
        _reply, effects = handle(request, tables, 0)
        tables.apply(effects)
    return time.perf_counter() - started


async def store_alone() -> float:
    store = MemoryServer().connect(group=GROUP, pid=PID)
    await store.start()
    requests = _requests(STEPS)
    started = time.perf_counter()
    for request in requests:
        await store.send_all([request])
        await asyncio.sleep(0)  # a client that is one turn of the loop away from its next request
    taken = time.perf_counter() - started
    await store.stop()
    return taken


def order(id: str, lines: list[dict[str, int]], *, express: bool = False) -> dict[str, int]:
    del id, express
    return lines[0]


async def codec() -> None:
    codec, function = JsonCodec(), describe(order)
    signature = function.signature
    lines = [{"article": number, "amount": 3, "cents": 1999} for number in range(5)]
    call = Call(func=function.name, args=("order-42", lines), kwargs={"express": True}, version=1)
    for _ in range(STEPS):
        param = codec.encode_call(call, signature)
        value = codec.encode(lines[0], signature.returns)
        assert codec.decode_call(param, lambda _name, _version: signature).func == function.name
        assert codec.decode(value, signature.returns) == lines[0]


# ---------------------------------------------------------------- workloads through all layers


async def step(number: int) -> int:
    return number


def threaded(number: int) -> int:
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


Workload = Callable[[int, Backend], Awaitable[Spent]]


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


async def many_workflows(size: int, backend: Backend) -> Spent:
    """Time workflows of five steps each, so that there are `size` steps."""
    async with new_client(backend) as client:
        spending = Spending(backend)
        await asyncio.gather(*[client.run(f"w{number}", five_steps) for number in range(size // 5)])
        return spending.spent()


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
    return lambda size, backend: _replayed(name, size, backend)


async def _replayed(name: str, size: int, backend: Backend) -> Spent:
    starts: list[float] = []

    async def recorded(ctx: Context, n: int) -> int:
        starts.append(time.perf_counter())  # noqa: RSN101, RSN110 - when each run began is what is measured
        total = sum([await ctx.run(step, number) for number in range(n)])
        await (await ctx.promise())
        return total

    last = f"{name}:{size + 1}"
    async with new_client(backend, continuations=0) as client:
        client.register(recorded)
        handle = await client.begin_run(name, recorded, size)
        # Once the promise exists, the suspension on it is on its way.
        while not await _exists(client, last):  # noqa: ASYNC110 - a client has no event for it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        resolved = time.perf_counter()
        spending = Spending(backend)
        await client.promises.resolve(last)
        assert await handle.result() == size * (size - 1) // 2
        spent = spending.spent()
    assert len(starts) == 2
    assert starts[1] > resolved
    return spent


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
        threaded,
        sequential,
        sequential_def,
        fan_out,
        mapped,
        five_steps,
        sequential_rpc,
        fan_out_rpc,
        timeouts,
        sleeps,
    ):
        client.register(function)
    return client


WORKLOADS: dict[str, tuple[Workload, tuple[int, ...], str]] = {
    "async steps, one after another": (one_workflow(sequential), (1_000, 10_000), "step"),
    "def steps, one after another": (one_workflow(sequential_def), (1_000, 10_000), "step"),
    "steps at once (asyncio.gather)": (one_workflow(fan_out), (1_000, 10_000), "step"),
    "steps by ctx.map, limit 100": (one_workflow(mapped), (1_000, 10_000), "step"),
    "steps in asyncio.timeout": (one_workflow(timeouts), (500, 2_000), "step"),
    "workflows of 5 steps": (many_workflows, (1_000, 10_000), "step"),
    "rpc, one after another": (one_workflow(sequential_rpc), (200, 1_600), "call"),
    "rpc at once": (one_workflow(fan_out_rpc), (200, 2_000), "call"),
    "sleeps at once": (one_workflow(sleeps), (1_000, 10_000), "sleep"),
    "cold replay of recorded steps": (replayed("w"), (1_000, 10_000), "step"),
}


async def requests_per_unit(name: str) -> float:
    """Return how many requests a workload sends for each unit of its smallest size."""
    run, sizes, _unit = WORKLOADS[name]
    counting = Faulty(MemoryServer())
    await run(sizes[0], counting)
    return len(counting.requests) / sizes[0]


def _growth(name: str, run: Workload, sizes: tuple[int, ...], unit: str) -> Growth:
    limit = CROWDED if run is many_workflows or name.endswith("at once") else LINEAR

    async def timed(size: int) -> float:
        return (await run(size, MemoryServer())).seconds

    return Growth(name, timed, sizes, unit, limit)


LOOP = "bare loop over the store"
SCENARIOS: list[Scenario] = [
    Bench("bare asyncio task", bare_tasks, STEPS, "task"),
    Bench("JSON codec, call and result", codec, STEPS, "step", LOOP),
    Bench("protocol machine and tables", machine_alone, STEPS, "step", LOOP),
    Bench(LOOP, store_alone, STEPS, "step"),
    *(_growth(name, *workload) for name, workload in WORKLOADS.items()),
]
