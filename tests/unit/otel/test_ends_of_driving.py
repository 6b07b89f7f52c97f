"""However a worker comes to let go of a task, its recorder hears of it: nothing of executions gone by is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve, frozen

from resonate import AuthError, OTel, StoreError
from resonate.core.protocol.records import NO_VALUE, PromiseState, Tag
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseReply,
    PromiseSettle,
    Rejection,
    TaskAcquire,
    TaskFulfill,
    TaskRelease,
)
from resonate.ports.store import Backend, Store
from resonate.runtime.relay import Relay
from resonate.testing import Harness
from tests.unit.otel.conftest import total

MANY = 300


@frozen
class Odd:
    """A backend that answers some requests in the way of `how`."""

    inner: Backend
    how: str

    def connect(self, *, group: str, pid: str) -> Store:
        return _OddStore(self.inner.connect(group=group, pid=pid), self.how)


@frozen
class _OddStore(Relay):
    how: str

    async def send(self, request: Any) -> Any:
        if isinstance(request, TaskRelease) and self.how == "release fails":
            raise StoreError("not now")
        if isinstance(request, TaskRelease) and self.how == "release is refused for good":
            raise AuthError("not you")
        if isinstance(request, TaskFulfill) and self.how == "its answer is refused":
            return Rejection(409, "somebody else has it")
        reply = await self.inner.send(request)
        if isinstance(request, TaskAcquire) and isinstance(reply, ClaimReply):
            if self.how == "settled meanwhile":
                action = PromiseSettle(id=request.id, state=PromiseState.RESOLVED, value=NO_VALUE)
                settled = await self.inner.send(action)
                assert isinstance(settled, PromiseReply)
                return evolve(reply, promise=settled.promise)
            if self.how == "a timer":
                return evolve(reply, promise=evolve(reply.promise, tags={**reply.promise.tags, Tag.TIMER: "true"}))
        return reply

    async def send_all(self, requests: Sequence[Any]) -> Sequence[Any]:
        return [await self.send(request) for request in requests]


class Heard:
    """Counts events by the names of their types."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()

    def record(self, event: object) -> None:
        self.kinds[type(event).__name__] += 1


class Kept(OTel):
    """Keeps what records for a client."""

    def open(self, **given: Any) -> Any:
        self.recording = super().open(**given)
        return self.recording


async def known(n: int) -> int:
    return n


@pytest.mark.parametrize(
    "how",
    ["settled meanwhile", "a timer", "release fails", "release is refused for good", "its answer is refused"],
)
async def test_nothing_is_kept_of_executions_that_were_let_go(how, backend):
    telemetry, heard = Kept(backend.tracers, backend.meters), Heard()
    async with Harness(ttl=3600) as harness:
        asking = await harness.open(harness.client(pid="asking", group="asking"))
        odd = Odd(harness.server, how)
        one = harness.client(pid="one", group="one", backend=odd, telemetry=telemetry, tracers=[heard])
        one.register(known)
        args = ["not a number"] if how == "its answer is refused" else [1]
        name = "unknown" if how.startswith("release") else "known"
        names = [f"run-{number}" for number in range(MANY)]
        for each in names:
            await asking.options(target="one").begin_rpc(each, name, *args)
        await harness.open(one)
        await harness.clock.advance(timedelta(seconds=10))
        around = [telemetry.recording.around(each, each) for each in names]
        await one.__aexit__(None, None, None)
    assert heard.kinds["TaskAcquired"] == MANY
    assert heard.kinds["TaskLeft"] + heard.kinds["LeaseLost"] == MANY
    assert all(isinstance(each, nullcontext) for each in around)
    metrics = backend.metrics()
    assert total(metrics, "resonate.tasks", resonate_outcome="left") == heard.kinds["TaskLeft"]
    assert backend.others["attempt known" if name == "known" else "attempt unknown"].attributes is not None
