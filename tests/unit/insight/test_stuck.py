"""Stuck situations, staged: the first line of `why` names the cause, whoever asks and on whatever store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from resonate import CauseKind, Constant, Context, JsonCodec, SqliteServer
from resonate.adapters.http import HttpBackend
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import PromiseCreate, TaskHalt
from resonate.ports.store import Readable
from resonate.runtime import insight
from resonate.testing import FIELD, NO_SEARCHES, Harness, HttpFront, VirtualClock

STORES = ("memory", "sqlite", "http", "field", "no searches")
DIALECTS = {"field": FIELD, "no searches": NO_SEARCHES}


class Stage:
    """A server with one worker of group `default`, and a stranger who asks why."""

    def __init__(self, kind: str, harness: Harness) -> None:
        self.kind = kind
        self.harness = harness
        self.clock = harness.clock

    @property
    def sees_inside(self) -> bool:
        return self.kind in {"memory", "sqlite"}

    async def worker(self, **options):
        return await self.harness.open(self.harness.client(**{"pid": "one", **options}))

    async def passes(self, **span: float) -> None:
        await self.clock.advance(timedelta(**span))

    async def why(self, id: str):
        async with self.store() as store:
            return await insight.why(store, id, now=self.clock.now(), knows=store)

    @asynccontextmanager
    async def store(self):
        backend = self.harness.backend
        if self.kind == "http":
            client = httpx.AsyncClient(transport=HttpFront(backend).transport())
            backend = HttpBackend("http://server", client=client, clock=self.clock)
        store = backend.reader() if isinstance(backend, Readable) else backend.connect(group="stranger", pid="stranger")
        await store.start()
        try:
            yield store
        finally:
            await store.stop()


@pytest.fixture(params=STORES)
async def stage(request, tmp_path):
    clock = VirtualClock(auto_jump=False)
    dialect = DIALECTS.get(request.param)
    server = (lambda clock: SqliteServer(tmp_path / "app.db", clock=clock)) if request.param == "sqlite" else None
    async with Harness(clock=clock, server=server, dialect=dialect, grace=0) as harness:
        yield Stage(request.param, harness)


async def test_1_it_sleeps(stage):
    worker = await stage.worker()

    @worker.register
    async def remind(ctx: Context) -> None:
        await ctx.sleep(timedelta(hours=3))

    await worker.begin_run("order", remind)
    await stage.passes(minutes=48)
    for why in (await stage.why("order"), await worker.why("order")):
        assert why.cause.kind is CauseKind.TIMER
        assert why.line.startswith(
            "order waits for order:1: the timer order:1 rings in 2 h 12 min, at 2025-01-01 03:00:"
        )


async def test_2_nobody_has_settled_a_promise(stage):
    worker = await stage.worker()

    @worker.register
    async def approve(ctx: Context) -> str:
        return await (await ctx.promise(timeout=timedelta(days=2)))

    await worker.begin_run("order", approve)
    await stage.passes(hours=5)
    for why in (await stage.why("order"), await worker.why("order")):
        assert why.cause.kind is CauseKind.UNSETTLED
        assert why.line == (
            "order waits for order:1: nobody has settled the promise order:1 in 5 h; its deadline is in 1 d 19 h."
        )
        assert "resonate resolve order:1" in (why.cause.hint or "")


async def test_3_what_it_called_waits_for_somebody(stage):
    worker = await stage.worker()

    @worker.register
    async def ship(ctx: Context) -> str:
        return await (await ctx.promise())

    @worker.register
    async def checkout(ctx: Context) -> str:
        await ctx.run(lambda: None)
        return await ctx.rpc(ship)

    await worker.begin_run("order", checkout)
    await stage.passes(minutes=1)
    why = await stage.why("order")
    assert why.line.startswith("order waits for order:2.1: nobody has settled the promise order:2.1 in 1 min")
    assert why.cause.path == ("order", "order:2", "order:2.1")
    assert [step.text for step in why.steps] == [
        "order checkout: waiting",
        "order:2 ship: waiting",
        "order:2.1 promise: pending",
    ]


async def test_4_no_worker_of_the_group_that_it_calls(stage):
    worker = await stage.worker()

    @worker.register
    async def checkout(ctx: Context) -> str:
        return await ctx.options(target="warehouse").rpc("pack")

    await worker.begin_run("order", checkout)
    await stage.passes(minutes=40)
    why = await stage.why("order")
    assert why.line.startswith(
        "order waits for order:1: no worker of group warehouse has taken the task order:1 (pack) "
        "since 2025-01-01 00:00:00 UTC (40 min)"
    )
    assert why.cause.group == "warehouse"
    if stage.sees_inside:
        assert why.cause.kind is CauseKind.NO_WORKER
        assert why.line.endswith("none is connected.")
    else:
        assert why.cause.kind is CauseKind.NOT_TAKEN


async def test_5_a_step_takes_its_time(stage):
    worker = await stage.worker()
    started = asyncio.Event()

    async def charge() -> None:
        started.set()
        await asyncio.Event().wait()

    @worker.register
    async def checkout(ctx: Context) -> None:
        await ctx.run(charge)

    await worker.begin_run("order", checkout)
    await started.wait()
    await stage.passes(seconds=20)
    why = await stage.why("order")
    assert why.cause.kind is CauseKind.STEP_RUNNING
    assert why.line.startswith(
        "order waits for order:1: the step order:1 (charge) has been running for 20 s in process one"
    )
    assert ("its lease ends in" in why.line) is stage.sees_inside
    own = (await worker.why("order")).line
    assert "between two attempts" in why.line
    assert "between two attempts" not in own


async def test_6_a_step_fails_and_is_tried_again(stage):
    worker = await stage.worker()

    def charge() -> None:
        msg = "the bank is closed"
        raise ConnectionError(msg)

    @worker.register
    async def checkout(ctx: Context) -> None:
        await ctx.options(retry=Constant(delay=30)).run(charge)

    await worker.begin_run("order", checkout)
    await stage.passes(seconds=70)
    why = await worker.why("order")
    assert why.cause.kind is CauseKind.STEP_RETRYING
    assert "has failed 3 times, last with ConnectionError: the bank is closed; it is tried again in" in why.line
    stranger = await stage.why("order")
    assert stranger.cause.kind is CauseKind.STEP_RUNNING
    assert "in process one, or between two attempts" in stranger.line
    (step,) = (await worker.tree("order")).root.children
    assert step.retrying is not None
    assert (step.retrying.failures, step.retrying.error) == (3, "ConnectionError: the bank is closed")
    assert step.retrying.next_at == why.cause.until
    other = await stage.worker(pid="two")
    assert (await other.tree("order")).root.children[0].retrying is None


async def test_7_its_function_is_not_registered(stage):
    worker = await stage.worker()
    await worker.begin_rpc("order", "chekout")
    await stage.passes(minutes=5)
    why = await worker.why("order")
    assert why.cause.kind is CauseKind.FUNCTION_MISSING
    assert why.line == "The function chekout of order is not registered in process one of group default."
    stranger = await stage.why("order")
    assert stranger.cause.kind is CauseKind.NO_PROGRESS
    assert stranger.line.startswith("order (chekout) was taken by workers of group default ")
    assert stranger.line.endswith("gets no further: chekout may not be registered there.")


async def test_8_its_code_has_changed(stage):
    worker = await stage.worker()

    async def checkout(ctx: Context) -> None:
        await ctx.run(lambda: None)
        await ctx.sleep(60)

    worker.register(name="checkout")(checkout)
    await worker.begin_run("order", checkout)
    await stage.passes(seconds=1)
    await stage.harness.crash(worker)
    worker = await stage.worker(pid="two")

    async def changed(ctx: Context) -> None:
        await ctx.sleep(60)

    worker.register(name="checkout")(changed)
    await stage.passes(minutes=5)
    why = await worker.why("order")
    assert why.cause.kind is CauseKind.CODE_CHANGED
    assert why.line.startswith(
        "order (checkout) was stopped in process two, and is kept: "
        "The workflow no longer asks for what its history records at order:1"
    )
    stranger = await stage.why("order")
    assert stranger.cause.kind is CauseKind.NO_PROGRESS
    assert "its code may have changed" in stranger.line


async def test_9_somebody_halted_it(stage):
    worker = await stage.worker()

    @worker.register
    async def remind(ctx: Context) -> None:
        await ctx.sleep(3600)

    await worker.begin_run("order", remind)
    await stage.passes(minutes=1)
    async with _started(stage) as ops:
        await ops.send(TaskHalt("order"))
    why = await stage.why("order")
    assert why.cause.kind is CauseKind.HALTED
    assert why.line == "order (remind) was halted, and no worker is offered it."
    assert why.cause.hint == "resonate continue order"


@asynccontextmanager
async def _started(stage):
    store = stage.harness.backend.connect(group="ops", pid="ops")
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def test_10_it_was_lost_with_its_worker(stage):
    worker = await stage.worker(ttl=60)
    started = asyncio.Event()

    async def charge() -> None:
        started.set()
        await asyncio.Event().wait()

    @worker.register
    async def checkout(ctx: Context) -> None:
        await ctx.run(charge)

    await worker.begin_run("order", checkout)
    await started.wait()
    await stage.harness.crash(worker)
    await stage.passes(seconds=19)
    why = await stage.why("order")
    assert "in process one" in why.line
    if stage.sees_inside:
        assert "its lease ends in 41 s" in why.line


async def test_11_it_failed_long_ago(stage):
    worker = await stage.worker()

    def charge() -> None:
        msg = "no such card"
        raise ValueError(msg)

    @worker.register
    async def checkout(ctx: Context) -> None:
        await ctx.options(retry=Constant(max_retries=0)).run(charge)

    handle = await worker.begin_run("order", checkout)
    with pytest.raises(ValueError, match="no such card"):
        await handle
    await stage.passes(hours=2)
    why = await stage.why("order")
    assert why.cause.kind is CauseKind.SETTLED
    assert why.line.startswith(
        "order is over: it failed 2 h ago, at 2025-01-01 00:00:00 UTC, with ValueError: no such card"
    )
    assert why.line.endswith("(raised by order:1)")


async def test_12_its_deadline_has_passed(stage):
    worker = await stage.worker()

    @worker.register
    async def approve(ctx: Context) -> str:
        return await (await ctx.promise())

    await worker.options(timeout=timedelta(hours=1)).begin_run("order", approve)
    await stage.passes(hours=3)
    why = await stage.why("order")
    assert why.cause.kind is CauseKind.SETTLED
    assert why.line.startswith("order is over: it passed its deadline 2 h ago, at 2025-01-01 01:00:00 UTC")


async def test_13_there_is_no_such_execution(stage):
    worker = await stage.worker()

    @worker.register
    async def remind(ctx: Context) -> None:
        await ctx.sleep(3600)

    await worker.begin_run("order-17", remind)
    why = await stage.why("order-71")
    assert why.cause.kind is CauseKind.UNKNOWN
    assert why.line == "There is no promise order-71."
    if stage.kind != "no searches":
        assert why.cause.hint == "Ids like it: order-17."
    assert (await stage.why("order-17:99")).cause.hint == "Ids like it: order-17."


async def test_14_it_is_not_to_start_yet(stage):
    await stage.worker()
    at = stage.clock.now() + 3_600_000
    tags = {Tag.TARGET: "poll://any@default", Tag.DELAY: str(at), Tag.ORIGIN: "order", Tag.BRANCH: "order"}
    param = JsonCodec().encode({"func": "checkout", "args": []})
    async with _started(stage) as other:
        await other.send(PromiseCreate(id="order", timeout_at=at + 3_600_000, param=param, tags=tags))
    await stage.passes(minutes=15)
    why = await stage.why("order")
    assert why.cause.kind is CauseKind.DELAYED
    assert why.line == "order (checkout) is not to start before 2025-01-01 01:00:00 UTC, in 45 min."


async def test_15_it_waits_for_many_things_and_the_worst_comes_first(stage):
    worker = await stage.worker()

    @worker.register
    async def checkout(ctx: Context) -> None:
        approval = await ctx.promise()
        await asyncio.gather(ctx.sleep(3600), approval, ctx.options(target="warehouse").rpc("pack"))

    await worker.begin_run("order", checkout)
    await stage.passes(minutes=10)
    why = await stage.why("order")
    assert [cause.kind for cause in why.causes[1:]] == [CauseKind.UNSETTLED, CauseKind.TIMER]
    assert "(and 2 more): no worker of group warehouse has taken the task order:3 (pack)" in why.line
    assert sum("Also:" in line for line in why.lines()) == 1
