"""An order that takes five days, and loses its worker half-way. `make demo` runs it; read it from top to bottom.

A shop sells books. An order is charged (the line to the bank is bad), reserved in a warehouse (other workers), left
alone for three days in which the customer may think again, packed, approved by a person, and shipped. All of that is
one function, `handle_order`. An hour into the packing its process dies, and another one finishes the job.

Nothing has to be installed or started: `Harness` is a server in memory on virtual time, so days take no time at all.
The pauses are for the reader; `--fast` leaves them out. The exit code is 1 if anything went otherwise than it should.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from resonate import Context, Exponential, Info, Resonate
from resonate.core import trace
from resonate.testing import Harness

harness = Harness(timeout=timedelta(days=30))  # an execution may take 30 days here; a day, unless one says so
mailbox: asyncio.Queue[str] = asyncio.Queue()
runs: Counter[str] = Counter()  # how often the body of each step really ran


# ---------------------------------------------------------------- steps: they do the work, each is recorded once


def charge(info: Info, order: str, cents: int) -> str:
    """A step can be a plain `def`: it runs in a thread. It may take `info` first: who am I, which attempt is this?"""
    runs[info.id] += 1
    if info.attempt < 3:
        say(info, f"charge ${cents / 100:.2f}: the bank does not answer")
        raise ConnectionError("the bank does not answer")
    say(info, f"charge ${cents / 100:.2f}: done, with the key {info.idempotency_key}")
    return f"receipt-{order}"


async def reserve(info: Info, title: str) -> str:
    """This one runs in the warehouse, where it is registered; the order knows no more than its name."""
    runs[info.id] += 1
    say(info, f"reserve {title!r}")
    return f"shelf {title[0]}"


async def pack(info: Info, order: str, shelves: list[str]) -> str:
    """A step can be an `async def`: it runs on the event loop. Packing takes two hours."""
    runs[info.id] += 1
    say(info, f"pack: from {', '.join(shelves)}; takes two hours")
    await passing(timedelta(hours=2))
    say(info, "pack: the parcel is closed")
    return f"parcel-{order}"


async def ask_manager(info: Info, approval_id: str) -> None:
    """Whoever has the id of a promise can settle it. A real one would send a mail with a link."""
    runs[info.id] += 1
    say(info, f"mail to the manager: please answer {approval_id}")
    mailbox.put_nowait(approval_id)


def ship(info: Info, parcel: str) -> str:
    runs[info.id] += 1
    say(info, f"ship {parcel}")
    return f"tracking-{parcel}"


# ---------------------------------------------------------------- the workflow: it decides, and is replayed


async def handle_order(ctx: Context, order: str, titles: list[str], cents: int) -> str:
    # A step that fails is tried again: here after 1, 2, 4 ... seconds, and five times at most.
    receipt = await ctx.options(retry=Exponential(delay=1, max_retries=5)).run(charge, order, cents)

    # Calls to another group of workers, all at once, with the language's own `asyncio.gather`.
    warehouse = ctx.options(target="warehouse")
    shelves = await asyncio.gather(*(warehouse.rpc("reserve", title) for title in titles))

    # Nobody holds anything meanwhile: no thread, no connection, no memory.
    await ctx.sleep(timedelta(days=3))

    parcel = await ctx.run(pack, order, shelves)

    # A promise that somebody outside settles, some day.
    approval = await ctx.promise(returns=bool)
    await ctx.run(ask_manager, approval.id)
    if not await approval:
        return f"{receipt}, refunded"

    tracking = await ctx.run(ship, parcel)
    return f"{receipt}, {tracking}"


# ---------------------------------------------------------------- the world around it


async def main() -> str:
    async with harness:
        # Each client stands for a process. All they have in common is the server.
        desk = await start("desk")
        await start("warehouse", reserve)
        first = await start("shop-1", handle_order)

        say("desk", "three books for order-42, please")
        shop = desk.options(target="shop")
        order = await shop.begin_rpc("order-42", handle_order, "42", ["Dune", "Emma", "Ulysses"], 4800)

        await passing(timedelta(days=3, hours=1))
        await harness.crash(first)
        say("!", "shop-1 is killed in the middle of the packing")
        await start("shop-2", handle_order)
        say("shop-2", "starts, and waits until the dead one's lease is over")

        approval_id = await mailbox.get()
        await passing(timedelta(days=2))
        say("manager", "reads the mail, and approves")
        await desk.promises.resolve(approval_id, value=True)

        result = await order.result()
        say("desk", f"the order is done: {result}")
        return result


async def start(name: str, *functions: Callable[..., Any]) -> Resonate:
    """Start a worker: shop-1 and shop-2 are members of the group "shop", the others are groups of one."""
    worker = harness.client(group=name.partition("-")[0], pid=name, tracers=[Witness(name)])
    worker.set_dependency("name", name)  # steps get at connection pools and their like in the same way
    for function in functions:
        worker.register(function)
    return await harness.open(worker)


async def passing(duration: timedelta) -> None:
    """Let virtual time pass."""
    await harness.clock.sleep_until(harness.clock.now() + duration // timedelta(milliseconds=1))


# ---------------------------------------------------------------- what happened, and was it right?


class Witness:
    """A tracer: it hears of all that happens in one process, and tells the parts that are worth a line."""

    everyone: list[Witness] = []  # noqa: RUF012 - one list for all is meant

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[tuple[str, trace.LifecycleEvent]] = []
        self.everyone.append(self)

    def record(self, event: trace.LifecycleEvent) -> None:
        self.events.append((today(), event))
        match event:
            case trace.TaskAcquired(id="order-42", version=1):
                say(self.name, "takes order-42 up")
            case trace.TaskAcquired(id="order-42"):
                say(self.name, "takes order-42 up again")
            case trace.TaskSuspended():
                say(self.name, f"lets go of it: it waits for {event.awaiting} promise{'s'[: event.awaiting > 1]}")
            case trace.RetryScheduled():
                say(self.name, f"will try that again in {event.delay_ms // 1000} s")
            case trace.Dedup():
                say(self.name, f"finds {event.id} in the record: not done again")
            case _:
                pass


class Attempt:
    """What one worker did with one task, from the moment it took the task up until it let go of it."""

    def __init__(self, worker: str, day: str, task: trace.TaskAcquired) -> None:
        self.title = f"{task.id}, attempt {task.version}, {worker}, {day}"
        self.id = task.id
        self.events: list[trace.TraceEvent] = []
        self.complete = False

    def __str__(self) -> str:
        words: list[str] = []
        for event in self.events:
            about = getattr(event, "callee", event.id).removeprefix(self.id)
            word = type(event).__name__.lower()
            if words and words[-1].startswith(word + "_") and about:
                words[-1] += f"_{about}"
            else:
                words.append(f"{word}_{about}".strip("_"))
        lines = textwrap.wrap(" | ".join([*words, *([] if self.complete else ["(killed)"])]), 74)
        return "\n".join([f"  {self.title}", *(f"      {line}".replace("_", " ") for line in lines)])


def attempts() -> list[Attempt]:
    """Sort each worker's events by the task that they belong to."""
    found: list[Attempt] = []
    for witness in Witness.everyone:
        current: dict[str, Attempt] = {}
        for day, event in witness.events:
            if isinstance(event, trace.TaskAcquired):
                current[event.id] = Attempt(witness.name, day, event)
                found.append(current[event.id])
            elif isinstance(event, trace.TaskSuspended | trace.TaskFulfilled):
                current.pop(event.id).complete = True
            elif isinstance(event, trace.TraceEvent):  # about the task's own promise, or about one below it
                owner = event.id if event.id in current else event.id.rpartition(":")[0]
                current[owner].events.append(event)
    return found


def outcomes(step: str) -> list[str]:
    """Return how the attempts at a step ended, oldest first."""
    seen = [event for witness in Witness.everyone for _, event in witness.events]
    return [event.outcome for event in seen if isinstance(event, trace.StepFinished) and event.id == step]


def promises() -> dict[str, str]:
    """Return id and maker of every promise in the store."""
    records = [promise.record for promise in harness.snapshot().promises]
    return {
        record.id: " ".join(record.param.headers.get(f"resonate:{part}", "") for part in ("kind", "call"))
        for record in records
    }


def wrongs(result: str) -> Iterator[str]:
    """Yield a sentence for each thing that should not have happened."""
    if result != "receipt-42, tracking-parcel-42":
        yield f"The order gave {result!r}."
    for step, maker in promises().items():
        wanted = 3 if "charge" in maker else 2 if "pack" in maker else 1  # two failures, one crash, no more
        if step in runs and runs[step] != wanted:
            yield f"{step} ({maker}) ran {runs[step]} times, not {wanted}."
        if step in runs and "resolved" in outcomes(step)[:-1]:
            yield f"{step} ({maker}) ran again after its result was recorded."
    if sum(runs.values()) != 10:
        yield f"Steps ran {sum(runs.values())} times in all, not 10."
    for attempt in attempts():
        if attempt.complete and (broken := trace.violated(attempt.events)):
            yield f"{attempt.title}: the events break the laws {', '.join(broken)}."
    if sum(not attempt.complete for attempt in attempts()) != 1:
        yield "Other attempts were cut off than the one that was killed."


def report() -> None:
    title("What is in the store, and how often it ran")
    words = {"failed": "failed", "interrupted": "killed", "resolved": "done"}
    for step, maker in promises().items():
        times = f"{runs[step]} x  {', '.join(words.get(outcome, outcome) for outcome in outcomes(step))}"
        print(f"  {step:<12}{maker:<21}{times if step in runs else ''}".rstrip())
    title("What the shop's workers did, event by event")
    print("  :1 is short for order-42:1   run: asks for a step here   spawn: it begins")
    print("  rpc: asks for something elsewhere   block: pending   dedup: was done before\n")
    for attempt in attempts():
        if attempt.id == "order-42":
            print(attempt)


# ---------------------------------------------------------------- printing

START = harness.clock.now()
FAST = "--fast" in sys.argv or "CI" in os.environ or not sys.stdout.isatty()
COLOURS = {"desk": 35, "manager": 35, "shop-1": 36, "shop-2": 32, "warehouse": 33, "!": 31}


def today() -> str:
    seconds = (harness.clock.now() - START) // 1000
    return f"day {seconds // 86_400} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def say(who: Info | str, what: str) -> None:
    name = who if isinstance(who, str) else who.get_dependency("name")
    line = f"{name:<10} {what}"
    print(f"{today()}  {coloured(line, COLOURS.get(name, 0))}", flush=True)
    if not FAST:
        time.sleep(0.12)  # virtual time does not pass meanwhile


def title(text: str) -> None:
    print(f"\n{coloured(text, 1)}\n")


def coloured(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


if __name__ == "__main__":
    title("One order, five days of virtual time, one dead worker (examples/demo.py)")
    logging.getLogger("resonate").setLevel(logging.ERROR)  # the demo itself tells of the charge that fails twice
    found = list(wrongs(asyncio.run(main())))
    report()
    print("\n" + coloured("\n".join(found) or "All as it should be: what was recorded did not run again.", 1))
    sys.exit(1 if found else 0)
