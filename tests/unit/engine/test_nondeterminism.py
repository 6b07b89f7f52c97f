"""Code that changed under a running execution is told from code that did not, before any side effect."""

from __future__ import annotations

import asyncio

import pytest

from resonate.core.engine import commands as do
from resonate.core.engine.children import TRANSITIONS, Change, Child, Phase, Role
from resonate.core.engine.context import Context
from resonate.core.engine.identity import Identity, Kind, fingerprint
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Value
from resonate.errors import EngineBug, NondeterminismError
from tests.unit.engine.world import T0, World


def one(n: int) -> int:
    return n


def other(n: int) -> int:
    return n


async def before(ctx: Context) -> int:
    return await ctx.run(one, 1) + await ctx.run(one, 2)


async def another_function(ctx: Context) -> int:
    return await ctx.run(one, 1) + await ctx.run(other, 2)


async def other_arguments(ctx: Context) -> int:
    return await ctx.run(one, 1) + await ctx.run(one, 3)


async def another_kind(ctx: Context) -> int:
    return await ctx.run(one, 1) + await ctx.rpc(one, 2)


async def a_sleep(ctx: Context) -> int:
    await ctx.run(one, 1)
    await ctx.sleep(5)
    return 1


CHANGES = [another_function, other_arguments, another_kind, a_sleep]


@pytest.mark.parametrize("after", CHANGES, ids=lambda flow: flow.__name__)
@pytest.mark.parametrize("known", [True, False])
def test_a_replay_that_asks_for_something_else_stops_and_loses_nothing(after, known):
    world = World(before)
    world.play()
    stored = dict(world.store)
    changed = world.again(fn=after, **({} if known else {"history": []}))
    changed.play()
    assert isinstance(changed.end, do.Stop)
    error = changed.end.error
    assert isinstance(error, NondeterminismError)
    assert (error.execution, error.step) == ("root", "root:2")
    for text in ("run one@1", "root:2", "test_nondeterminism.py", "Restore the code"):
        assert text in str(error)
    if known:
        assert [type(command) for command in changed.sent] == [do.Stop]
    assert changed.store == stored

    restored = world.again()
    restored.start()
    assert restored.result == 3


def test_moving_a_call_to_another_line_changes_nothing():
    world = World(before)
    world.play()

    async def moved(ctx: Context) -> int:
        first = await ctx.run(one, 1)

        return first + await ctx.run(one, 2)

    again = world.again(fn=moved)
    again.start()
    assert again.result == 3


def test_what_is_stopped_stays_stopped_and_hears_nothing():
    seen = []

    async def after(ctx: Context) -> None:
        try:
            await ctx.run(one, 1)
            await ctx.run(other, 2)
        except BaseException as error:
            seen.append(error)
            raise

    world = World(before)
    world.play()
    changed = world.again(fn=after)
    changed.start()
    changed.step(do.StepReturned("root:2", 1))
    assert isinstance(changed.end, do.Stop)
    assert seen == []


def test_no_side_effect_leaves_in_the_turn_that_stops():
    async def after(ctx: Context) -> None:
        await asyncio.gather(ctx.run(one, 1), ctx.run(other, 5), ctx.run(other, 6), ctx.sleep(1))

    world = World(before)
    world.start()
    world.answer()
    world.happen("s:root:1")
    world.answer()
    world.answer()
    changed = world.again(fn=after)
    assert [type(command) for command in changed.start()] == [do.Stop]


def test_a_call_in_the_turn_that_stops_gives_something_to_await_all_the_same():
    got = []

    async def after(ctx: Context) -> None:
        await ctx.run(one, 1)
        first = ctx.run(other, 2)
        second = ctx.run(other, 3)
        third = ctx.begin_run(other, 4)
        asyncio.get_running_loop().call_later(5, print)
        second.cancel()
        got.extend([first.id, second.id, third.done()])
        await first

    world = World(before)
    world.play()
    changed = world.again(fn=after)
    changed.start()
    assert isinstance(changed.end, do.Stop)
    assert got == ["root:2", "root:3", False]


# ---------------------------------------------------------------- identity


def record(headers: dict[str, str]) -> PromiseRecord:
    return PromiseRecord(id="p", state=PromiseState.PENDING, param=Value(headers, "d"), timeout_at=T0, created_at=T0)


def test_two_askings_are_the_same_if_kind_call_and_arguments_are():
    mine = Identity(Kind.RUN, "f@1", "abc", "shop.py:3")
    assert mine.difference(record(mine.on(NO_VALUE, {}).headers)) is None
    assert mine.difference(record(Identity(Kind.RUN, "f@1", "abc", "shop.py:99").on(NO_VALUE, {}).headers)) is None
    assert mine.difference(record({})) is None
    assert mine.difference(record({"x": "y"})) is None
    for different in (
        Identity(Kind.RPC, "f@1", "abc"),
        Identity(Kind.RUN, "f@2", "abc"),
        Identity(Kind.RUN, "f@1", "abd"),
        Identity(Kind.RUN, "f@1"),
        Identity(Kind.SLEEP),
    ):
        error = mine.difference(record(different.on(NO_VALUE, {}).headers))
        assert isinstance(error, NondeterminismError)
        assert error.step == "p"


TOLD = [
    (
        Identity(Kind.RUN, "charge@1", "a", "shop.py:3"),
        '["42", 1999], "kwargs": {}',
        Identity(Kind.RUN, "refund@1", "a", "shop.py:4"),
        "recorded is run charge@1 at shop.py:3; asked for now is run refund@1 at shop.py:4",
    ),
    (
        Identity(Kind.RPC, "charge@1", "a", "shop.py:3"),
        '["42", 1999], "kwargs": {"note": null}',
        Identity(Kind.RPC, "charge@1", "b", "shop.py:3"),
        'rpc charge@1("42", 1999, note=null) at shop.py:3; asked for now is rpc charge@1("42", 2049) at shop.py:3',
    ),
    (
        Identity(Kind.SLEEP, args="5000"),
        "",
        Identity(Kind.RECORD, "now"),
        "is a sleep of 5 s; asked for now is ctx.now",
    ),
    (
        Identity(Kind.SLEEP, args="until 1800000000000"),
        "",
        Identity(Kind.TIMER),
        "is a sleep until 2027-01-15 08:00:00 UTC; asked for now is a timer of asyncio",
    ),
    (
        Identity(Kind.SLEEP, args="until later"),
        "",
        Identity(Kind.PROMISE),
        "a sleep until later; asked for now is promise",
    ),
    (
        Identity(Kind.SLEEP, args="9" * 14),
        "",
        Identity(Kind.RECORD, "race"),
        f"a sleep {'9' * 14}; asked for now is ctx.race",
    ),
    (Identity(Kind.SLEEP), "", Identity(Kind.RUN, "f"), "is a sleep; asked for now is run f."),
]


@pytest.mark.parametrize(("recorded", "param", "asked", "text"), TOLD)
def test_a_difference_is_told_in_words(recorded, param, asked, text):
    stored = recorded.on(Value(data='{"args": ' + param + "}"), {})
    made = PromiseRecord(id="order:1.3", state=PromiseState.PENDING, param=stored, timeout_at=T0, created_at=T0)
    error = asked.difference(made, param=Value(data='{"args": ["42", 2049], "kwargs": {}}'))
    assert error is not None
    assert error.message.startswith(
        "The workflow no longer asks for what its history records at order:1.3 (durable call 3 of order:1): recorded "
    )
    assert text in error.message


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (
            Value({"content-type": "application/x-pickle"}, "gASV"),
            "f with arguments that are not shown (app",
        ),
        (Value(data="[1]"), "recorded is run f;"),
        (Value(data='{"func": "f", "args": [1]}'), "recorded is run f(1);"),
        (Value(data='{"args": [' + "1, " * 200 + '2], "kwargs": {}}'), "f(1, 1, 1"),
    ],
)
def test_arguments_that_can_not_be_shown_are_not(param, text):
    stored = Identity(Kind.RUN, "f", "a").on(param, {})
    made = PromiseRecord(id="order", state=PromiseState.PENDING, param=stored, timeout_at=T0, created_at=T0)
    error = Identity(Kind.RUN, "f", "b").difference(made)
    assert error is not None
    assert text in error.message
    assert " at order: recorded is " in error.message
    assert len(error.message) < 600


def test_an_identity_is_put_on_a_value_beside_what_it_carries():
    value = Identity(Kind.SLEEP).on(Value({"mine": "1"}, "data"), {"more": "2"})
    assert value == Value({"mine": "1", "resonate:kind": "sleep", "more": "2"}, "data")


def test_a_fingerprint_is_the_same_in_every_process():
    assert fingerprint("abc") == "d8bb14d833d59559"
    assert fingerprint(None) == ""
    assert fingerprint("") != ""


# ---------------------------------------------------------------- children


def child(phase: Phase) -> Child:
    made = Child(id="p", role=Role.STEP, scope=None, suffix="1", identity=Identity(Kind.RUN))
    made.phase = phase
    return made


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("change", Change)
def test_a_child_moves_along_its_table_and_no_other_way(phase, change):
    made = child(phase)
    if (phase, change) in TRANSITIONS:
        made.move(change)
        assert made.phase is TRANSITIONS[phase, change]
    else:
        with pytest.raises(EngineBug, match=rf"{phase.name} cannot take {change.name} \(p\)"):
            made.move(change)
        assert made.phase is phase


def test_the_table_ends_where_nothing_is_left_to_hear():
    final = set(Phase) - {phase for phase, _ in TRANSITIONS}
    assert final == {Phase.DELIVERED, Phase.ABANDONED}
    assert {phase for phase in Phase if child(phase).gone} == final
    assert set(TRANSITIONS.values()) == set(Phase) - {Phase.ASKED}


def test_one_id_for_two_calls_of_one_run_is_told_as_what_it_is():
    async def flow(ctx: Context) -> int:
        return await ctx.options(id="root:x").run(one, 1) + await ctx.options(id="root:x").run(one, 2)

    world = World(flow)
    world.play()
    assert isinstance(world.end, do.Stop)
    assert "If one run asks for both: give each call an id of its own" in str(world.end.error)
