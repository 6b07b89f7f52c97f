"""Cancellation: of calls in each phase, by timeouts, by groups; cleanup that is durable; what is left at the end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from resonate.core import trace
from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.protocol.records import PromiseState
from resonate.errors import UsageError
from tests.unit.engine.world import T0, World

CANCELED = PromiseState.REJECTED_CANCELED


def name(what: str) -> str:
    return what


# ---------------------------------------------------------------- a call, canceled in each of its phases


def test_a_call_that_is_canceled_before_it_was_sent_never_was():
    async def flow(ctx: Context) -> str:
        ctx.run(name, "a").cancel()
        return await ctx.run(name, "b")

    world = World(flow)
    world.play()
    assert world.result == "b"
    assert world.created == ["root:2"]
    assert world.broken_laws == ()


def test_a_canceled_call_raises_where_it_is_awaited():
    async def flow(ctx: Context) -> str:
        call = ctx.run(name, "a")
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            return f"canceled {call.cancelled()} {call.cancel()}"
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "canceled True False"


async def canceled_by_the_first(ctx: Context) -> str:
    """Run a; once it is done, cancel b, whatever has become of it."""
    b = ctx.run(name, "b")
    a = await ctx.run(name, "a")
    b.cancel()
    return a + await ctx.run(name, "c")


def test_a_call_that_is_canceled_while_its_creation_is_under_way():
    world = World(canceled_by_the_first)
    world.start()
    world.answer("root:2")
    world.happen("s:root:2")
    world.answer("root:2")
    # b's creation is still under way, and is canceled now.
    assert "root:1" in world.writes
    assert world.writes["root:1"].__class__.__name__ == "PromiseCreate"
    world.answer("root:1")
    assert world.writes["root:1"].state is CANCELED
    world.play()
    assert world.result == "ac"
    assert world.store["root:1"].state is CANCELED
    assert "root:1" not in world.steps
    assert world.broken_laws == ()
    again = world.again()
    again.start()
    assert again.result == "ac"
    assert again.broken_laws == ()


def test_a_call_that_is_canceled_while_its_creation_is_under_way_and_then_refused():
    world = World(canceled_by_the_first)
    world.start()
    world.answer("root:2")
    world.happen("s:root:2")
    world.answer("root:2")
    world.refuse("root:1")
    world.play()
    assert world.result == "ac"
    assert world.broken_laws == ()


def test_a_call_that_is_canceled_while_its_creation_is_under_way_and_turns_out_to_be_settled():
    world = World(canceled_by_the_first)
    world.start()
    world.answer("root:2")
    world.happen("s:root:2")
    world.answer("root:2")
    world.apply(world.writes["root:1"])
    world.settle("root:1", "done elsewhere")
    world.answer("root:1")
    world.play()
    assert world.result == "ac"
    assert world.store["root:1"].state is PromiseState.RESOLVED


def test_a_step_that_is_canceled_while_it_runs_is_stopped_and_its_promise_settled():
    world = World(canceled_by_the_first)
    world.start()
    world.answer()
    world.happen("s:root:2")
    world.answer("root:2")
    assert world.canceled == ["root:1"]
    assert world.writes["root:1"].state is CANCELED
    world.step(do.StepReturned("root:1", "too late"))
    world.play()
    assert world.result == "ac"
    assert world.broken_laws == ()


def test_a_step_that_is_canceled_while_its_settling_is_under_way():
    world = World(canceled_by_the_first)
    world.start()
    world.answer()
    world.happen("s:root:1")
    world.happen("s:root:2")
    world.answer("root:2")
    assert world.writes["root:1"].state is PromiseState.RESOLVED
    world.play()
    assert world.result == "ac"
    assert world.store["root:1"].state is PromiseState.RESOLVED
    again = world.again()
    again.start()
    assert again.result == "ac"


def test_a_step_that_is_canceled_with_its_result_known_and_not_yet_heard_of():
    world = World(canceled_by_the_first)
    world.start()
    world.answer()
    world.happen("s:root:2")
    world.happen("s:root:1")
    world.now = T0 + 5
    b = world.written("root:1")
    world.store["root:2"] = world.read_at(world.store["root:2"], T0)
    world.now = T0 + 3
    a = world.written("root:2")
    world.step(b, a)  # a settled earlier, so it is heard of first, and cancels b
    world.play()
    assert world.result == "ac"
    again = world.again()
    again.start()
    assert again.result == "ac"


def test_a_remote_call_that_is_canceled_is_left_alone():
    async def flow(ctx: Context) -> str:
        far = ctx.rpc("far")
        await ctx.run(name, "a")
        far.cancel()
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is PromiseState.PENDING
    assert world.broken_laws == ()


def test_a_remote_call_that_is_canceled_while_it_is_watched():
    async def flow(ctx: Context) -> str:
        far = ctx.rpc("far")
        await ctx.run(name, "a")
        far.cancel()
        return await ctx.run(name, "b")

    world = World(flow)
    world.start()
    world.answer()
    assert world.watched == {"root:1"}
    world.happen("s:root:2")
    world.answer()
    assert world.watched == set()
    world.play()
    assert world.result == "b"


def test_a_sleep_that_is_canceled_is_settled_so_that_nobody_is_woken():
    async def flow(ctx: Context) -> str:
        nap = ctx.sleep(1000)
        await ctx.run(name, "a")
        nap.cancel()
        return await ctx.run(name, "b")

    world = World(flow)
    world.play()
    assert world.result == "b"
    assert world.store["root:1"].state is CANCELED


def test_a_nested_workflow_that_is_canceled_cleans_up_durably_before_its_parent_settles():
    async def inner(ctx: Context) -> str:
        try:
            await ctx.sleep(1000)
        finally:
            await ctx.run(name, "cleanup")
        return "no"

    async def flow(ctx: Context) -> str:
        nested = ctx.run(inner)
        await ctx.run(name, "a")
        nested.cancel()
        with suppress(asyncio.CancelledError):
            await nested
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is CANCELED
    assert world.store["root:1.1"].state is CANCELED
    assert world.store["root:1.2"].state is PromiseState.RESOLVED
    assert world.broken_laws == ()
    again = world.again()
    again.start()
    assert again.result == "done"
    assert again.broken_laws == ()


@pytest.mark.parametrize("cut", range(16))
def test_that_cleanup_goes_on_wherever_it_was_cut(cut):
    async def inner(ctx: Context) -> str:
        try:
            await ctx.sleep(1000)
        finally:
            await ctx.sleep(5)
            await ctx.run(name, "cleanup")
        return "no"

    async def flow(ctx: Context) -> str:
        nested = ctx.run(inner)
        await ctx.run(name, "a")
        nested.cancel()
        return await ctx.run(name, "done")

    world = World(flow)
    world.start()
    for _ in range(cut):
        if world.end is None and world.pending:
            world.happen(world.pending[0])
        elif isinstance(world.end, do.Suspend):
            world.resume(now=world.now + 5000)
    other = world.again(now=T0 + 20_000)
    while not isinstance(other.play(), do.Fulfill):
        other.resume(now=other.now + 60_000)
    assert other.result == "done"
    assert other.store["root:1"].state is CANCELED
    assert other.store["root:1.3"].state is PromiseState.RESOLVED


def test_a_nested_workflow_may_swallow_its_cancellation_and_is_canceled_all_the_same():
    async def inner(ctx: Context) -> str:
        try:
            await ctx.sleep(1000)
        except asyncio.CancelledError:
            await ctx.run(name, "cleanup")
        return "mine"

    async def flow(ctx: Context) -> str:
        nested = ctx.run(inner)
        await ctx.run(name, "a")
        nested.cancel()
        return "done"

    world = World(flow)
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is CANCELED


def test_a_nested_workflow_that_is_canceled_before_its_creation_is_known_never_starts():
    started = []

    async def inner(ctx: Context) -> None:
        started.append(1)

    async def flow(ctx: Context) -> str:
        nested = ctx.run(inner)
        await ctx.run(name, "a")
        nested.cancel()
        return "done"

    world = World(flow)
    world.start()
    world.answer("root:2")
    world.happen("s:root:2")
    world.answer("root:2")
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is CANCELED
    assert not started
    assert world.broken_laws == ()


# ---------------------------------------------------------------- timeouts


async def hasty(ctx: Context) -> str:
    try:
        async with asyncio.timeout(5):
            return await ctx.run(name, "slow")
    except TimeoutError:
        return await ctx.run(name, "timed out")


def test_a_timeout_that_is_not_reached_is_settled_as_canceled():
    world = World(hasty)
    world.start()
    assert set(world.writes) == {"root:1", "root:2"}
    world.play()
    assert world.result == "slow"
    assert world.store["root:1"].state is CANCELED
    again = world.again(now=T0 + 60_000)
    again.start()
    assert again.result == "slow"


def test_a_timeout_that_is_reached_interrupts_the_step():
    world = World(hasty)
    world.start()
    world.answer()
    assert world.alarm == T0 + 5000
    world.step(now=T0 + 5000)
    assert world.canceled == []
    world.answer("root:1")  # it was reached, and that is recorded
    assert world.canceled == ["root:2"]
    world.play()
    assert world.result == "timed out"
    assert world.broken_laws == ()
    again = world.again()
    again.start()
    assert again.result == "timed out"


@pytest.mark.parametrize("late", [False, True])
def test_a_timeout_that_was_reached_is_reached_in_every_replay_even_if_the_step_had_settled(late):
    """The worker is lost between the timeout and the settling of the step, or just after both."""
    world = World(hasty)
    world.start()
    world.answer()
    world.step(now=T0 + 5000)
    world.answer("root:1")
    if late:
        world.apply(world.writes["root:3"])
    other = world.again(now=T0 + 6000)
    other.play()
    assert other.result == "timed out"


def test_a_replay_that_knows_nothing_beforehand_still_sees_the_timeout_canceled():
    world = World(hasty)
    world.start()
    world.answer()
    world.play()
    assert world.result == "slow"
    other = world.again(history=[], now=T0 + 60_000)
    other.play()
    assert other.result == "slow"


def test_wait_for_and_timeout_at():
    async def flow(ctx: Context) -> list[object]:
        loop = asyncio.get_running_loop()
        out: list[object] = []
        try:
            await asyncio.wait_for(ctx.rpc("far"), 1)
        except TimeoutError:
            out.append("wait_for")
        try:
            async with asyncio.timeout_at(loop.time() + 1) as scope:
                await ctx.rpc("far")
        except TimeoutError:
            out.append(scope.expired())
        async with asyncio.timeout(None):
            out.append(await ctx.run(name, "x"))
        try:
            async with asyncio.timeout(0):
                await ctx.rpc("far")
        except TimeoutError:
            out.append("at once")
        return out

    world = World(flow)
    while not isinstance(world.play(), do.Fulfill):
        # The remote ones are not ours to cancel, and the workflow does not wait for what it gave up.
        world.resume(now=world.now + 1000)
    assert world.result == ["wait_for", True, "x", "at once"]
    again = world.again()
    again.start()
    assert again.result == ["wait_for", True, "x", "at once"]


def test_asyncio_sleep_is_durable():
    async def flow(ctx: Context) -> float:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(3600)
        await asyncio.sleep(0)
        await asyncio.sleep(-1)
        return loop.time() - before

    world = World(flow)
    world.start()
    world.answer()
    assert world.awaiting == ("root:1",)
    world.resume(now=T0 + 3_600_000)
    assert world.result == 3600


def test_a_timeout_can_be_moved():
    async def flow(ctx: Context) -> str:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(1) as scope:
            scope.reschedule(loop.time() + 10)
            await asyncio.sleep(5)
        return "in time"

    world = World(flow)
    while not isinstance(world.play(), do.Fulfill):
        world.resume(now=world.now + 5000)
    assert world.result == "in time"


# ---------------------------------------------------------------- groups


def test_a_task_group_cancels_the_rest_when_one_fails():
    async def flow(ctx: Context) -> list[str]:
        seen: list[str] = []

        async def other() -> None:
            try:
                await ctx.sleep(1000)
            except asyncio.CancelledError:
                seen.append(await ctx.run(name, "cleanup"))
                raise

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(other())
                group.create_task(failing())
        except* ValueError as errors:
            seen.append(str(errors.exceptions[0]))
        return seen

    async def failing() -> None:
        raise ValueError("bad")

    world = World(flow)
    world.play()
    assert world.result == ["cleanup", "bad"]
    again = world.again()
    again.start()
    assert again.result == ["cleanup", "bad"]


def test_gather_raises_the_first_failure_and_lets_the_rest_run():
    def fail(what: str) -> str:
        raise ValueError(what)

    async def flow(ctx: Context) -> str:
        good = ctx.run(name, "good")
        try:
            await asyncio.gather(ctx.run(fail, "bad"), good)
        except ValueError:
            return await good
        return "no"

    world = World(flow)
    world.play()
    assert world.result == "good"


def test_shield_lets_the_inner_call_go_on():
    async def flow(ctx: Context) -> str:
        inner = ctx.run(name, "kept")
        try:
            async with asyncio.timeout(1):
                await asyncio.shield(inner)
        except TimeoutError:
            return await inner
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    world.step(now=T0 + 1000)
    assert world.canceled == []
    world.play()
    assert world.result == "kept"


def test_a_workflow_that_cancels_itself_is_canceled():
    async def flow(ctx: Context) -> None:
        asyncio.current_task().cancel()
        await ctx.run(name, "a")

    world = World(flow)
    world.play()
    assert world.state is CANCELED


def test_a_step_that_cancels_itself_is_canceled():
    from resonate.errors import PromiseCanceled

    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(name, "a")
        except PromiseCanceled:
            return "canceled"
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    world.fails("root:1", asyncio.CancelledError())
    world.play()
    assert world.result == "canceled"


# ---------------------------------------------------------------- races


async def racing(ctx: Context) -> str:
    winner = await ctx.race(ctx.run(name, "fast"), ctx.rpc("far"), ctx.sleep(1000))
    return await ctx.run(name, f"after {winner}")


def test_a_race_has_the_same_winner_in_every_replay_and_cancels_the_losers():
    world = World(racing)
    world.play()
    assert world.result == "after fast"
    assert world.store["root:3"].state is CANCELED
    world.settle("root:2", "far")
    again = world.again(now=T0 + 5_000_000, history=[])
    again.play()
    assert again.result == "after fast"
    assert again.broken_laws == ()


def test_a_race_of_coroutines():
    async def flow(ctx: Context) -> str:
        async def slow() -> str:
            await ctx.sleep(1000)
            return "slow"

        async def fast() -> str:
            return await ctx.run(name, "fast")

        return await ctx.race(slow(), fast())

    world = World(flow)
    world.play()
    assert world.result == "fast"
    assert world.store["root:1.1"].state is CANCELED


def test_a_race_raises_what_the_winner_raised():
    def fail(what: str) -> str:
        raise ValueError(what)

    async def flow(ctx: Context) -> str:
        try:
            return await ctx.race(ctx.rpc("far"), ctx.run(fail, "bad"))
        except ValueError as error:
            return str(error)

    world = World(flow)
    world.play()
    assert world.result == "bad"


def test_a_recorded_winner_that_is_not_done_yet_is_waited_for():
    """Another store may show the record of a race before the result of its winner."""
    world = World(racing)
    world.play()
    history = [world.store[promise_id] for promise_id in ("root:2", "root:3", "root:4")]
    history[0] = world.settle("root:2", "far").promise
    other = world.again(history=history)
    other.start()
    other.play()
    assert other.result == "after fast"


def test_a_race_of_nothing_is_refused():
    async def flow(ctx: Context) -> None:
        await ctx.race()

    world = World(flow)
    world.start()
    with pytest.raises(UsageError, match="at least one"):
        _ = world.result


def test_a_race_that_is_canceled_cancels_all_who_run_in_it():
    async def flow(ctx: Context) -> str:
        async def chain() -> None:
            await ctx.sleep(50)
            await ctx.run(name, "never")

        try:
            async with asyncio.timeout(1):
                await ctx.race(chain(), ctx.sleep(100))
        except TimeoutError:
            pass
        await ctx.sleep(200)
        return "done"

    world = World(flow)
    while not isinstance(world.play(), do.Fulfill):
        world.resume(now=world.now + 1000)
    assert world.result == "done"
    assert "never" not in [step.args[0] for step in world.sent if isinstance(step, do.RunStep)]


# ---------------------------------------------------------------- map


def test_map_runs_at_most_so_many_at_once_and_keeps_the_order():
    async def flow(ctx: Context) -> list[str]:
        return await ctx.map(name, "abcde", limit=2)

    world = World(flow)
    world.start()
    assert list(world.writes) == ["root:1.1", "root:1.2"]
    most = 0

    def choose(pending):
        nonlocal most
        most = max(most, len(world.steps))
        return pending[-1]

    world.play(choose=choose)
    assert world.result == list("abcde")
    assert most <= 2


def test_map_without_a_limit_of_nothing_and_with_a_limit_that_cant_be():
    async def flow(ctx: Context) -> list[object]:
        none = await ctx.map(name, [])
        every = await ctx.map(name, "ab")
        try:
            await ctx.map(name, "ab", limit=0)
        except UsageError as error:
            return [none, every, str(error)]
        return []

    world = World(flow)
    world.play()
    assert world.result == [[], ["a", "b"], "limit is at least 1, not 0."]


def test_map_cancels_the_rest_at_the_first_failure():
    def odd(n: int) -> int:
        if n == 1:
            raise ValueError("one")
        return n

    async def flow(ctx: Context) -> str:
        try:
            await ctx.map(odd, range(4), limit=3)
        except ValueError:
            return "failed"
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    world.happen("s:root:1.2")
    world.answer("root:1.2")
    assert set(world.canceled) == {"root:1.1", "root:1.3"}
    world.play()
    assert world.result == "failed"
    assert "root:1.4" not in world.store


@pytest.mark.parametrize("refused", [False, True])
def test_the_end_of_what_is_abandoned_while_its_outcome_is_recorded_is_reported(refused):
    async def flow(ctx: Context) -> str:
        call = ctx.run(name, "x")
        await ctx.run(name, "first")
        call.cancel()
        return "done"

    world = World(flow)
    world.start()
    world.answer()
    world.returns("root:1", "x")  # from here on its outcome is under way
    world.returns("root:2", "first")
    world.answer("root:2")
    assert world.end is None, "the write is waited for"
    if refused:
        world.refuse("root:1")
    else:
        world.answer("root:1")
    assert world.result == "done"
    ends = [event for event in world.all_events if isinstance(event, trace.Return) and event.id == "root:1"]
    assert [event.state for event in ends] == [PromiseState.REJECTED if refused else PromiseState.RESOLVED]
    assert world.broken_laws == ()


def test_a_task_that_is_left_and_asks_for_something_is_canceled_once_it_has_that():
    event = asyncio.Event()

    async def leaves(ctx: Context) -> str:
        async def task() -> None:
            await event.wait()
            await ctx.run(name, "late")
            await asyncio.Event().wait()

        left.append(asyncio.create_task(task()))
        return await ctx.run(name, "inner")

    async def flow(ctx: Context) -> str:
        child = ctx.run(leaves)
        await ctx.run(name, "outer")
        event.set()
        return await child

    left: list[asyncio.Task[None]] = []
    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    inner, outer = world.steps
    events = []
    for step_id in (inner, outer):
        del world.steps[step_id]
        world.step(do.StepReturned(step_id, step_id))
    events = [world.written(step_id) for step_id in tuple(world.writes)]
    world.step(*events)
    world.play()
    assert world.result in {inner, outer}
    assert world.store["root:1.2"].state is PromiseState.RESOLVED
    again = world.again()
    again.start()
    assert again.result == world.result


@pytest.mark.parametrize("depth", [10, 500])
def test_workflows_in_each_other_are_canceled_however_many(depth: int):
    async def nested(ctx: Context, left: int) -> str:
        return await (ctx.run(nested, left - 1) if left else ctx.run(name, "inmost"))

    async def flow(ctx: Context) -> str:
        call = ctx.run(nested, depth)
        await ctx.run(name, "outer")
        call.cancel()
        return await ctx.run(name, "after")

    world = World(flow)
    world.start()
    while len(world.steps) < 2:
        world.answer()
    outer = next(step_id for step_id in world.steps if step_id == "root:2")
    del world.steps[outer]
    world.step(do.StepReturned(outer, "outer"))
    world.play()
    assert world.result == "after"
    states = {record.id: record.state for record in world.store.values()}
    del states["root"], states["root:2"], states["root:3"]
    assert len(states) == depth + 2
    assert set(states.values()) == {CANCELED}
    assert world.broken_laws == ()
    again = world.again()
    again.start()
    assert again.result == "after"
