"""The same over HTTP: a worker that is lost at any request, and a network that loses, doubles and delays them."""

from __future__ import annotations

import pytest

from resonate.testing import CrashPoint, When
from tests.effort import places
from tests.simulation.network import QUIET, Faults, http
from tests.simulation.shapes import SHAPES
from tests.simulation.stage import Stage


@pytest.mark.parametrize("name", SHAPES)
async def test_a_run_over_http_leaves_the_same_history(name, mode):
    bare = await Stage(SHAPES[name], mode).play()
    carried = await Stage(SHAPES[name], mode, network=http()).play()
    assert carried.result == SHAPES[name].result
    assert carried.wrong == []
    assert carried.history == bare.history


@pytest.mark.parametrize("name", SHAPES)
async def test_a_worker_that_is_lost_at_any_request_costs_nothing(name, mode):
    shape = SHAPES[name]
    whole = await Stage(shape, mode, network=http()).play()
    for number in places(range(1, len(whole.requests) + 1)):
        for when in When:
            stage = await Stage(shape, mode, CrashPoint(number, when), network=http()).play()
            where = f"lost {when.value} request {number}, {type(whole.requests[number - 1]).__name__}"
            assert stage.result == shape.result, where
            assert stage.wrong == [], where
            assert stage.history == whole.history, where


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SHAPES)
async def test_a_network_that_fails_costs_nothing(name, mode, seed):
    faults = Faults(seed)
    stage = await Stage(SHAPES[name], mode, network=http(QUIET, faults)).play()
    assert stage.result == SHAPES[name].result, faults
    assert stage.wrong == [], faults
