"""Random workflows under random completion orders, cut at random points: a replay makes the same durable calls.

A workflow is a small tree of concurrent tasks, waits, queues, races and timeouts. Steps are given what depends on the
order in which things were heard of, so a replay that hears of them in another order asks for something else, and
stops. What a replay asks for must also cover everything that the store holds: no promise is orphaned.
"""

from __future__ import annotations

import asyncio
import os
from random import Random
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from resonate.core import trace
from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.deliveries import HEADER
from resonate.core.ids import is_own
from resonate.core.protocol.dialect import OURS, Dialect
from resonate.core.protocol.records import PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate
from resonate.testing import FIELD, NO_SEARCHES
from tests.unit.engine.world import World

Tree = list[Any]

EXAMPLES = int(os.environ.get("REPLAY_EXAMPLES", "150"))


def work(what: str) -> str:
    if what.startswith("fail"):
        raise ValueError(what)
    return what


async def interpret(ctx: Context, tree: Tree, log: list[str]) -> None:
    kind, *rest = tree
    match kind:
        case "step":
            log.append(await ctx.run(work, rest[0]))
        case "fail":
            try:
                await ctx.run(work, "fail")
            except ValueError as error:
                log.append(str(error))
        case "sleep":
            await asyncio.sleep(rest[0] / 1000)
            log.append(f"slept {rest[0]}")
        case "far":
            log.append(str(await ctx.rpc("far")))
        case "promise":
            promise = await ctx.promise()
            log.append(str(await promise))
        case "seq":
            for part in rest[0]:
                await interpret(ctx, part, log)
        case "gather":
            await asyncio.gather(*(interpret(ctx, part, log) for part in rest[0]))
        case "first":
            await first(ctx, rest[0], rest[1], log)
        case "race":
            await ctx.race(*(interpret(ctx, part, log) for part in rest[0]))
            await ctx.run(work, "after the race " + " ".join(log[-3:]))
        case "queue":
            await queue(ctx, rest[0], log)
        case "timeout":
            try:
                async with asyncio.timeout(rest[0] / 1000):
                    await interpret(ctx, rest[1], log)
            except TimeoutError:
                await ctx.run(work, "timed out after " + " ".join(log[-3:]))
        case "guarded":
            try:
                await interpret(ctx, rest[0], log)
            finally:
                await ctx.run(work, "cleanup after " + " ".join(log[-3:]))
        case "nested":
            log.extend(await ctx.run(nested, rest[0]))
        case "left":
            asyncio.get_running_loop().create_task(interpret(ctx, rest[0], log))
        case _:
            raise AssertionError(kind)


async def first(ctx: Context, parts: list[Tree], then: str, log: list[str]) -> None:
    tasks = [asyncio.create_task(interpret(ctx, part, log)) for part in parts]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    winners = [number for number, task in enumerate(tasks) if task in done]
    log.append(await ctx.run(work, f"winners {winners} of {len(done) + len(pending)}"))
    if then == "cancel":
        for task in pending:
            task.cancel()
    if pending and then != "leave":
        await asyncio.wait(pending)


async def queue(ctx: Context, parts: list[Tree], log: list[str]) -> None:
    items: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    async def produce(number: int, part: Tree) -> None:
        await interpret(ctx, part, log)
        await items.put(number)

    producers = [asyncio.create_task(produce(number, part)) for number, part in enumerate(parts)]
    for _ in parts:
        took = await ctx.run(work, f"took {await items.get()}")
        log.append(took)
    await asyncio.gather(*producers)


async def nested(ctx: Context, tree: Tree) -> list[str]:
    log: list[str] = []
    await interpret(ctx, tree, log)
    return log


async def root(ctx: Context, tree: Tree) -> list[str]:
    log: list[str] = []
    await interpret(ctx, tree, log)
    log.append(await ctx.run(work, "last, after " + " ".join(log)))
    return log


MS = st.sampled_from([1, 2, 3, 1000])
LEAVES = (
    st.tuples(st.just("step"), st.sampled_from("abc"))
    | st.tuples(st.just("sleep"), MS)
    | st.sampled_from([("far",), ("promise",), ("fail",)])
)


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=2, max_size=3)
    return (
        st.tuples(st.sampled_from(["seq", "gather", "queue", "race"]), several)
        | st.tuples(st.just("first"), several, st.sampled_from(["cancel", "await", "leave"]))
        | st.tuples(st.just("timeout"), MS, inner)
        | st.tuples(st.sampled_from(["guarded", "nested", "left"]), inner)
    )


def as_lists(tree: Any) -> Any:
    return [as_lists(part) for part in tree] if isinstance(tree, tuple | list) else tree


TREES = st.recursive(LEAVES, branches, max_leaves=8).map(as_lists)


class Run:
    """One run of the world: picks at random what happens next, until the execution ends or `budget` is used up."""

    def __init__(self, world: World, draw: Random) -> None:
        self.world = world
        self.draw = draw
        self.untold: list[str] = []  # settled from outside, and the execution was not told yet

    def go(self, budget: int) -> bool:
        """Return whether it ended."""
        if not self.world.sent:
            self.world.start()
        for _ in range(budget):
            end = self.world.end
            if isinstance(end, do.Fulfill):
                return True
            assert not isinstance(end, do.Stop), end.error
            if isinstance(end, do.Suspend):
                self.suspended(end)
            else:
                self.something_happens()
        return isinstance(self.world.end, do.Fulfill)

    def suspended(self, end: do.Suspend) -> None:
        world = self.world
        assert all(world.store[awaited] for awaited in end.awaiting)
        if not self.settled_open():
            self.from_outside() or self.time_passes()
        news = self.settled_open()
        told = news if world.env.dialect.delta_preload else []  # else it has to ask
        if news and self.draw.random() < 0.5:  # the store refuses the suspension and says why
            world.step(*[do.PromiseKnown(world.read(promise_id)) for promise_id in told])
        elif news:
            world.resume(*[world.read(promise_id) for promise_id in told])

    def settled_open(self) -> list[str]:
        """What the execution waits for and the store has a result of, in some order."""
        found = [i for i in self.world.execution.awaiting if self.world.read(i).state is not PromiseState.PENDING]
        self.draw.shuffle(found)
        return found

    def something_happens(self) -> None:
        world, draw = self.world, self.draw
        chance = draw.random()
        if world.looks:
            self.together(world.pending)
        elif chance < 0.15:
            self.from_outside()
        elif chance < 0.25:
            self.time_passes()
        elif chance < 0.35:
            told = [i for i in world.watched if world.read(i).state is not PromiseState.PENDING]
            world.step(*[do.PromiseKnown(world.read(i)) for i in told])
        elif world.pending:
            many = draw.sample(world.pending, draw.randint(1, min(3, len(world.pending))))
            self.together(many)
        elif world.alarm is not None:
            world.step(now=max(world.alarm, world.now))
        else:
            self.time_passes()

    def together(self, many: list[str]) -> None:
        """Let several things be told in one step, as a batch of replies is."""
        world = self.world
        events: list[do.Event] = []
        for what in many:
            kind, _, promise_id = what.partition(":")
            if kind == "w":
                events.append(world.written(promise_id))
                continue
            if kind == "l":
                events.extend(world.looked(promise_id))
                continue
            command = world.steps.pop(promise_id)
            try:
                events.append(do.StepReturned(promise_id, work(*command.args)))
            except ValueError as error:
                events.append(do.StepFailed(promise_id, error))
        world.step(*events)

    def from_outside(self) -> bool:
        """Settle one open promise that is not this worker's to settle."""
        world = self.world
        open_ = [
            promise_id
            for promise_id, record in world.store.items()
            if record.state is PromiseState.PENDING and (Tag.TARGET in record.tags or Tag.EXTERNAL in record.tags)
        ]
        if open_:
            chosen = self.draw.choice(open_)
            world.settle(chosen, f"result of {chosen}")
        return bool(open_)

    def time_passes(self) -> None:
        self.world.now += self.draw.choice([1, 1, 1, 5, 2000])
        if not isinstance(self.world.end, do.Suspend):
            self.world.step()

    def crash(self) -> Run:
        """Lose the worker: each write that is under way may or may not arrive; another one takes over."""
        world = self.world
        for action in world.writes.values():
            if self.draw.random() < 0.5:
                world.apply(action)
        world.execution.close()
        return Run(world.again(), self.draw)


def asked(world: World) -> set[str]:
    return {event.callee for event in world.all_events if isinstance(event, trace.Run | trace.Rpc)} | {
        command.action.id
        for command in world.sent
        if isinstance(command, do.Write) and isinstance(command.action, PromiseCreate)
    }


def expected_to_be_asked(world: World) -> set[str]:
    """All that is stored, but for what lies in nested workflows that have settled as a whole."""
    whole = {
        promise_id
        for promise_id, record in world.store.items()
        if promise_id != "root"
        and record.state is not PromiseState.PENDING
        and record.param.headers.get("resonate:call") == "nested@1"
    }
    return {
        promise_id
        for promise_id in world.store
        if promise_id != "root"
        and not is_own("root", promise_id)
        and not any(promise_id.startswith(f"{other}.") for other in whole)
    }


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    tree=TREES,
    seed=st.integers(0, 2**16),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    dialect=st.sampled_from([OURS, FIELD, NO_SEARCHES]),
)
def test_a_replay_makes_the_same_durable_calls_and_gives_the_same_result(
    tree: Tree, seed: int, cuts: list[int], dialect: Dialect
):
    World.alive.clear()
    run = Run(World(root, tree, functions=[work, nested], dialect=dialect), Random(seed))
    before: set[str] = set()
    for cut in cuts:
        if run.go(cut):
            break
        event("cut")
        run = run.crash()
        before = expected_to_be_asked(run.world)
        run.world.start()
    assert run.go(5000), "it never ends"
    # What lost a race is asked for or not, by how soon it is known who won; that differs where the replay has to ask.
    told_all = dialect is not NO_SEARCHES
    assert not told_all or before <= asked(run.world), "a promise was orphaned"
    result = run.world.result
    end = run.world.end
    tail = run.world.execution.deliveries.header()
    run.world.execution.close()

    again = run.world.again()
    if tail is not None:  # what was heard of after the last write is in no write: the outcome itself is all there is
        again.execution.deliveries.learn({HEADER: tail})
    if told_all:
        assert [type(command) for command in again.start()] == [do.Fulfill]
    else:
        assert Run(again, Random(seed)).go(5000), "it never ends"
    assert again.end == end
    assert again.result == result
    assert not told_all or expected_to_be_asked(again) <= asked(again)
    again.execution.close()
