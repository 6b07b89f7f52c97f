import time
from itertools import pairwise

import pytest

from resonate.adapters.clock import SystemClock


def a_millisecond_passes() -> None:
    start = time.monotonic_ns()
    while time.monotonic_ns() - start <= 1_000_000:
        pass


def test_it_tells_the_time_of_day() -> None:
    assert abs(SystemClock().now() - time.time() * 1000) < 100


def test_it_never_runs_backwards() -> None:
    clock = SystemClock()
    readings = [clock.now() for _ in range(10_000)]
    assert all(a <= b for a, b in pairwise(readings))


def test_a_wall_clock_that_steps_back_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before, wall = clock.now(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() - 3_600 * 10**9)
    a_millisecond_passes()
    assert before <= clock.now() < before + 1_000


def test_a_wall_clock_that_steps_forward_is_followed_and_then_not_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    before, wall = clock.now(), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall() + 3_600 * 10**9)
    a_millisecond_passes()
    assert clock.now() >= before + 3_600_000
    monkeypatch.undo()
    a_millisecond_passes()
    assert clock.now() >= before + 3_600_000


async def test_a_sleep_never_ends_early() -> None:
    clock = SystemClock()
    for _ in range(10):
        start = time.monotonic_ns()
        await clock.sleep_until(clock.now() + 10)
        assert time.monotonic_ns() - start >= 10_000_000


async def test_an_instant_that_has_passed_is_not_waited_for() -> None:
    clock = SystemClock()
    await clock.sleep_until(clock.now())
    await clock.sleep_until(0)


def test_being_busy_changes_nothing() -> None:
    clock = SystemClock()
    with clock.busy(), clock.busy():
        assert clock.now() > 0
