"""What was delivered is recorded only by a write that the store kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from attrs import evolve

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.environment import Environment
from resonate.core.engine.execution import Execution
from resonate.core.function import describe
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.registry import Registry
from resonate.core.values import Call

FAR = 10**9


async def race(ctx: Context) -> str:
    remote, early, late = ctx.rpc("remote"), ctx.sleep(0.105), ctx.sleep(0.106)
    order: list[str] = []
    remote.add_done_callback(lambda _: order.append("remote"))
    early.add_done_callback(lambda _: order.append("timer"))
    await asyncio.wait([remote, early], return_when=asyncio.FIRST_COMPLETED)
    late.cancel()
    await asyncio.wait([remote, early])
    return str(await ctx.rpc("winner", order[0]))


def execution(history: Iterable[PromiseRecord]) -> Execution:
    registry = Registry()
    function = registry.add(describe(race))
    env = Environment(codec=JsonCodec(), registry=registry, address=str, random=random.Random, logger=lambda *_: None)
    root = PromiseRecord(id="o", state=PromiseState.PENDING, timeout_at=FAR, created_at=0, tags={Tag.BRANCH: "o"})
    return Execution(env, Context, root, function, Call(func="race", args=(), kwargs={}, version=1), history)


class Promises(dict[str, PromiseRecord]):
    """Promises as a store keeps them: a write that comes too late changes nothing."""

    def write(self, commands: Iterable[do.Command], now: int) -> list[do.Event]:
        return [do.PromiseKnown(self._do(one.action, now)) for one in commands if isinstance(one, do.Write)]

    def settle(self, action: PromiseSettle, now: int) -> PromiseRecord:
        record = self[action.id]
        if record.state is PromiseState.PENDING and record.timeout_at <= now:
            self[action.id] = evolve(record, state=PromiseState.RESOLVED, settled_at=record.timeout_at)
        elif record.state is PromiseState.PENDING:
            self[action.id] = evolve(record, state=action.state, value=action.value, settled_at=now)
        return self[action.id]

    def _do(self, action: PromiseCreate | PromiseSettle, now: int) -> PromiseRecord:
        if isinstance(action, PromiseSettle):
            return self.settle(action, now)
        made = PromiseRecord(
            id=action.id,
            state=PromiseState.PENDING,
            param=action.param,
            tags=action.tags,
            timeout_at=action.timeout_at,
            created_at=now,
        )
        return self.setdefault(action.id, made)


def test_a_delivery_is_not_forgotten_when_the_write_that_carried_it_came_too_late() -> None:
    stored, first = Promises(), execution(())
    first.step(stored.write(first.start(0), 0), 1)
    stored.settle(PromiseSettle(id="o:1", state=PromiseState.RESOLVED, value=JsonCodec().encode("x", str)), 100)

    # The timer is heard of first: news of the remote result, which settled before it, is late. The workflow
    # acts on it by canceling the other timer, and is late with that.
    cancels = first.step(stored.write(first.step([], 105), 105), 105)
    assert [one.action.id for one in cancels if isinstance(one, do.Write)] == ["o:3"]
    first.step(stored.write(cancels, 107), 107)
    stored.write(first.step([do.PromiseKnown(stored["o:1"])], 108), 108)
    stored.settle(PromiseSettle(id="o:2", state=PromiseState.RESOLVED), 108)

    replayed = execution(stored.values()).start(109)
    assert replayed == [do.Suspend(("o:4",))]
