"""How an execution ends: what it waits for, what it cancels, what starves it, what it refuses afterwards."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.protocol.records import PromiseState
from resonate.core.trace import CodecFailed
from resonate.errors import DecodingError, EncodingError, UsageError
from tests.unit.engine.world import T0, World


def name(what: str) -> str:
    return what


def test_children_that_nobody_awaits_are_waited_for():
    async def inner(ctx: Context) -> None:
        await ctx.sleep(5)
        await ctx.run(name, "inner")

    async def flow(ctx: Context) -> str:
        ctx.run(name, "step")
        ctx.rpc("far")
        ctx.run(inner)
        ctx.detached("other")
        return "body over"

    world = World(flow)
    assert isinstance(world.play(), do.Suspend)
    assert set(world.awaiting) == {"root:2", "root:3.1"}
    world.resume(world.settle("root:2").promise, now=T0 + 5000)
    world.play()
    assert world.result == "body over"
    assert world.broken_laws == ()
    assert all(world.read(i).state is not PromiseState.PENDING for i in world.store if i.startswith("root:"))


def test_timers_and_outside_promises_that_nobody_awaits_are_not_waited_for():
    async def flow(ctx: Context) -> str:
        ctx.sleep(1000)
        await ctx.promise()
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is PromiseState.REJECTED_CANCELED
    assert world.store["root:2"].state is PromiseState.PENDING  # somebody outside may have its id


def test_tasks_that_are_left_with_nothing_owed_are_canceled_as_asyncio_run_would():
    seen = []

    async def flow(ctx: Context) -> str:
        async def nap() -> None:
            try:
                await ctx.sleep(1000)
            except asyncio.CancelledError:
                seen.append("canceled")
                raise

        asyncio.get_running_loop().create_task(nap())
        await asyncio.sleep(0)
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert seen == ["canceled"]


def test_tasks_that_are_left_with_work_that_is_owed_go_on_until_it_is_done():
    async def flow(ctx: Context) -> str:
        async def work() -> None:
            await ctx.run(name, "one")
            await ctx.run(name, "two")

        asyncio.get_running_loop().create_task(work())
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert world.store["root:1.2"].state is PromiseState.RESOLVED


def test_cleanup_of_tasks_that_are_left_is_durable():
    async def flow(ctx: Context) -> str:
        async def nap() -> None:
            try:
                await ctx.sleep(1000)
            finally:
                await ctx.run(name, "cleanup")
                await ctx.sleep(3)
                await ctx.run(name, "more")

        asyncio.get_running_loop().create_task(nap())
        await ctx.run(name, "body")
        return "done"

    world = World(flow)
    world.play()
    # Canceled a second time in the sleep, since by then nothing is owed again.
    assert world.result == "done"
    assert world.store["root:1.2"].state is PromiseState.RESOLVED
    again = world.again()
    again.start()
    assert again.result == "done"


def test_a_task_that_swallows_every_cancellation_does_not_keep_the_execution():
    async def flow(ctx: Context) -> str:
        async def stubborn() -> None:
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.get_running_loop().create_future()

        asyncio.get_running_loop().create_task(stubborn())
        await asyncio.sleep(0)
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"


def leftover(ctx: Context) -> None: ...


async def with_leftover(ctx: Context) -> str:
    """The body ends while a task waits for an outside promise; its cleanup makes a durable call."""

    async def waiter() -> None:
        promise = await ctx.promise()
        try:
            got = await promise
        except asyncio.CancelledError:
            await ctx.run(name, "canceled")
            raise
        await ctx.run(name, f"got {got}")

    task = asyncio.create_task(waiter())
    await ctx.run(name, "body")
    return "done" if not task.done() else "early"


def test_a_task_that_was_canceled_at_the_end_is_canceled_at_the_end_of_every_replay():
    """Also if what it waited for has come in the meantime."""
    world = World(with_leftover)
    world.start()
    while "root:1.2" not in world.writes:
        world.happen(world.pending[0])
    world.apply(world.writes["root:1.2"])  # and the worker is lost
    world.settle("root:1.1", "late news")
    other = world.again(now=T0 + 10)
    other.play()
    assert other.result == "done"
    assert other.store["root:1.2"].param.data == world.store["root:1.2"].param.data


def test_a_task_that_heard_before_the_end_hears_before_the_end_in_every_replay():
    world = World(with_leftover)
    world.start()
    world.answer()
    world.happen("w:root:1.1") if "root:1.1" in world.writes else None
    world.happen("s:root:2")
    news = world.settle("root:1.1", "news")
    body = world.written("root:2")
    world.step(news, body)
    assert "root:1.2" in world.writes
    first = world.apply(world.writes["root:1.2"])
    other = world.again(now=T0 + 10)
    other.play()
    assert other.result == "done"
    assert other.store["root:1.2"].param.data == first.param.data
    for missing in ("root:1.1", "root:2"):
        partial = [record for record in other.store.values() if record.id not in ("root", missing)]
        third = other.again(history=partial, now=T0 + 10)
        third.play()
        assert third.result == "done"


def test_a_nested_workflow_cancels_its_own_tasks_at_its_own_end():
    async def flow(ctx: Context) -> str:
        nested = await ctx.run(with_leftover)
        return nested + await ctx.run(name, " after")

    world = World(flow)
    world.start()
    while "root:1.1.2" not in world.writes:
        world.happen(world.pending[0])
    world.apply(world.writes["root:1.1.2"])
    world.settle("root:1.1.1", "late news")
    other = world.again(now=T0 + 10)
    other.play()
    assert other.result == "done after"


# ---------------------------------------------------------------- nothing to wait for


async def bare_future(ctx: Context) -> None:
    await asyncio.get_running_loop().create_future()


async def empty_queue(ctx: Context) -> None:
    await ctx.run(name, "a")
    await asyncio.Queue().get()


async def unset_event(ctx: Context) -> None:
    await ctx.sleep(1)
    await asyncio.Event().wait()


@pytest.mark.parametrize("flow", [bare_future, empty_queue, unset_event])
def test_a_body_that_waits_for_what_nothing_will_settle_fails_and_says_so(flow):
    world = World(flow)
    if isinstance(world.play(), do.Suspend):
        world.resume(now=T0 + 1000)
    with pytest.raises(UsageError, match="nothing will ever settle"):
        _ = world.result


def test_a_nested_body_that_waits_for_nothing_fails_the_execution():
    async def flow(ctx: Context) -> None:
        await ctx.run(bare_future)

    world = World(flow)
    world.play()
    with pytest.raises(UsageError, match="nothing will ever settle"):
        _ = world.result


def test_while_something_may_come_a_body_is_not_starving():
    async def flow(ctx: Context) -> str:
        future = asyncio.get_running_loop().create_future()

        async def setter() -> None:
            await ctx.sleep(1)
            future.set_result("set")

        task = asyncio.create_task(setter())
        got = await future
        await task
        return got

    world = World(flow)
    world.play()
    world.resume(now=T0 + 1000)
    assert world.result == "set"


# ---------------------------------------------------------------- values that can't be written or read


def test_a_step_whose_result_cant_be_written_is_rejected_and_says_where():
    def bad() -> object:
        return object()

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(bad)
        except EncodingError as error:
            return str(error.step)
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "root:1"
    assert [event.id for event in world.events if isinstance(event, CodecFailed)] == ["root:1"]


def test_a_workflow_whose_result_cant_be_written_is_rejected():
    async def flow(ctx: Context) -> object:
        return object()

    world = World(flow)
    world.play()
    with pytest.raises(EncodingError):
        _ = world.result
    assert [event.id for event in world.events if isinstance(event, CodecFailed)] == ["root"]


def test_an_argument_that_cant_be_written_is_refused_where_the_call_is_made():
    async def flow(ctx: Context) -> str:
        try:
            ctx.run(name, object())
        except EncodingError as error:
            return f"{error.execution} {error.step}"
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "root root, calling name"


@pytest.mark.parametrize("nested", [False, True])
def test_recorded_arguments_that_cant_be_read_reject_the_call(nested):
    def step(n: int) -> int:
        return n

    async def inner(ctx: Context, n: int) -> int:
        return n

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(inner if nested else step, 1)
        except DecodingError:
            return "unreadable"
        return "no"

    world = World(flow)
    world.start()
    record = world.apply(world.writes["root:1"])
    garbled = record.param.__class__(record.param.headers, "bm8ganNvbg==")
    from attrs import evolve

    world.store["root:1"] = evolve(record, param=garbled)
    world.play()
    assert world.result == "unreadable"


def test_stop_iteration_from_a_step_is_told_as_what_a_future_can_hold():
    from resonate.errors import ApplicationError

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(name, "a")
        except ApplicationError as error:
            return error.name
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    world.fails("root:1", StopIteration(5))
    world.play()
    assert world.result == "StopIteration"


# ---------------------------------------------------------------- from outside, and afterwards


def test_a_context_refuses_from_outside_of_its_workflow():
    kept = []

    async def flow(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.sleep(10)

    world = World(flow)
    world.play()
    for use in (lambda c: c.run(name, "x"), lambda c: c.sleep(1), lambda c: c.now(), lambda c: c.random):
        with pytest.raises(UsageError, match="outside"):
            use(kept[0])
    with pytest.raises(UsageError, match="outside"):
        kept[0].map(name, "ab").send(None)
    assert kept[0].id == "root"
    assert kept[0].info.function == "flow"


def test_a_context_refuses_after_the_end():
    kept = []

    async def flow(ctx: Context) -> None:
        kept.append(ctx)

    world = World(flow)
    world.play()
    with pytest.raises(UsageError, match="over"):
        kept[0].run(name, "x")


def test_a_context_of_another_workflow_refuses():
    kept = []

    async def lender(ctx: Context) -> None:
        kept.append(ctx)
        await ctx.sleep(10)

    async def borrower(ctx: Context) -> str:
        try:
            kept[0].run(name, "x")
        except UsageError as error:
            return str(error)
        return "no"

    World(lender).play()
    world = World(borrower)
    world.play()
    assert "outside" in world.result


def test_the_context_of_a_nested_workflow_refuses_once_that_is_over():
    kept = []

    async def inner(ctx: Context) -> None:
        kept.append(ctx)

    async def flow(ctx: Context) -> str:
        await ctx.run(inner)
        try:
            await kept[0].run(name, "x")
        except UsageError as error:
            return str(error)
        return "no"

    world = World(flow)
    world.play()
    assert "over" in world.result


def test_a_durable_result_belongs_to_the_loop_of_its_workflow():
    kept = []

    async def flow(ctx: Context) -> None:
        kept.append(ctx.rpc("far"))
        await ctx.sleep(10)

    async def outside() -> None:
        await kept[0]

    World(flow).play()
    with pytest.raises(RuntimeError):
        asyncio.run(outside())


def test_an_execution_that_was_closed_does_nothing_more():
    async def flow(ctx: Context) -> None:
        nap = ctx.sleep(10)
        try:
            await nap
        finally:
            nap.cancel()

    world = World(flow)
    world.play()
    before = list(world.sent)
    world.execution.close()
    world.execution.close()
    assert world.sent == before


def test_what_an_execution_awaits_can_be_asked():
    async def flow(ctx: Context) -> None:
        await asyncio.gather(ctx.rpc("far"), ctx.sleep(10))

    world = World(flow)
    world.play()
    assert world.execution.awaiting == ("root:1", "root:2")
