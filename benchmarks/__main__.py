"""`python -m benchmarks`: time every work, print tables, say what holds, write JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from benchmarks import footprint, loopback, memory, sqlite, telemetry
from benchmarks.alone import peaks, rounds_apart
from benchmarks.claims import judged, judgements
from benchmarks.harness import Costs, Work, machine, measure

LEGEND = """\
per unit, CPU: of the median round; CPU of all threads. requests, commits: per unit, requests counted at the smallest
size. peak MB: what the largest size adds to the memory of a process of its own. growth: what a unit costs against the
smallest size, 1.00 is linear. doubling: what twice as many units cost, 2.00 is linear, 4.00 quadratic. ratio: time per
unit against that of the work named beside it, in the same round."""

Works = AbstractAsyncContextManager[Sequence[Work]]


@frozen(kw_only=True)
class Group:
    """Works that are measured in turns with each other.

    Args:
        name: what to ask for it by, and its key in the JSON.
        title: what stands above its table.
        works: makes the works, for as long as they are measured.
        counted: counts requests per unit, by the names of works.
        peaks: whether to weigh each work in a process of its own.
        apart: whether to do each round in a process of its own.
        rounds: how many, if not as asked.
    """

    name: str
    title: str
    works: Callable[[], Works]
    counted: Callable[[], Awaitable[dict[str, float]]] | None = None
    peaks: bool = False
    apart: bool = False
    rounds: int | None = None


def always(works: Callable[[], Sequence[Work]]) -> Callable[[], Works]:
    """Return a maker of works that need nothing to run."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Sequence[Work]]:
        yield works()

    return opened


GROUPS = (
    Group(
        name="memory",
        title="On the memory store, each round in a process of its own",
        works=always(memory.works),
        counted=memory.counted,
        peaks=True,
        apart=True,
    ),
    Group(name="sqlite", title="On a SQLite file", works=always(sqlite.works), counted=sqlite.counted, peaks=True),
    Group(name="http", title="Over HTTP, on loopback", works=loopback.works, counted=loopback.counted),
    Group(
        name="telemetry",
        title="Traces and metrics, of async steps one after another (the batch exporter encodes, and sends nothing)",
        works=always(telemetry.works),
    ),
    Group(name="imports", title="Imports, in fresh processes", works=always(footprint.imports)),
    Group(name="asleep", title="Workflows asleep", works=always(footprint.works), rounds=1),
)


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 if a growth passes its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(group.name for group in GROUPS)
    parser.add_argument("only", nargs="*", help=f"a group ({names}), or a part of the names of works")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    parser.add_argument("--smallest", action="store_true", help="each work at its smallest size alone: does it run?")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    logging.getLogger("resonate").setLevel(logging.ERROR)  # its advice on long workflows is for users
    return asyncio.run(run(options))


async def run(options: argparse.Namespace) -> int:
    """Measure group by group."""
    figures: dict[str, Any] = {"of": "this library", **machine()}
    broken: list[str] = []
    measured: dict[str, Costs] = {}
    for group in GROUPS:
        costs = await measured_group(group, options)
        if costs is None:
            continue
        measured[group.name] = costs
        figures[group.name] = costs.as_json()
        broken += [] if options.smallest else costs.broken_limits()
        print(f"{group.title}\n\n{costs.table()}\n", flush=True)
    if not measured:
        print("No work has such a name.", file=sys.stderr)
        return 2
    figures["claims"] = judgements(measured)
    print(LEGEND)
    if figures["claims"]:
        print(f"\n{judged(figures['claims'])}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken else 0


async def measured_group(group: Group, options: argparse.Namespace) -> Costs | None:
    """Measure what was asked for of a group; None if nothing was."""

    def wanted(work: Work) -> bool:
        return not options.only or any(word == group.name or word in work.name for word in options.only)

    async with group.works() as works:
        chosen = [evolve(one, sizes=one.sizes[: 1 if options.smallest else None]) for one in works if wanted(one)]
        if not chosen:
            return None
        apart = rounds_apart(group.name) if group.apart else None
        costs = await measure(chosen, rounds=group.rounds or options.rounds, apart=apart)
    if group.counted is not None:
        costs.requests = await group.counted()
    if group.peaks and not options.smallest:
        costs.peaks = await peaks(group.name, [work for work in chosen if work.name in costs.requests])
    return costs


if __name__ == "__main__":
    sys.exit(main())
