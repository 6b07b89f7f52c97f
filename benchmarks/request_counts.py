"""How many requests each durable operation takes on each backend, and why it can't be fewer.

`COUNTED` is the table of the documentation; a test counts every cell of it anew. What is counted is what one operation
more adds to a workflow: the requests of the worker that runs it, and of the worker that runs what it calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from attrs import evolve, frozen

from resonate import Context, MemoryServer, Resonate, SqliteServer
from resonate.adapters.http import HttpBackend
from resonate.core.protocol.dialect import FIELD, OURS, Dialect
from resonate.core.protocol.requests import Request, TaskFence
from resonate.core.protocol.settings import Settings
from resonate.ports.store import Backend
from resonate.testing import FieldServer, HttpFront
from resonate.testing.faults import Faulty

# ---------------------------------------------------------------- backends


def _over_http(server: Backend, dialect: Dialect) -> Backend:
    # Nothing is lost on this way: who waits for long does not ask in between, which would count as requests.
    return HttpBackend("http://front", client=HttpFront(server).client, dialect=evolve(dialect, loses_messages=False))


def _field(dialect: Dialect) -> Backend:
    server = MemoryServer(settings=Settings(targeted_timers=dialect.targeted_timers))
    return _over_http(FieldServer(server, evolve(dialect, loses_messages=False)), dialect)


BACKENDS: dict[str, Callable[[Path], Backend]] = {
    "memory": lambda _folder: MemoryServer(),
    "SQLite": lambda folder: SqliteServer(folder / "counted.db"),
    "HTTP, our rules": lambda _folder: _over_http(MemoryServer(), OURS),
    "HTTP, field": lambda _folder: _field(FIELD),
    "HTTP, field without searches": lambda _folder: _field(evolve(FIELD, searches=False)),
}
"""By their names in the table, makers of a new one."""

# ---------------------------------------------------------------- operations


async def step(number: int) -> int:
    return number


def threaded(number: int) -> int:
    return number


async def quick(_ctx: Context, number: int) -> int:
    return number


async def steps(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.run(step, number)


async def def_steps(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.run(threaded, number)


async def timed_steps(ctx: Context, n: int) -> None:
    for number in range(n):
        async with asyncio.timeout(3600):
            await ctx.run(step, number)


async def children(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.run(quick, number)


async def calls(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.rpc(step, number)


async def calls_at_once(ctx: Context, n: int) -> None:
    await asyncio.gather(*[ctx.rpc(step, number) for number in range(n)])


async def sleeps(ctx: Context, n: int) -> None:
    for _ in range(n):
        await ctx.sleep(0.03)


async def sleeps_at_once(ctx: Context, n: int) -> None:
    await asyncio.gather(*[ctx.sleep(0.3) for _ in range(n)])


async def detachments(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.options(target="elsewhere").detached("step", number)


async def races(ctx: Context, n: int) -> None:
    for number in range(n):
        await ctx.race(ctx.run(step, number), ctx.run(step, -number))


async def once(_ctx: Context) -> None:
    pass


async def _runs(client: Resonate, n: int) -> None:
    for number in range(n):
        await client.run(f"run-{n}-{number}", once)


async def _remote_runs(client: Resonate, n: int) -> None:
    for number in range(n):
        await client.rpc(f"rpc-{n}-{number}", "once")


def _in_workflow(workflow: Callable[..., Awaitable[None]]) -> Callable[[Resonate, int], Awaitable[None]]:
    async def run(client: Resonate, n: int) -> None:
        await client.run(f"{workflow.__name__}-{n}", workflow, n)

    return run


OPERATIONS: dict[str, Callable[[Resonate, int], Awaitable[None]]] = {
    "`client.run`, a whole execution": _runs,
    "`client.rpc`, a whole execution": _remote_runs,
    "step": _in_workflow(steps),
    "`def` step": _in_workflow(def_steps),
    "step in `asyncio.timeout`": _in_workflow(timed_steps),
    "workflow run here by `ctx.run`": _in_workflow(children),
    "`ctx.rpc`, one after another": _in_workflow(calls),
    "`ctx.rpc`, each of many at once": _in_workflow(calls_at_once),
    "`ctx.sleep`, one after another": _in_workflow(sleeps),
    "`ctx.sleep`, each of many at once": _in_workflow(sleeps_at_once),
    "`ctx.detached`": _in_workflow(detachments),
    "`ctx.race` of two steps": _in_workflow(races),
}
FUNCTIONS = (step, threaded, quick, steps, def_steps, timed_steps, children, calls, calls_at_once)
FUNCTIONS += (sleeps, sleeps_at_once, detachments, races, once)


@frozen
class Counted:
    """What one operation takes.

    Args:
        ours: requests on the memory store, in a SQLite file, and over HTTP to a server with our rules.
        field: the same to a server as they are in the field.
        no_searches: the same to one of these that serves no searches.
        which: which requests these are.
        why: why it can't be fewer.
    """

    ours: int
    field: int
    no_searches: int
    which: str
    why: str

    def on(self, backend: str) -> int:
        """Return the count on a backend."""
        return {"HTTP, field": self.field, "HTTP, field without searches": self.no_searches}.get(backend, self.ours)


COUNTED: dict[str, Counted] = {
    "`client.run`, a whole execution": Counted(
        2,
        2,
        2,
        "`task.create`, `task.fulfill`",
        "The first makes the promise and takes its task, the second settles the one and ends the other. The "
        "caller is told within the process.",
    ),
    "`client.rpc`, a whole execution": Counted(
        4,
        4,
        4,
        "`promise.create`, `promise.register_listener`; `task.acquire`, `task.fulfill`",
        "Two processes: the caller has to ask and to say that it waits, the worker to take and to end. Asking again "
        "and again in place of listening would be more.",
    ),
    "step": Counted(
        2,
        2,
        2,
        "`promise.create` and `promise.settle`, each under `task.fence`",
        "The first must be acknowledged before the step runs, or a worker that lost its lease would act; the second "
        "says what came of it, which nobody knows before. The protocol has no creation that is settled already.",
    ),
    "`def` step": Counted(2, 2, 2, "the same", "The thread it runs in is no matter of the store."),
    "step in `asyncio.timeout`": Counted(
        4,
        4,
        5,
        "those of the step, and creation and settlement of a timer",
        "The timer has to fire when nobody is awake, so the server has it; and it has to go away afterwards. "
        "Where children can't be searched for, a record apart says that it was made.",
    ),
    "workflow run here by `ctx.run`": Counted(
        2, 2, 2, "those of a step", "It runs under the lease of its parent, and needs no task of its own."
    ),
    "`ctx.rpc`, one after another": Counted(
        5,
        6,
        6,
        "`promise.create` under `task.fence`, `task.suspend`; `task.acquire`, `task.fulfill`; `task.acquire`",
        "The caller asks and gives its task back with what it waits for; the callee takes one and ends it; the caller "
        "takes its task again, and is told the result with it. Servers in the field do not tell it: one `promise.get`.",
    ),
    "`ctx.rpc`, each of many at once": Counted(
        3,
        4,
        4,
        "`promise.create` under `task.fence`; `task.acquire`, `task.fulfill`",
        "One suspension and one resumption serve for all of them. In the field, each result is asked for.",
    ),
    "`ctx.sleep`, one after another": Counted(
        3,
        4,
        4,
        "`promise.create` under `task.fence`, `task.suspend`, `task.acquire`",
        "The process may be gone when the time has come, so the server has the timer and has to know who waits for it. "
        "Servers in the field do not tell how it ended, and somebody may have canceled it: one `promise.settle`.",
    ),
    "`ctx.sleep`, each of many at once": Counted(
        1,
        2,
        2,
        "`promise.create` under `task.fence`",
        "One suspension and one resumption serve for all of them. In the field, how each ended is asked for.",
    ),
    "`ctx.detached`": Counted(
        1, 1, 1, "`promise.create` under `task.fence`", "The caller does not wait for it; what it takes is its own."
    ),
    "`ctx.race` of two steps": Counted(
        5,
        5,
        6,
        "those of the steps, and the creation of the record of who won",
        "Who was first is to stay so in every replay, which no time of settlement says for sure. Where children "
        "can't be searched for, a record apart says that it was made.",
    ),
}
"""By operation."""


def table() -> str:
    """Draw what was counted for the documentation."""
    lines = ["| one of | memory, SQLite, HTTP | HTTP, field | without searches | these are |", "|---|--:|--:|--:|---|"]
    lines += [
        f"| {operation} | {one.ours} | {one.field} | {one.no_searches} | {one.which} |"
        for operation, one in COUNTED.items()
    ]
    return "\n".join(lines)


def reasons() -> str:
    """Write why each can't be fewer."""
    return "\n".join(f"* {operation}: {one.why}" for operation, one in COUNTED.items())


# ---------------------------------------------------------------- counting

FEW, MANY = 5, 25


def kind(request: Request[object]) -> str:
    """Return the kind of a request; of a fence, what is done under it."""
    if isinstance(request, TaskFence):
        return f"{request.action.kind} under task.fence"
    return str(request.kind)


async def count(operation: str, backend: Backend) -> Counter[str]:
    """Return by kind what `MANY - FEW` operations more add, where there is something."""
    counting = Faulty(backend)
    async with Resonate(counting) as client:
        for function in FUNCTIONS:
            client.register(function)
        totals = [Counter[str](), Counter[str]()]
        for total, n in zip(totals, (FEW, MANY), strict=True):
            before = len(counting.requests)
            await OPERATIONS[operation](client, n)
            total.update(map(kind, counting.requests[before:]))
    few, many = totals
    many.subtract(few)
    return +many
