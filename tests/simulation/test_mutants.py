"""Planted bugs still have a place in the code, and some of them are looked for and found; `make mutants` does all."""

from __future__ import annotations

import pytest

from tests.simulation.mutate import SOURCE, catch, mutants

MUTANTS = {mutant.name: mutant for mutant in mutants()}
QUICK = ("lease_not_renewed", "listener_stays", "news_ignored", "no_patience")


def test_there_are_enough_of_them():
    assert len(MUTANTS) >= 25


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_has_its_place_in_the_code(name):
    mutant = MUTANTS[name]
    before = (SOURCE / mutant.file).read_text()
    after = mutant.applied(before)
    assert after != before
    compile(after, mutant.file, "exec")


@pytest.mark.parametrize("name", QUICK)
def test_a_mutant_is_caught(name):
    caught = catch(MUTANTS[name], seeds=10)
    assert caught is not None
    assert caught.net == "simulator"
    assert caught.runs < 100
