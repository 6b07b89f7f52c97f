"""Tests that are marked to be simulated."""

from __future__ import annotations

import pytest

HEAD = """
import pytest
from resonate import Context
from resonate.testing.simulation import Faults, simulate

charges = []

def charge(cents: int) -> int:
    charges.append(cents)
    return cents

async def checkout(ctx: Context, cents: int) -> int:
    paid = await ctx.run(charge, cents)
    await ctx.sleep(60)
    return paid
"""

NAMED = """
@pytest.mark.simulate(checkout, 5, seeds=20)
def test_named(simulated):
    assert (simulated.runs, simulated.result) == (20, 5)
    assert simulated.runs_of(charge) >= 20

@pytest.mark.simulate(checkout, 5, seeds=5)
def test_without_the_report():
    assert len(charges) >= 5
"""
ITSELF = """
@pytest.mark.simulate(seeds=10)
async def test_itself(ctx: Context) -> None:
    assert await ctx.run(charge, 3) == 3
"""
WRONG = """
@pytest.mark.simulate(seeds=10)
async def test_wrong(ctx: Context) -> None:
    assert await ctx.run(charge, 3) == 4

def charged_once(run):
    assert len(charges) == 1, f"charged {len(charges)} times"

@pytest.mark.simulate(checkout, 5, seeds=500, before=charges.clear, invariant=charged_once)
def test_twice(): ...
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_mark_simulates_a_workflow_or_the_test_itself(run, mode):
    run(ini=f"asyncio_mode = {mode}\n", test_it=HEAD + NAMED + ITSELF).counts(passed=3)


def test_what_goes_wrong_fails_the_test_with_the_timeline(run):
    ended = run(ini="asyncio_mode = auto\n", test_it=HEAD + WRONG)
    ended.counts(failed=2)
    assert "assert 3 == 4" in ended.text or "AssertionError" in ended.text
    assert "charged 2 times" in ended.text
    assert "faults=" in ended.text


def test_a_test_that_is_no_workflow_is_told_so(run):
    source = "@pytest.mark.simulate(seeds=10)\ndef test_odd(tmp_path): ...\n"
    assert "is no workflow: it takes tmp_path" in run(test_it=HEAD + source).text
