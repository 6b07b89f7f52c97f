"""`python -m benchmarks.long`: what a step costs in a file that holds a million promises, and how big that file is.

The file is filled with executions that are over, each a workflow of nine small steps, by the very requests that a
client sent for one of them: only the id differs. Then the same work is timed on that file and on one that holds a
hundred of these executions, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import copyreg
import json
import logging
import pickle
import random
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.harness import Costs, Spending, Spent, Work, aligned, measure
from benchmarks.metered import Metered
from benchmarks.scenarios import GROUP, PID, new_client, one_workflow, replayed, sequential, workflows_at_once
from benchmarks.sqlite import folder
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import PromiseGet, PromiseSearch, Rejection, Request, TaskCreate
from resonate.testing.faults import Faulty

PROMISES = 1_000_000
FEW = 1_000
STEPS = 9
PER_EXECUTION = STEPS + 1
"""Promises: one for each step, and the workflow's own."""
BATCH = 200
"""Executions in one transaction while the file is filled."""
_NUMBERS = count()
MODEL = "execution-00000000"
FLAT = 1.5
"""How many times as long a unit may take in the long file: its trees are deeper, and do not fit into SQLite's cache."""


def execution_id(number: int) -> str:
    """Return an id as long as the model's."""
    return f"execution-{number:08}"


def _read_only(texts: dict[str, str]) -> MappingProxyType[str, str]:
    return MappingProxyType(texts)


async def _model() -> bytes:
    """Return, pickled, what a client sends for one execution."""
    counting = Faulty(MemoryServer())
    async with new_client(counting) as client:
        await client.run(MODEL, sequential, STEPS)
    begins = next(number for number, one in enumerate(counting.requests) if isinstance(one, TaskCreate))
    copyreg.pickle(MappingProxyType, lambda proxy: (_read_only, (dict(proxy),)))
    return pickle.dumps(counting.requests[begins:])


async def fill(path: Path, promises: int) -> float:
    """Fill a file with executions that are over; return how many seconds that took."""
    store = SqliteServer(path, durability=Durability.NORMAL).connect(group=GROUP, pid=PID)
    model = await _model()
    executions = promises // PER_EXECUTION
    await store.start()
    started = time.perf_counter()
    for first in range(0, executions, BATCH):
        requests: list[Request[Any]] = []
        for number in range(first, min(first + BATCH, executions)):
            # As long as the model's id, so that what is pickled stays well formed.
            requests += pickle.loads(model.replace(MODEL.encode(), execution_id(number).encode()))  # noqa: S301 - our own bytes
        replies = await store.send_all(requests)
        refused = [one for one in replies if isinstance(one, Rejection | BaseException)]
        if refused:
            raise AssertionError(refused[0])
    taken = time.perf_counter() - started
    await store.stop()
    return taken


# ---------------------------------------------------------------- what is timed


def _asking(request: Callable[[str], Request[Any]], promises: int) -> Callable[[int, Path], Awaitable[Spent]]:
    """Time questions about executions of the file, one after another, each about another: none is still in memory."""

    async def run(size: int, path: Path) -> Spent:
        backend = Metered(SqliteServer(path))
        store = backend.connect(group=GROUP, pid=PID)
        await store.start()
        chosen = random.Random(size).sample(range(promises // PER_EXECUTION), size)
        questions = [request(execution_id(number)) for number in chosen]
        spending = Spending(backend)
        for question in questions:
            reply = await store.send(question)
            assert not isinstance(reply, Rejection), reply
        spent = spending.spent()
        await store.stop()
        return spent

    return run


def _workload(make: Callable[[str], Any]) -> Callable[[int, Path], Awaitable[Spent]]:
    """Time a workload under ids that are new each time."""

    async def run(size: int, path: Path) -> Spent:
        # Among the ids that are there, so that its rows go between theirs.
        number = next(_NUMBERS)
        name = f"{execution_id(random.Random(number).randrange(FEW // PER_EXECUTION))}-{number}"
        spent: Spent = await make(name)(size, Metered(SqliteServer(path, durability=Durability.NORMAL)))
        return spent

    return run


def _search(id: str) -> PromiseSearch:
    return PromiseSearch(tags={Tag.ORIGIN: id}, limit=100)


def timed(promises: int) -> dict[str, tuple[Callable[[int, Path], Awaitable[Spent]], int, str]]:
    """Return what is timed on a file with so many promises."""
    return {
        "steps, one after another": (_workload(lambda name: one_workflow(sequential, name)), 500, "step"),
        "100 workflows of 10 steps at once": (_workload(lambda name: workflows_at_once(100, name)), 1_000, "step"),
        "cold replay of recorded steps": (_workload(replayed), 500, "step"),
        "promise.get": (
            _asking(lambda execution: PromiseGet(id=f"{execution}:{STEPS}"), promises),
            FEW // PER_EXECUTION,
            "request",
        ),
        "promise.search by resonate:origin": (_asking(_search, promises), FEW // PER_EXECUTION, "request"),
    }


def works(files: Sequence[tuple[str, Path, int]]) -> list[Work]:
    """Return the works on the first file, and on each other beside it."""
    base = files[0][0]
    names = list(timed(FEW))
    made: list[Work] = []
    everything = {label: (path, timed(promises)) for label, path, promises in files}
    for name in names:
        for label, (path, work) in everything.items():
            run, size, unit = work[name]
            made.append(
                Work(
                    f"{name}, {label}",
                    lambda units, run=run, path=path: run(units, path),  # type: ignore[misc]  # mypy can't infer a lambda with defaults
                    (size,),
                    unit,
                    beside=None if label == base else f"{name}, {base}",
                )
            )
    return made


# ---------------------------------------------------------------- where the bytes go


def bytes_by_part(path: Path) -> list[tuple[str, int]]:
    """Return the bytes of each table and index, largest first; nothing if this SQLite can't tell."""
    with closing(sqlite3.connect(path)) as db:
        try:
            rows = db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC").fetchall()
        except sqlite3.OperationalError:
            return []
    return [(str(name), int(size)) for name, size in rows]


def sizes(path: Path, promises: int) -> str:
    """Draw how big a file is."""
    size = path.stat().st_size
    rows = [["", "bytes", "share", "bytes a promise"]]
    parts = [(name, part) for name, part in bytes_by_part(path) if part >= size / 1_000]
    rows += [
        [name, f"{part:,}", f"{part / size:.1%}", f"{part / promises:.0f}"] for name, part in [*parts, ("file", size)]
    ]
    return aligned(rows)


async def run(options: argparse.Namespace) -> int:
    """Fill, measure, print; return 1 if a cost is not flat."""
    with folder() as where:
        files = [("short file", where / "short.db", FEW), ("long file", where / "long.db", options.promises)]
        for label, path, promises in files:
            taken = await fill(path, promises)
            print(
                f"Filled a {label} with {promises:,} promises in {taken:.1f} s ({promises / taken:,.0f} a second).",
                flush=True,
            )
        _, path, promises = files[-1]
        per_step = path.stat().st_size / (promises * STEPS / PER_EXECUTION)
        print(f"\n{sizes(path, promises)}\n\n{per_step:.0f} bytes a step, the workflow's own promise included")
        costs = await measure(works(files), rounds=options.rounds)
        print(f"\n{costs.table()}")
        if options.json:
            figures = {"costs": costs.as_json(), "bytes": dict(bytes_by_part(path)), "size": path.stat().st_size}
            options.json.write_text(json.dumps(figures | {"promises": promises}, indent=2) + "\n")
    return _judged(costs)


def _judged(costs: Costs) -> int:
    """Tell what is not flat: by the wall, which others lengthen, and also by the CPU, which does not see the disk."""
    broken = [
        f"{work.name}: {ratio:.2f} times as long as {work.beside}, {cpu:.2f} times the CPU; the limit is {FLAT:.2f}"
        for work in costs.works
        if (ratio := costs.ratio(work, work.sizes[0]) or 0.0) > FLAT
        and (cpu := costs.cpu_ratio(work, work.sizes[0]) or 0.0) > FLAT
    ]
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken else 0


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 if a cost is not flat."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long", description=__doc__)
    parser.add_argument("--promises", type=int, default=PROMISES, help=f"in the long file ({PROMISES:,})")
    parser.add_argument("--rounds", type=int, default=5, help="how many rounds the median is taken of (5)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    logging.getLogger("resonate").setLevel(logging.ERROR)
    return asyncio.run(run(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
