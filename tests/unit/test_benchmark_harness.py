"""The benchmark harness, with a timer that moves only when a round says so."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.harness import Bench, Growth, measure, seconds, table


class FakeTime:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def round(self, *durations):
        """Return a round function that takes each duration in turn, then the last one for ever."""
        left = list(durations)

        async def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_the_median_leaves_out_the_warm_up_and_shrugs_off_an_outlier():
    time = FakeTime()
    bench = Bench("it", time.round(100, 4, 90, 2), units=2)
    report = asyncio.run(measure([bench], rounds=3, timer=time))
    assert report.benches[bench].rounds == (4, 90, 2)
    assert report.benches[bench].median == 4
    assert report.benches[bench].per_unit == 2


def test_a_ratio_compares_time_per_unit_with_the_baseline():
    time = FakeTime()
    base = Bench("base", time.round(1.0), units=10)
    other = Bench("other", time.round(1.5), units=5, baseline="base")
    report = asyncio.run(measure([base, other], rounds=1, timer=time))
    assert report.ratio(base) is None
    assert report.ratio(other) == pytest.approx(3.0)
    assert "3.00x base" in table(report)


def test_a_quadratic_growth_breaks_a_linear_limit():
    time = FakeTime()

    async def quadratic(size):
        time.now += size * size

    async def linear(size):
        time.now += size

    bad = Growth("quadratic", quadratic, [10, 20, 40], limit=1.2)
    good = Growth("linear", linear, [10, 20, 40], limit=1.2)
    report = asyncio.run(measure([bad, good], rounds=1, timer=time))
    assert [report.growth(bad), report.growth(bad, 20), report.growth(good)] == [4.0, 2.0, 1.0]
    assert report.broken_limits() == ["quadratic: a op costs 4.00 times as much at 40 as at 10; the limit is 1.20"]


def test_a_slow_round_does_not_look_like_growth():
    time = FakeTime()
    slowness = iter([1, 1, 1, 9, 9, 1, 1])  # the warm-up, then three rounds of two sizes

    async def run(size):
        time.now += size * next(slowness)

    growth = Growth("it", run, [10, 100])
    report = asyncio.run(measure([growth], rounds=3, timer=time))
    assert report.growth(growth) == 1.0


def test_what_a_round_measured_itself_counts():
    time = FakeTime()

    async def run():
        time.now += 100
        return 3.0

    bench = Bench("it", run)
    report = asyncio.run(measure([bench], rounds=1, timer=time))
    assert report.benches[bench].median == 3.0


def test_counts_stand_beside_the_timings():
    growth = Growth("it", lambda _size: FakeTime().round(1.0)(), [1, 10])
    report = asyncio.run(measure([growth], rounds=1, counts={"it": 2.5}))
    assert "2.50" in table(report).splitlines()[2]
    assert report.as_json()["growths"][0]["requests_per_unit"] == 2.5


def test_sizes_that_do_not_grow_are_refused():
    with pytest.raises(ValueError, match="must grow"):
        Growth("it", FakeTime().round(1), [10, 10])


@pytest.mark.parametrize(
    ("value", "text"), [(2, "2.00 s"), (0.0025, "2.50 ms"), (3.2e-5, "32.00 us"), (4e-9, "4 ns"), (0, "0 ns")]
)
def test_a_duration_is_written_in_the_unit_that_suits_it(value, text):
    assert seconds(value) == text
