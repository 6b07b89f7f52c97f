"""`def` steps that are over in no time: an event loop that has nothing else to do waits for them where it is."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from itertools import pairwise
from random import random
from typing import Any

import pytest

from resonate.adapters.clock import SystemClock
from resonate.core.engine.commands import Event, RunStep, StepFailed, StepReturned
from resonate.core.engine.environment import Dependencies
from resonate.core.function import describe
from resonate.core.retry import Never
from resonate.runtime.eager import begin
from resonate.runtime.steps import Steps
from resonate.runtime.threads import Call, Threads, outcome

YEAR_3000 = 32_503_680_000_000


class Asked(Call[Any]):
    """A call that knows how often it was waited for."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        super().__init__(fn)
        self.waits = 0

    def finish(self) -> None:
        fn = self.begin()
        if fn is not None:
            self.end(*outcome(fn))

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        return super().wait(seconds)


class Pool:
    """Makes each call at once, or when it is told to."""

    def __init__(self) -> None:
        self.is_quick = True
        self.calls: list[Asked] = []

    def submit(self, fn: Callable[[], Any]) -> Asked:
        self.calls.append(Asked(fn))
        if self.is_quick:
            self.calls[-1].finish()
        return self.calls[-1]

    def close(self) -> None:
        """Nothing waits to begin."""

    def waits(self) -> list[int]:
        return [call.waits for call in self.calls]


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def steps(pool: Pool) -> Steps:
    return Steps(clock=SystemClock(), pool=pool, dependencies=Dependencies({}), draw=random)


def asks_for(fn: Callable[..., Any], *args: object) -> RunStep:
    return RunStep("a:1", describe(fn), args, {}, Never(), YEAR_3000)


def begun(steps: Steps, command: RunStep) -> asyncio.Task[Event]:
    return begin(asyncio.get_running_loop(), steps.run(command, "a"))


async def late(steps: Steps, pool: Pool) -> int:
    """Run a step that takes longer than anybody would wait; return how often it was waited for."""
    pool.is_quick = False
    running = begun(steps, asks_for(abs, -1))
    pool.calls[-1].finish()
    assert await running == StepReturned("a:1", 1)
    return pool.calls[-1].waits


async def test_a_step_that_is_over_in_no_time_takes_no_turn_of_the_loop(steps: Steps, pool: Pool):
    running = steps.run(asks_for(abs, -7), "a")
    with pytest.raises(StopIteration) as over:
        running.send(None)
    assert over.value.value == StepReturned("a:1", 7)


async def test_what_such_a_step_raises_is_its_failure(steps: Steps):
    failed = await steps.run(asks_for(divmod, 1, 0), "a")
    assert isinstance(failed, StepFailed)
    assert isinstance(failed.error, ZeroDivisionError)


async def test_nothing_is_left_for_the_garbage_collector_of_what_it_raises():
    class Failed(Exception):
        pass

    def fails() -> None:
        raise Failed

    pool = Threads(1, "pool")
    steps = Steps(clock=SystemClock(), pool=pool, dependencies=Dependencies({}), draw=random)
    gc.collect()
    gc.disable()
    try:
        failed = await steps.run(asks_for(fails), "a")
        assert isinstance(failed, StepFailed)
        error = weakref.ref(failed.error)
        del failed
        await steps.run(asks_for(abs, -1), "a")  # by when the thread has let go of the one before
        assert error() is None
    finally:
        gc.enable()
        pool.close()


async def test_a_step_that_takes_longer_lets_the_loop_go_on(steps: Steps, pool: Pool):
    assert await late(steps, pool) == 1


async def test_where_somebody_else_waits_for_a_turn_the_loop_does_not_wait(steps: Steps, pool: Pool):
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "had a turn")
    assert await begun(steps, asks_for(abs, -1)) == StepReturned("a:1", 1)
    assert pool.waits() == [0]
    assert others == ["had a turn"]


async def test_where_other_steps_are_under_way_the_loop_does_not_wait(steps: Steps, pool: Pool):
    pool.is_quick = False
    running = [begun(steps, asks_for(abs, -number)) for number in range(9)]
    for call in pool.calls:
        call.finish()
    assert await asyncio.gather(*running) == [StepReturned("a:1", number) for number in range(9)]
    assert pool.waits() == [1, *[0] * 8]


async def test_an_interrupted_step_is_no_longer_under_way(steps: Steps, pool: Pool):
    pool.is_quick = False
    running = begun(steps, asks_for(abs, -1))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert pool.calls[0].begin() is None  # it never will
    assert [await late(steps, pool) for _ in range(3)] == [0, 0, 1]


async def test_where_steps_take_long_it_is_tried_more_and_more_seldom_and_always_after_one_that_did_not(
    steps: Steps, pool: Pool
):
    waits = [await late(steps, pool) for _ in range(2_000)]
    tried = [number for number, count in enumerate(waits) if count]
    assert [after - before for before, after in pairwise(tried)] == [
        3,
        5,
        9,
        17,
        33,
        65,
        129,
        257,
        513,
    ]
    pool.is_quick = True
    while not pool.calls[-1].waits:
        await steps.run(asks_for(abs, -1), "a")
    assert len(pool.calls) - 2_000 <= 1_025
    for _ in range(5):
        await steps.run(asks_for(abs, -1), "a")
        assert pool.calls[-1].waits == 1
    assert [await late(steps, pool) for _ in range(4)] == [1, 0, 0, 1]
