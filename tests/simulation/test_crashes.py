"""The worker is lost before and after each request in turn, and nothing is: the run ends with the same result."""

from __future__ import annotations

from itertools import count

import pytest

from resonate.adapters.sqlite import SqliteServer
from resonate.testing import CrashPoint, When
from tests.effort import places
from tests.simulation.shapes import SHAPES
from tests.simulation.stage import Stage


@pytest.mark.parametrize("name", SHAPES)
async def test_a_run_without_faults(name, mode, dialect):
    stage = await Stage(SHAPES[name], mode, census=True, dialect=dialect).play()
    assert stage.result == SHAPES[name].result
    assert stage.wrong == []


@pytest.mark.parametrize("name", SHAPES)
async def test_both_modes_leave_the_same_history(name, dialect):
    in_place = await Stage(SHAPES[name], mode=1000, dialect=dialect).play()
    replayed = await Stage(SHAPES[name], mode=0, dialect=dialect).play()
    assert in_place.history == replayed.history


@pytest.mark.parametrize("name", SHAPES)
async def test_a_worker_that_is_lost_at_any_request_costs_nothing(name, mode, dialect):
    shape = SHAPES[name]
    whole = await Stage(shape, mode, dialect=dialect).play()
    for number in places(range(1, len(whole.requests) + 1)):
        for when in When:
            stage = await Stage(shape, mode, CrashPoint(number, when), dialect=dialect).play()
            where = f"lost {when.value} request {number}, {type(whole.requests[number - 1]).__name__}"
            assert stage.result == shape.result, where
            assert stage.wrong == [], where
            assert stage.history == whole.history, where


@pytest.mark.parametrize("name", SHAPES)
async def test_a_worker_that_is_lost_at_any_request_costs_nothing_in_a_file(name, tmp_path):
    files = count()

    def server(clock):
        return SqliteServer(tmp_path / f"{next(files)}.db", clock=clock, durability="normal")

    shape = SHAPES[name]
    whole = await Stage(shape, mode=0, server=server).play()
    assert whole.history == (await Stage(shape, mode=0).play()).history
    for number in places(range(1, len(whole.requests) + 1)):
        for when in When:
            stage = await Stage(shape, 0, CrashPoint(number, when), server=server).play()
            where = f"lost {when.value} request {number}, {type(whole.requests[number - 1]).__name__}"
            assert stage.result == shape.result, where
            assert stage.wrong == [], where
            assert stage.history == whole.history, where
