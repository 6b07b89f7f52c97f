"""What the engine asks of stores that tell less than ours: looks, stand-in timers, the record of deliveries apart."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.deliveries import HEADER
from resonate.core.engine.recall import FIRST, MOST, Recall
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, Value
from resonate.errors import Conflict, PromiseTimedOut
from resonate.testing import FIELD, NO_SEARCHES
from tests.unit.engine.world import T0, World


def double(n: int) -> int:
    return 2 * n


async def calls(ctx: Context, n: int) -> int:
    return sum([int(await ctx.rpc("far")) for _ in range(n)])


async def two_chains(ctx: Context) -> list[int]:
    async def chain(n: int) -> int:
        return await ctx.run(double, await ctx.run(double, n))

    return list(await asyncio.gather(chain(1), chain(10)))


async def waits(ctx: Context) -> str:
    try:
        await (await ctx.promise(timeout=90))
    except PromiseTimedOut:
        return "timed out"
    return "settled"


# ------------------------------------------------------------ looks


def test_what_comes_back_without_news_looks_at_what_is_open_and_names_it_all_again():
    world = World(calls, 1, dialect=FIELD)
    world.start()
    world.answer()
    assert world.awaiting == ("root:1",)
    (look,) = world.resume()
    assert look == do.Look(("root:1",))
    assert world.end is None
    world.step()  # nothing was found
    assert world.awaiting == ("root:1",)


def test_a_redirect_looks_too():
    world = World(calls, 1, dialect=FIELD)
    world.start()
    world.answer()
    world.settle("root:1", 7)
    assert world.step() == [do.Look(("root:1",))]
    world.step(*world.looked("root:1"))
    assert world.result == 7


def test_news_that_is_told_is_not_asked_for():
    world = World(calls, 1, dialect=FIELD)
    world.start()
    world.answer()
    world.settle("root:1", 7)
    world.resume(world.read("root:1"))
    assert world.result == 7
    assert world.looks == {}


def test_a_timer_is_looked_at_only_when_it_may_be_due_unless_the_store_insists():
    async def flow(ctx: Context) -> None:
        await asyncio.gather(ctx.sleep(3_600), ctx.rpc("far"))

    world = World(flow, dialect=FIELD)
    world.start()
    world.answer()
    assert world.timers_made == ["root:1"]
    assert world.resume() == [do.Look(("root:2",))]
    world.looks.clear()
    world.step()
    assert world.step() == [do.Look(("root:1", "root:2"))]  # redirected: its clock may be far ahead of ours


# ------------------------------------------------------------ deadlines


@pytest.mark.parametrize("targeted", [True, False])
def test_a_timer_stands_in_for_a_deadline_that_is_not_enforced(targeted):
    world = World(waits, dialect=evolve(FIELD, targeted_timers=targeted))
    world.start()
    world.answer()
    waker = world.writes["root:1.0"]
    assert waker.timeout_at == T0 + 90_000
    assert (Tag.TARGET in waker.tags) is targeted
    assert waker.tags[Tag.PARENT] == "root:1"
    world.answer()
    assert world.awaiting == ("root:1", "root:1.0")
    world.resume(now=T0 + 90_000)
    world.step(*world.looked("root:1"))
    assert world.result == "timed out"


def test_another_process_makes_the_same_timer():
    world = World(waits, dialect=FIELD)
    world.start()
    world.answer()
    world.answer()
    other = world.again()
    other.play()
    assert other.awaiting == world.awaiting
    assert sorted(other.store) == ["root", "root:1", "root:1.0"]


def test_a_deadline_that_is_past_by_our_clock_and_not_by_the_store_s_is_asked_for_again():
    async def flow(ctx: Context) -> int:
        step = ctx.run(double, 1)
        await (await ctx.promise(timeout=90))
        return await step

    world = World(flow, dialect=FIELD)
    world.start()
    world.answer()
    pending = world.store["root:2"]
    world.step(now=T0 + 90_000)
    assert world.looks.pop("root:2") == ("root:2",)
    world.step(do.PromiseKnown(pending))
    assert world.alarm == T0 + 91_000
    world.step(now=T0 + 91_000)
    assert "root:2" in world.looks


@pytest.mark.parametrize("fn", [waits, two_chains])
def test_a_promise_of_the_engine_s_own_that_is_refused_stops_the_attempt(fn):
    world = World(fn, dialect=NO_SEARCHES)
    world.start()
    while not any(promise_id.endswith(".0") or ":0." in promise_id for promise_id in world.writes):
        world.happen(world.pending[0])
    (own,) = [promise_id for promise_id in world.writes if promise_id.endswith(".0") or ":0." in promise_id]
    world.refuse(own)
    assert isinstance(world.end, do.Stop)
    assert isinstance(world.end.error, Conflict)


# ------------------------------------------------------------ the record apart


def test_what_depends_on_a_delivery_is_written_after_the_stretch_that_says_so():
    world = World(two_chains, dialect=NO_SEARCHES)
    world.start()
    world.answer("root:1.1", "root:2.1")
    world.returns("root:1.1", 2)
    world.answer("root:1.1")
    assert list(world.writes) == ["root:0.1"]
    stretch = world.writes["root:0.1"]
    assert stretch.param.headers[HEADER]
    assert stretch.timeout_at == T0  # born settled
    world.returns("root:2.1", 20)
    assert list(world.writes) == ["root:0.1", "root:2.1"]  # what a step returned depends on no delivery
    world.answer("root:0.1")
    assert HEADER not in world.writes["root:1.2"].param.headers
    world.play()
    assert world.result == [4, 40]


def test_a_replay_follows_the_stretches_that_it_is_given():
    async def flow(ctx: Context) -> int:
        first, second = ctx.run(double, 1), ctx.run(double, 2)
        done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        return await ctx.run(double, 100 if second in done else 200)

    world = World(flow, dialect=NO_SEARCHES)
    world.start()
    world.answer()
    world.returns("root:2", 4)
    world.answer("root:2")
    world.answer("root:0.1")
    world.returns("root:1", 2)
    world.answer("root:1")  # settled in the same millisecond, with an id that comes first
    world.answer("root:3")
    other = world.again()
    other.play()
    assert other.result == 200


def test_a_stretch_that_somebody_else_has_written_is_passed_over():
    world = World(two_chains, dialect=NO_SEARCHES)
    taken = PromiseRecord(
        id="root:0.1",
        state=PromiseState.RESOLVED,
        param=Value({HEADER: "7 9"}),
        timeout_at=T0,
        created_at=T0,
        settled_at=T0,
    )
    world.store["root:0.1"] = taken
    world.play()
    assert world.result == [4, 40]
    assert world.store["root:0.1"] == taken
    assert "root:0.2" in world.store


# ------------------------------------------------------------ recall


def test_what_is_looked_for_grows_with_how_far_a_branch_was_followed():
    recall = Recall(":", whole=False)
    recall.asked("root:1")
    assert recall.ahead() == [f"root:{n}" for n in range(2, 2 + FIRST)]
    assert recall.ahead() == []
    recall.asked(f"root:{FIRST}")  # it was looked for, and is not there
    assert recall.ahead() == []
    last = FIRST + 2
    sizes = []
    for _ in range(10):
        recall.asked(f"root:{last}")
        found = recall.ahead()
        sizes.append(len(found))
        last += len(found) + 1
    assert sizes[0] == 2 * FIRST
    assert max(sizes) == MOST
    assert recall.looked_for("root:5")
    assert not recall.looked_for("root:name")
    assert recall.may_find("root:name")
    assert not recall.may_find("root:5")


def test_a_history_that_is_whole_is_not_looked_for():
    recall = Recall(":", whole=True)
    recall.asked("root:1")
    assert recall.ahead() == []
    assert not recall.may_find("root:1")


def test_nothing_is_looked_for_once_what_is_stored_has_been_heard_of():
    recall = Recall(":", whole=False)
    recall.end()
    recall.asked("root:1")
    assert recall.ahead() == []
    assert recall.may_find("root:1")


def test_a_sleep_that_was_short_enough_when_it_was_asked_for_still_is_in_a_replay():
    async def flow(ctx: Context) -> str:
        await ctx.sleep(3_000)
        await ctx.rpc("far")
        return "done"

    world = World(flow, dialect=NO_SEARCHES, timeout_ms=3_600_000)
    world.play()
    other = world.again(now=T0 + 3_500_000, timeout_ms=3_600_000)
    other.play()
    assert other.awaiting == ("root:2",)


def test_a_timer_of_its_own_that_has_rung_by_a_clock_that_is_ahead_makes_it_look_once():
    world = World(waits, dialect=FIELD)
    world.start()
    while world.end is None:
        world.answer()
    assert world.awaiting == ("root:1", "root:1.0")
    rung = evolve(world.store["root:1.0"], state=PromiseState.RESOLVED, settled_at=T0 + 90_000)
    (look,) = world.step(do.PromiseKnown(rung), now=T0 + 60_000)  # half a minute behind the server
    assert look == do.Look(("root:1",))
    assert world.end is None
