"""Tasks that begin where they are made: as they would by themselves, but at once."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import weakref

import pytest

from resonate.runtime.eager import begin

HOLDER: contextvars.ContextVar[object] = contextvars.ContextVar("HOLDER", default=None)
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="")


async def test_the_body_runs_until_it_first_waits():
    ran: list[object] = []
    outer = asyncio.current_task()

    async def body() -> str:
        ran.append(asyncio.current_task())
        VARIABLE.set("inner")
        await asyncio.sleep(0)
        ran.append(asyncio.current_task())
        return VARIABLE.get()

    VARIABLE.set("outer")
    task = begin(asyncio.get_running_loop(), body())
    assert ran == [task]
    assert not task.done()
    assert asyncio.current_task() is outer
    assert VARIABLE.get() == "outer"
    assert await task == "inner"
    assert ran == [task, task]


async def test_a_body_that_waits_for_nothing_is_over_at_once():
    async def body() -> int:
        return 1

    task = begin(asyncio.get_running_loop(), body())
    assert task.done()
    assert task.result() == 1


async def test_an_error_is_the_tasks():
    async def body() -> None:
        raise ValueError("no")

    task = begin(asyncio.get_running_loop(), body())
    with pytest.raises(ValueError, match="no"):
        await task
    assert asyncio.current_task() is not task


async def test_what_is_made_within_begins_within_and_ends_in_order():
    order: list[str] = []
    loop = asyncio.get_running_loop()

    async def inner() -> None:
        order.append("inner")

    async def body() -> None:
        order.append("before")
        begin(loop, inner())
        order.append("after")

    begin(loop, body())
    assert order == ["before", "inner", "after"]


async def test_it_can_be_canceled_and_timed_out_while_it_waits():
    async def body() -> str:
        try:
            async with asyncio.timeout(0):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            pass
        await asyncio.get_running_loop().create_future()
        return "never"

    task = begin(asyncio.get_running_loop(), body())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_else_is_ready_keeps_its_turn():
    order: list[str] = []
    loop = asyncio.get_running_loop()
    loop.call_soon(order.append, "ready before")

    async def body() -> None:
        order.append("begun")
        await asyncio.sleep(0)
        order.append("went on")

    task = begin(loop, body())
    loop.call_soon(order.append, "ready after")
    await task
    assert order == ["begun", "ready before", "went on", "ready after"]


async def test_a_loop_with_a_task_factory_of_its_own_is_obeyed():
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def factory(loop, body, **options):
        made.append("task")
        return asyncio.Task(body, loop=loop, **options)

    async def body() -> int:
        return 1

    loop.set_task_factory(factory)
    try:
        assert await begin(loop, body()) == 1
    finally:
        loop.set_task_factory(None)
    assert made == ["task"]


def test_a_loop_that_keeps_what_is_ready_elsewhere_begins_in_its_next_turn():
    class Other(asyncio.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            return super().call_soon(lambda: callback(*args), context=context)

    async def main() -> list[str]:
        order: list[str] = []

        async def body() -> None:
            order.append("begun")

        task = begin(asyncio.get_running_loop(), body())
        order.append("made")
        await task
        return order

    loop = Other()
    try:
        assert sorted(loop.run_until_complete(main())) == ["begun", "made"]
    finally:
        loop.close()


async def test_threads_that_call_back_meanwhile_are_all_heard() -> None:
    loop, heard, begun = asyncio.get_running_loop(), [0], [0]

    async def body() -> None:
        begun[0] += 1
        await asyncio.sleep(0)

    def hear() -> None:
        heard[0] += 1

    def call_back() -> None:
        for _ in range(5_000):
            loop.call_soon_threadsafe(hear)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        calling = loop.run_in_executor(None, call_back)
        tasks: list[asyncio.Task[None]] = []
        while not calling.done():
            tasks += [begin(loop, body()) for _ in range(20)]
            await asyncio.sleep(0)
        await asyncio.gather(calling, *tasks)
    finally:
        sys.setswitchinterval(interval)
    assert (heard[0], begun[0]) == (5_000, len(tasks))


async def test_what_a_body_knew_is_let_go_when_it_is_over_and_not_in_the_loops_next_turn():
    class Known:
        pass

    async def body() -> weakref.ref[Known]:
        known = Known()
        HOLDER.set(known)
        return weakref.ref(known)

    task = begin(asyncio.get_running_loop(), body())
    known = task.result()
    del task
    assert known() is None
