"""The benchmarks: what is made of rounds with given figures, and counts that are really taken."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from benchmarks import memory
from benchmarks.alone import rounds_apart
from benchmarks.claims import Claim, growth, judged, judgements, rate
from benchmarks.curves import LINE, Chart
from benchmarks.harness import Spending, Spent, Work, measure, seconds
from benchmarks.limits import commits_of
from benchmarks.long import execution_id, fill
from benchmarks.metered import Metered
from benchmarks.page import renewed
from benchmarks.sqlite import OneByOne
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
    costs = asyncio.run(measure([limit, ours], rounds=3))
    assert costs.ratio(limit, 1) is None
    assert costs.ratio(ours, 10) == pytest.approx(2)  # of 2, 2 and 3, though the medians are 1 and 3
    assert costs.cpu_ratio(ours, 10) == pytest.approx(2)
    assert costs.per_unit(ours, 10) == pytest.approx(3)
    assert " 2.00 " in costs.table()


def test_a_ratio_is_to_the_same_size_where_the_other_has_it():
    other = Work("other", in_turn(9, 1, 5), [10, 100])
    ours = Work("ours", in_turn(9, 2, 20), [10, 100], beside="other")
    costs = asyncio.run(measure([other, ours], rounds=1))
    assert [costs.ratio(ours, 10), costs.ratio(ours, 100)] == [pytest.approx(2), pytest.approx(4)]


def test_a_work_whose_units_get_dearer_breaks_its_limit():
    dear = Work("dear", in_turn(9, 1, 2), [10, 100], limit=1.3)
    flat = Work("flat", in_turn(9, 1, 1.2), [10, 100], limit=1.3)
    costs = asyncio.run(measure([dear, flat], rounds=1))
    assert costs.growth(dear, 10) is None
    assert costs.growth(dear, 100) == pytest.approx(2)
    (sentence,) = costs.broken_limits()
    assert sentence == "dear: a step costs 2.00 times as much at 100 as at 10; the limit is 1.30"


def test_twice_as_many_units_cost_twice_as_much_when_linear_and_four_times_when_quadratic():
    linear = Work("linear", in_turn(9, 1, 1, 1), [10, 20, 80])
    quadratic = Work("quadratic", in_turn(9, 1, 2, 8), [10, 20, 80])
    costs = asyncio.run(measure([linear, quadratic], rounds=1))
    assert [costs.doubling(linear), costs.doubling(quadratic)] == [pytest.approx(2), pytest.approx(4)]


def test_a_slow_round_does_not_look_like_growth():
    work = Work("it", in_turn(9, 1, 1, 9, 9, 1, 1), [10, 100])
    costs = asyncio.run(measure([work], rounds=3))
    assert costs.growth(work, 100) == pytest.approx(1)


def test_what_was_counted_apart_stands_beside_the_rounds():
    costs = asyncio.run(measure([Work("it", in_turn(9, 1, 1), [10, 20])], rounds=1))
    costs.requests, costs.peaks = {"it": 2.5}, {"it": 3_000_000}
    assert [(line["requests_per_unit"], line["peak_bytes"]) for line in costs.as_json()] == [
        (2.5, None),
        (2.5, 3_000_000),
    ]
    assert "2.50" in costs.table()
    assert "commits" not in costs.table()


def test_rounds_apart_are_each_a_process_that_runs_all_sizes():
    known = next(work for work in memory.works() if work.name == "bare asyncio task")
    work = evolve(known, run=in_turn(), sizes=[10, 1_000])  # here it can't be run
    costs = asyncio.run(measure([work], rounds=2, apart=rounds_apart("memory")))
    assert [len(costs.rounds[work.name, size]) for size in work.sizes] == [2, 2]
    assert all(one.seconds > 0 for taken in costs.rounds.values() for one in taken)


@pytest.mark.parametrize("sizes", [[10, 10], []])
def test_sizes_that_do_not_grow_are_refused(sizes):
    with pytest.raises(ValueError, match="must grow"):
        Work("it", in_turn(1), sizes)


@pytest.mark.parametrize(
    ("value", "text"), [(2, "2.00 s"), (0.0025, "2.50 ms"), (3.2e-5, "32.00 us"), (4e-9, "4 ns"), (0, "0 ns")]
)
def test_a_duration_is_written_in_the_unit_that_suits_it(value, text):
    assert seconds(value) == text


def test_a_claim_is_judged_by_its_bound_and_left_out_where_it_was_not_measured():
    costs = asyncio.run(measure([Work("it", in_turn(9, 0.001, 0.002), [10, 20])], rounds=1))
    claims = (
        Claim(says="fast", group="g", figure=rate("it", 10), least=900),
        Claim(says="flat", group="g", figure=growth("it", 10, 20), most=1.15),
        Claim(says="of another work", group="g", figure=rate("other", 10), least=1),
        Claim(says="of another size", group="g", figure=rate("it", 30), least=1),
        Claim(says="of another group", group="h", figure=rate("it", 10), least=1),
    )
    found = judgements({"g": costs}, claims)
    assert [(one["says"], one["holds"]) for one in found] == [("fast", True), ("flat", False)]
    assert "at most 1.15  FAILS" in judged(found)


def test_requests_in_turn_are_a_commit_each(tmp_path):
    async def commits(around):
        backend = around(Metered(SqliteServer(tmp_path / f"{around.__name__}.db", durability=Durability.NORMAL)))
        store = backend.connect(group="g", pid="p")
        await store.start()
        spending = Spending(backend)
        await store.send_all([creation(number) for number in range(5)])
        await asyncio.gather(*[store.send(creation(number)) for number in range(5, 10)])
        spent = spending.spent()
        await store.stop()
        return spent.commits

    def together(backend):
        return backend

    assert asyncio.run(commits(OneByOne)) == 10
    assert asyncio.run(commits(together)) < 10


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


def places(chart):
    """Return by curve the points that it is drawn through, and by label how far down it stands."""
    drawing = ET.fromstring(chart.svg())
    lines = [one.attrib["points"].split() for one in drawing.iter("{http://www.w3.org/2000/svg}polyline")]
    texts = {one.text: float(one.attrib["y"]) for one in drawing.iter("{http://www.w3.org/2000/svg}text")}
    return [[tuple(map(float, point.split(","))) for point in line] for line in lines], texts


def test_a_cost_that_stays_is_a_level_line_and_one_that_doubles_with_the_size_a_straight_one():
    chart = Chart(
        title="t",
        across="a",
        up="u",
        curves={"flat": [(1, 5), (10, 5), (100, 5)], "up": [(1, 1), (10, 10), (100, 100)]},
    )
    (flat, up), _ = places(chart)
    assert len({y for _, y in flat}) == 1
    (x1, y1), (x2, y2), (x3, y3) = up
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y2


def test_names_of_curves_that_end_together_stand_below_each_other_and_are_escaped():
    chart = Chart(title="t", across="a", up="u", curves={"a < b": [(1, 5), (2, 5)], "c": [(1, 4), (2, 5)]})
    _, texts = places(chart)
    assert abs(texts["a < b"] - texts["c"]) >= LINE


def test_a_page_gets_the_figures_of_a_file_and_keeps_what_that_says_nothing_of():
    block = "<!-- figures: {} -->\nold\n<!-- end of figures -->\n"
    page = f"# t\n\n{block.format('asleep')}\n{block.format('http')}"
    asleep = [
        {"name": "w", "size": 10, "unit": "workflow", "per_unit_us": 5, "cpu_per_unit_us": 1500, "peak_bytes": 25_000}
    ]
    new = renewed(page, {"of": "this library", "asleep": asleep})
    assert "| w | 10 | 2,500 | 5.0 µs/workflow | 1.50 ms |" in new
    assert re.findall("^old$", new, re.MULTILINE) == ["old"]
    assert renewed(new, {"of": "this library", "asleep": asleep}) == new
    assert renewed(page, {"of": "peers", "asleep": asleep}) == page
