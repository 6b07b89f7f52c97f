"""What work on a file costs, beside the physical limit of the same work in the same round.

Law 1: rounds of all works are interleaved, and a ratio is taken within each round, so that a slow moment of the
    machine or of its disk falls on both sides. What is reported is the median of the rounds.
Law 2: commits are those that reached the write-ahead log, by SQLite's own counter: counting slows nothing.
Law 3: time, CPU and commits are taken over the same span, without opening and closing the file.
"""

from __future__ import annotations

import gc
import os
import statistics
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from attrs import define, field, frozen

from benchmarks.harness import aligned, seconds
from resonate.adapters.sqlite.server import SqliteServer
from resonate.ports.store import Backend, Store


@frozen
class Spent:
    """What one round took.

    Args:
        seconds: on the wall.
        cpu: seconds of all threads of this process.
        commits: transactions that wrote to the file; 0 where there is no file.
    """

    seconds: float
    cpu: float
    commits: int = 0


class Spending:
    """Takes what is spent from its making until `spent`, by this process and on a backend."""

    def __init__(self, backend: Backend | None = None) -> None:
        self._commits: Callable[[], int] = getattr(backend, "commits", int)
        self._before = (self._commits(), time.process_time(), time.perf_counter())

    def spent(self) -> Spent:
        """Return what was spent so far."""
        wall, cpu, commits = time.perf_counter(), time.process_time(), self._commits()
        before = self._before
        return Spent(wall - before[2], cpu - before[1], commits - before[0])


# ---------------------------------------------------------------- counting commits


class Metered:
    """A Backend over a database file that tells how many commits reached its write-ahead log."""

    def __init__(self, server: SqliteServer) -> None:
        self._server = server
        self.index: int | None = None  # descriptor of the file that indexes the log

    @property
    def clock(self) -> Any:
        """The server's clock."""
        return self._server.clock

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _MeteredStore(self, self._server.path, self._server.connect(group=group, pid=pid))  # type: ignore[return-value]  # what is not there is the inner store's

    def commits(self) -> int:
        """Return SQLite's count of the transactions that it wrote: `iChange` in the header of the log's index."""
        if self.index is None:
            return 0
        count: int = struct.unpack("=I", os.pread(self.index, 4, 8))[0]
        return count


class _MeteredStore:
    def __init__(self, meter: Metered, path: Path, inner: Store) -> None:
        self._meter = meter
        self._path = path
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def start(self) -> None:
        await self._inner.start()
        if self._meter.index is None:
            self._meter.index = os.open(f"{self._path}-shm", os.O_RDONLY)

    async def stop(self) -> None:
        """Stop, and only then close the descriptor: the system takes this process's locks on a file away with it."""
        await self._inner.stop()
        if self._meter.index is not None:
            os.close(self._meter.index)
            self._meter.index = None


# ---------------------------------------------------------------- works and rounds


@frozen
class Work:
    """One thing to time, at one size or more.

    Args:
        name: what is timed, as the table shows it.
        run: does one round of so many units.
        sizes: how many units, ascending.
        unit: what a unit is called.
        beside: name of the work whose time per unit this one's is divided by; None for no ratio.
        limit: how much more a unit may cost at the largest size than at the smallest; None for no limit.
    """

    name: str
    run: Callable[[int], Awaitable[Spent]]
    sizes: Sequence[int] = field(converter=tuple)
    unit: str = "step"
    beside: str | None = None
    limit: float | None = None


Key: TypeAlias = tuple[str, int]


@define
class Costs:
    """What was measured: the rounds of each work at each size, and requests per unit by name."""

    works: Sequence[Work]
    rounds: dict[Key, list[Spent]]
    requests: dict[str, float] = field(factory=dict[str, float])

    def per_unit(self, work: Work, size: int) -> float:
        """Return seconds per unit in the median round."""
        return statistics.median(one.seconds for one in self.rounds[work.name, size]) / size

    def cpu(self, work: Work, size: int) -> float:
        """Return seconds of CPU per unit in the median round."""
        return statistics.median(one.cpu for one in self.rounds[work.name, size]) / size

    def commits(self, work: Work, size: int) -> float:
        """Return commits per unit in the median round."""
        return statistics.median(one.commits for one in self.rounds[work.name, size]) / size

    def ratio(self, work: Work, size: int) -> float | None:
        """Return how many times as long a unit takes as one of the work beside, at this size if it has that.

        None if that was not measured.
        """
        return self._ratio(work, size, lambda spent: spent.seconds)

    def cpu_ratio(self, work: Work, size: int) -> float | None:
        """Return how many times as much CPU a unit takes; else as `ratio`."""
        return self._ratio(work, size, lambda spent: spent.cpu)

    def _ratio(self, work: Work, size: int, of: Callable[[Spent], float]) -> float | None:
        other = next((one for one in self.works if one.name == work.beside), None)
        if other is None:
            return None
        same = size if size in other.sizes else other.sizes[-1]
        return statistics.median(
            (of(ours) / size) / (of(theirs) / same)
            for ours, theirs in zip(self.rounds[work.name, size], self.rounds[other.name, same], strict=True)
        )

    def growth(self, work: Work, size: int) -> float | None:
        """Return how many times as much a unit costs as at the smallest size; None at the smallest."""
        least = work.sizes[0]
        if size == least:
            return None
        return statistics.median(
            (much.seconds / size) / (little.seconds / least)
            for little, much in zip(self.rounds[work.name, least], self.rounds[work.name, size], strict=True)
        )

    def broken_limits(self) -> list[str]:
        """Return a sentence for each work that passes its limit."""
        return [
            f"{work.name}: a {work.unit} costs {growth:.2f} times as much at {work.sizes[-1]:,} as at "
            f"{work.sizes[0]:,}; the limit is {work.limit:.2f}"
            for work in self.works
            if work.limit is not None and (growth := self.growth(work, work.sizes[-1]) or 0.0) > work.limit
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the figures as JSON values."""
        return [
            {
                "name": work.name,
                "unit": work.unit,
                "size": size,
                "per_unit_us": self.per_unit(work, size) * 1e6,
                "units_per_s": 1 / self.per_unit(work, size),
                "cpu_per_unit_us": self.cpu(work, size) * 1e6,
                "commits_per_unit": self.commits(work, size),
                "requests_per_unit": self.requests.get(work.name),
                "beside": work.beside,
                "ratio": self.ratio(work, size),
                "cpu_ratio": self.cpu_ratio(work, size),
                "growth": self.growth(work, size),
                "limit": work.limit,
                "rounds_s": [one.seconds for one in self.rounds[work.name, size]],
            }
            for work in self.works
            for size in work.sizes
        ]

    def table(self) -> str:
        """Draw the figures for a terminal."""
        rows = [
            ["", "size", "per unit", "units/s", "CPU", "requests", "commits", "growth", "ratio", "CPU ratio", "beside"]
        ]
        rows += [self._row(work, size) for work in self.works for size in work.sizes]
        return aligned(rows)

    def _row(self, work: Work, size: int) -> list[str]:
        ratio, growth, requests = self.ratio(work, size), self.growth(work, size), self.requests.get(work.name)
        cpu = self.cpu_ratio(work, size)
        per_unit, commits = self.per_unit(work, size), self.commits(work, size)
        return [
            work.name if size == work.sizes[0] else "",
            f"{size:,}",
            f"{seconds(per_unit)}/{work.unit}",
            f"{1 / per_unit:,.0f}",
            seconds(self.cpu(work, size)),
            "" if requests is None else f"{requests:.2f}",
            f"{commits:.3f}" if commits else "",
            "" if growth is None else f"{growth:.2f}x",
            "" if ratio is None else f"{ratio:.2f}x",
            "" if cpu is None else f"{cpu:.2f}x",
            "" if ratio is None or size != work.sizes[0] else str(work.beside),
        ]


async def measure_costs(works: Iterable[Work], *, rounds: int, requests: dict[str, float] | None = None) -> Costs:
    """Run every work at its smallest size to warm up, then all of them `rounds` times in turns."""
    chosen = tuple(works)
    taken: dict[Key, list[Spent]] = {(work.name, size): [] for work in chosen for size in work.sizes}
    for number in range(rounds + 1):
        for work in chosen:
            for size in work.sizes if number else work.sizes[:1]:
                gc.collect()  # each round pays for its own garbage only
                spent = await work.run(size)
                if number:
                    taken[work.name, size].append(spent)
    return Costs(chosen, taken, requests or {})
