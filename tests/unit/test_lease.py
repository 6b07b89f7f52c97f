"""The keeper of leases by itself: when it asks, and which of its requests it gives up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from resonate.adapters.clock import SystemClock
from resonate.core.protocol.dialect import OURS
from resonate.core.protocol.requests import Done, TaskHeartbeat
from resonate.runtime.lease import LeaseKeeper
from resonate.testing import VirtualClock

TTL = 8_000
HALF, PART = TTL // 2, TTL // 8


class Store:
    """A store that answers when it is told to; only what a keeper of leases asks."""

    dialect = OURS

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Done]] = []

    async def send(self, request: TaskHeartbeat) -> Done:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(auto_jump=False)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def keeper(store: Store, clock: VirtualClock) -> AsyncIterator[LeaseKeeper]:
    keeper = LeaseKeeper(
        store=store,
        clock=clock,
        pid="p",
        ttl_ms=TTL,
        on_lost=lambda *_: None,
        on_refused=lambda _: None,
        own_thread=False,
    )
    keeper.start()
    await clock.advance(0)
    yield keeper
    await keeper.stop()


async def test_a_lease_is_renewed_at_half_its_length(keeper, store, clock):
    keeper.hold("a", 1, clock.now())
    await clock.advance(HALF - 1)
    assert len(store.asked) == 0
    await clock.advance(1)
    assert len(store.asked) == 1


async def test_a_keeper_that_is_late_to_wake_renews_what_is_half_over_at_once(keeper, store, clock):
    keeper.hold("a", 1, clock.now())
    clock.jump_to(clock.now() + HALF)
    await clock.advance(0)
    assert len(store.asked) == 1


async def test_an_answer_makes_the_older_requests_needless_and_not_the_newer(keeper, store, clock):
    keeper.hold("a", 1, clock.now())
    await clock.advance(HALF + 2 * PART)
    oldest, middle, newest = store.asked
    middle.set_result(Done())
    await clock.advance(0)
    assert [one.cancelled() for one in (oldest, middle, newest)] == [True, False, False]


def test_leases_of_an_event_loop_that_was_closed_are_renewed_no_more():
    home = asyncio.new_event_loop()

    async def begin() -> LeaseKeeper:
        keeper = LeaseKeeper(
            store=Store(),
            clock=SystemClock(),
            pid="p",
            ttl_ms=80,
            on_lost=lambda *_: None,
            on_refused=lambda _: None,
            own_thread=True,
        )
        keeper.start()
        keeper.hold("a", 1, SystemClock().now())
        return keeper

    before = set(threading.enumerate())
    keeper = home.run_until_complete(begin())
    home.close()
    (heart,) = {one for one in set(threading.enumerate()) - before if one.name == "resonate-heartbeat"}
    heart.join(60)
    assert not heart.is_alive()
    del keeper
