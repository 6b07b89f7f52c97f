"""What would leave the durable loop raises DeterminismError, naming the call and the cure."""

from __future__ import annotations

import asyncio
import sys

import pytest

from resonate.core.engine.context import Context
from resonate.core.engine.loop import DurableLoop
from resonate.errors import DeterminismError
from tests.unit.engine.world import World


def name(what: str) -> str:
    return what


async def to_thread() -> None:
    await asyncio.to_thread(print, "x")


async def run_in_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, print, "x")


async def open_connection() -> None:
    await asyncio.open_connection("localhost", 1)


async def start_server() -> None:
    await asyncio.start_server(print, "localhost", 1)


async def create_subprocess_exec() -> None:
    await asyncio.create_subprocess_exec("true")


async def create_subprocess_shell() -> None:
    await asyncio.create_subprocess_shell("true")


async def getaddrinfo() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 1)


async def from_a_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


async def signals() -> None:
    asyncio.get_running_loop().add_signal_handler(1, print)


async def until_complete() -> None:
    asyncio.get_running_loop().run_until_complete(asyncio.get_running_loop().create_future())


WAYS_OUT = [
    to_thread,
    run_in_executor,
    open_connection,
    start_server,
    create_subprocess_exec,
    create_subprocess_shell,
    getaddrinfo,
    from_a_thread,
    signals,
    until_complete,
]


@pytest.mark.parametrize("way", WAYS_OUT, ids=lambda way: way.__name__)
def test_what_leaves_the_loop_is_refused(way):
    async def flow(ctx: Context) -> list[str]:
        try:
            await way()
        except DeterminismError as error:
            return [str(error), await ctx.run(name, "and goes on")]
        return []

    world = World(flow)
    world.play()
    text, after = world.result
    assert "leaves the durable loop" in text
    assert "ctx.run" in text
    assert after == "and goes on"


def test_an_uncaught_refusal_rejects_the_workflow():
    async def flow(ctx: Context) -> None:
        await asyncio.to_thread(print)

    world = World(flow)
    world.play()
    with pytest.raises(DeterminismError, match="run_in_executor"):
        _ = world.result


def test_a_future_of_another_loop_is_refused_where_it_is_awaited():
    other = asyncio.new_event_loop()
    foreign = other.create_future()

    async def flow(ctx: Context) -> str:
        try:
            await foreign
        except DeterminismError as error:
            return str(error)
        return "no"

    world = World(flow)
    world.play()
    other.close()
    assert "another event loop" in world.result


class Strange:
    def __await__(self):
        yield self


def test_what_is_no_future_is_refused_where_it_is_awaited():
    async def flow(ctx: Context) -> list[str]:
        async def task() -> str:
            try:
                await Strange()
            except DeterminismError:
                return await ctx.run(name, "task")
            return "no"

        try:
            await Strange()
        except DeterminismError as error:
            return [str(error), await asyncio.create_task(task())]
        return []

    world = World(flow)
    world.play()
    assert "Strange, which is not durable" in world.result[0]
    assert world.result[1] == "task"


def test_it_is_refused_as_often_as_it_is_tried_also_while_an_error_is_handled():
    async def flow(ctx: Context) -> int:
        refused = 0

        async def stubborn() -> None:
            nonlocal refused
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                for _ in range(3):
                    try:
                        await Strange()
                    except DeterminismError:
                        refused += 1
                raise

        task = asyncio.create_task(stubborn())
        await ctx.run(name, "a")
        task.cancel()
        await asyncio.wait([task])
        return refused

    world = World(flow)
    world.play()
    assert world.result == 3


def test_errors_thrown_into_a_task_that_then_returns():
    async def flow(ctx: Context) -> str:
        async def calm() -> str:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "calm"

        task = asyncio.create_task(calm())
        await ctx.run(name, "a")
        task.cancel()
        return await task

    world = World(flow)
    world.play()
    assert world.result == "calm"


def test_an_awaitable_object_may_be_a_task():
    class Call:
        def __init__(self, ctx: Context) -> None:
            self.ctx = ctx

        def __await__(self):
            return (yield from self.ctx.run(name, "awaited").__await__())

    async def flow(ctx: Context) -> str:
        return await asyncio.get_running_loop().create_task(Call(ctx))

    world = World(flow)
    world.play()
    assert world.result == "awaited"


def test_a_workflow_may_be_turned_while_another_loop_runs():
    async def flow(ctx: Context) -> str:
        assert isinstance(asyncio.get_running_loop(), DurableLoop)
        assert asyncio.current_task() is not None
        return await ctx.run(name, "a")

    async def outer() -> str:
        before = asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks()
        world = World(flow)
        world.play()
        assert before == (asyncio.get_running_loop(), asyncio.current_task(), sys.get_asyncgen_hooks())
        return world.result

    assert asyncio.run(outer()) == "a"


def test_what_the_loop_says_of_itself():
    seen = []

    async def flow(ctx: Context) -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.call_exception_handler({"message": "x"})
        loop.default_exception_handler({"message": "x"})
        seen.extend([loop.get_debug(), loop.is_running(), loop.is_closed()])
        seen.append(loop)

    world = World(flow)
    world.play()
    loop = seen.pop()
    assert seen == [False, True, False]
    assert not loop.is_running()
    world.execution.close()
    assert loop.is_closed()


def test_a_task_cant_be_started_from_outside():
    loops = []

    async def flow(ctx: Context) -> None:
        loops.append(asyncio.get_running_loop())
        await ctx.sleep(1)

    world = World(flow)
    world.play()
    coroutine = flow(None)
    with pytest.raises(DeterminismError, match="outside"):
        loops[0].create_task(coroutine)
    coroutine.close()


def test_a_call_made_by_a_callback_with_no_task_counts_on_the_root_branch():
    from contextvars import Context as Variables

    async def flow(ctx: Context) -> str:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(lambda: future.set_result(ctx.run(name, "bare")), context=Variables())
        loop.call_soon(lambda: loop.call_later(1, print), context=Variables())
        return await (await future)

    world = World(flow)
    world.play()
    assert world.result == "bare"


def test_async_generators_are_left_to_the_garbage_collector_and_hurt_nobody():
    async def flow(ctx: Context) -> str:
        async def letters():
            try:
                yield await ctx.run(name, "a")
                yield "b"
            finally:
                pass

        async for letter in letters():
            return letter
        return "none"

    world = World(flow)
    world.play()
    assert world.result == "a"
