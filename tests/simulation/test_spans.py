"""Spans of simulated executions: every settled promise has one, whatever happens to their worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resonate import Context, OTel, Resonate
from resonate.core import ids, trace
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.projection import project
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.protocol.requests import TaskFulfill
from resonate.testing import CrashPoint, Harness, When
from tests.effort import places
from tests.simulation.shapes import SHAPES, Shape
from tests.simulation.stage import Stage

pytestmark = pytest.mark.slow


@define
class Traced:
    """What the workers of a stage made, each with a memory of its own, as processes have."""

    made: InMemorySpanExporter = field(factory=InMemorySpanExporter)

    def options(self, _pid: str) -> dict[str, Any]:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.made))
        return {"telemetry": OTel(provider)}

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self.made.get_finished_spans()

    @property
    def promises(self) -> list[ReadableSpan]:
        """The spans of promises."""
        return [span for span in self.spans if "resonate.promise.id" in span.attributes]

    def copies(self) -> Counter[str]:
        """How many spans each promise has."""
        return Counter(span.attributes["resonate.promise.id"] for span in self.promises)


def settled_promises(stage: Stage) -> dict[str, PromiseRecord]:
    snapshot = stage.harness.snapshot()
    records = [project(promise.record, snapshot.now) for promise in snapshot.promises]
    return {
        record.id: record
        for record in records
        if record.state is not PromiseState.PENDING
        and not any(ids.is_own(ids.origin(record.id, sep), record.id, sep) for sep in ":.")
    }


def check(traced: Traced, stage: Stage) -> None:
    """Check what holds of all spans, whoever made them and however often."""
    records = settled_promises(stage)
    of = {span.attributes["resonate.promise.id"]: span for span in traced.promises}
    for promise_id, span in of.items():
        record = records[promise_id]
        assert span.start_time == record.created_at * 1_000_000
        assert span.end_time == record.settled_at * 1_000_000
        parent = record.tags["resonate:parent"]
        if parent == promise_id:
            assert span.parent is None
        elif parent in of:
            assert span.parent.span_id == of[parent].context.span_id
            assert span.context.trace_id == of[parent].context.trace_id
    assert len({span.context.span_id for span in of.values()}) == len(of)


def same(one: ReadableSpan, other: ReadableSpan) -> bool:
    """Say whether two spans are one, made twice."""
    return one.to_json() == other.to_json()


@pytest.mark.parametrize("name", SHAPES)
async def test_without_a_crash_each_settled_promise_has_one_span(name, mode, dialect):
    traced = Traced()
    stage = await Stage(SHAPES[name], mode, dialect=dialect, options=traced.options).play()
    assert stage.wrong == []
    assert traced.copies() == Counter(dict.fromkeys(settled_promises(stage), 1))
    check(traced, stage)
    made = {span.context.span_id for span in traced.spans}
    assert [span.name for span in traced.spans if span.parent and span.parent.span_id not in made] == []


@pytest.mark.parametrize("dialect", ["ours", "no searches"], indirect=True)  # all that is known at once, or bit by bit
@pytest.mark.parametrize("name", SHAPES)
async def test_a_worker_that_is_lost_at_any_request_loses_no_span(name, mode, dialect):
    await lose_workers(SHAPES[name], mode, dialect)


@pytest.mark.parametrize("name", ["sequence", "nested workflows"])
async def test_a_step_that_is_cut_off_loses_no_span(name):
    """The same for two shapes, which is soon done."""
    await lose_workers(SHAPES[name], 0, None)


async def lose_workers(shape: Shape, mode: int, dialect: Dialect | None) -> None:
    """Lose the worker at each request in turn, and check what spans there are."""
    whole = await Stage(shape, mode, dialect=dialect, options=Traced().options).play()
    for number in places(range(1, len(whole.requests) + 1)):
        for when in When:
            traced = Traced()
            stage = await Stage(shape, mode, CrashPoint(number, when), dialect=dialect, options=traced.options).play()
            if len(stage.requests) < number:
                continue  # threads were quick this time, and more of their outcomes went together
            last = stage.requests[number - 1]
            where = f"lost {when.value} request {number}, {type(last).__name__}"
            assert stage.result == shape.result, where
            assert stage.wrong == [], where
            check(traced, stage)
            missing = set(settled_promises(stage)) - set(traced.copies())
            if when is When.AFTER and isinstance(last, TaskFulfill):
                missing -= {last.id}  # settled, and the one that was to say so heard of it no more
            assert missing == set(), where
            for promise_id, count in traced.copies().items():
                if count > 1:
                    copies = [s for s in traced.promises if s.attributes["resonate.promise.id"] == promise_id]
                    assert all(same(copies[0], copy) for copy in copies), (where, promise_id)


class Counted:
    """A tracer that counts reports, whatever anybody remembers."""

    def __init__(self) -> None:
        self.reports: Counter[str] = Counter()

    def record(self, event: trace.LifecycleEvent) -> None:
        if isinstance(event, trace.Settled):
            self.reports[event.promise.id] += 1


@pytest.mark.parametrize("name", SHAPES)
async def test_nothing_is_reported_twice_however_often_it_is_replayed(name, dialect):
    counted = Counted()
    stage = await Stage(
        SHAPES[name], 0, dialect=dialect, options=lambda pid: {**Traced().options(pid), "tracers": [counted]}
    ).play()
    assert counted.reports == Counter(dict.fromkeys(settled_promises(stage), 1))


@pytest.mark.parametrize("continuations", [1000, 0])
@pytest.mark.parametrize("days", [1, 2, 3, 4])
async def test_an_execution_that_moves_in_good_order_is_reported_once(days, continuations):
    counted = Counted()

    async def add(n: int) -> int:
        return n + 1

    async def inner(ctx: Context, n: int) -> int:
        await ctx.sleep(timedelta(days=1))
        return await ctx.run(add, n)

    async def moves(ctx: Context) -> int:
        n = await ctx.run(add, 0)
        naps = [ctx.sleep(timedelta(days=2)), ctx.sleep(timedelta(days=3))]
        n = await ctx.run(inner, n)
        for nap in naps:
            await nap
        await ctx.sleep(timedelta(days=1))
        return await ctx.rpc(add, n)

    async with Harness(continuations=continuations) as harness:

        async def worker(pid: str) -> Resonate:
            options = Traced().options(pid)
            client = harness.client(pid=pid, tracers=[counted], **options)
            for fn in (moves, add):
                client.register(fn)
            return await harness.open(client)

        first = await worker("first")
        await first.begin_run("a", moves)
        await harness.clock.advance(timedelta(days=days) - timedelta(hours=1))
        await first.__aexit__(None, None, None)
        second = await worker("second")
        assert await second.get("a").result() == 3
        await second.__aexit__(None, None, None)
        promises = [promise.record.id for promise in harness.snapshot().promises]
    assert counted.reports == Counter(dict.fromkeys(promises, 1))
