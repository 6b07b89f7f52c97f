"""A small harness: medians over rounds, what work costs beside other work, and how a cost grows with the size.

Law 1: rounds of all works are interleaved, so that a slow moment of the machine falls on all of them alike.
Law 2: a ratio, to other work or to another size, is taken within each round; the median of these is what counts. So
    neither the machine's speed nor its other load decides.
Law 3: where a work needs nothing but itself, each of its rounds has a process of its own. What other works leave behind
    (objects, and holes between them) costs it nothing, and the median is of several layouts of memory, not of one.
Law 4: requests and peak memory are taken in runs of their own that are not timed: counting slows nothing.
"""

from __future__ import annotations

import gc
import math
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from attrs import define, field, frozen

from resonate.ports.store import Backend


@frozen
class Spent:
    """What one round took.

    Args:
        seconds: on the wall.
        cpu: seconds of all threads of the process that did it.
        commits: transactions that wrote to the file; 0 where there is no file.
        peak: bytes that were added to the memory of the process that did it; 0 where that is not known.
    """

    seconds: float
    cpu: float
    commits: int = 0
    peak: int = 0


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


@frozen
class Work:
    """One thing to time, at one size or more.

    Args:
        name: what is timed, as the table shows it.
        run: does one round of so many units.
        sizes: how many units, ascending.
        unit: what a unit is called.
        beside: name of the work whose time per unit this one's is divided by; None for no ratio.
        limit: how many times as much a unit may cost at the largest size as at the smallest; None for no limit.
    """

    name: str
    run: Callable[[int], Awaitable[Spent]]
    sizes: Sequence[int] = field(converter=tuple)
    unit: str = "step"
    beside: str | None = None
    limit: float | None = None

    @sizes.validator
    def _grow(self, _attribute: object, sizes: tuple[int, ...]) -> None:
        if not sizes or any(b <= a for a, b in pairwise(sizes)):
            msg = f"the sizes of {self.name!r} must grow from one to the next, not {sizes}"
            raise ValueError(msg)


Key: TypeAlias = tuple[str, int]


@define
class Costs:
    """What was measured: the rounds of each work at each size; by name, requests per unit, and peak memory."""

    works: Sequence[Work]
    rounds: dict[Key, list[Spent]]
    requests: dict[str, float] = field(factory=dict[str, float])
    peaks: dict[str, int] = field(factory=dict[str, int])
    """Bytes that a work at its largest size adds to a process of its own."""

    def per_unit(self, work: Work, size: int) -> float:
        """Return seconds per unit in the median round."""
        return statistics.median(one.seconds for one in self.rounds[work.name, size]) / size

    def cpu(self, work: Work, size: int) -> float:
        """Return seconds of CPU per unit in the median round."""
        return statistics.median(one.cpu for one in self.rounds[work.name, size]) / size

    def commits(self, work: Work, size: int) -> float:
        """Return commits per unit in the median round."""
        return statistics.median(one.commits for one in self.rounds[work.name, size]) / size

    def peak(self, work: Work, size: int) -> int | None:
        """Return the bytes that this work adds to its process; None where that was not measured."""
        own = int(statistics.median(one.peak for one in self.rounds[work.name, size]))
        return own or (self.peaks.get(work.name) if size == work.sizes[-1] else None)

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

    def named(self, name: str) -> Work:
        """Return the work of that name. Raise LookupError if it was not measured."""
        return next((one for one in self.works if one.name == name), None) or _missing(name)

    def times_as_long(self, name: str, size: int, other: str, other_size: int) -> float:
        """Return how many times as long a unit of one work takes as one of another; LookupError if not measured."""
        return statistics.median(
            (ours.seconds / size) / (theirs.seconds / other_size)
            for ours, theirs in zip(self.rounds[name, size], self.rounds[other, other_size], strict=True)
        )

    def growth(self, work: Work, size: int, least: int | None = None) -> float | None:
        """Return how many times as much a unit costs as at the smallest size, or at `least`; None at that size."""
        least = work.sizes[0] if least is None else least
        if size == least:
            return None
        return statistics.median(
            (much.seconds / size) / (little.seconds / least)
            for little, much in zip(self.rounds[work.name, least], self.rounds[work.name, size], strict=True)
        )

    def doubling(self, work: Work) -> float | None:
        """Return what twice as many units cost: 2 is linear, 4 quadratic; None for a work of one size."""
        growth = self.growth(work, work.sizes[-1])
        return growth and 2 * growth ** (1 / math.log2(work.sizes[-1] / work.sizes[0]))

    def broken_limits(self) -> list[str]:
        """Return a sentence for each work that passes its limit."""
        return [
            f"{work.name}: a {work.unit} costs {growth:.2f} times as much at {work.sizes[-1]:,} as at "
            f"{work.sizes[0]:,}; the limit is {work.limit:.2f}"
            for work in self.works
            if work.limit is not None and (growth := self.growth(work, work.sizes[-1]) or 0.0) > work.limit
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the figures as JSON values, a line of the table each."""
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
                "peak_bytes": self.peak(work, size),
                "beside": work.beside,
                "ratio": self.ratio(work, size),
                "cpu_ratio": self.cpu_ratio(work, size),
                "growth": self.growth(work, size),
                "doubling": self.doubling(work) if size == work.sizes[-1] else None,
                "limit": work.limit,
                "rounds_s": [one.seconds for one in self.rounds[work.name, size]],
            }
            for work in self.works
            for size in work.sizes
        ]

    def table(self) -> str:
        """Draw the figures for a terminal, without the columns that nothing stands in."""
        rows = [[title for title, _ in _COLUMNS]]
        rows += [[cell(self, work, size) for _, cell in _COLUMNS] for work in self.works for size in work.sizes]
        used = [any(row[column] for row in rows[1:]) for column in range(len(_COLUMNS))]
        return aligned([[text for text, kept in zip(row, used, strict=True) if kept] for row in rows])


def _missing(name: str) -> Work:
    raise LookupError(name)


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


_COLUMNS: tuple[tuple[str, Callable[[Costs, Work, int], str]], ...] = (
    ("", lambda _, work, size: work.name if size == work.sizes[0] else ""),
    ("size", lambda _costs, _work, size: f"{size:,}"),
    ("per unit", lambda costs, work, size: f"{seconds(costs.per_unit(work, size))}/{work.unit}"),
    ("units/s", lambda costs, work, size: f"{1 / costs.per_unit(work, size):,.0f}"),
    ("CPU", lambda costs, work, size: seconds(costs.cpu(work, size))),
    (
        "requests",
        lambda costs, work, size: _shown(costs.requests.get(work.name) if size == work.sizes[0] else None, ".2f"),
    ),
    ("commits", lambda costs, work, size: _shown(costs.commits(work, size) or None, ".3f")),
    ("peak MB", lambda costs, work, size: _shown((peak := costs.peak(work, size)) and peak / 1e6, ".1f")),
    ("growth", lambda costs, work, size: _shown(costs.growth(work, size), ".2f")),
    ("limit", lambda _, work, size: _shown(work.limit if size == work.sizes[-1] else None, ".2f")),
    ("doubling", lambda costs, work, size: _shown(costs.doubling(work) if size == work.sizes[-1] else None, ".2f")),
    ("ratio", lambda costs, work, size: _shown(costs.ratio(work, size), ".2f")),
    ("CPU ratio", lambda costs, work, size: _shown(costs.cpu_ratio(work, size), ".2f")),
    (
        "beside",
        lambda costs, work, size: work.beside or "" if size == work.sizes[0] and costs.ratio(work, size) else "",
    ),
)


Round: TypeAlias = Callable[[Work], Awaitable[list[Spent]]]
"""Does one round of a work: each of its sizes once, and tells what each took."""


async def warm_up(work: Work) -> None:
    """Run a work once at its smallest size, which does not count."""
    gc.collect()
    await work.run(work.sizes[0])


async def one_round(work: Work) -> list[Spent]:
    """Run a work once at each of its sizes, in this process."""
    taken: list[Spent] = []
    for size in work.sizes:
        gc.collect()  # each size pays for its own garbage only
        taken.append(await work.run(size))
    return taken


async def measure(works: Iterable[Work], *, rounds: int, apart: Round | None = None) -> Costs:
    """Run all works `rounds` times in turns, warmed up: in this process, or each round `apart`."""
    chosen = tuple(works)
    taken: dict[Key, list[Spent]] = {(work.name, size): [] for work in chosen for size in work.sizes}
    for work in () if apart else chosen:
        await warm_up(work)
    for _ in range(rounds):
        for work in chosen:
            spent = await (apart or one_round)(work)
            for size, one in zip(work.sizes, spent, strict=True):
                taken[work.name, size].append(one)
    return Costs(chosen, taken)


def machine() -> dict[str, str]:
    """Return what the figures were taken on."""
    return {
        "date": time.strftime("%-d %B %Y"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
    }


def seconds(value: float) -> str:
    """Write a duration with the unit that suits it."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1:
            return f"{value * factor:.2f} {unit}"
    return f"{value * 1e9:.0f} ns"


def aligned(rows: list[list[str]]) -> str:
    """Draw rows as a table with a line below the first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
