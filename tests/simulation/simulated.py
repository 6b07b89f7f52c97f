"""What is simulated: the shapes that crash at every request, and more that take several programs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from resonate import Context, Info, NotFound, PromiseCanceled, PromiseTimedOut, Resonate
from resonate.core.protocol.records import PromiseState, Tag
from tests.simulation.shapes import SHAPES, YEAR, double, sequence


@frozen
class Simulated:
    """A workflow and how it is simulated: keyword arguments of `simulate`."""

    fn: Any
    args: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(factory=dict)


async def sign(client: Resonate) -> None:
    """Resolve the second promise of `outside_promise` as soon as it is there."""
    while True:
        await asyncio.sleep(1)
        try:
            record = await client.promises.get("root:2")
        except NotFound:
            continue
        if record.state is PromiseState.PENDING and Tag.EXTERNAL in record.tags:
            await client.promises.resolve("root:2", "signed")
            return


async def countdown(ctx: Context, left: int) -> int:
    await ctx.sleep(60)
    await ctx.run(double, left)
    if left:
        await ctx.detached(countdown, left - 1)
    return left


async def cancels(ctx: Context) -> list[str]:
    out: list[str] = []
    task = asyncio.create_task(waits_long(ctx))
    out.append(str(await ctx.run(double, 1)))
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        out.append("canceled")
    child = await ctx.begin_rpc(sequence, 5)
    try:
        async with asyncio.timeout(7 * 24 * 3600):
            out.append(str(await child))
    except TimeoutError:
        out.append("late")
    return out


async def waits_long(ctx: Context) -> None:
    try:
        await ctx.sleep(YEAR / 2)
    finally:
        await ctx.run(double, 21)


async def canceled(ctx: Context) -> str:
    waiting = await ctx.promise(timeout=YEAR / 2)
    try:
        await waiting
    except PromiseCanceled:
        return "canceled " + str(await ctx.run(double, 1))
    return "?"


async def cancel_it(client: Resonate) -> None:
    """Cancel the promise of `canceled` as soon as it is there."""
    while True:
        await asyncio.sleep(1)
        try:
            await client.promises.cancel("root:1")
        except NotFound:
            continue
        return


async def versioned(ctx: Context, n: int) -> list[int]:
    a = await ctx.run(double, n)
    await ctx.sleep(60)
    b = await ctx.run(double, a)
    return [1, a, b]


async def newer(ctx: Context, n: int) -> list[int]:
    b = await ctx.run(double, n)
    return [2, b]


newer.__name__ = "versioned"


async def awaits_the_scheduled(ctx: Context) -> list[str]:
    ticked = await ctx.promise(timeout=timedelta(days=2))
    try:
        return [str(await ticked)]
    except PromiseTimedOut:
        return ["never"]


async def keep_schedule(client: Resonate) -> None:
    """Make a schedule, wait until it has done what it is for, delete it."""
    await client.options(target="default").schedule("ticker", "* * * * *", sequence, 1)
    await asyncio.sleep(600)
    first = None
    while first is None:
        await asyncio.sleep(60)
        page = [one async for one in client.promises.search(tags={"resonate:schedule": "ticker"})]
        done = [one for one in page if one.state is not PromiseState.PENDING]
        first = done[0] if done else None
    await client.schedules.delete("ticker")
    while True:
        try:
            await client.promises.resolve("root:1", "ticked")
        except NotFound:
            await asyncio.sleep(60)
        else:
            return


async def steps_by_rpc(ctx: Context) -> list[int]:
    first = await ctx.rpc(sequence, 1)
    return [first, *await asyncio.gather(*(ctx.rpc(double, n) for n in range(3)))]


async def keyed(info: Info, n: int) -> str:
    return f"{info.id} {n}"


async def with_info(ctx: Context) -> list[str]:
    return [await ctx.run(keyed, 1), *await asyncio.gather(ctx.run(keyed, 2), ctx.run(keyed, 3))]


def of_shape(name: str) -> Simulated:
    shape = SHAPES[name]
    settings: dict[str, Any] = {"register": shape.register, "options": {"timeout": YEAR}, "result": shape.result}
    if shape.remote:
        settings["groups"] = {"far": shape.remote}
    if shape.outside is not None:
        settings["outside"] = sign
    return Simulated(shape.fn, shape.args, settings)


LONG = {"options": {"timeout": YEAR}}

SIMULATED = {
    **{name: of_shape(name) for name in SHAPES},
    "detached loop": Simulated(countdown, (3,), LONG),
    "cancellations": Simulated(cancels, (), {**LONG, "register": (sequence,)}),
    "canceled from outside": Simulated(canceled, (), {**LONG, "outside": cancel_it}),
    "versions": Simulated(
        versioned, (1,), {**LONG, "upgrade": (newer,), "result": lambda value: value in ([1, 2, 4], [2, 2])}
    ),
    "schedule": Simulated(awaits_the_scheduled, (), {**LONG, "register": (sequence,), "outside": keep_schedule}),
    "rpc to workflow and steps": Simulated(steps_by_rpc, (), {**LONG, "register": (sequence, double)}),
    "steps with info": Simulated(with_info, (), LONG),
}
