"""Workloads on a SQLite file, beside the physical limits of the same machine in the same run.

Each round has a new file in a folder of its own, under `TMPDIR`: put that on the disk that you want to know about.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.costs import Metered, Spent, Work
from benchmarks.limits import BATCH, appends, commits_of
from benchmarks.scenarios import (
    Workload,
    fan_out,
    one_workflow,
    replayed,
    sequential,
    sequential_rpc,
    workflows_at_once,
)
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.testing.faults import Faulty

FLAT = 1.3
"""How much more a step may cost at ten times the size; the disk has slow moments, and rounds are few."""

APPEND = "fsync of a 4 KB append"


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder, and delete it with all that is in it."""
    path = Path(tempfile.mkdtemp(prefix="resonate-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def limit(name: str, loop: Callable[[Callable[[], Path]], Callable[[int], Spent]], size: int, unit: str) -> Work:
    async def run(number: int) -> Spent:
        with folder() as path:
            return loop(lambda: path)(number)

    return Work(name, run, (size,), unit)


def bare(durability: Durability) -> str:
    return f"bare {durability}"


def on_file(workload: Workload, durability: Durability) -> Callable[[int], Awaitable[Spent]]:
    """Run a workload on a new file."""

    async def run(size: int) -> Spent:
        with folder() as path:
            return await workload(size, Metered(SqliteServer(path / "bench.db", durability=durability)))

    return run


WORKLOADS: dict[str, tuple[Workload, tuple[int, ...], str]] = {
    "steps, one after another": (one_workflow(sequential), (500, 5_000), "step"),
    "steps at once (asyncio.gather)": (one_workflow(fan_out), (2_000,), "step"),
    "100 workflows of 40 steps at once": (workflows_at_once(100), (4_000,), "step"),
    "rpc, one after another": (one_workflow(sequential_rpc), (200,), "call"),
    "cold replay of recorded steps": (replayed("w"), (1_000,), "step"),
}

LIMITS: list[Work] = [
    limit(APPEND, appends, 300, "append"),
    *(
        limit(bare(durability), lambda path, durability=durability: commits_of(1, durability, path), 1_000, "row")  # type: ignore[misc]  # mypy can't infer a lambda with defaults
        for durability in Durability
    ),
    limit(f"bare full, {BATCH:,} rows a commit", lambda path: commits_of(BATCH, Durability.FULL, path), 50_000, "row"),
]
"""A row per commit is what "bare" means."""


def works() -> list[Work]:
    """Return the limits, and each workload at both durabilities."""
    return [
        *LIMITS,
        *(
            Work(
                f"{durability}: {name}",
                on_file(workload, durability),
                sizes,
                unit,
                beside=bare(durability),
                limit=FLAT if len(sizes) > 1 else None,
            )
            for name, (workload, sizes, unit) in WORKLOADS.items()
            for durability in Durability
        ),
    ]


async def requests_per_unit() -> dict[str, float]:
    """Return how many requests each workload sends for each unit of its smallest size, by the names of works."""
    counted: dict[str, float] = {}
    for name, (workload, sizes, _unit) in WORKLOADS.items():
        with folder() as path:
            counting = Faulty(SqliteServer(path / "bench.db", durability=Durability.NORMAL))
            await workload(sizes[0], counting)
            per_unit = len(counting.requests) / sizes[0]
        counted |= {f"{durability}: {name}": per_unit for durability in Durability}
    return counted
