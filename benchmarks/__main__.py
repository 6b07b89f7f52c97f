"""`python -m benchmarks`: time every scenario, print tables, write JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from benchmarks.harness import measure, table
from benchmarks.scenarios import SCENARIOS, WORKLOADS, requests_per_unit


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments ask for; return 1 if a growth passes its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", help="run scenarios whose name contains one of these")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--list", action="store_true", help="list the scenarios and stop")
    options = parser.parse_args(arguments)

    chosen = [one for one in SCENARIOS if not options.only or any(word in one.name for word in options.only)]
    if options.list or not chosen:
        print("\n".join(one.name for one in SCENARIOS))
        return 0 if options.list else 2
    counts = {one.name: asyncio.run(requests_per_unit(one.name)) for one in chosen if one.name in WORKLOADS}
    report = asyncio.run(measure(chosen, rounds=options.rounds, counts=counts))
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    print(
        "\nratio: time per unit against that of the named bench. growth: what a unit costs against the smallest size,"
    )
    print("1.00x is linear. requests: store requests per unit, counted at the smallest size.")
    broken = report.broken_limits()
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
