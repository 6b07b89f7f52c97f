"""Messages: floods of them, and interruptions in which some are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from resonate import Context
from resonate.core.protocol.records import Execute, Unblock
from resonate.core.protocol.requests import PromiseRegisterListener, TaskAcquire
from resonate.ports.store import Reconnected
from tests.unit.regressions.slow import Slow, a_moment


class Stream:
    """A Backend whose messages a test can lose, and add to."""

    def __init__(self, inner: Any, before: Any = a_moment) -> None:
        self.inner, self.lost, self.loses, self.requests = inner, False, Unblock, []
        self.added: asyncio.Queue[Any] = asyncio.Queue()
        self._before = before
        self._slow = Slow(inner, before=self._note)

    async def _note(self, request: Any) -> None:
        self.requests.append(request)
        await self._before(request)

    def connect(self, *, group: str, pid: str) -> Any:
        store = self._slow.connect(group=group, pid=pid)
        stream = self

        class Connected:
            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

            async def messages(self) -> AsyncIterator[Any]:
                forwarding = asyncio.ensure_future(self._forward())
                try:
                    while True:
                        yield await stream.added.get()
                finally:
                    forwarding.cancel()

            async def _forward(self) -> None:
                async for message in store.messages():
                    if not (stream.lost and isinstance(message, stream.loses)):
                        stream.added.put_nowait(message)

        return Connected()

    def of(self, kind: type) -> list[Any]:
        return [request for request in self.requests if isinstance(request, kind)]


async def test_after_a_reconnect_whoever_waits_asks_again(harness):
    stream = Stream(harness.backend)
    client = await harness.open(harness.client(backend=stream))
    other = await harness.open(harness.client(pid="other"))
    for n in range(200):
        await other.promises.create(f"p{n}")
    waiting = [asyncio.ensure_future(client.get(f"p{n}").result()) for n in range(200)]
    await harness.clock.advance(1_000)
    stream.lost = True
    for n in range(200):
        await other.promises.resolve(f"p{n}", n)
    await harness.clock.advance(1_000)
    assert not any(one.done() for one in waiting)
    asked = len(stream.of(PromiseRegisterListener))
    for _ in range(3):  # it was interrupted again and again
        stream.added.put_nowait(Reconnected())
    await harness.clock.advance(1_000)
    assert [await one for one in waiting] == list(range(200))
    assert len(stream.of(PromiseRegisterListener)) - asked <= 3 * 200


async def test_an_answer_that_is_older_than_what_was_lost_is_not_relied_on(harness):
    """A waiter is registered, what it would be told is lost, and the answer to its registration comes only then."""
    late = asyncio.Event()

    async def after(request: Any) -> None:
        if isinstance(request, PromiseRegisterListener) and not late.is_set():
            await late.wait()

    stream = Stream(Slow(harness.backend, after=after))
    client = await harness.open(harness.client(backend=stream))
    other = await harness.open(harness.client(pid="other"))
    await other.promises.create("p")
    waiting = asyncio.ensure_future(client.get("p").result())
    await harness.clock.advance(1_000)
    stream.lost = True
    await other.promises.resolve("p", "yes")
    stream.added.put_nowait(Reconnected())
    await harness.clock.advance(1_000)
    late.set()
    await harness.clock.advance(1_000)
    assert waiting.done()
    assert await waiting == "yes"


async def test_after_a_reconnect_what_was_resumed_meanwhile_goes_on(harness):
    stream = Stream(harness.backend)
    client = await harness.open(harness.client(backend=stream))
    other = await harness.open(harness.client(pid="other", group="other"))

    @client.register
    async def asks(ctx: Context) -> list[str]:
        return [await (await ctx.promise()), await (await ctx.promise())]

    handles = [await client.begin_run(f"o{n}", asks) for n in range(100)]
    await harness.clock.advance(10)
    stream.lost, stream.loses = True, Execute
    for n in range(99):
        await other.promises.resolve(f"o{n}:1", "yes")
    await harness.clock.advance(10)
    stream.lost = False
    stream.added.put_nowait(Reconnected())
    await harness.clock.advance(10)  # and not only when the server offers them again
    for n in range(99):
        await other.promises.resolve(f"o{n}:2", "no")
    await harness.clock.advance(10)
    assert [await handle.done() for handle in handles] == [True] * 99 + [False]


async def test_what_is_refreshed_is_asked_for_a_few_at_a_time(harness):
    under_way, most = 0, 0

    async def before(request: Any) -> None:
        nonlocal under_way, most
        if isinstance(request, PromiseRegisterListener):
            under_way += 1
            most = max(most, under_way)
            await a_moment(request)
            under_way -= 1

    stream = Stream(harness.backend, before)
    client = await harness.open(harness.client(backend=stream))
    for n in range(300):
        await client.promises.create(f"p{n}")
    waiting = []
    for n in range(300):
        waiting.append(asyncio.ensure_future(client.get(f"p{n}").result()))
        await harness.clock.advance(1)
    most = 0
    stream.added.put_nowait(Reconnected())
    await harness.clock.advance(1_000)
    assert 0 < most <= 64
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_client_that_is_closed_while_it_refreshes_leaves_nothing(harness):
    stream = Stream(harness.backend)
    async with harness.client(backend=stream) as client:
        await client.promises.create("p")
        waiting = asyncio.ensure_future(client.get("p").result())
        await harness.clock.advance(1)
        stream.added.put_nowait(Reconnected())
        await asyncio.sleep(0)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], Exception)


@pytest.mark.parametrize("room", [1, 3])
async def test_a_flood_of_offers_takes_no_more_than_there_is_room_for(harness, room):
    gate = asyncio.Event()
    acquiring, most = 0, 0

    async def before(request: Any) -> None:
        nonlocal acquiring, most
        if isinstance(request, TaskAcquire):
            acquiring += 1
            most = max(most, acquiring)
            await a_moment(request)
            acquiring -= 1

    stream = Stream(harness.backend, before)
    client = await harness.open(harness.client(backend=stream, concurrency=room))
    other = await harness.open(harness.client(pid="other", group="other"))

    async def work(n: int) -> int:
        await gate.wait()
        return n

    client.register(work)
    for n in range(room):
        await other.options(target="default").begin_rpc(f"o{n}", "work", n)
    await harness.clock.advance(1)
    for _ in range(20):
        for n in range(1_000):
            stream.added.put_nowait(Execute(f"o{n}", 0))
    await harness.clock.advance(10)
    assert len(stream.of(TaskAcquire)) == room
    gate.set()
    await asyncio.gather(*(other.get(f"o{n}").result() for n in range(room)))
    await harness.clock.advance(60_000)
    assert most <= room
    assert len(stream.of(TaskAcquire)) <= 2 * 1_000  # once for each that is offered, not for each offer


async def test_an_offer_of_what_is_parked_here_goes_on_in_place_whatever_else_is_offered(harness):
    stream = Stream(harness.backend)
    client = await harness.open(harness.client(backend=stream))
    began = []

    @client.register
    async def workflow(ctx: Context) -> str:
        began.append(1)
        await ctx.sleep(60)
        return "rested"

    handle = await client.begin_run("o", workflow)
    await harness.clock.advance(1_000)
    for version in (7, 0, 3):  # stale, or another's
        stream.added.put_nowait(Execute("o", version))
    assert await handle == "rested"
    assert began == [1]
