"""One task, one call after the other: ids, writes, deadlines, tags, values, replays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.environment import DAY_MS
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.retry import STEP_RETRY, Constant, Never
from resonate.errors import PromiseCanceled, PromiseTimedOut, UsageError
from tests.unit.engine.world import CODEC, T0, World, bare


def double(n: int) -> int:
    return 2 * n


async def twice(ctx: Context, n: int) -> int:
    a = await ctx.run(double, n)
    return await ctx.run(double, a)


def test_a_step_is_recorded_then_run_then_settled_then_heard_of():
    world = World(twice, 3)

    assert [type(command) for command in world.start()] == [do.Write]
    assert world.writes["root:1"].timeout_at == T0 + DAY_MS

    run, wake = world.answer("root:1")
    assert isinstance(run, do.RunStep)
    assert wake == do.Wake(run.deadline)
    assert (run.id, run.args, run.function.name) == ("root:1", (3,), "double")

    (settle,) = world.returns("root:1", 6)
    assert settle == do.Write(PromiseSettle(id="root:1", state=PromiseState.RESOLVED, value=CODEC.encode(6)))

    (create,) = world.answer("root:1")
    assert isinstance(create.action, PromiseCreate)
    assert create.action.id == "root:2"

    world.play()
    assert world.result == 12
    assert world.broken_laws == ()


def test_what_a_promise_says_of_itself():
    async def flow(ctx: Context) -> None:
        await ctx.options(tags={"team": "blue"}, timeout=5).run(double, 1)

    world = World(flow, tags={Tag.BRANCH: "root"})
    world.start()
    action = world.writes["root:1"]
    assert dict(action.tags) == {
        "team": "blue",
        Tag.ORIGIN: "root",
        Tag.PARENT: "root",
        Tag.SCOPE: "local",
        Tag.BRANCH: "root",
    }
    assert action.timeout_at == T0 + 5000
    headers = action.param.headers
    assert headers["resonate:kind"] == "run"
    assert headers["resonate:call"] == "double@1"
    assert headers["resonate:site"].startswith("test_sequence.py:")


def test_a_childs_deadline_is_capped_by_its_workflows():
    world = World(twice, 1, timeout_ms=1000)
    world.start()
    assert world.writes["root:1"].timeout_at == T0 + 1000


def test_a_remote_call_has_a_target_and_a_branch_of_its_own():
    async def flow(ctx: Context) -> None:
        ctx.rpc("far", 1)
        ctx.options(target="other", version=3).rpc("far", 1)
        ctx.options(target="http://there").rpc(twice, 1)
        await ctx.detached("far", 1)

    world = World(flow)
    world.start()
    one, two, three = (world.writes[f"root:{n}"] for n in (1, 2, 3))
    assert one.tags[Tag.TARGET] == "poll://any@default"
    assert one.tags[Tag.BRANCH] == "root:1"
    assert one.tags[Tag.SCOPE] == "global"
    assert two.tags[Tag.TARGET] == "poll://any@other"
    assert two.param.headers["resonate:call"] == "far@3"
    assert three.tags[Tag.TARGET] == "http://there"
    (four,) = [action for action in world.writes.values() if not action.id.startswith("root:")]
    assert four.id.startswith("root~")
    assert four.tags[Tag.ORIGIN] == four.tags[Tag.PARENT] == four.tags[Tag.BRANCH] == four.id
    assert four.param.headers["resonate:caller"] == "root"


def test_a_detached_execution_has_a_deadline_of_its_own():
    async def flow(ctx: Context) -> str:
        return await ctx.detached("far", 1)

    world = World(flow, timeout_ms=10)
    world.start()
    (action,) = world.writes.values()
    assert action.timeout_at == T0 + 30 * DAY_MS
    world.play()
    assert world.result == action.id


def test_ids_of_detached_executions_stay_short_down_a_long_chain():
    async def flow(ctx: Context) -> str:
        return await ctx.detached("far")

    first = World(flow)
    first.play()
    second = World(flow, id=first.result)
    second.play()
    assert first.result != second.result
    assert len(second.result) == len(first.result)


def test_the_deadline_of_a_step_goes_with_it():
    async def flow(ctx: Context) -> None:
        await ctx.options(timeout=7, retry=Never()).run(double, 1)

    world = World(flow)
    world.start()
    run, wake = world.answer()
    assert run.deadline == T0 + 7000
    assert wake == do.Wake(T0 + 7000)
    assert run.retry == Never()


def test_a_step_is_retried_by_its_calls_policy_else_its_own_else_the_default():
    from resonate.core.function import describe

    async def flow(ctx: Context) -> None:
        ctx.options(retry=Never()).run(double, 1)
        await ctx.run(double, 2)

    world = World(flow)
    world.registry.add(describe(double, retry=Constant(delay=3)))
    world.start()
    world.answer()
    assert world.steps["root:1"].retry == Never()
    assert world.steps["root:2"].retry == Constant(delay=3)

    plain = World(twice, 1)
    plain.start()
    plain.answer()
    assert plain.steps["root:1"].retry == STEP_RETRY


def test_a_failed_step_is_recorded_and_raised():
    async def flow(ctx: Context) -> str:
        try:
            await ctx.run(double, 1)
        except ZeroDivisionError as error:
            return str(error)
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    (settle,) = world.fails("root:1", ZeroDivisionError("by nought"))
    assert settle.action.state is PromiseState.REJECTED
    world.play()
    assert world.result == "by nought"


def test_an_error_that_is_not_caught_rejects_the_workflow():
    async def flow(ctx: Context) -> None:
        await ctx.run(double, 1)

    world = World(flow)
    world.start()
    world.answer()
    world.fails("root:1", KeyError("gone"))
    world.play()
    assert world.state is PromiseState.REJECTED
    with pytest.raises(KeyError, match="gone"):
        _ = world.result


@pytest.mark.parametrize("cut", range(5))
def test_a_replay_goes_on_wherever_it_was_cut(cut):
    world = World(twice, 3)
    world.start()
    for _ in range(cut):
        if world.end is None:
            world.happen(world.pending[0])
    other = world.again()
    other.play()
    assert other.result == 12
    assert other.broken_laws == ()
    assert sorted(other.store) == ["root", "root:1", "root:2"]


def test_what_is_recorded_is_neither_asked_for_nor_done_again():
    world = World(twice, 3)
    world.play()
    other = world.again()
    (end,) = other.start()
    assert isinstance(end, do.Fulfill)
    assert other.result == 12


def test_history_may_come_in_any_order_and_with_what_nobody_asks_for():
    async def flow(ctx: Context) -> list[int]:
        return [await ctx.run(double, n) for n in range(4)]

    world = World(flow)
    world.play()
    records = [record for record in world.store.values() if record.id != "root"]
    stranger = bare(records[0]).__class__(
        id="root:77", state=PromiseState.RESOLVED, timeout_at=T0, created_at=T0, settled_at=T0
    )
    for order in permutations(records):
        other = world.again(history=[stranger, *order])
        assert [type(command) for command in other.start()] == [do.Fulfill]
        assert other.result == [0, 2, 4, 6]


def test_a_promise_that_is_not_in_the_history_may_be_in_the_store_all_the_same():
    world = World(twice, 3)
    world.play()
    other = world.again(history=[])
    other.play()
    assert other.result == 12
    assert not any(isinstance(command, do.RunStep) for command in other.sent)
    assert other.broken_laws == ()


def test_records_of_another_sdk_have_no_headers_and_match():
    world = World(twice, 3)
    world.play()
    other = world.again(history=[bare(record) for record in world.store.values() if record.id != "root"])
    other.start()
    assert other.result == 12


def test_an_older_separator():
    world = World(twice, 3, dialect=Dialect(separator="."))
    world.play()
    assert sorted(world.store) == ["root", "root.1", "root.2"]


def test_a_call_that_is_never_awaited_runs_and_is_waited_for_before_the_end():
    async def flow(ctx: Context) -> str:
        ctx.run(double, 1)
        return "done"

    world = World(flow)
    world.start()
    world.answer()
    assert "root:1" in world.steps
    assert world.end is None
    world.play()
    assert world.result == "done"
    assert world.store["root:1"].state is PromiseState.RESOLVED
    assert world.broken_laws == ()


def test_a_failure_that_nobody_awaits_fails_nobody():
    async def flow(ctx: Context) -> str:
        ctx.run(double, 1)
        return "done"

    world = World(flow)
    world.start()
    world.answer()
    world.fails("root:1", ValueError("alone"))
    world.play()
    assert world.result == "done"


def test_awaiting_twice_gives_the_same():
    async def flow(ctx: Context) -> list[int]:
        call = ctx.run(double, 4)
        return [await call, await call]

    world = World(flow)
    world.play()
    assert world.result == [8, 8]


def test_begin_gives_the_handle_once_it_is_durable():
    async def flow(ctx: Context) -> list[object]:
        handle = await ctx.begin_run(double, 4)
        other = await ctx.begin_rpc("far", 1)
        return [handle.id, other.id, await handle]

    world = World(flow)
    world.start()
    assert list(world.writes) == ["root:1"]
    world.answer()
    assert list(world.writes) == ["root:2"]
    world.answer()
    world.happen("s:root:1")
    world.answer()
    assert world.awaiting == ("root:2",)
    world.step(world.settle("root:2", 1))
    assert world.result == ["root:1", "root:2", 8]
    again = world.again()
    again.start()
    assert again.result == ["root:1", "root:2", 8]


def test_a_sleep_is_a_timer_in_the_store():
    async def flow(ctx: Context) -> str:
        await ctx.sleep(timedelta(hours=1))
        return "up"

    world = World(flow)
    world.start()
    action = world.writes["root:1"]
    assert action.timeout_at == T0 + 3_600_000
    assert action.tags[Tag.TIMER] == "true"
    world.answer()
    assert world.awaiting == ("root:1",)
    assert world.broken_laws == ()
    world.resume(world.read_at(world.store["root:1"], T0 + 3_600_000), now=T0 + 3_600_000)
    assert world.result == "up"
    assert world.broken_laws == ()


def test_a_timer_goes_to_a_target_where_the_store_wants_that():
    async def flow(ctx: Context) -> None:
        await ctx.sleep(1)

    world = World(flow, dialect=Dialect(targeted_timers=True))
    world.start()
    assert world.writes["root:1"].tags[Tag.TARGET] == "poll://any@default"


def test_a_timer_that_is_due_when_the_execution_is_stepped_is_settled_and_heard_of_when_that_is_recorded():
    async def flow(ctx: Context) -> str:
        await ctx.sleep(1)
        return "up"

    world = World(flow)
    world.start()
    world.answer()
    world.step(now=T0 + 999)
    assert isinstance(world.end, do.Suspend)
    (settles,) = world.step(now=T0 + 1000)
    assert settles == do.Write(PromiseSettle("root:1", PromiseState.RESOLVED))
    world.answer()
    assert world.result == "up"


@pytest.mark.parametrize("hot", [True, False])
def test_a_sleep_that_somebody_cancels_beside_a_running_step_is_canceled_for_all_who_hear_of_it(hot):
    async def flow(ctx: Context) -> int:
        slow = ctx.run(double, 1)
        try:
            await ctx.sleep(1)
        except PromiseCanceled:
            return await ctx.run(double, 21)
        return await slow

    world = World(flow)
    world.start()
    world.answer()
    world.settle("root:2", state=PromiseState.REJECTED_CANCELED)  # nobody tells of it: the task is held
    world.step(now=T0 + 1000)
    if not hot:
        world = world.again()
    world.play()
    assert world.result == 42


def test_a_sleep_of_nothing_is_settled_when_it_is_made():
    async def flow(ctx: Context) -> str:
        await ctx.sleep(0)
        await ctx.sleep_until(datetime(2020, 1, 1, tzinfo=UTC))
        return "up"

    world = World(flow)
    world.play()
    assert world.result == "up"
    assert list(world.store) == ["root", "root:1", "root:2"]


def test_sleep_until_an_instant():
    async def flow(ctx: Context) -> None:
        await ctx.sleep_until(datetime.fromtimestamp(T0 / 1000 + 60, UTC))

    world = World(flow)
    world.start()
    assert world.writes["root:1"].timeout_at == T0 + 60_000
    world.answer()
    other = world.again(now=T0 + 5)
    other.start()
    assert other.awaiting == ("root:1",)


@pytest.mark.parametrize("instant", [datetime(2025, 1, 1), "tomorrow", 5])  # noqa: DTZ001 - that is what is refused
def test_sleep_until_wants_a_time_zone(instant):
    async def flow(ctx: Context) -> None:
        await ctx.sleep_until(instant)

    world = World(flow)
    world.start()
    with pytest.raises(UsageError, match="time zone"):
        _ = world.result


def test_an_outside_promise():
    async def flow(ctx: Context) -> str:
        promise = await ctx.promise(returns=str, timeout=60)
        return await promise

    world = World(flow)
    world.start()
    assert world.writes["root:1"].tags[Tag.EXTERNAL] == "true"
    assert world.writes["root:1"].timeout_at == T0 + 60_000
    world.answer()
    assert world.awaiting == ("root:1",)
    event = world.settle("root:1", "signed")
    world.resume(event.promise)
    assert world.result == "signed"


@pytest.mark.parametrize(
    ("state", "error"),
    [(PromiseState.REJECTED_CANCELED, PromiseCanceled), (PromiseState.REJECTED_TIMEDOUT, PromiseTimedOut)],
)
def test_how_an_outside_promise_may_end(state, error):
    async def flow(ctx: Context) -> str:
        promise = await ctx.promise()
        try:
            await promise
        except error as caught:
            return caught.step
        return "no"

    world = World(flow)
    world.start()
    world.answer()
    world.step(world.settle("root:1", state=state))
    assert world.result == "root:1"


def test_what_a_promise_is_worth_that_cant_be_read():
    from resonate.errors import DecodingError

    async def flow(ctx: Context) -> int:
        promise = await ctx.promise(returns=int)
        return await promise

    world = World(flow)
    world.start()
    world.answer()
    world.step(world.settle("root:1", "no number"))
    with pytest.raises(DecodingError):
        _ = world.result


def test_now_is_recorded():
    async def flow(ctx: Context) -> datetime:
        now = await ctx.now()
        await ctx.sleep(1)
        return now

    world = World(flow)
    world.start()
    world.answer()
    world.answer()
    other = world.again(now=T0 + 50_000)
    other.play()
    assert other.result == "2025-01-01T00:00:00+00:00"


def test_random_numbers_are_the_same_in_each_replay_and_differ_between_tasks():
    import asyncio

    async def flow(ctx: Context) -> list[object]:
        async def draw() -> str:
            return str(ctx.uuid4())

        first = ctx.random.random()
        await ctx.run(double, 1)
        return [first, ctx.random.random(), str(ctx.uuid4()), *await asyncio.gather(draw(), draw())]

    world = World(flow)
    world.play()
    other = world.again()
    other.play()
    assert other.result == world.result
    assert len(set(world.result)) == 5
    stranger = World(flow, id="other")
    stranger.play()
    assert not set(stranger.result) & set(world.result)


def test_the_logger_is_silent_on_replay():
    async def flow(ctx: Context) -> None:
        ctx.logger.info("one")
        await ctx.run(double, 1)
        ctx.logger.info("two")
        await ctx.run(double, 2)
        ctx.logger.info("three")

    world = World(flow)
    world.start()
    for what in ["w:root:1", "s:root:1", "w:root:1"]:
        world.happen(what)
    assert world.loggers[0].lines == ["one", "two"]
    other = world.again()
    other.play()
    (logger,) = other.loggers
    assert (logger.name, logger.promise_id) == ("flow", "root")
    # `two` may be said twice: what followed the last record is not known to have happened.
    assert logger.lines[-1] == "three"
    assert "one" not in logger.lines


def test_a_warning_for_executions_that_grow_without_end():
    from resonate.core.trace import ManyPromises

    async def flow(ctx: Context) -> None:
        for n in range(8):
            await ctx.run(double, n)

    world = World(flow, many=5)
    world.play()
    assert [event for event in world.events if isinstance(event, ManyPromises)] == [ManyPromises("root", 6)]


def test_an_execution_that_nobody_observes_does_the_same():
    silent = World(twice, 3, observed=False)
    silent.play()
    loud = World(twice, 3)
    loud.play()
    assert [type(c) for c in silent.sent] == [type(c) for c in loud.sent]
    assert silent.result == loud.result
    assert silent.events == []


def test_ids_that_are_chosen():
    async def flow(ctx: Context) -> int:
        first = ctx.options(id="root:payment").run(double, 1)
        return await first + await ctx.run(double, 2)

    world = World(flow)
    world.play()
    assert world.result == 6
    assert set(world.store) == {"root", "root:payment", "root:1"}
    other = world.again()
    other.start()
    assert other.result == 6


@pytest.mark.parametrize("chosen", ["other:1", "root", "rootless:1"])
def test_an_id_of_somebody_else_is_refused(chosen):
    async def flow(ctx: Context) -> None:
        await ctx.options(id=chosen).run(double, 1)

    world = World(flow)
    world.start()
    with pytest.raises(UsageError, match="does not belong"):
        _ = world.result


def test_an_id_that_is_in_use_is_refused():
    async def flow(ctx: Context) -> str:
        chosen = ctx.options(id="root:x")
        first = chosen.run(double, 1)
        try:
            chosen.run(double, 1)
        except UsageError as error:
            await first
            return str(error)
        return "no"

    world = World(flow)
    world.play()
    assert "already in use" in world.result
