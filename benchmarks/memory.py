"""Workloads on the memory store, beside the parts that a step goes through and limits written for the purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.harness import Spending, Spent, Work
from benchmarks.scenarios import (
    GROUP,
    PID,
    Workload,
    cold_calls,
    fan_out,
    fan_out_rpc,
    five_late_steps,
    five_steps,
    many_workflows,
    mapped,
    one_workflow,
    replayed,
    requests_per_unit,
    rpc_of,
    sequential,
    sequential_def,
    sequential_rpc,
    sleeps,
    timeouts,
)
from resonate.adapters.codecs.json import JsonCodec
from resonate.adapters.memory import MemoryServer
from resonate.adapters.memory.tables import Tables
from resonate.core.function import describe
from resonate.core.protocol.machine import handle
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle, Request, TaskCreate, TaskFence, TaskFulfill
from resonate.core.values import Call

STEPS = 2_000
FOREVER = 2**52
LINEAR = 1.2
"""How many times as much a unit may cost at the largest size: caches and the garbage collector have more to look at."""
CROWDED = 2.0
"""The same where all units are alive at once: each of the collector's rounds walks over all of them, and the less a
unit costs by itself, as with a faster Python, the more of it that is. Growth with the size would be as many
times as the size is."""

# ---------------------------------------------------------------- parts alone


async def bare_tasks(size: int) -> Spent:
    async def body(number: int) -> int:
        return number

    total, spending = 0, Spending()
    for number in range(size):
        total += await asyncio.create_task(body(number))
    assert total == size * (size - 1) // 2
    return spending.spent()


async def bare_hops(size: int) -> Spent:
    loop, pool = asyncio.get_running_loop(), ThreadPoolExecutor(1)
    total, spending = 0, Spending()
    for number in range(size):
        total += await loop.run_in_executor(pool, abs, number)
    assert total == size * (size - 1) // 2
    pool.shutdown()
    return spending.spent()


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


async def machine_alone(size: int) -> Spent:
    requests, tables = _requests(size), Tables()
    spending = Spending()
    for request in requests:
        _reply, effects = handle(request, tables, 0)
        tables.apply(effects)
    return spending.spent()


async def store_alone(size: int) -> Spent:
    store = MemoryServer().connect(group=GROUP, pid=PID)
    await store.start()
    requests = _requests(size)
    spending = Spending()
    for request in requests:
        await store.send_all([request])
        await asyncio.sleep(0)  # a client that is one turn of the loop away from its next request
    spent = spending.spent()
    await store.stop()
    return spent


def order(id: str, lines: list[dict[str, int]], *, express: bool = False) -> dict[str, int]:
    del id, express
    return lines[0]


async def codec(size: int) -> Spent:
    codec, function = JsonCodec(), describe(order)
    signature = function.signature
    lines = [{"article": number, "amount": 3, "cents": 1999} for number in range(5)]
    call = Call(func=function.name, args=("order-42", lines), kwargs={"express": True}, version=1)
    spending = Spending()
    for _ in range(size):
        param = codec.encode_call(call, signature)
        value = codec.encode(lines[0], signature.returns)
        assert codec.decode_call(param, lambda _name, _version: signature).func == function.name
        assert codec.decode(value, signature.returns) == lines[0]
    return spending.spent()


# ---------------------------------------------------------------- works

LOOP = "bare loop over the store"
HOP = "bare hop to a thread and back"
STEPS_ASYNC = "async steps, one after another"
STEPS_DEF = "def steps, one after another"
WORKFLOWS = "workflows of 5 steps"
WAITING = "workflows of 5 steps that wait, half of them for room, too"
CALLS = "rpc, one after another"
REPLAY = "cold replay of recorded steps"
COLD = "cold resume after rpc, until the next step"

PARTS: list[tuple[str, Callable[[int], Awaitable[Spent]], str, str | None]] = [
    ("bare asyncio task", bare_tasks, "task", None),
    (HOP, bare_hops, "hop", None),
    ("JSON codec, call and result", codec, "step", LOOP),
    ("protocol machine and tables", machine_alone, "step", LOOP),
    (LOOP, store_alone, "step", None),
]
WORKLOADS: dict[str, tuple[Workload, tuple[int, ...], str, float | None]] = {
    STEPS_ASYNC: (one_workflow(sequential), (1_000, 2_000, 5_000, 10_000, 20_000), "step", LINEAR),
    STEPS_DEF: (one_workflow(sequential_def), (1_000, 2_000, 4_000), "step", LINEAR),
    "steps at once (asyncio.gather)": (one_workflow(fan_out), (1_000, 10_000), "step", CROWDED),
    "steps by ctx.map, limit 100": (one_workflow(mapped), (1_000, 10_000), "step", LINEAR),
    "steps in asyncio.timeout": (one_workflow(timeouts), (500, 2_000), "step", LINEAR),
    WORKFLOWS: (many_workflows(five_steps), (250, 500, 1_000, 2_000), "workflow", CROWDED),
    WAITING: (many_workflows(five_late_steps), (2_000,), "workflow", None),
    CALLS: (one_workflow(sequential_rpc), (200, 400, 800, 1_600), "call", LINEAR),
    "rpc at once": (one_workflow(fan_out_rpc), (200, 2_000), "call", CROWDED),
    "sleeps at once": (one_workflow(sleeps), (1_000, 10_000), "sleep", CROWDED),
    REPLAY: (replayed("w"), (1_000, 2_000, 5_000, 10_000), "step", LINEAR),
    COLD: (cold_calls("w", rpc_of), (200, 1_600), "call", LINEAR),
}


def _on_new_store(workload: Workload) -> Callable[[int], Awaitable[Spent]]:
    return lambda size: workload(size, MemoryServer())


def works() -> list[Work]:
    """Return the parts, and each workload on a store of its own."""
    return [
        *(Work(name, run, (STEPS,), unit, beside) for name, run, unit, beside in PARTS),
        *(
            Work(name, _on_new_store(workload), sizes, unit, _limit_of(name, unit), limit)
            for name, (workload, sizes, unit, limit) in WORKLOADS.items()
        ),
    ]


def _limit_of(name: str, unit: str) -> str | None:
    if name == STEPS_DEF:
        return HOP
    return LOOP if unit == "step" else None


async def counted() -> dict[str, float]:
    """Return how many requests each workload sends for each unit of its smallest size, by the names of works."""
    return {
        name: await requests_per_unit(workload, sizes[0], MemoryServer())
        for name, (workload, sizes, _unit, _limit) in WORKLOADS.items()
    }
