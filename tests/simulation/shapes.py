"""Workflows of every shape, whose result is the same whenever and however often their worker is lost.

A lost worker costs a lease, a minute; so what races against time here waits for instants, or for a year.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from attrs import frozen

from resonate import Context, Exponential, Info, Never, PromiseTimedOut, Resonate
from resonate.core.protocol.records import PromiseState, Tag
from resonate.testing import Harness

YEAR = timedelta(days=365)


@frozen
class Shape:
    """A workflow and what it takes to run it.

    Args:
        fn: the workflow.
        args: its arguments.
        result: what it gives.
        register: what else is registered, on every client.
        remote: what is registered in a second group, `far`, whose one client is never lost.
        outside: runs beside it, and settles what the workflow waits for from outside.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    result: Any
    register: tuple[Callable[..., Any], ...] = ()
    remote: tuple[Callable[..., Any], ...] = ()
    outside: Callable[[Harness, Resonate], Awaitable[None]] | None = None


async def double(n: int) -> int:
    return 2 * n


def threaded(n: int) -> int:
    return n + 1


async def sequence(ctx: Context, n: int) -> int:
    a = await ctx.run(double, n)
    b = await ctx.run(double, a)
    return await ctx.run(double, b)


async def fan_out(ctx: Context, n: int) -> list[int]:
    return list(await asyncio.gather(*(ctx.run(double, i) for i in range(n))))


async def wait_race(ctx: Context) -> str:
    step, nap = ctx.run(double, 1), ctx.sleep(YEAR / 2)
    done, pending = await asyncio.wait([step, nap], return_when=asyncio.FIRST_COMPLETED)
    for left in pending:
        left.cancel()
    won = "step" if step in done else "nap"
    return f"{won} {await ctx.run(double, len(done))}"


async def recorded_race(ctx: Context) -> object:
    async def chain() -> int:
        await ctx.sleep(5)
        return await ctx.run(double, 4)

    return await ctx.race(chain(), ctx.sleep(YEAR / 2))


async def fib(ctx: Context, n: int) -> int:
    if n < 2:
        return n
    one, two = ctx.run(fib, n - 1), ctx.run(fib, n - 2)
    return await one + await two


async def chains(ctx: Context) -> list[int]:
    async def chain(n: int) -> int:
        a = await ctx.run(double, n)
        await asyncio.sleep(n)
        b = await ctx.run(double, a)
        return await ctx.run(double, b)

    return list(await asyncio.gather(chain(1), chain(2)))


async def inner(ctx: Context, n: int) -> int:
    await ctx.sleep(3)
    return await ctx.run(double, n) + await ctx.run(double, n)


async def nested(ctx: Context) -> list[int]:
    first = await ctx.run(inner, 1)
    return list(await asyncio.gather(ctx.run(inner, first), ctx.run(inner, 5)))


def generator(ctx: Context, n: int):
    a = yield ctx.run(double, n)
    handle = yield ctx.begin_run(double, a)
    yield ctx.sleep(60)
    b = yield handle
    return [a, b]


async def timers(ctx: Context) -> list[object]:
    before = await ctx.now()
    await ctx.sleep(timedelta(days=30))
    await asyncio.sleep(5)
    after = await ctx.now()
    return [round((after - before) / timedelta(days=1)), ctx.random.random() < 1, str(ctx.uuid4()) == str(ctx.uuid4())]


async def outside_promise(ctx: Context) -> list[str]:
    never = await ctx.promise(timeout=90)
    signed = await ctx.promise(returns=str)
    out = [await signed]
    try:
        await never
    except PromiseTimedOut:
        out.append("timed out")
    return out


async def sign(harness: Harness, client: Resonate) -> None:
    """Resolve the second promise of `outside_promise` as soon as it is there."""
    while True:
        await harness.clock.sleep_until(harness.clock.now() + 1000)
        for promise in harness.snapshot().promises:
            record = promise.record
            is_second = record.id in ("root:2", "root.2")
            if is_second and record.state is PromiseState.PENDING and Tag.EXTERNAL in record.tags:
                await client.promises.resolve(record.id, "signed")
                return


async def detaches(ctx: Context) -> str:
    started = await ctx.detached(sequence, 3)
    return str(started)[:5] + str(await ctx.run(double, 1))


async def times_out(ctx: Context) -> list[str]:
    out: list[str] = []
    try:
        async with asyncio.timeout(600):
            await ctx.run(cleans_up)
    except TimeoutError:
        out.append("timed out")
    out.append(str(await ctx.run(double, 1)))
    return out


async def cleans_up(ctx: Context) -> None:
    try:
        await (await ctx.promise(timeout=YEAR / 2))
    finally:
        await ctx.run(double, 21)


async def bad(n: int) -> int:
    raise ValueError(f"bad {n}")


async def group_fails(ctx: Context) -> list[str]:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await ctx.sleep(YEAR / 2)
        except asyncio.CancelledError:
            seen.append(f"canceled {await ctx.run(double, 1)}")
            raise

    async def fails() -> None:
        await ctx.options(retry=Never()).run(bad, 1)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits())
            group.create_task(fails())
    except* ValueError as errors:
        seen.append(str(errors.exceptions[0]))
    return seen


async def far(ctx: Context, n: int) -> int:
    await ctx.sleep(n)
    return await ctx.run(double, n)


async def rpc_fan_out(ctx: Context) -> list[int]:
    calls = [ctx.options(target="far").rpc(far, n) for n in range(1, 4)]
    own = await ctx.rpc(sequence, 1)
    step = await ctx.rpc(threaded, 1)
    return [own, step, *[await call for call in calls]]


async def mapped(ctx: Context) -> list[int]:
    return await ctx.map(threaded, range(5), limit=2)


async def flaky(info: Info, n: int) -> int:
    if info.attempt < 3:
        raise OSError("try again")
    return n


async def retried(ctx: Context) -> int:
    calm = ctx.options(retry=Exponential(delay=1, max_retries=5))
    return await calm.run(flaky, 1) + await calm.run(flaky, 2)


async def queued(ctx: Context) -> list[int]:
    items: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    async def produce(n: int) -> None:
        await asyncio.sleep(n)
        await items.put(await ctx.run(double, n))

    producers = [asyncio.create_task(produce(n)) for n in range(3)]
    taken = [await ctx.run(double, await items.get()) for _ in producers]
    await asyncio.gather(*producers)
    return sorted(taken)


async def leaves_tasks(ctx: Context) -> str:
    async def left() -> None:
        try:
            await ctx.sleep(YEAR / 2)
        finally:
            await ctx.run(double, 9)

    task = asyncio.create_task(left())
    ctx.run(double, 8)
    return f"done {await ctx.run(double, 7)}" if not task.done() else "early"


SHAPES = {
    "sequence": Shape(sequence, (1,), 8),
    "fan out": Shape(fan_out, (4,), [0, 2, 4, 6]),
    "asyncio.wait race": Shape(wait_race, (), "step 2"),
    "ctx.race": Shape(recorded_race, (), 8),
    "recursion": Shape(fib, (4,), 3),
    "two concurrent chains": Shape(chains, (), [8, 16]),
    "nested workflows": Shape(nested, (), [16, 20]),
    "generator": Shape(generator, (2,), [4, 8]),
    "timers": Shape(timers, (), [30, True, False]),
    "outside promise": Shape(outside_promise, (), ["signed", "timed out"], outside=sign),
    "detached": Shape(detaches, (), "root~2", register=(sequence,)),
    "asyncio.timeout": Shape(times_out, (), ["timed out", "2"]),
    "task group that fails": Shape(group_fails, (), ["canceled 2", "bad 1"]),
    "rpc fan out": Shape(rpc_fan_out, (), [8, 2, 2, 4, 6], register=(sequence, threaded), remote=(far,)),
    "ctx.map": Shape(mapped, (), [1, 2, 3, 4, 5]),
    "step that is retried": Shape(retried, (), 3),
    "queue": Shape(queued, (), [0, 4, 8]),
    "leftover tasks": Shape(leaves_tasks, (), "done 14"),
}
