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

    report = asyncio.run(
        measure(
            [
                Growth("quadratic", quadratic, [10, 20, 40], limit=2.5),
                Growth("linear", linear, [10, 20, 40], limit=2.5),
            ],
            rounds=1,
            timer=time,
        )
    )
    assert [report.steps(growth) for growth in report.growths] == [[4.0, 4.0], [2.0, 2.0]]
    assert report.broken_limits() == ["quadratic: doubling the size takes 4.00 times as long; the limit is 2.50"]


def test_sizes_that_do_not_double_are_refused():
    with pytest.raises(ValueError, match="must double"):
        Growth("it", FakeTime().round(1), [10, 30])


@pytest.mark.parametrize(
    ("value", "text"), [(2, "2.00 s"), (0.0025, "2.50 ms"), (3.2e-5, "32.00 us"), (4e-9, "4 ns"), (0, "0 ns")]
)
def test_a_duration_is_written_in_the_unit_that_suits_it(value, text):
    assert seconds(value) == text
