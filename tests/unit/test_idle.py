"""An event loop that has nothing else to do stays awake for what may come in no time."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from resonate.idle import Awake, ShortWaits, awake_on, is_alone, is_idle
from resonate.runtime.eager import begin

LONG = 30.0
awake_at_all = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1,
    reason="loops stay awake on Linux alone, and not on the only processor",
)


async def test_a_loop_is_idle_while_nobody_else_waits_for_a_turn():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    assert is_idle(loop)
    passed = loop.call_soon(print)
    assert not is_idle(loop)
    passed.cancel()
    assert is_idle(loop)


async def test_what_begins_where_it_is_made_does_not_wait_for_its_own_turn():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)

    async def body() -> bool:
        return is_idle(loop)

    assert await begin(loop, body())
    loop.call_soon(lambda: None)
    assert not await begin(loop, body())


async def test_of_a_loop_that_does_not_show_it_nobody_knows():
    assert not is_idle(type("Loop", (asyncio.AbstractEventLoop,), {})())


async def test_who_has_begun_it_at_once_is_somebody():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    assert is_alone(loop)

    async def body() -> tuple[bool, bool]:
        before = is_alone(loop)
        await asyncio.sleep(0)
        return before, is_alone(loop)

    assert await begin(loop, body()) == (False, True)


# ---------------------------------------------------------------- whether to wait


def test_it_is_waited_so_long():
    asked: list[float] = []

    def wait(seconds: float) -> bool:
        asked.append(seconds)
        return True

    waits = ShortWaits(0.25)
    assert waits.wait(wait)
    assert waits.wait(wait)
    assert asked == [0.25, 0.25]


def test_where_that_is_in_vain_it_is_tried_more_and_more_seldom_and_always_once_it_was_not():
    waits = ShortWaits(0.25)
    comes = False
    tried: list[int] = []
    for occasion in range(4_000):
        came = waits.wait(lambda _seconds, at=occasion: tried.append(at) or comes)
        assert not came
    assert [after - before for before, after in pairwise(tried)] == [3, 5, 9, 17, 33, 65, 129, 257, 513, 1_025, 1_025]
    comes = True
    while not waits.wait(lambda _seconds: comes):
        pass
    assert [waits.wait(lambda _seconds: comes) for _ in range(5)] == [True] * 5
    comes = False
    assert not waits.wait(lambda _seconds: comes)
    comes = True
    assert [waits.wait(lambda _seconds: comes) for _ in range(4)] == [False, False, True, True]


# ---------------------------------------------------------------- staying awake


@pytest.fixture
async def ends() -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection, to the first of which the loop listens."""
    here, there = socket.socketpair()
    with here, there:
        asyncio.get_running_loop().add_reader(here, here.recv, 1)
        yield here, there
        asyncio.get_running_loop().remove_reader(here)


def awake() -> Awake:
    found = awake_on(asyncio.get_running_loop())
    assert found is not None
    return found


@awake_at_all
async def test_it_is_known_whether_what_is_waited_for_has_come(ends: tuple[socket.socket, socket.socket]):
    here, there = ends
    stays = awake()
    for _ in range(2):
        assert not stays.wait(here.fileno(), 0)
        there.send(b"x")
        assert stays.wait(here.fileno(), 0)
        here.recv(1)


@awake_at_all
async def test_it_ends_when_what_is_waited_for_comes(ends: tuple[socket.socket, socket.socket]):
    here, there = ends
    sender = threading.Thread(target=there.send, args=(b"x",))
    stays = awake()
    sender.start()
    assert stays.wait(here.fileno(), LONG)
    sender.join()


@awake_at_all
async def test_it_ends_when_anything_else_comes_that_the_loop_listens_to(ends: tuple[socket.socket, socket.socket]):
    here, there = ends
    other, far = socket.socketpair()
    stays = awake()
    with other, far:
        there.send(b"x")
        assert not stays.wait(other.fileno(), LONG)
        far.send(b"x")
        here.recv(1)
        assert not stays.wait(other.fileno(), 0)  # to which the loop does not listen


@awake_at_all
async def test_it_ends_when_a_thread_has_something_for_the_loop(ends: tuple[socket.socket, socket.socket]):
    here, _there = ends
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    stays = awake()
    teller = threading.Thread(target=loop.call_soon_threadsafe, args=(told.set,))
    teller.start()
    assert not stays.wait(here.fileno(), LONG)
    await told.wait()
    teller.join()


@awake_at_all
async def test_nobody_stays_awake_on_the_only_processor():
    before = os.sched_getaffinity(0)
    assert awake_on(asyncio.get_running_loop()) is not None
    os.sched_setaffinity(0, {min(before)})
    try:
        assert awake_on(asyncio.get_running_loop()) is None
    finally:
        os.sched_setaffinity(0, before)


@awake_at_all
def test_nobody_stays_awake_beside_the_main_thread():
    async def found() -> Awake | None:
        return awake_on(asyncio.get_running_loop())

    assert asyncio.run(found()) is not None
    elsewhere: list[Awake | None] = []
    thread = threading.Thread(target=lambda: elsewhere.append(asyncio.run(found())))
    thread.start()
    thread.join()
    assert elsewhere == [None]


def test_on_a_loop_that_does_not_show_what_it_listens_to_nobody_stays_awake():
    assert awake_on(type("Loop", (asyncio.AbstractEventLoop,), {})()) is None
