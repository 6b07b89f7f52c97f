"""A small harness: medians over rounds, ratios to a baseline, growth of the cost of a unit as there are more of them.

Law 1: rounds of all scenarios are interleaved, so that a slow moment of the machine falls on all of them alike.
Law 2: what is reported is the median of the rounds; the fastest and the slowest stand beside it.
Law 3: a growth is judged within each round, where its sizes ran right after each other, and the median of these is
    what counts: 1.0 is linear work. So neither the machine's speed nor its other load decides.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from attrs import field, frozen

Timer: TypeAlias = Callable[[], float]


@frozen
class Bench:
    """One thing to time.

    Args:
        name: what is timed, as the table shows it.
        run: does one round, awaited once per round, and once before to warm up. It may return the seconds that it
            measured itself, where part of it is preparation.
        units: how much work a round does, to report time per unit.
        unit: what a unit is called.
        baseline: name of the bench whose time per unit this one's is divided by; None for no ratio.
    """

    name: str
    run: Callable[[], Awaitable[float | None]]
    units: int = 1
    unit: str = "op"
    baseline: str | None = None


@frozen
class Growth:
    """One thing to time at growing sizes.

    Args:
        name: what is timed, as the table shows it.
        run: does one round at the given size; returns as a bench's does.
        sizes: how many units a round does, ascending.
        unit: what a unit is called.
        limit: how much more a unit may cost at the largest size than at the smallest; None for no limit.
    """

    name: str
    run: Callable[[int], Awaitable[float | None]]
    sizes: Sequence[int] = field(converter=tuple)
    unit: str = "op"
    limit: float | None = None

    @sizes.validator
    def _grow(self, _attribute: object, sizes: tuple[int, ...]) -> None:
        if len(sizes) < 2 or any(b <= a for a, b in pairwise(sizes)):
            msg = f"the sizes of {self.name!r} must grow from one to the next, not {sizes}"
            raise ValueError(msg)


Scenario: TypeAlias = Bench | Growth


@frozen
class Timing:
    """The rounds of one bench, or of one size of a growth, in seconds."""

    rounds: tuple[float, ...]
    units: int

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.rounds)

    @property
    def per_unit(self) -> float:
        """Seconds per unit of work in the median round."""
        return self.median / self.units

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "units": self.units,
            "rounds_s": list(self.rounds),
            "median_s": self.median,
            "min_s": min(self.rounds),
            "max_s": max(self.rounds),
            "per_unit_us": self.per_unit * 1e6,
            "units_per_s": 1 / self.per_unit if self.per_unit else None,
        }


@frozen
class Report:
    """What was measured: timings of each bench, of each growth by size, and counts per unit by scenario name."""

    benches: dict[Bench, Timing]
    growths: dict[Growth, dict[int, Timing]]
    counts: Mapping[str, float] = field(factory=dict[str, float])

    def ratio(self, bench: Bench) -> float | None:
        """Return the bench's time per unit over its baseline's; None without a baseline that was measured."""
        timings = {other.name: timing for other, timing in self.benches.items()}
        base = timings.get(bench.baseline) if bench.baseline else None
        return self.benches[bench].per_unit / base.per_unit if base and base.per_unit else None

    def growth(self, growth: Growth, size: int | None = None) -> float:
        """Return how much more a unit costs at `size` (the largest if None) than at the smallest size."""
        by_size = self.growths[growth]
        small, large = by_size[growth.sizes[0]], by_size[growth.sizes[-1] if size is None else size]
        return statistics.median(
            (much / large.units) / (little / small.units) if little else 1.0
            for little, much in zip(small.rounds, large.rounds, strict=True)
        )

    def broken_limits(self) -> list[str]:
        """Return a sentence for each growth that passes its limit."""
        return [
            f"{one.name}: a {one.unit} costs {self.growth(one):.2f} times as much at {one.sizes[-1]:,} as at "
            f"{one.sizes[0]:,}; the limit is {one.limit:.2f}"
            for one in self.growths
            if one.limit is not None and self.growth(one) > one.limit
        ]

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "machine": platform.machine(),
            "benches": [
                {"name": bench.name, "unit": bench.unit, "ratio": self.ratio(bench)} | timing.as_json()
                for bench, timing in self.benches.items()
            ],
            "growths": [
                {
                    "name": growth.name,
                    "unit": growth.unit,
                    "limit": growth.limit,
                    "growth": self.growth(growth),
                    "requests_per_unit": self.counts.get(growth.name),
                    "sizes": [{"size": size} | timing.as_json() for size, timing in by_size.items()],
                }
                for growth, by_size in self.growths.items()
            ],
        }


async def measure(
    scenarios: Iterable[Scenario],
    *,
    rounds: int = 5,
    counts: Mapping[str, float] | None = None,
    timer: Timer = time.perf_counter,
) -> Report:
    """Run every scenario once to warm up (a growth at its smallest size), then `rounds` times in turns."""
    chosen = list(scenarios)
    benches = {one: list[float]() for one in chosen if isinstance(one, Bench)}
    growths = {one: {size: list[float]() for size in one.sizes} for one in chosen if isinstance(one, Growth)}
    for number in range(rounds + 1):
        for bench, taken in benches.items():
            seconds = await _time(bench.run(), timer)
            taken.extend([seconds] if number else [])
        for growth, by_size in growths.items():
            for size, taken in by_size.items():
                if number or size == growth.sizes[0]:
                    seconds = await _time(growth.run(size), timer)
                    taken.extend([seconds] if number else [])
    return Report(
        {bench: Timing(tuple(taken), bench.units) for bench, taken in benches.items()},
        {
            growth: {size: Timing(tuple(taken), size) for size, taken in by_size.items()}
            for growth, by_size in growths.items()
        },
        dict(counts or {}),
    )


async def _time(round_: Awaitable[float | None], timer: Timer) -> float:
    gc.collect()  # each round pays for its own garbage only
    started = timer()
    measured = await round_
    return timer() - started if measured is None else measured


def table(report: Report) -> str:
    """Draw the report for a terminal."""
    parts: list[str] = []
    if report.benches:
        rows = [["bench", "median", "min", "max", "per unit", "units/s", "ratio"]]
        for bench, timing in report.benches.items():
            ratio = report.ratio(bench)
            rows.append(
                [
                    bench.name,
                    seconds(timing.median),
                    seconds(min(timing.rounds)),
                    seconds(max(timing.rounds)),
                    f"{seconds(timing.per_unit)}/{bench.unit}",
                    _rate(timing),
                    f"{ratio:.2f}x {bench.baseline}" if ratio else "",
                ]
            )
        parts.append(aligned(rows))
    if report.growths:
        rows = [["scenario", "size", "median", "min", "max", "per unit", "units/s", "growth", "limit", "requests"]]
        for growth, by_size in report.growths.items():
            rows.extend(_growth_rows(report, growth, by_size))
        parts.append(aligned(rows))
    return "\n\n".join(parts)


def _growth_rows(report: Report, growth: Growth, by_size: Mapping[int, Timing]) -> Iterable[list[str]]:
    count = report.counts.get(growth.name)
    for size, timing in by_size.items():
        first, last = size == growth.sizes[0], size == growth.sizes[-1]
        yield [
            growth.name if first else "",
            f"{size:,}",
            seconds(timing.median),
            seconds(min(timing.rounds)),
            seconds(max(timing.rounds)),
            f"{seconds(timing.per_unit)}/{growth.unit}",
            _rate(timing),
            "" if first else f"{report.growth(growth, size):.2f}x",
            f"{growth.limit:.2f}x" if last and growth.limit is not None else "",
            f"{count:.2f}" if first and count is not None else "",
        ]


def _rate(timing: Timing) -> str:
    return f"{1 / timing.per_unit:,.0f}" if timing.per_unit else "-"


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
