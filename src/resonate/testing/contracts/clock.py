"""What every clock must do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Final, TypeAlias

from resonate.ports.clock import Clock
from resonate.testing.contracts.expect import Check, Checks, agree, hold, raises

MakeClock: TypeAlias = Callable[[], Clock]
ClockCheck: TypeAlias = Check[[Clock]]

_CHECKS: Final[Checks[[Clock]]] = Checks()
_PATIENCE: Final = 60.0
_TRIES: Final = 20
"""On a machine that does much else, an instant may have passed before anybody sleeps until it."""


@_CHECKS
async def now_is_epoch_milliseconds(clock: Clock) -> None:
    hold(type(clock.now()) is int, "an instant is an int")


@_CHECKS
async def now_never_decreases(clock: Clock) -> None:
    def read() -> list[int]:
        return [clock.now() for _ in range(1_000)]

    readings = read()
    hold(all(a <= b for a, b in pairwise(readings)), "time does not run backwards")
    before = clock.now()
    in_a_thread = await asyncio.to_thread(read)
    hold(before <= in_a_thread[0] and in_a_thread[-1] <= clock.now(), "nor between threads")


@_CHECKS
async def a_sleep_ends_when_its_instant_has_come(clock: Clock) -> None:
    for length in (1, 5, 20):
        instant = clock.now() + length
        await asyncio.wait_for(clock.sleep_until(instant), _PATIENCE)
        hold(clock.now() >= instant, "a sleep does not end early")


@_CHECKS
async def an_instant_that_has_passed_is_not_waited_for(clock: Clock) -> None:
    for instant in (clock.now(), clock.now() - 1, 0, -1):
        await asyncio.wait_for(clock.sleep_until(instant), _PATIENCE)


@_CHECKS
async def sleepers_wake_in_the_order_of_their_instants(clock: Clock) -> None:
    async def sleep(instant: int) -> None:
        await clock.sleep_until(instant)
        woken.append(instant)

    for _ in range(_TRIES):
        start, woken = clock.now(), list[int]()
        sleeping = asyncio.gather(*(sleep(start + offset) for offset in (90, 10, 50, 130)))
        await asyncio.sleep(0)  # each has begun
        in_time = clock.now() < start + 10
        await asyncio.wait_for(sleeping, _PATIENCE)
        if in_time:  # an instant that has passed is not slept for
            agree([instant - start for instant in woken], [10, 50, 90, 130], "the order")
            return


@_CHECKS
async def a_sleep_can_be_cancelled(clock: Clock) -> None:
    sleeper = asyncio.create_task(clock.sleep_until(clock.now() + 10**12))
    await asyncio.sleep(0)
    sleeper.cancel()
    with raises(asyncio.CancelledError, "a sleep that is cancelled ends so"):
        await sleeper
    await asyncio.wait_for(clock.sleep_until(clock.now() + 5), _PATIENCE)


@_CHECKS
async def a_sleep_lets_others_work(clock: Clock) -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        for _ in range(100):
            turns += 1
            await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.gather(clock.sleep_until(clock.now() + 20), work()), _PATIENCE)
    agree(turns, 100, "the turns of who worked meanwhile")


@_CHECKS
async def busy_may_be_nested_and_left_in_any_thread(clock: Clock) -> None:
    def work() -> None:
        with clock.busy(), clock.busy():
            clock.now()

    with clock.busy():
        await asyncio.to_thread(work)
    await asyncio.wait_for(clock.sleep_until(clock.now() + 5), _PATIENCE)


@_CHECKS
async def a_clock_serves_several_loops(clock: Clock) -> None:
    def sleep_elsewhere() -> bool:
        instant = clock.now() + 20
        asyncio.run(clock.sleep_until(instant))
        return clock.now() >= instant

    mine = clock.sleep_until(clock.now() + 10)
    both = asyncio.gather(mine, asyncio.to_thread(sleep_elsewhere))
    agree((await asyncio.wait_for(both, _PATIENCE))[1], True, "whether the other loop slept long enough")


CLOCK_CHECKS: Final[tuple[ClockCheck, ...]] = (*_CHECKS,)
"""Every check, each a coroutine function of a clock."""


async def check_clock(make_clock: MakeClock) -> None:
    """Run every check, each with a clock of its own. Raise `AssertionError` at the first promise broken.

    Args:
        make_clock: returns a clock whose time passes by itself: a real one, or a virtual one that jumps.
    """
    for check in CLOCK_CHECKS:
        await check(make_clock())
