"""What is simulated: the shapes that crash at every request, and more that take several programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from resonate import Context, Info, NotFound, PromiseCanceled, PromiseTimedOut, Resonate, ResonateError
from resonate.core.protocol.records import PromiseState, Tag
from resonate.testing.simulation import Chance, Faults, Kind, Run
from tests.simulation.shapes import SHAPES, YEAR, double, flaky, retried, sequence


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
        first = done[2] if len(done) > 2 else None
    with suppress(NotFound):  # it was deleted, and the reply was lost
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


async def in_order(ctx: Context) -> bool:
    """What it does next follows from which of its steps ended first."""
    seen: list[int] = []
    left = {asyncio.ensure_future(one): n for n, one in enumerate(ctx.run(double, n) for n in range(4))}
    while left:
        done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        seen += sorted(left.pop(one) for one in done)
        await ctx.run(noted, list(seen))
    await ctx.sleep(5)
    return await ctx.run(noted, list(seen)) == seen


async def noted(seen: list[int]) -> list[int]:
    return seen


async def taken_in_order(ctx: Context) -> bool:
    """Several tasks put what they did into one queue, in the order in which they did it."""
    items: asyncio.Queue[int] = asyncio.Queue()

    async def produce(n: int) -> None:
        for _ in range(2):
            await ctx.run(double, n)
            await items.put(n)
            await ctx.sleep(n)

    producers = [asyncio.create_task(produce(n)) for n in (1, 2)]
    seen: list[int] = []
    for _ in range(4):
        seen.append(await items.get())
        await ctx.run(noted, list(seen))
    await asyncio.gather(*producers)
    return await ctx.run(noted, list(seen)) == seen


async def side_by_side(ctx: Context) -> list[int]:
    """Timers of one task ring while another works."""

    async def chain(n: int) -> int:
        for round_ in range(3):
            await ctx.sleep(1 + n * round_)
            await ctx.run(double, n)
        return n

    return list(await asyncio.gather(*(asyncio.create_task(chain(n)) for n in range(3))))


async def whatever_comes(ctx: Context) -> bool:
    """Timers, steps and remote calls end in any order, and what it does next follows from that order."""
    calls = [*(ctx.sleep(n) for n in (1, 2, 4)), *(ctx.run(double, n) for n in range(3)), ctx.rpc(double, 9)]
    left = {asyncio.ensure_future(one): n for n, one in enumerate(calls)}
    seen: list[int] = []
    while left:
        done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        seen += sorted(left.pop(one) for one in done)
        if await ctx.run(noted, list(seen)) != seen:
            return False
    await ctx.sleep(5)
    return await ctx.run(noted, list(seen)) == seen


async def remotes_in_order(ctx: Context) -> bool:
    """Remote calls end in any order; it is suspended after each, and what it does next follows from that order."""
    left = {asyncio.ensure_future(ctx.rpc(double, n)): n for n in range(5)}
    seen: list[int] = []
    while left:
        done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        seen += sorted(left.pop(one) for one in done)
        if await ctx.run(noted, list(seen)) != seen:
            return False
    return True


async def sleeps_beside(ctx: Context) -> int:
    """A timer that its worker watches itself, since a step runs beside it."""
    _, doubled = await asyncio.gather(ctx.sleep(50), ctx.run(double, 1))
    return doubled


def lasts(ms: int) -> Callable[[Run], bool]:
    """Tell whether a run has slept for as long as it was to; clocks that are off may disagree."""
    return lambda run: run.duration_ms >= ms or any(fault.kind is Kind.SKEW for fault in run.faults.faults)


FINISHED: list[int] = []
SEEN: list[BaseException] = []


def forget() -> None:
    """Clear what the last run has left."""
    FINISHED.clear()
    SEEN.clear()


async def slow(n: int) -> int:
    await asyncio.sleep(24 * 3600)
    FINISHED.append(n)
    return n


async def gives_up(ctx: Context) -> str:
    try:
        async with asyncio.timeout(600):
            await ctx.run(slow, 1)
    except TimeoutError:
        return str(await ctx.run(double, 1))
    return "in time"


async def watchful(ctx: Context) -> int:
    """No error of ours ever reaches a workflow."""
    try:
        a = await ctx.run(double, 1)
        await ctx.sleep(30)
        b = await ctx.run(double, a)
        return await ctx.run(double, b)
    except ResonateError as error:
        SEEN.append(error)
        raise


async def chancy(ctx: Context) -> list[str]:
    """Its random numbers are the same in each replay."""
    before = [str(ctx.random.random()), str(ctx.uuid4())]
    await ctx.sleep(5)
    again = await ctx.run(said, before)
    return [*again, str(ctx.random.random())]


async def said(what: list[str]) -> list[str]:
    return what


def of_shape(name: str) -> Simulated:
    shape = SHAPES[name]
    settings: dict[str, Any] = {"register": shape.register, "options": {"timeout": YEAR}, "result": shape.result}
    if shape.fn is retried:
        settings["invariant"] = lambda run: run.runs(flaky) >= 6
    if shape.remote:
        settings["groups"] = {"far": shape.remote}
    if shape.outside is not None:
        settings["outside"] = sign
    return Simulated(shape.fn, shape.args, settings)


LONG = {"options": {"timeout": YEAR}}

# Whoever misses an offer loses the task to another, and may get it back later: no body goes on from where it stood.
HANDED_ABOUT = {
    "options": {"timeout": YEAR, "continuations": 1_000},
    "workers": 3,
    "faults": Faults(lose_message=Chance(share=0.3, most=100), swarm=False),
}

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
    "what ends first": Simulated(in_order, (), {**LONG, "result": True}),
    "whatever comes first": Simulated(whatever_comes, (), {**LONG, "register": (double,), "result": True}),
    "remote calls in order": Simulated(remotes_in_order, (), {**HANDED_ABOUT, "register": (double,), "result": True}),
    "queue in order": Simulated(taken_in_order, (), {**LONG, "result": True}),
    "timers side by side": Simulated(side_by_side, (), {**LONG, "invariant": lasts(9_000)}),
    "sleep beside a step": Simulated(sleeps_beside, (), {**LONG, "invariant": lasts(50_000)}),
    "step that is given up": Simulated(gives_up, (), {**LONG, "before": forget, "invariant": lambda _: FINISHED == []}),
    "watchful": Simulated(watchful, (), {**LONG, "before": forget, "invariant": lambda _: SEEN == []}),
    "random numbers": Simulated(chancy, (), LONG),
}
