"""Alarms that were canceled do not pile up until they would have been due."""

from __future__ import annotations

from resonate.runtime.alarms import Alarms
from resonate.testing.clock import VirtualClock

MANY = 10_000
DAY = 86_400_000


async def test_canceled_alarms_are_swept_and_the_others_ring() -> None:
    clock = VirtualClock()
    alarms, rung = Alarms(clock), list[int]()
    start = clock.now()
    for number in range(MANY):
        alarms.set(start + DAY, lambda: rung.append(-1)).cancel()
        if number % 1000 == 0:
            alarms.set(start + number, lambda number=number: rung.append(number))  # type: ignore[misc]
        assert len(alarms) < 200
    await clock.sleep_until(start + MANY)
    assert rung == list(range(0, MANY, 1000))
    alarms.stop()


async def test_canceling_twice_or_after_the_ring_is_harmless() -> None:
    clock = VirtualClock()
    alarms, rung = Alarms(clock), list[int]()
    start = clock.now()
    made = [alarms.set(start + 1, lambda: rung.append(1)) for _ in range(3)]
    made[0].cancel()
    made[0].cancel()
    await clock.sleep_until(start + 2)
    for one in made:
        one.cancel()
    alarms.set(start + 3, lambda: rung.append(3))
    await clock.sleep_until(start + 4)
    assert rung == [1, 1, 3]
    assert len(alarms) == 0
    alarms.stop()
