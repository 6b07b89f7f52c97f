"""Coroutines that nobody goes on with: the garbage collector closes them in the middle of whatever runs."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType, coroutine
from typing import Any

import httpx
import pytest

from resonate import Context, MemoryServer, Resonate, SqliteServer, UsageError
from resonate.adapters.http import HttpBackend
from resonate.core.protocol.requests import PromiseGet
from resonate.ports.store import Backend, Store
from resonate.testing import HttpFront

SOON = 60  # seconds


async def step(number: int) -> int:
    return number + 1


async def workflow(ctx: Context) -> int:
    return await ctx.run(step, 1) + await ctx.rpc(step, 2)


@coroutine
def forever() -> Generator[None, None, None]:
    yield


async def held(store: Store) -> None:
    try:
        await forever()
    finally:
        await store.stop()


class Collector:
    """Closes a coroutine when a function is first called in this thread, as the garbage collector may."""

    def __init__(self, abandoned: Coroutine[Any, Any, None], place: CodeType | None) -> None:
        self._abandoned = abandoned
        self._place = place
        self.called = set[CodeType]()

    def __call__(self, frame: FrameType, event: str, _arg: object) -> None:
        code = frame.f_code
        if event != "call" or code in self.called or "resonate" not in code.co_filename:
            return
        self.called.add(code)
        if code is self._place:
            with suppress(RuntimeError):  # it waits for something at its end: Python says so, and leaves it
                self._abandoned.close()


def ends(run: Callable[[], None]) -> bool:
    """Run in a thread of its own, since what hangs can't be interrupted; return whether it ended."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SOON)
    return not thread.is_alive()


async def functions_called(server: Backend, place: CodeType | None) -> set[CodeType]:
    """Run a workflow while a store of the same server is abandoned; return the functions that this calls."""
    async with Resonate(server) as client:
        client.register(step)
        client.register(workflow)
        store = server.connect(group="other", pid="abandoned")
        await store.start()
        abandoned = held(store)
        abandoned.send(None)
        collector = Collector(abandoned, place)
        sys.setprofile(collector)
        try:
            assert await client.run("a", workflow) == 5
        finally:
            sys.setprofile(None)
        with suppress(RuntimeError):
            abandoned.close()
        await store.stop()
    return collector.called


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it waits at its end, and never will
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_store_may_be_abandoned_while_any_function_is_called(kind: str, tmp_path: Path):
    done: list[str] = []

    def server() -> Backend:
        return MemoryServer() if kind == "memory" else SqliteServer(tmp_path / f"{len(done)}.db")

    def run_all() -> None:
        for place in asyncio.run(functions_called(server(), None)):
            done.append(place.co_qualname)
            asyncio.run(functions_called(server(), place))

    assert ends(run_all), f"it hangs in {done[-1]}"
    assert len(done) > 150


def test_a_store_that_is_abandoned_in_the_middle_of_a_request_is_gone_after_it_and_no_sooner():
    stores: list[Store] = []
    abandoned: list[Coroutine[Any, Any, None]] = []
    meanwhile: list[bool] = []
    after: list[object] = []

    def is_connected() -> bool:
        try:
            anext(aiter(stores[0].messages())).__await__().send(None)
        except StopAsyncIteration:
            return False
        return True

    def witness(*_: object) -> None:
        if not meanwhile:
            abandoned[0].close()
            meanwhile.append(is_connected())

    async def scenario() -> None:
        server = MemoryServer(witness=witness)
        stores.append(server.connect(group="other", pid="abandoned"))
        await stores[0].start()
        abandoned.append(held(stores[0]))
        abandoned[0].send(None)
        async with Resonate(server, pid="one") as client:
            client.register(workflow)
            client.register(step)
            assert await client.run("a", workflow) == 5
            after.extend([is_connected(), server.facts([]).groups])

    assert ends(lambda: asyncio.run(scenario()))
    assert meanwhile == [True]
    assert after == [False, {"default": ("one",)}]


def test_what_asks_in_the_middle_of_a_request_is_told_so_and_the_request_is_done():
    refused: list[str] = []

    async def asks(store: Store) -> None:
        try:
            await forever()
        finally:
            with pytest.raises(UsageError) as error:
                await store.send(PromiseGet(id="a"))
            refused.append(error.value.message)

    async def scenario() -> None:
        abandoned: list[Coroutine[Any, Any, None]] = []
        server = MemoryServer(witness=lambda *_: abandoned[0].close())
        store = server.connect(group="other", pid="other")
        await store.start()
        abandoned.append(asks(store))
        abandoned[0].send(None)
        async with Resonate(server) as client:
            client.register(workflow)
            client.register(step)
            assert await client.run("a", workflow) == 5
        await store.stop()

    assert ends(lambda: asyncio.run(scenario()))
    assert len(refused) == 1
    assert refused[0].startswith("The server was asked for something in the middle of another request")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("what", ["starts", "asks", "stops"])
async def test_a_workflow_that_uses_a_store_is_refused_and_harms_nobody(kind: str, what: str, tmp_path: Path):
    server: Backend = MemoryServer() if kind == "memory" else SqliteServer(tmp_path / "app.db")
    store = server.connect(group="other", pid="other")

    async def uses(ctx: Context) -> str:
        match what:
            case "starts":
                await server.connect(group="more", pid="more").start()
            case "asks":
                await store.send(PromiseGet(id="a"))
            case _:
                await store.stop()
        return "done"

    await store.start()
    async with asyncio.timeout(SOON), Resonate(server) as client:
        for function in (uses, workflow, step):
            client.register(function)
        if kind == "memory" and what != "starts":  # which takes no more than a call
            assert await client.run("a", uses) == "done"
        else:
            with pytest.raises(
                UsageError, match="inside a workflow" if what == "starts" else "nothing will ever settle"
            ):
                await client.run("a", uses)
        assert await client.run("b", workflow) == 5
        if what == "asks":
            assert (await store.send(PromiseGet(id="b"))).promise.id == "b"
    await store.stop()


async def test_an_application_whose_transport_nobody_closed_lives_as_long_as_its_loop(caplog):
    server = MemoryServer()
    backend = HttpBackend("http://server", client=httpx.AsyncClient(transport=HttpFront(server).transport()))
    store = backend.connect(group="one", pid="one")
    await store.start()
    connected = server.facts([]).groups
    await store.stop()
    del store, backend
    await asyncio.sleep(0)
    gc.collect()
    assert not [record for record in caplog.records if "destroyed" in record.message]
    assert (
        {name for name in server.facts([]).groups if name.startswith("front-")}
        == {name for name in connected if name.startswith("front-")}
        != set()
    )
