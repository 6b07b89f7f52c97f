"""The language's own constructs are durable inside a workflow."""

from __future__ import annotations

import asyncio
import random

import pytest

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.environment import Dependencies
from resonate.core.protocol.records import PromiseState
from resonate.errors import DeterminismError, UsageError
from tests.unit.engine.world import T0, World


def name(what: str) -> str:
    return what


def ends_the_same(world: World, **changes: object) -> None:
    """Replay what is stored, and compare."""
    again = world.again(**changes)
    assert [type(command) for command in again.start()] == [do.Fulfill]
    assert again.end.action == world.end.action
    assert again.broken_laws == ()


# ---------------------------------------------------------------- lineage


async def two_chains(ctx: Context) -> list[str]:
    async def chain(letter: str) -> str:
        one = await ctx.run(name, letter + "1")
        two = await ctx.run(name, one + letter + "2")
        return await ctx.run(name, two + letter + "3")

    return await asyncio.gather(chain("a"), chain("b"))


@pytest.mark.parametrize("seed", range(12))
def test_ids_follow_lineage_whatever_finishes_first(seed):
    world = World(two_chains)
    draw = random.Random(seed)
    world.play(choose=draw.choice)
    assert world.result == ["a1a2a3", "b1b2b3"]
    values = {
        promise_id: record.param.headers["resonate:args"]
        for promise_id, record in world.store.items()
        if promise_id != "root"
    }
    assert set(values) == {"root:1.1", "root:1.2", "root:1.3", "root:2.1", "root:2.2", "root:2.3"}
    reference = World(two_chains)
    reference.play()
    assert values == {i: r.param.headers["resonate:args"] for i, r in reference.store.items() if i != "root"}
    ends_the_same(world)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("cut", [2, 5, 9])
def test_chains_are_not_handed_each_others_results_by_a_replay(seed, cut):
    world = World(two_chains)
    draw = random.Random(seed)
    world.start()
    for _ in range(cut):
        world.happen(draw.choice(world.pending))
    other = world.again()
    other.play(choose=draw.choice)
    assert other.result == ["a1a2a3", "b1b2b3"]


def test_tasks_within_tasks_count_below_each_other():
    async def flow(ctx: Context) -> str:
        async def leaf() -> str:
            return await ctx.run(name, "leaf")

        async def branch() -> str:
            first = asyncio.create_task(leaf())
            await ctx.run(name, "branch")
            return await first

        return await asyncio.create_task(branch(), name="named")

    world = World(flow)
    world.play()
    assert world.result == "leaf"
    assert set(world.store) == {"root", "root:1.1.1", "root:1.2"}


def test_nested_workflows_count_below_their_own_promise():
    async def inner(ctx: Context, n: int) -> str:
        if n == 0:
            return await ctx.run(name, "leaf")
        return await ctx.run(inner, n - 1)

    async def flow(ctx: Context) -> str:
        return await ctx.run(inner, 2)

    world = World(flow)
    world.play()
    assert world.result == "leaf"
    assert set(world.store) == {"root", "root:1", "root:1.1", "root:1.1.1", "root:1.1.1.1"}
    assert world.store["root:1.1"].tags["resonate:parent"] == "root:1"
    assert world.broken_laws == ()
    ends_the_same(world)


def test_a_nested_workflow_that_fails_is_raised_in_its_parent():
    async def inner(ctx: Context) -> None:
        raise KeyError("inner")

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(inner)
        except KeyError as error:
            return error.args[0]
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "inner"


def test_a_nested_workflow_has_facts_of_its_own():
    async def inner(ctx: Context) -> list[object]:
        return [ctx.id, ctx.info.id, ctx.info.execution, ctx.info.function, ctx.info.timeout_at, ctx.info.attempt]

    async def flow(ctx: Context) -> list[object]:
        return [ctx.id, await ctx.options(timeout=9).run(inner)]

    world = World(flow)
    world.play()
    assert world.result == ["root", ["root:1", "root:1", "root", "inner", T0 + 9000, 1]]


def test_a_workflow_that_is_nested_asks_for_the_objects_registered():
    async def inner(ctx: Context) -> str:
        return ctx.get_dependency("db") + ctx.info.get_dependency(str)

    async def flow(ctx: Context) -> str:
        return await ctx.run(inner)

    world = World(flow)
    world.dependencies.set("db", "d")
    world.dependencies.set(str, "s")
    world.play()
    assert world.result == "ds"


def test_an_object_that_is_not_registered():
    async def flow(ctx: Context) -> None:
        ctx.get_dependency(dict)

    world = World(flow)
    world.play()
    with pytest.raises(UsageError, match="'dict'"):
        _ = world.result


# ---------------------------------------------------------------- generators


def test_a_generator_workflow():
    def flow(ctx: Context, n: int):
        a = yield ctx.run(name, f"{n}")
        handle = yield ctx.begin_run(name, "b")
        b = yield handle
        try:
            yield ctx.run(fail)
        except ValueError as error:
            c = str(error)
        yield ctx.sleep(1)
        return [a, b, c]

    def fail() -> None:
        raise ValueError("c")

    world = World(flow, 7)
    assert isinstance(world.play(), do.Suspend)
    world.resume(now=T0 + 1000)
    assert world.result == ["7", "b", "c"]
    ends_the_same(world, now=T0 + 1000)


def test_a_generator_that_yields_what_cant_be_awaited_hears_of_it():
    def flow(ctx: Context):
        try:
            yield 5
        except UsageError:
            return (yield ctx.run(name, "told"))

    world = World(flow)
    world.play()
    assert world.result == "told"


def test_a_generator_that_yields_nothing():
    def flow(ctx: Context):
        return 5
        yield

    world = World(flow)
    world.play()
    assert world.result == 5


def test_a_generator_that_fails():
    def flow(ctx: Context):
        yield ctx.run(name, "a")
        raise ValueError("late")

    world = World(flow)
    world.play()
    with pytest.raises(ValueError, match="late"):
        _ = world.result


def test_a_generator_that_is_closed_runs_its_finally_with_nothing_durable_left():
    heard = []

    def flow(ctx: Context):
        try:
            yield ctx.sleep(100)
        finally:
            try:
                ctx.run(name, "never")
            except UsageError as error:
                heard.append(str(error))

    world = World(flow)
    world.play()
    assert heard == []
    world.execution.close()
    assert len(heard) == 1
    assert "is over" in heard[0]


def test_a_generator_that_yields_while_it_is_closed_is_cut_off():
    def flow(ctx: Context):
        try:
            yield ctx.sleep(100)
        finally:
            yield ctx

    world = World(flow)
    world.play()
    world.execution.close()


def test_arguments_that_do_not_fit_reject_the_workflow():
    async def flow(ctx: Context, n: int) -> int:
        return n

    from resonate.core.engine.execution import Execution
    from resonate.core.function import describe
    from resonate.core.values import Call

    world = World(flow, 1)
    execution = Execution(world.env, Context, world.store["root"], describe(flow), Call(func="flow", args=(1, 2, 3)))
    (end,) = execution.start(T0)
    assert end.action.state is PromiseState.REJECTED


# ---------------------------------------------------------------- between tasks


def test_a_queue_between_tasks():
    async def flow(ctx: Context) -> list[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=2)

        async def produce(letter: str) -> None:
            for n in range(3):
                await queue.put(await ctx.run(name, f"{letter}{n}"))

        producers = [asyncio.create_task(produce(letter)) for letter in "ab"]
        taken = [await queue.get() for _ in range(6)]
        await asyncio.gather(*producers)
        return [*taken, await ctx.run(name, "".join(taken))]

    for seed in range(10):
        world = World(flow)
        world.play(choose=random.Random(seed).choice)
        ends_the_same(world)


def test_events_locks_conditions_semaphores_and_barriers():
    async def flow(ctx: Context) -> list[str]:
        seen: list[str] = []
        event, lock, semaphore = asyncio.Event(), asyncio.Lock(), asyncio.Semaphore(2)
        condition, barrier = asyncio.Condition(), asyncio.Barrier(2)

        async def worker(letter: str) -> None:
            async with semaphore, lock:
                seen.append(await ctx.run(name, letter))
            await barrier.wait()
            event.set()
            async with condition:
                condition.notify_all()

        async def waiter() -> None:
            async with condition:
                await condition.wait_for(lambda: len(seen) >= 2)
            seen.append(await ctx.run(name, "waiter"))

        async with asyncio.TaskGroup() as group:
            group.create_task(waiter())
            group.create_task(worker("a"))
            group.create_task(worker("b"))
            await event.wait()
        return seen

    for seed in range(10):
        world = World(flow)
        world.play(choose=random.Random(seed).choice)
        assert sorted(world.result) == ["a", "b", "waiter"]
        ends_the_same(world)


def test_as_completed_gives_results_as_they_come():
    async def flow(ctx: Context) -> list[str]:
        calls = [ctx.run(name, letter) for letter in "abc"]
        out = [await one for one in asyncio.as_completed(calls)]
        return [*out, await ctx.run(name, "".join(out))]

    for seed in range(10):
        world = World(flow)
        world.play(choose=random.Random(seed).choice)
        assert sorted(world.result[:3]) == ["a", "b", "c"]
        ends_the_same(world)


def test_as_completed_over_coroutines_is_refused():
    """asyncio puts them in a set, whose order is that of their addresses, and would start them in that order."""

    async def flow(ctx: Context) -> list[str]:
        async def chain(letter: str) -> str:
            return await ctx.run(name, letter) + await ctx.run(name, letter.upper())

        chains = [chain(letter) for letter in "abc"]
        with pytest.raises(DeterminismError, match="create_task"):
            next(iter(asyncio.as_completed(chains)))
        tasks = [asyncio.create_task(one) for one in chains]
        return sorted([await one for one in asyncio.as_completed(tasks)])

    world = World(flow)
    world.play()
    assert world.result == ["aA", "bB", "cC"]
    assert set(world.store) == {"root", *(f"root:{n}.{m}" for n in (1, 2, 3) for m in (1, 2))}


def test_what_wait_gives_is_iterated_in_the_same_order_by_each_replay():
    """asyncio.wait returns sets."""

    async def flow(ctx: Context) -> list[str]:
        async def task(letter: str) -> str:
            return await ctx.run(name, letter)

        calls = [ctx.run(name, letter) for letter in "abcdefgh"]
        tasks = [asyncio.create_task(task(letter)) for letter in "ijklmnop"]
        shields = [asyncio.shield(call) for call in calls[:3]]
        done, _ = await asyncio.wait([*calls, *tasks, *shields])
        return [one.result() for one in done]

    results = set()
    for _ in range(10):
        world = World(flow)
        world.play()
        results.add(tuple(world.result))
    assert len(results) == 1


def test_wait_for_all_and_for_the_first_exception():
    def fail(what: str) -> str:
        raise ValueError(what)

    async def flow(ctx: Context) -> list[int]:
        calls = [ctx.run(name, "a"), ctx.run(fail, "b"), ctx.rpc("far")]
        done, pending = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
        both, _ = await asyncio.wait(done)
        timed, _ = await asyncio.wait(pending, timeout=3)
        return [len(done), len(pending), len(both), len(timed)]

    world = World(flow)
    world.play(choose=lambda pending: pending[0])
    world.resume(now=T0 + 3000)
    world.play()
    if isinstance(world.end, do.Suspend):
        world.resume(world.settle("root:3").promise)
    assert world.result[1] in (1, 2)


def test_async_generators_and_context_managers_of_the_workflow():
    from contextlib import asynccontextmanager

    async def flow(ctx: Context) -> list[str]:
        out: list[str] = []

        async def letters():
            for letter in "ab":
                yield await ctx.run(name, letter)

        @asynccontextmanager
        async def bracket():
            out.append(await ctx.run(name, "("))
            yield
            out.append(await ctx.run(name, ")"))

        async with bracket():
            async for letter in letters():
                out += letter
        return out

    world = World(flow)
    world.play()
    assert world.result == ["(", "a", "b", ")"]


def test_a_task_has_the_contextvars_of_the_task_that_started_it():
    from contextvars import ContextVar, copy_context

    colour: ContextVar[str] = ContextVar("colour", default="none")

    async def flow(ctx: Context) -> list[str]:
        async def look() -> str:
            await ctx.run(name, "a")
            return colour.get()

        colour.set("red")
        first = asyncio.create_task(look())
        other = copy_context()
        other.run(colour.set, "blue")
        second = asyncio.create_task(look(), context=other)
        return [await first, await second]

    colour.set("outer")
    world = World(flow)
    world.play()
    assert world.result == ["red", "blue"]
    assert set(world.store) == {"root", "root:1.1", "root:2.1"}


def test_a_call_that_is_made_in_a_callback_counts_on_the_branch_that_asked_for_it():
    async def flow(ctx: Context) -> str:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(lambda: future.set_result(ctx.run(name, "soon")))
        call = await future
        handle = loop.call_later(5, print)
        handle.cancel()
        handle.cancel()
        loop.call_at(loop.time() - 1, lambda: None)
        return await call

    world = World(flow)
    world.play()
    assert world.result == "soon"
    assert set(world.store) == {"root", "root:1"}


# ---------------------------------------------------------------- parked, not unwound


def test_no_finally_runs_on_suspension_and_the_body_goes_on_in_place():
    seen = []

    async def flow(ctx: Context) -> str:
        seen.append("begin")
        try:
            await ctx.sleep(10)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise
        finally:
            seen.append("finally")
        return "up"

    world = World(flow)
    world.play()
    assert seen == ["begin"]
    world.resume(now=T0 + 10_000)
    assert world.result == "up"
    assert seen == ["begin", "finally"]


def test_a_body_that_is_given_up_runs_its_finally_and_its_context_refuses():
    seen = []

    async def flow(ctx: Context) -> None:
        async def task() -> None:
            try:
                await ctx.sleep(20)
            finally:
                seen.append("task")

        other = asyncio.create_task(task())
        try:
            await ctx.sleep(10)
        finally:
            for use in (lambda: ctx.run(name, "x"), lambda: ctx.rpc("x"), lambda: ctx.sleep(1), lambda: ctx.random):
                try:
                    use()
                except UsageError:
                    seen.append("refused")
            other.cancel()

    world = World(flow)
    world.play()
    world.execution.close()
    assert seen.count("refused") == 4
    assert "task" in seen
    assert world.commands == [do.Suspend(("root:2", "root:1.1"))]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, GeneratorExit])
def test_whatever_a_body_raises_while_it_is_given_up_hurts_nobody(error):
    async def flow(ctx: Context) -> None:
        try:
            await ctx.sleep(10)
        finally:
            raise error

    world = World(flow)
    world.play()
    world.execution.close()


def test_a_body_that_awaits_while_it_is_given_up_is_cut_off():
    async def flow(ctx: Context) -> None:
        future = asyncio.get_running_loop().create_future()
        try:
            await ctx.sleep(10)
        finally:
            await future

    world = World(flow)
    world.play()
    world.execution.close()


def test_a_copy_of_dependencies_is_changed_apart():
    first = Dependencies({"db": 1})
    second = first.copy()
    second.set("db", 2)
    assert (first.get("db"), second.get("db")) == (1, 2)
