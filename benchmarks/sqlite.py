"""Workloads on a SQLite file, beside the physical limits of the same machine in the same run.

Each round has a new file in a folder of its own, under `TMPDIR`: put that on the disk that you want to know about.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import field, frozen

from benchmarks.harness import Spent, Work
from benchmarks.limits import BATCH, appends, commits_of
from benchmarks.metered import Metered
from benchmarks.scenarios import (
    Workload,
    fan_out,
    one_workflow,
    replayed,
    requests_per_unit,
    sequential,
    sequential_rpc,
    workflows_at_once,
)
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.core.protocol.requests import Rejection, Request
from resonate.ports.store import Backend, Store
from resonate.runtime.relay import Relay

R = TypeVar("R")

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


@frozen
class OneByOne:
    """A Backend whose every request waits for those before it, and so for a commit of its own if it writes."""

    inner: Metered

    @property
    def clock(self) -> Any:
        """The inner backend's clock."""
        return self.inner.clock

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _InTurn(self.inner.connect(group=group, pid=pid))

    def commits(self) -> int:
        """Return how many commits reached the log."""
        return self.inner.commits()


@frozen
class _InTurn(Relay):
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def send(self, request: Request[R]) -> R | Rejection:
        async with self._turn:
            return await self.inner.send(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        return [await self.send(request) for request in requests]


def on_file(
    workload: Workload, durability: Durability, around: Callable[[Metered], Backend] = lambda backend: backend
) -> Callable[[int], Awaitable[Spent]]:
    """Run a workload on a new file."""

    async def run(size: int) -> Spent:
        with folder() as path:
            return await workload(size, around(Metered(SqliteServer(path / "bench.db", durability=durability))))

    return run


AT_ONCE = "steps at once (asyncio.gather)"
APART = "the same, a commit for each request"
SEQUENTIAL = "steps, one after another"

WORKLOADS: dict[str, tuple[Workload, tuple[int, ...], str]] = {
    SEQUENTIAL: (one_workflow(sequential), (500, 1_000, 2_000, 4_000), "step"),
    AT_ONCE: (one_workflow(fan_out), (2_000,), "step"),
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
        *(
            Work(
                f"{durability}: {APART}",
                on_file(one_workflow(fan_out), durability, OneByOne),
                (500,),
                beside=f"{durability}: {AT_ONCE}",
            )
            for durability in Durability
        ),
    ]


async def counted() -> dict[str, float]:
    """Return how many requests each workload sends for each unit of its smallest size, by the names of works."""
    found: dict[str, float] = {}
    for name, (workload, sizes, _unit) in WORKLOADS.items():
        with folder() as path:
            backend = SqliteServer(path / "bench.db", durability=Durability.NORMAL)
            per_unit = await requests_per_unit(workload, sizes[0], backend)
        found |= {f"{durability}: {name}": per_unit for durability in Durability}
    return found
