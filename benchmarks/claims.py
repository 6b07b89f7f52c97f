"""What this library means to hold, each as one sentence with its figure, from the rounds of one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from benchmarks import footprint, loopback, memory, sqlite
from benchmarks.harness import Costs, aligned

OFFICIAL_STEPS = f"{loopback.SEQUENTIAL}: {loopback.OFFICIAL}"


@frozen(kw_only=True)
class Claim:
    """One thing that is to hold.

    Args:
        says: the sentence, with what is measured.
        group: whose figures it is about.
        figure: takes the figure; a LookupError says that it was not measured.
        least: the figure is at least this.
        most: the figure is at most this.
    """

    says: str
    group: str
    figure: Callable[[Costs], float]
    least: float | None = None
    most: float | None = None

    def holds(self, figure: float) -> bool:
        """Return whether it is so."""
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)


def rate(name: str, size: int) -> Callable[[Costs], float]:
    """Return a taker of units per second."""
    return lambda costs: 1 / costs.per_unit(costs.named(name), size)


def total(name: str, size: int) -> Callable[[Costs], float]:
    """Return a taker of the seconds of all units."""
    return lambda costs: costs.per_unit(costs.named(name), size) * size


def growth(name: str, least: int, size: int) -> Callable[[Costs], float]:
    """Return a taker of what a unit costs at a size, against another."""
    return lambda costs: costs.growth(costs.named(name), size, least) or 1.0


def times(name: str, size: int) -> Callable[[Costs], float]:
    """Return a taker of the time per unit against the work beside."""
    return lambda costs: costs.ratio(costs.named(name), size) or 0.0


def each(name: str, size: int) -> Callable[[Costs], float]:
    """Return a taker of bytes per unit."""
    return lambda costs: (costs.peak(costs.named(name), size) or 0) / size


def beside_engine(shape: str) -> Callable[[Costs], float]:
    """Return a taker of the time per step over HTTP against that of this engine over bare round trips."""
    ours, engine = loopback.name(shape, loopback.OURS), loopback.name(shape, loopback.ENGINE)
    return lambda costs: costs.times_as_long(ours, 1_000, engine, 1_000)


def beside_hop(costs: Costs) -> float:
    """Return the time of a def step against that of an async step and of a bare hop to a thread, taken together."""
    least = costs.per_unit(costs.named(memory.STEPS_ASYNC), 2_000) + costs.per_unit(
        costs.named(memory.HOP), memory.STEPS
    )
    return costs.per_unit(costs.named(memory.STEPS_DEF), 2_000) / least


CLAIMS = (
    Claim(
        says="async steps one after another, a second",
        group="memory",
        figure=rate(memory.STEPS_ASYNC, 10_000),
        least=10_000,
    ),
    Claim(
        says="def steps one after another, a second", group="memory", figure=rate(memory.STEPS_DEF, 4_000), least=5_000
    ),
    Claim(
        says="a def step, against an async step and a bare hop to a thread (times as long)",
        group="memory",
        figure=beside_hop,
    ),
    Claim(
        says="a step of 20,000, against one of 1,000",
        group="memory",
        figure=growth(memory.STEPS_ASYNC, 1_000, 20_000),
        most=1.15,
    ),
    Claim(
        says="2,000 workflows of 5 steps, all started at once, workflows a second",
        group="memory",
        figure=rate(memory.WORKFLOWS, 2_000),
        least=2_000,
    ),
    Claim(
        says="1,600 rpc one after another, against the time of 200",
        group="memory",
        figure=lambda costs: 8 * growth(memory.CALLS, 200, 1_600)(costs),
        most=9,
    ),
    Claim(
        says="seconds of a cold resume after 1,600 rpc, until the next step begins",
        group="memory",
        figure=total(memory.COLD, 1_600),
        most=0.1,
    ),
    Claim(
        says="seconds of a cold replay of 10,000 steps, to the workflow's result",
        group="memory",
        figure=total(memory.REPLAY, 10_000),
        most=0.5,
    ),
    Claim(
        says="SQLite, full: steps at once, against the same steps with a commit for each request (times as fast)",
        group="sqlite",
        figure=times(f"full: {sqlite.APART}", 500),
        least=5,
    ),
    Claim(
        says="SQLite, full: steps at once, against steps one after another (times as fast)",
        group="sqlite",
        figure=lambda costs: costs.times_as_long(f"full: {sqlite.SEQUENTIAL}", 2_000, f"full: {sqlite.AT_ONCE}", 2_000),
        least=5,
    ),
    Claim(
        says="HTTP: steps one after another, against the official Python SDK (times as fast)",
        group="http",
        figure=times(OFFICIAL_STEPS, 1_000),
        least=1,
    ),
    Claim(
        says="HTTP: steps at once, against the official Python SDK (times as fast)",
        group="http",
        figure=times(f"{loopback.AT_ONCE}: {loopback.OFFICIAL}", 1_000),
        least=2,
    ),
    Claim(
        says="HTTP: steps one after another, against their bare round trips (times as long)",
        group="http",
        figure=times(f"{loopback.SEQUENTIAL}: {loopback.OURS}", 1_000),
        most=1.5,
    ),
    Claim(
        says="HTTP: steps at once, against their bare round trips, 64 at a time (times as long)",
        group="http",
        figure=times(f"{loopback.AT_ONCE}: {loopback.OURS}", 1_000),
        most=1.5,
    ),
    Claim(
        says="HTTP: steps one after another, against this engine over bare round trips (times as long)",
        group="http",
        figure=beside_engine(loopback.SEQUENTIAL),
        most=1.25,
    ),
    Claim(
        says="HTTP: steps at once, against this engine over bare round trips (times as long)",
        group="http",
        figure=beside_engine(loopback.AT_ONCE),
        most=1.25,
    ),
    Claim(
        says="import resonate, against its dependencies (times as long)",
        group="imports",
        figure=times("import resonate", footprint.IMPORTS),
        most=1.2,
    ),
    Claim(
        says="from resonate import Context, Resonate, against its dependencies (times as long)",
        group="imports",
        figure=times("from resonate import Context, Resonate", footprint.IMPORTS),
        most=None,
    ),
    Claim(
        says="bytes of a workflow asleep, evicted (memory, with what the store keeps of it)",
        group="asleep",
        figure=each(footprint.asleep("memory", "evicted"), footprint.ASLEEP),
        most=4_000,
    ),
    Claim(
        says="bytes of a workflow asleep, evicted (SQLite)",
        group="asleep",
        figure=each(footprint.asleep("sqlite", "evicted"), footprint.ASLEEP),
        most=4_000,
    ),
    Claim(
        says="bytes of a workflow asleep, hot (memory, with what the store keeps of it)",
        group="asleep",
        figure=each(footprint.asleep("memory", "hot"), footprint.ASLEEP),
        most=30_000,
    ),
)


def judgements(measured: Mapping[str, Costs], claims: tuple[Claim, ...] = CLAIMS) -> list[dict[str, Any]]:
    """Return each claim that these figures are about, and whether it holds."""
    found: list[dict[str, Any]] = []
    for claim in claims:
        try:
            figure = claim.figure(measured[claim.group])
        except LookupError:
            continue
        bounds = {"least": claim.least, "most": claim.most}
        found.append({"says": claim.says, "figure": figure, **bounds, "holds": claim.holds(figure)})
    return found


def judged(judgements: list[dict[str, Any]]) -> str:
    """Draw the judgements for a terminal."""
    rows = [["", "figure", "bound", ""]]
    rows += [
        [one["says"], shown(one["figure"]), bound(one), "holds" if one["holds"] else "FAILS"] for one in judgements
    ]
    return aligned(rows)


def bound(judgement: Mapping[str, Any]) -> str:
    """Write what the figure is held to."""
    if judgement["least"] is not None:
        return f"at least {shown(judgement['least'])}"
    return "" if judgement["most"] is None else f"at most {shown(judgement['most'])}"


def shown(figure: float) -> str:
    """Write a figure with as many digits as say something."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
