"""`python -m benchmarks`: time every scenario, print tables, write JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import sqlite, telemetry
from benchmarks.costs import Costs, Work, measure_costs
from benchmarks.harness import Report, Scenario, measure, table
from benchmarks.scenarios import SCENARIOS, WORKLOADS, requests_per_unit

MEMORY_TEXT = """\
ratio: time per unit against that of the named bench. growth: what a unit costs against the smallest size,
1.00x is linear. requests: store requests per unit, counted at the smallest size."""
SQLITE_TEXT = """\
bare: a loop over sqlite3 that commits each row by itself. CPU: of all threads, per unit. requests, commits: per unit.
growth: what a unit costs against the smallest size. ratio: time per unit against that of the named limit in the same
round; below 1, a step takes less than a commit of its own would."""

TELEMETRY_TEXT = """\
Opening and closing the client is part of it. batch exporter: spans are encoded for OTLP, not sent. CPU ratio: that of
all threads, per step, against telemetry off in the same round."""


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 if a growth passes its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", help="run scenarios whose name contains one of these (memory, sqlite: all)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--list", action="store_true", help="list the scenarios and stop")
    options = parser.parse_args(arguments)
    logging.getLogger("resonate").setLevel(logging.ERROR)  # its advice on long workflows is for users

    def wanted(name: str, kind: str) -> bool:
        return not options.only or any(word in name or word == kind for word in options.only)

    memory = [one for one in SCENARIOS if wanted(one.name, "memory")]
    works = [one for one in sqlite.works() if wanted(one.name, "sqlite")]
    traced = [one for one in telemetry.works() if wanted(one.name, "telemetry")]
    if options.list or not (memory or works or traced):
        print("\n".join(one.name for one in [*SCENARIOS, *sqlite.works(), *telemetry.works()]))
        return 0 if options.list else 2
    figures: dict[str, Any] = {}
    broken: list[str] = []
    if memory:
        report = asyncio.run(_memory(memory, options.rounds))
        figures |= report.as_json()
        broken += report.broken_limits()
        print(f"{table(report)}\n\n{MEMORY_TEXT}")
    if works:
        costs = asyncio.run(_sqlite(works, options.rounds))
        figures["sqlite"] = costs.as_json()
        broken += costs.broken_limits()
        print(f"\nOn a SQLite file\n\n{costs.table()}\n\n{SQLITE_TEXT}")
    if traced:
        costs = asyncio.run(measure_costs(traced, rounds=options.rounds))
        figures["telemetry"] = costs.as_json()
        print(f"\nTraces and metrics, of async steps one after another\n\n{costs.table()}\n\n{TELEMETRY_TEXT}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken else 0


async def _memory(chosen: Sequence[Scenario], rounds: int) -> Report:
    counts = {one.name: await requests_per_unit(one.name) for one in chosen if one.name in WORKLOADS}
    return await measure(chosen, rounds=rounds, counts=counts)


async def _sqlite(chosen: Sequence[Work], rounds: int) -> Costs:
    return await measure_costs(chosen, rounds=rounds, requests=await sqlite.requests_per_unit())


if __name__ == "__main__":
    sys.exit(main())
