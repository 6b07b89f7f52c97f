"""Many alarms on one clock."""

from __future__ import annotations

from datetime import timedelta

from resonate.runtime.alarms import Alarms
from resonate.testing import VirtualClock


async def test_alarms_ring_in_order_and_canceled_ones_do_not():
    clock = VirtualClock(0, auto_jump=False)
    alarms, rang = Alarms(clock), []
    for at in (30, 10, 20):
        alarms.set(at, lambda at=at: rang.append((at, clock.now())))
    alarms.set(15, lambda: rang.append("canceled")).cancel()
    await clock.advance(25)
    assert rang == [(10, 10), (20, 20)]
    await clock.advance(25)
    assert rang == [(10, 10), (20, 20), (30, 30)]


async def test_what_is_canceled_long_before_it_is_due_is_not_kept():
    alarms = Alarms(VirtualClock(auto_jump=False))
    rang = []
    kept = alarms.set(1, lambda: rang.append("kept"))
    for _ in range(10_000):
        alarms.set(10**15, rang.clear).cancel()
    assert len(alarms._heap) < 200
    alarms.stop()
    assert kept.call is not None


async def test_a_stopped_one_rings_no_more():
    clock = VirtualClock(0, auto_jump=False)
    alarms, rang = Alarms(clock), []
    alarms.set(10, lambda: rang.append(1))
    await clock.advance(5)
    alarms.stop()
    await clock.advance(timedelta(hours=1))
    assert rang == []
