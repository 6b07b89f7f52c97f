"""A reply that comes in no time finds a loop that has nothing else to do awake."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from resonate.adapters.http.pool import Pool, Route
from resonate.runtime.eager import begin

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) == 1,
    reason="loops stay awake on Linux alone, and not on the only processor",
)
REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FOR_EVER = 30.0
"""Longer than a test may take: who stays awake for that long does not come back in time."""


@contextmanager
def server(may_answer: Callable[[], object]) -> Iterator[int]:
    """Serve in threads of its own, each request once `may_answer` has returned; yield the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(peer: socket.socket) -> None:
        with peer, suppress(ConnectionError):
            while peer.recv(1_000):
                may_answer()
                peer.sendall(OK)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],)).start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join()


if sys.platform == "linux":

    class Sleeps(selectors.EpollSelector):
        """Counts how often its loop goes to sleep."""

        count = 0

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            found = super().select(0)
            if found or timeout == 0:
                return found
            self.count += 1
            return super().select(timeout)


def run(body: Callable[[Pool, Sleeps], Awaitable[None]], port: int, awake: float = FOR_EVER) -> None:
    sleeps = Sleeps()
    route = Route(
        host="127.0.0.1", port=port, tls=None, connections=4, connect=5, timeout=5, reply_bytes=9, awake=awake
    )

    async def with_connections() -> None:
        pool = Pool(route)
        await asyncio.gather(*(pool.ask(REQUEST) for _ in range(2)))
        await asyncio.sleep(0)
        sleeps.count = 0
        try:
            await body(pool, sleeps)
        finally:
            await pool.close()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(sleeps)) as runner:
        runner.run(with_connections())


@pytest.fixture
def turn() -> threading.Event:
    """Whether a server may answer that waits for it; it may until it is cleared."""
    may = threading.Event()
    may.set()
    return may


@pytest.mark.parametrize("awake", [FOR_EVER, 0])
def test_a_loop_does_not_go_to_sleep_before_a_reply_that_comes_in_time(awake: float):
    found: list[int] = []

    async def body(pool: Pool, sleeps: Sleeps) -> None:
        for _ in range(20):
            assert (await pool.ask(REQUEST)).body == b"ok"
        found.append(sleeps.count)

    never = threading.Event()
    with server(lambda: never.wait(0.001)) as port:  # a reply takes so many seconds
        run(body, port, awake)
    assert bool(found[0]) == (awake == 0)


def test_where_somebody_else_waits_for_a_turn_that_comes_first(turn: threading.Event):
    async def body(pool: Pool, _sleeps: Sleeps) -> None:
        turn.clear()
        asyncio.get_running_loop().call_soon(turn.set)
        assert (await pool.ask(REQUEST)).body == b"ok"

    with server(turn.wait) as port:
        run(body, port)


def test_where_others_are_under_way_the_loop_goes_on(turn: threading.Event):
    async def body(pool: Pool, _sleeps: Sleeps) -> None:
        turn.clear()
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, turn.set)
        loop.call_soon(lambda: None)
        first = loop.create_task(pool.ask(REQUEST))
        await asyncio.sleep(0)
        assert (await pool.ask(REQUEST)).body == b"ok"
        assert (await first).body == b"ok"

    with server(turn.wait) as port:
        run(body, port)


def test_who_has_begun_it_at_once_goes_on_first(turn: threading.Event):
    async def body(pool: Pool, _sleeps: Sleeps) -> None:
        turn.clear()
        asking = begin(asyncio.get_running_loop(), pool.ask(REQUEST))
        turn.set()
        assert (await asking).body == b"ok"

    with server(turn.wait) as port:
        run(body, port)


def test_what_a_signals_handler_raises_meanwhile_ends_the_request():
    class Told(Exception):
        pass

    def raises(*_: object) -> None:
        raise Told

    never, ended = threading.Event(), threading.Event()
    signals: list[int] = []
    found: list[int] = []

    def may_answer() -> None:
        if signals:
            os.kill(os.getpid(), signals.pop())
            ended.wait()
        never.wait(0.001)

    async def body(pool: Pool, sleeps: Sleeps) -> None:
        signals.append(signal.SIGUSR1)
        with pytest.raises(Told):
            await pool.ask(REQUEST)
        await asyncio.sleep(0)
        sleeps.count = 0
        for _ in range(20):
            assert (await pool.ask(REQUEST)).body == b"ok"
        found.append(sleeps.count)

    before = signal.signal(signal.SIGUSR1, raises)
    try:
        with server(may_answer) as port:
            try:
                run(body, port)
            finally:
                ended.set()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert found == [0]  # it was the only request again, for which the loop stayed awake
