"""What work on a file costs: rounds with given figures, and commits that are really made."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from benchmarks.costs import Metered, Spending, Spent, Work, measure_costs
from benchmarks.limits import commits_of
from benchmarks.long import execution_id, fill
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseGet


def in_turn(*rounds):
    """Return a run that takes so many seconds for each unit, a figure per round; the first is to warm up."""
    left = list(rounds)

    async def run(size):
        seconds = left.pop(0)
        return Spent(seconds * size, seconds * size / 2)

    return run


def test_a_ratio_is_taken_within_each_round():
    limit = Work("limit", in_turn(9, 1, 10, 1), [1])
    ours = Work("ours", in_turn(9, 2, 20, 3), [10], beside="limit")
    costs = asyncio.run(measure_costs([limit, ours], rounds=3))
    assert costs.ratio(limit, 1) is None
    assert costs.ratio(ours, 10) == pytest.approx(2)  # of 2, 2 and 3, though the medians are 1 and 3
    assert costs.cpu_ratio(ours, 10) == pytest.approx(2)
    assert costs.per_unit(ours, 10) == pytest.approx(3)
    assert "2.00x" in costs.table()


def test_a_ratio_is_to_the_same_size_where_the_other_has_it():
    other = Work("other", in_turn(9, 1, 5), [10, 100])
    ours = Work("ours", in_turn(9, 2, 20), [10, 100], beside="other")
    costs = asyncio.run(measure_costs([other, ours], rounds=1))
    assert [costs.ratio(ours, 10), costs.ratio(ours, 100)] == [pytest.approx(2), pytest.approx(4)]


def test_a_work_whose_units_get_dearer_breaks_its_limit():
    dear = Work("dear", in_turn(9, 1, 2), [10, 100], limit=1.3)
    flat = Work("flat", in_turn(9, 1, 1.2), [10, 100], limit=1.3)
    costs = asyncio.run(measure_costs([dear, flat], rounds=1))
    assert costs.growth(dear, 10) is None
    assert costs.growth(dear, 100) == pytest.approx(2)
    (sentence,) = costs.broken_limits()
    assert sentence == "dear: a step costs 2.00 times as much at 100 as at 10; the limit is 1.30"


def creation(number):
    return PromiseCreate(id=f"p{number}", timeout_at=2**52)


def test_commits_are_counted_as_they_reach_the_log(tmp_path):
    async def commits():
        backend = Metered(SqliteServer(tmp_path / "a.db", durability=Durability.NORMAL))
        assert backend.commits() == 0
        store = backend.connect(group="g", pid="p")
        await store.start()
        counts = []
        spending = Spending(backend)
        for number in range(5):
            await store.send(creation(number))
        counts.append(spending.spent().commits)
        await store.send(PromiseGet(id="p1"))
        counts.append(spending.spent().commits)
        await store.send_all([creation(number) for number in range(5, 50)])
        counts.append(spending.spent().commits)
        await store.stop()
        assert backend.commits() == 0
        return counts

    assert asyncio.run(commits()) == [5, 5, 6]


def test_a_filled_file_holds_whole_executions_that_are_over(tmp_path):
    asyncio.run(fill(tmp_path / "long.db", 40))
    promises = [one.record for one in SqliteServer(tmp_path / "long.db").snapshot().promises]
    assert len(promises) == 40
    assert {promise.state for promise in promises} == {PromiseState.RESOLVED}
    assert {promise.tags[Tag.ORIGIN] for promise in promises} == {execution_id(number) for number in range(4)}


def test_a_limit_leaves_as_many_rows_as_it_was_asked_for(tmp_path):
    commits_of(10, Durability.NORMAL, lambda: tmp_path)(50)
    with closing(sqlite3.connect(tmp_path / "bare.db")) as db:
        assert db.execute("SELECT count(*) FROM rows").fetchone() == (50,)
