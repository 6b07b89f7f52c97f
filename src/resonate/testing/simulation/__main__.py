"""Simulates a workflow from the command line.

    python -m resonate.testing.simulation shop:checkout '"order-42"' 1999 --seeds 500
    python -m resonate.testing.simulation shop:checkout '"order-42"' 1999 --with shop:simulated

Arguments are JSON. What takes code (stubs, an invariant) is in a mapping of keyword arguments of `simulate`, named by
`--with`. Exits with 1 if a run goes wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from typing import Any

from resonate.errors import UsageError
from resonate.testing.simulation import SimulationFailed, simulate


def load(place: str) -> Any:
    """Return what `module:name` names. Raise `UsageError` if there is no such thing."""
    module, found, name = place.partition(":")
    if not found:
        msg = f"{place} does not name anything: write module:name."
        raise UsageError(msg)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    thing: Any = import_module(module)
    for part in name.split("."):
        if not hasattr(thing, part):
            raise UsageError(f"{module} has no {name}.")
        thing = getattr(thing, part)
    return thing


def main(given: list[str] | None = None) -> int:
    """Simulate what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m resonate.testing.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workflow", help="module:name")
    parser.add_argument("args", nargs="*", type=json.loads, help="its arguments, as JSON")
    parser.add_argument("--seeds", type=int, help="how many runs")
    parser.add_argument("--seed", type=int, help="one run of this seed")
    parser.add_argument("--faults", help="what goes wrong, as a failure's replay line has it")
    parser.add_argument("--with", dest="settings", metavar="MODULE:NAME", help="more arguments of simulate, by name")
    chosen = parser.parse_args(given)
    settings: dict[str, Any] = dict(load(chosen.settings)) if chosen.settings else {}
    settings |= {name: value for name in ("seeds", "seed", "faults") if (value := getattr(chosen, name)) is not None}
    try:
        report = simulate(load(chosen.workflow), *chosen.args, **settings)
    except SimulationFailed as failed:
        sys.stdout.write(f"{failed}\n")
        return 1
    sys.stdout.write(f"{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
