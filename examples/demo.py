"""An order whose shop is killed again and again. `make demo` runs it; read it from top to bottom.

A shop sells books. An order is charged (the line to the bank is bad), reserved in a warehouse (other workers), left
alone for three days in which the customer may think again, packed, approved by a person, and shipped. All of that is
one function, `handle_order`.

The shop is a process of its own, and dies often: after a few lines it gets a SIGKILL, wherever it is just then. The
next one takes the order up where it was. Nothing has to be installed or started for that: what is recorded lies in a
SQLite file. In the end the records are compared with a book in which each run of a step's body is written down.

    python examples/demo.py [--fast] [URL]

A day lasts a second here, and with `--fast` a tenth of one. URL is another backend than a file in a temporary folder.
The exit code is 1 if anything went otherwise than it should.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from resonate import Context, Exponential, Info, PromiseRecord, Resonate
from resonate.core import trace

FAST = "--fast" in sys.argv
DAY = timedelta(seconds=0.1 if FAST else 1)

# ---------------------------------------------------------------- steps: they do the work, each is recorded once


def charge(info: Info, cents: int) -> str:
    """A step can be a plain `def`: it runs in a thread. It may take `info` first: who am I, what is there to use?"""
    runs = info.get_dependency(Book).begin(info.id)
    if runs < 3:
        print(f"charge ${cents / 100:.2f}: the bank does not answer", flush=True)
        raise ConnectionError("the bank does not answer")
    receipt = f"receipt-{random.randrange(10_000):04}"  # never the same; but the first that is recorded stays
    print(f"charge ${cents / 100:.2f}: {receipt}, with the key {info.idempotency_key}", flush=True)
    return receipt


async def pack(info: Info, order: str, shelves: list[str]) -> str:
    """A step can be an `async def`: it runs on the event loop. Packing takes half a day."""
    info.get_dependency(Book).begin(info.id)
    print(f"pack: from {' and '.join(shelves)}, takes half a day", flush=True)
    await asyncio.sleep(DAY.total_seconds() / 2)
    print("pack: the parcel is closed", flush=True)
    return f"parcel for {order}"


def ship(info: Info, parcel: str) -> str:
    info.get_dependency(Book).begin(info.id)
    print(f"ship: the {parcel} is on its way", flush=True)
    return f"tracking-{random.randrange(10_000):04}"


# ---------------------------------------------------------------- the workflow: it decides, and is replayed


async def handle_order(ctx: Context, order: str, titles: list[str], cents: int) -> str:
    # A step that fails is tried again: here after 1/5, 2/5, 4/5 ... of a day, and five times at most.
    receipt = await ctx.options(retry=Exponential(delay=DAY / 5, max_retries=5)).run(charge, cents)

    # Calls to another group of workers, all at once, with the language's own `asyncio.gather`.
    warehouse = ctx.options(target="warehouse")
    shelves = await asyncio.gather(*(warehouse.rpc("reserve", title) for title in titles))

    # Nobody holds anything meanwhile: no thread, no connection, no memory.
    await ctx.sleep(3 * DAY)

    parcel = await ctx.run(pack, order, shelves)

    # A promise that somebody outside settles, some day: whoever has its id can.
    approval = await ctx.promise(returns=bool)
    await ctx.options(target="office").rpc("ask_manager", approval.id)
    if not await approval:
        return f"{receipt}, refunded"

    tracking = await ctx.run(ship, parcel)
    return f"{receipt}, {tracking}"


# ---------------------------------------------------------------- the shop: a process that is killed


async def shop(name: str, order: str, book: Path, url: str) -> None:
    """Work on whatever there is to do, until the order is done. This is all that a worker needs."""
    # SQLite knows at once that a process has died. Elsewhere its lease has to run out: hence the short `ttl`.
    worker = Resonate(url, group="shop", pid=name, ttl=2, tracers=[Witness()])
    worker.register(handle_order)
    worker.set_dependency(Book, Book(book))  # steps get at connection pools and their like in the same way
    async with worker:
        await worker.get(order).result()


class Witness:
    """A tracer: it hears of all that happens in a process, and tells the parts that are worth a line."""

    def record(self, event: trace.LifecycleEvent) -> None:
        match event:
            case trace.TaskAcquired():
                print(f"takes {event.id} up", flush=True)
            case trace.TaskSuspended():
                print(f"lets go of it: it waits for {event.awaiting} promise{'s'[: event.awaiting > 1]}", flush=True)
            case trace.Dedup():
                print(f"finds {event.id} in the record: not done again", flush=True)
            case _:
                pass


class Book:
    """A file with a line for each run of a step's body, in whichever process. The store knows nothing of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def begin(self, step: str) -> int:
        """Write down that a step's body begins; return how often it has begun by now."""
        with self.path.open("a") as file:
            file.write(f"{step} {os.getpid()}\n")
        return len(self.runs(step))

    def runs(self, step: str) -> list[str]:
        """Return the processes in which a step's body began, oldest first."""
        lines = [line.split() for line in self.path.read_text().splitlines()]
        return [process for begun, process in lines if begun == step]


# ---------------------------------------------------------------- the world around it, in the first process

mailbox: asyncio.Queue[str] = asyncio.Queue()


async def reserve(info: Info, title: str) -> str:
    """This one runs in the warehouse, where it is registered; the order knows no more than its name."""
    info.get_dependency(Book).begin(info.id)
    say("warehouse", f"reserves {title!r}")
    return f"shelf {title[0]}"


async def ask_manager(info: Info, approval_id: str) -> None:
    info.get_dependency(Book).begin(info.id)
    say("office", f"sends the manager a mail: please answer {approval_id}")
    mailbox.put_nowait(approval_id)


async def manager(office: Resonate) -> None:
    approval_id = await mailbox.get()
    await asyncio.sleep(2 * DAY.total_seconds())
    say("manager", "comes back after two days, reads the mail, and approves")
    await office.promises.resolve(approval_id, value=True)


async def main(order: str, book: Book, url: str) -> list[str]:
    """Have the order handled, however many shops it takes; return what went wrong."""
    office, warehouse = Resonate(url, group="office"), Resonate(url, group="warehouse")
    office.register(ask_manager)
    warehouse.register(reserve)
    for worker in (office, warehouse):
        worker.set_dependency(Book, book)
    async with office, warehouse:
        approval = asyncio.create_task(manager(office))
        say("office", f"two books for {order}, please")
        books = ["Dune", "Emma"]
        handle = await office.options(target="shop").begin_rpc(order, handle_order, order, books, 4800)

        auditor = Auditor(office, order, book)
        shops = 1
        while not await one_shop(f"shop-{shops}", order, book, url):
            await auditor.look()
            shops += 1

        result = await handle.result()
        say("office", f"the order is done: {result}")
        await approval
        await auditor.report(result)
        print(f"\n  {shops - 1} of {shops} shops were killed.")
        return auditor.wrongs


async def one_shop(name: str, order: str, book: Book, url: str) -> bool:
    """Start a shop, and kill it after a few lines; return whether it came to its end before."""
    command = [sys.executable, __file__, *["--fast"][:FAST], "--shop", name, order, str(book.path), url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    killed, lines_to_live = False, random.randint(1, 5)
    async for line in process.stdout or ():
        text = line.decode().rstrip()
        say(name, text)
        lines_to_live -= not text.startswith("finds")  # that is no news
        if not lines_to_live:
            killed = True
            with suppress(ProcessLookupError):
                process.kill()
    if killed:
        say("!", f"{name}, process {process.pid}, was killed (SIGKILL)")
    elif await process.wait() != 0:
        raise SystemExit(f"{name} failed; see above.")
    return not killed


# ---------------------------------------------------------------- what happened, and was it right?


class Auditor:
    """Compares the store with the book after each death: what is recorded stays as it is, and does not run again."""

    def __init__(self, office: Resonate, order: str, book: Book) -> None:
        self.office, self.order, self.book = office, order, book
        self.seen: dict[str, tuple[str | None, int]] = {}
        self.wrongs: list[str] = []

    async def look(self) -> list[PromiseRecord]:
        """Return what the store has recorded of the order, the order's own promise first."""
        found = self.office.promises.search(tags={"resonate:origin": self.order})
        records = [record async for record in found]
        for record in records:
            if record.state != "pending":
                self.compare(record.id, record.value.data, len(self.book.runs(record.id)))
        return records

    def compare(self, id: str, value: str | None, runs: int) -> None:
        """Compare a result, and how often the body ran for it, with what they were when they were seen first."""
        first_value, first_runs = self.seen.setdefault(id, (value, runs))
        if value != first_value:
            self.wrongs.append(f"The recorded result of {id} has changed.")
        if runs != first_runs:
            self.wrongs.append(f"{id} ran again after its result was recorded.")

    async def report(self, result: str) -> None:
        title("What the store has recorded, once each, and how often the body of each step really ran")
        records = await self.look()
        width = max(len(record.id) for record in records)
        results: dict[str, Any] = {}
        for record in records:
            name = record.param.headers.get("resonate:call", "(sleep or promise)").partition("@")[0]
            results[name] = value = await self.office.get(record.id).result()
            processes = self.book.runs(record.id)
            ran = f"{len(processes)} x, in {len(set(processes))} process(es)" if processes else ""
            print(f"  {record.id:<{width}}  {name:<18}  {'' if value is None else str(value):<30}  {ran}".rstrip())
            once = 3 if name == "charge" else 1  # the bank fails twice; all else runs again only in another process
            if any(times > once for times in Counter(processes).values()):
                self.wrongs.append(f"{record.id} ({name}) ran twice in one process.")
        if len(records) != 9:
            self.wrongs.append(f"The store has {len(records)} promises of the order, not 9.")
        if result != f"{results.get('charge')}, {results.get('ship')}":
            self.wrongs.append(f"The order gave {result!r}, which is not what its steps gave.")


# ---------------------------------------------------------------- printing

START = time.monotonic()
COLOURS = {"office": 35, "manager": 35, "shop": 36, "warehouse": 33, "!": 31}


def say(name: str, what: str) -> None:
    seconds = time.monotonic() - START
    print(f"{seconds:5.1f} s  {coloured(f'{name:<10} {what}', COLOURS[name.partition('-')[0]])}", flush=True)


def title(text: str) -> None:
    print(f"\n{coloured(text, 1)}\n")


def coloured(text: str, code: int) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


if __name__ == "__main__":
    logging.getLogger("resonate").setLevel(logging.ERROR)  # the demo itself tells of the charge that fails twice
    arguments = [argument for argument in sys.argv[1:] if argument != "--fast"]
    if arguments[:1] == ["--shop"]:
        name, order, book, url = arguments[1:]
        asyncio.run(shop(name, order, Path(book), url))
        sys.exit()
    title(f"One order, five days of {DAY.total_seconds():g} s each, and shops that die (examples/demo.py)")
    with tempfile.TemporaryDirectory() as folder:
        url = arguments[0] if arguments else f"sqlite:///{folder}/shop.db"
        order = "order-42" if not arguments else f"order-{time.time_ns():x}"  # another server may know the first
        found = asyncio.run(main(order, Book(Path(folder) / "book.txt"), url))
    print("\n" + coloured("\n".join(found) or "All as it should be: what was recorded did not run again.", 1))
    sys.exit(1 if found else 0)
