"""Simulates every shape for as long as one likes.

    python -m tests.simulation.campaign --seeds 1000000 [--hours 1] [--jobs 2] [--first 1]

Runs so many seeds in all, by turns of all shapes, or for so long, whichever is over first. Prints what it did, and the
story of each shape that went wrong; exits with 1 if one did.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from datetime import timedelta
from itertools import count
from time import monotonic, process_time

from attrs import define, field, frozen

from resonate.testing.simulation import SimulationFailed, simulate
from tests.simulation.simulated import SIMULATED

CHUNK = 50
"""So many seeds of one shape are done at once."""
TALK_S = 60


@frozen
class Part:
    """What came of some seeds of one shape."""

    shape: str
    runs: int = 0
    requests: int = 0
    actions: int = 0
    virtual_ms: int = 0
    cpu_s: float = 0.0
    faults: Counter[str] = field(factory=Counter)
    story: str = ""


def part(shape: str, first: int, seeds: int) -> Part:
    """Run some seeds of one shape."""
    case, began = SIMULATED[shape], process_time()
    try:
        report = simulate(case.fn, *case.args, seeds=range(first, first + seeds), **case.settings)
    except SimulationFailed as failed:
        return Part(shape, runs=failed.seed - first + 1, cpu_s=process_time() - began, story=str(failed))
    except BaseException as error:  # noqa: BLE001 - it is told with its seeds
        story = f"{shape}, seeds {first} to {first + seeds - 1}: {type(error).__name__}: {error}"
        return Part(shape, cpu_s=process_time() - began, story=story)
    return Part(
        shape,
        runs=report.runs,
        requests=report.requests,
        actions=report.actions,
        virtual_ms=report.virtual_ms,
        cpu_s=process_time() - began,
        faults=report.faults,
    )


@define
class Campaign:
    """All of it."""

    runs: int = 0
    requests: int = 0
    actions: int = 0
    virtual_ms: int = 0
    cpu_s: float = 0.0
    faults: Counter[str] = field(factory=Counter)
    stories: dict[str, str] = field(factory=dict)

    def add(self, done: Part) -> None:
        """Count what was done."""
        self.runs += done.runs
        self.requests += done.requests
        self.actions += done.actions
        self.virtual_ms += done.virtual_ms
        self.cpu_s += done.cpu_s
        self.faults += done.faults
        if done.story:
            self.stories.setdefault(done.shape, done.story)
            sys.stdout.write(f"\n{done.story}\n\n")
            sys.stdout.flush()

    def __str__(self) -> str:
        faults = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.faults.items()))
        return (
            f"{self.runs:,} runs of {len(SIMULATED)} shapes, {len(self.stories)} shapes went wrong."
            f" {self.requests:,} requests, {self.actions:,} steps of the server checked,"
            f" {timedelta(milliseconds=self.virtual_ms)} of virtual time, {timedelta(seconds=round(self.cpu_s))} of CPU"
            f" ({self.runs / max(self.cpu_s, 1e-9):,.0f} runs a second).\n  faults: {faults}\n"
        )


def parts(seeds: int, first: int) -> Iterator[tuple[str, int, int]]:
    """Yield what is to be run, by turns of all shapes."""
    left = seeds
    for turn in count():
        for shape in SIMULATED:
            if left <= 0:
                return
            size = min(CHUNK, left)
            left -= size
            yield shape, first + turn * CHUNK, size


def main() -> int:
    """Run a campaign; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20_000)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=1)
    chosen = parser.parse_args()
    campaign, ends, talk = Campaign(), monotonic() + chosen.hours * 3_600, monotonic() + TALK_S
    to_do = parts(chosen.seeds, chosen.first)
    with ProcessPoolExecutor(chosen.jobs) as pool:
        under_way: set[Future[Part]] = set()
        while True:
            while len(under_way) < 2 * chosen.jobs and monotonic() < ends:
                following = next((one for one in to_do if one[0] not in campaign.stories), None)
                if following is None:
                    break
                under_way.add(pool.submit(part, *following))
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            for one in done:
                campaign.add(one.result())
            if monotonic() > talk:
                sys.stdout.write(str(campaign))
                sys.stdout.flush()
                talk = monotonic() + TALK_S
    sys.stdout.write(str(campaign))
    return 1 if campaign.stories else 0


if __name__ == "__main__":
    sys.exit(main())
