"""Thousands of runs in which everything goes wrong, of workflows of every shape; each is the same when run again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from hashlib import sha256

import pytest

from resonate import Context
from resonate.testing.simulation import Faults, simulate
from tests.effort import BRIEF, seeds
from tests.simulation.shapes import double
from tests.simulation.simulated import SIMULATED

SEEDS = 64
AGAIN = 2


@pytest.mark.parametrize("name", SIMULATED)
def test_nothing_comes_of_faults(name):
    case = SIMULATED[name]
    report = simulate(case.fn, *case.args, seeds=seeds(SEEDS), **case.settings)
    assert report.runs == seeds(SEEDS)
    assert len(report.faults) >= (1 if "faults" in case.settings else 6 if BRIEF else 10)


def test_what_is_closed_with_a_killed_process_is_given_to_nobody():
    """Its worker took up the next offer as it was closed, which raised, and its caller was given that."""
    case = SIMULATED["rpc fan out"]
    faults = "deploy 1, delay 4+55055, kill 7+7"
    report = simulate(case.fn, *case.args, seed=103729, faults=faults, **case.settings)
    assert dict(report.faults) == {"deploy": 1, "delay": 1, "kill": 1}


def test_there_are_two_thousand_runs():
    assert len(SIMULATED) >= 12
    assert len(SIMULATED) * SEEDS >= 2_000


def digest(name: str, runs: int = AGAIN) -> str:
    """Return a hash of all that happens in some runs."""
    told = sha256()
    case = SIMULATED[name]

    def read(run):
        told.update("\n".join(map(str, run.timeline)).encode())

    simulate(case.fn, *case.args, **{**case.settings, "seeds": runs, "record": True, "invariant": read})
    return told.hexdigest()


@pytest.mark.parametrize("name", SIMULATED)
def test_the_same_seed_is_the_same_run(name):
    assert digest(name) == digest(name)


def test_another_seed_is_another_run():
    assert digest("sequence", 1) != digest("sequence", 2)


def test_no_order_hangs_on_the_hash_of_a_string():
    script = (
        "from tests.simulation.test_simulate import digest, SIMULATED\n"
        "print({name: digest(name) for name in SIMULATED if name != 'schedule'})"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": os.pathsep.join(["src", "."])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for number in ("1", "2")
    ]
    assert told[0] == told[1]
    assert "rpc fan out" in told[0]


async def two_chains(ctx: Context) -> list[int]:
    async def chain(n: int) -> int:
        return await ctx.run(add, await ctx.run(double, n), n)

    one, other = asyncio.create_task(chain(1)), asyncio.create_task(chain(10))
    return [await one, await other]


async def add(a: int, b: int) -> int:
    return a + b


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_two_concurrent_chains_are_never_mixed_up(part):
    """Their steps take as long as they please, and their workers are killed: 10,000 times a replay finds its own."""
    chosen = range(part * 2_500, (part + 1) * 2_500)
    report = simulate(two_chains, seeds=chosen, faults=Faults.kills(0.1), workers=1, result=[3, 30])
    assert report.faults["kill"] > report.runs
