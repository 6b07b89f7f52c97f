"""What the spans of promises say, where they hang, and what the code of functions sees of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from opentelemetry import trace as tracing
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from resonate import ApplicationError, Constant, Context, Exponential, Info, Never, OTel, PromiseTimedOut
from resonate.testing import Harness
from tests.unit.otel.conftest import closed

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def double(n: int) -> int:
    return 2 * n


async def test_a_promise_is_a_span_below_the_one_that_asked_for_it(client, backend):
    async def inner(ctx: Context) -> int:
        return await ctx.run(double, 2)

    @client.register
    async def outer(ctx: Context) -> int:
        await ctx.sleep(60)
        return await ctx.run(inner) + await ctx.run(double, 1)

    assert await client.run("a", outer) == 6
    await closed(client)
    spans = backend.spans
    names = {id: span.name for id, span in spans.items()}
    assert names == {"a": "outer", "a:1": "sleep", "a:2": "inner", "a:2.1": "double", "a:3": "double"}
    parents = {id: span.parent and span.parent.span_id for id, span in spans.items()}
    assert parents == {
        "a": None,
        "a:1": spans["a"].context.span_id,
        "a:2": spans["a"].context.span_id,
        "a:2.1": spans["a:2"].context.span_id,
        "a:3": spans["a"].context.span_id,
    }
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert spans["a:1"].end_time - spans["a:1"].start_time == 60 * 10**9
    assert (spans["a"].kind, spans["a:3"].kind) == (SpanKind.CONSUMER, SpanKind.INTERNAL)
    told = spans["a"].attributes
    assert (told["resonate.function.name"], told["resonate.function.version"]) == ("outer", 1)
    assert (told["resonate.promise.state"], told["resonate.attempts"]) == ("resolved", 2)


async def test_an_attempt_at_an_execution_is_a_span_of_its_own(client, backend):
    @client.register
    async def naps(ctx: Context) -> None:
        await ctx.sleep(60)

    await client.run("a", naps)
    await closed(client)
    attempts = [s for s in backend.exporter.get_finished_spans() if "resonate.attempt" in s.attributes]
    told = [(s.attributes["resonate.attempt"], s.attributes["resonate.attempt.outcome"]) for s in attempts]
    assert told == [(1, "suspended"), (2, "fulfilled")]
    assert {span.parent.span_id for span in attempts} == {backend.spans["a"].context.span_id}
    assert attempts[1].start_time - attempts[0].end_time == 60 * 10**9


async def test_a_failure_sets_the_status_and_tells_of_the_exception(client, backend):
    def fail() -> None:
        raise ValueError("no such book")

    @client.register
    async def orders(ctx: Context) -> None:
        await ctx.options(retry=Never()).run(fail)

    with pytest.raises(ValueError, match="no such book"):
        await client.run("a", orders)
    await closed(client)
    for span in (backend.spans["a"], backend.spans["a:1"]):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "ValueError: no such book"
        assert span.attributes["error.type"] == "ValueError"
        [event] = span.events
        assert event.name == "exception"
        assert event.attributes == {"exception.type": "ValueError", "exception.message": "no such book"}
        assert event.timestamp == span.end_time


class BranchClosed(Exception):
    """A class that no codec knows."""


async def test_an_error_of_a_class_that_is_not_registered_says_its_type_once(client, backend):
    def fail() -> None:
        raise BranchClosed("oslo")

    with pytest.raises(ApplicationError, match="BranchClosed: oslo"):
        await client.run("a", client.register(fail, name="fail", retry=Never()))
    await closed(client)
    span = backend.spans["a"]
    assert span.status.description == "BranchClosed: oslo"
    assert span.events[0].attributes == {"exception.type": "BranchClosed", "exception.message": "oslo"}


async def test_messages_of_errors_can_be_kept_out(harness, backend):
    def fail() -> None:
        raise ValueError("card 4111 1111 1111 1111")

    async with harness.client(telemetry=backend.telemetry(messages=False)) as client:
        with pytest.raises(ValueError, match="card"):
            await client.run("a", client.register(fail, name="fail", retry=Never()))
    span = backend.spans["a"]
    assert span.status.description == "ValueError"
    assert "4111" not in span.to_json()


async def test_each_failed_try_of_a_step_is_an_event(client, backend):
    def flaky(info: Info) -> int:
        if info.attempt < 3:
            raise OSError(f"line {info.attempt}")
        return info.attempt

    @client.register
    async def calls(ctx: Context) -> int:
        return await ctx.options(retry=Exponential(delay=1)).run(flaky)

    assert await client.run("a", calls) == 3
    assert await client.run("b", client.register(flaky, name="alone")) == 3
    await closed(client)
    for span in (backend.spans["a:1"], backend.spans["b"]):
        assert span.status.status_code is StatusCode.UNSET
        assert span.attributes["resonate.tries"] == 3
        assert [event.name for event in span.events] == ["resonate.attempt.failed"] * 2
        told = [dict(event.attributes) for event in span.events]
        assert [(one["resonate.attempt"], one["exception.type"]) for one in told] == [(1, "OSError"), (2, "OSError")]
        assert [one["resonate.retry.delay_ms"] for one in told] == [1000, 2000]


async def test_of_very_many_tries_the_last_are_told(client, backend):
    def flaky(info: Info) -> int:
        if info.attempt < 100:
            raise OSError("x" * 1000)
        return info.attempt

    @client.register
    async def calls(ctx: Context) -> int:
        return await ctx.options(retry=Constant(delay=1)).run(flaky)

    assert await client.run("a", calls) == 100
    await closed(client)
    span = backend.spans["a:1"]
    assert span.attributes["resonate.tries"] == 100
    assert [event.attributes["resonate.attempt"] for event in span.events] == list(range(90, 100))


async def test_calls_to_other_workers_are_of_the_same_trace(harness, client, backend):
    far = harness.client(group="far", telemetry=backend.telemetry())

    @far.register
    async def reserve(ctx: Context, title: str) -> str:
        return str(await ctx.run(double, len(title)))

    @client.register
    async def order(ctx: Context) -> str:
        return await ctx.options(target="far").rpc("reserve", "abc")

    async with far:
        assert await client.run("a", order) == "6"
    await closed(client)
    spans = backend.spans
    assert spans["a:1"].parent.span_id == spans["a"].context.span_id
    assert spans["a:1.1"].parent.span_id == spans["a:1"].context.span_id
    assert len({span.context.trace_id for span in spans.values()}) == 1
    assert spans["a:1"].kind is SpanKind.CONSUMER


async def test_what_a_worker_without_telemetry_settles_has_a_span_from_whoever_waits(harness, client, backend):
    far = harness.client(group="far")

    @far.register
    def reserve(title: str) -> str:
        return title

    @client.register
    async def order(ctx: Context) -> str:
        return await ctx.options(target="far").rpc("reserve", "abc")

    async with far:
        assert await client.run("a", order) == "abc"
        assert await client.options(target="far").rpc("b", "reserve", "xyz") == "xyz"
    await closed(client)
    assert set(backend.spans) == {"a", "a:1", "b"}
    assert len(backend.exporter.get_finished_spans()) == 3 + 2  # the attempts at "a"


async def test_a_detached_execution_is_a_trace_of_its_own_with_a_link(client, backend):
    @client.register
    async def alone(ctx: Context) -> int:
        return await ctx.run(double, 1)

    @client.register
    async def starts(ctx: Context) -> str:
        return await ctx.detached(alone)

    started = await client.run("a", starts)
    await client.get(started).result()
    await closed(client)
    span, caller = backend.spans[started], backend.spans["a"]
    assert span.parent is None
    assert span.context.trace_id != caller.context.trace_id
    assert [link.context.span_id for link in span.links] == [caller.context.span_id]
    assert backend.spans[f"{started}:1"].context.trace_id == span.context.trace_id


async def test_a_call_that_another_execution_made_before_is_a_link_and_no_child(client, backend):
    @client.register
    async def shared(ctx: Context) -> int:
        await ctx.sleep(60)
        return 1

    @client.register
    async def one(ctx: Context) -> int:
        return await ctx.options(id="a:shared").rpc(shared)

    @client.register
    async def both(ctx: Context) -> list[int]:
        return list(await asyncio.gather(ctx.rpc(one), ctx.rpc(one)))

    assert await client.run("a", both) == [1, 1]
    await closed(client)
    spans = backend.spans
    assert set(spans) == {"a", "a:1", "a:2", "a:shared", "a:shared.1"}
    attempts = [s for s in backend.exporter.get_finished_spans() if s.name == "attempt one"]
    [first] = [id for id in ("a:1", "a:2") if spans["a:shared"].parent.span_id == spans[id].context.span_id]
    linked = {s.attributes["resonate.execution.id"] for s in attempts if s.links}
    assert linked == {"a:1", "a:2"} - {first}
    contexts = {link.context.span_id for s in attempts for link in s.links}
    assert contexts == {spans["a:shared"].context.span_id}


async def test_an_execution_is_below_the_span_that_it_is_started_in(client, backend):
    @client.register
    async def order(ctx: Context) -> int:
        return await ctx.run(double, 1)

    with backend.tracers.get_tracer("shop").start_as_current_span("POST /orders") as above:
        await client.run("a", order)
    await client.rpc("b", order)
    await closed(client)
    spans, context = backend.spans, above.get_span_context()
    assert (spans["a"].parent.span_id, spans["a"].context.trace_id) == (context.span_id, context.trace_id)
    assert spans["a:1"].context.trace_id == context.trace_id
    assert spans["b"].parent is None
    assert spans["b"].context.trace_id != context.trace_id


async def test_an_execution_that_a_step_starts_is_below_the_step(client, backend):
    @client.register
    async def order(ctx: Context) -> int:
        return await ctx.run(double, 1)

    async def starts() -> int:
        return await client.run("b", order)

    @client.register
    async def caller(ctx: Context) -> int:
        return await ctx.run(starts)

    await client.run("a", caller)
    await closed(client)
    spans = backend.spans
    assert spans["b"].parent.span_id == spans["a:1"].context.span_id
    assert len({span.context.trace_id for span in spans.values()}) == 1


@pytest.mark.parametrize("where", ["header", "tag"])
async def test_a_traceparent_that_another_sdk_gives_is_honoured(harness, client, backend, where):
    @client.register
    async def order(ctx: Context) -> int:
        return await ctx.run(double, 1)

    tags = {"traceparent": TRACEPARENT} if where == "tag" else {}
    with tracing.use_span(tracing.INVALID_SPAN):
        if where == "tag":
            await client.options(tags=tags).rpc("a", order)
        else:
            context = tracing.SpanContext(int(TRACE, 16), int(SPAN, 16), True, tracing.TraceFlags(1))
            with tracing.use_span(tracing.NonRecordingSpan(context)):
                await client.rpc("a", order)
    await closed(client)
    span = backend.spans["a"]
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert span.parent.is_remote
    assert backend.spans["a:1"].context.trace_id == span.context.trace_id


async def test_a_traceparent_that_makes_no_sense_is_passed_over(client, backend):
    @client.register
    async def order(ctx: Context) -> int:
        return await ctx.run(double, 1)

    await client.options(tags={"traceparent": "of no sense"}).rpc("a", order)
    await closed(client)
    assert backend.spans["a"].parent is None


async def test_what_is_not_sampled_is_not_exported_anywhere(harness):
    exporter = InMemorySpanExporter()

    def telemetry(sampler) -> OTel:
        provider = TracerProvider(sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return OTel(provider)

    far = harness.client(group="far", telemetry=telemetry(ParentBased(TraceIdRatioBased(1))))
    far.register(double)
    off = harness.client(pid="one", telemetry=telemetry(ParentBased(ALWAYS_OFF)))

    @off.register
    async def order(ctx: Context) -> int:
        return await ctx.run(double, 1) + await ctx.options(target="far").rpc("double", 2)

    async with far, off:
        await off.run("a", order)
    assert exporter.get_finished_spans() == ()


async def test_stores_with_the_same_ids_are_kept_apart_by_their_namespace(backend):
    for namespace in ("north", "south"):
        async with Harness() as harness, harness.client(telemetry=backend.telemetry(namespace=namespace)) as client:
            await client.run("a", client.register(double, name=namespace), 1)
    spans = [s for s in backend.exporter.get_finished_spans() if "resonate.promise.id" in s.attributes]
    assert len({span.context.trace_id for span in spans}) == 2


async def test_spans_of_a_step_s_code_lie_below_the_step(client, backend):
    tracer = backend.tracers.get_tracer("shop")

    def in_thread() -> None:
        with tracer.start_as_current_span("in a thread"):
            pass

    async def on_loop() -> None:
        await asyncio.sleep(0)
        with tracer.start_as_current_span("on the loop"):
            pass

    @client.register
    async def order(ctx: Context) -> None:
        await asyncio.gather(ctx.run(in_thread), ctx.run(on_loop))

    await client.run("a", order)
    await client.run("b", client.register(on_loop, name="alone"))
    await closed(client)
    below = {
        (s.parent.span_id, s.name) for s in backend.exporter.get_finished_spans() if "a " in s.name or "on " in s.name
    }
    spans = backend.spans
    assert below >= {
        (spans["a:1"].context.span_id, "in a thread"),
        (spans["a:2"].context.span_id, "on the loop"),
        (spans["b"].context.span_id, "on the loop"),
    }


async def test_spans_of_a_workflow_s_code_are_made_once_and_not_again_when_it_is_replayed(client, backend):
    tracer = backend.tracers.get_tracer("shop")

    async def inner(ctx: Context) -> None:
        with tracer.start_as_current_span("inside"):
            await ctx.sleep(60)

    @client.register
    async def order(ctx: Context) -> None:
        with tracer.start_as_current_span("first"):
            pass
        await ctx.sleep(60)
        with tracer.start_as_current_span("second"):
            pass
        await ctx.run(inner)

    await client.run("a", order)
    await closed(client)
    spans, made = backend.spans, [s for s in backend.exporter.get_finished_spans() if not s.attributes]
    by_name = {span.name: span.parent.span_id for span in made}
    assert by_name["first"] == by_name["second"] == spans["a"].context.span_id
    assert [span.name for span in made].count("first") == [span.name for span in made].count("second") == 1
    if "inside" in by_name:  # a span that is open across a suspension is lost where the body is not kept
        assert by_name["inside"] == spans["a:2"].context.span_id


async def test_what_a_client_settles_from_outside_has_a_span(harness, client, backend):
    @client.register
    async def waits(ctx: Context) -> str:
        promise = await ctx.promise()
        return str(await promise)

    handle = await client.begin_run("a", waits)
    await harness.clock.advance(timedelta(seconds=1))
    await client.promises.resolve("a:1", "yes")
    await client.promises.resolve("a:1", "again")
    assert await handle.result() == "yes"
    await client.promises.create("lonely")
    await client.promises.cancel("lonely")
    blocked = await client.begin_run("b", waits)
    assert await blocked.cancel()
    await closed(client)
    spans = [span for span in backend.exporter.get_finished_spans() if "resonate.promise.id" in span.attributes]
    assert sorted(str(span.attributes["resonate.promise.id"]) for span in spans) == ["a", "a:1", "b", "lonely"]
    assert backend.spans["a:1"].parent.span_id == backend.spans["a"].context.span_id
    assert backend.spans["b"].attributes["resonate.promise.state"] == "rejected_canceled"
    assert backend.spans["b"].status.status_code is StatusCode.UNSET


async def test_what_the_server_settles_at_its_deadline_has_a_span_that_says_so(client, backend):
    @client.register
    async def waits(ctx: Context) -> str:
        promise = await ctx.promise(timeout=60)
        try:
            await promise
        except PromiseTimedOut as error:
            return type(error).__name__
        return "in time"

    assert await client.run("a", waits) == "PromiseTimedOut"
    with pytest.raises(Exception, match=r"deadline|timed out"):
        await client.options(timeout=5).run("late", waits)
    await closed(client)
    for span in (backend.spans["a:1"], backend.spans["late"]):
        assert span.attributes["error.type"] == "PromiseTimedOut"
        assert span.status.status_code is StatusCode.ERROR


async def test_a_global_provider_that_is_set_after_the_telemetry_was_made_is_used(harness, backend, monkeypatch):
    telemetry = OTel()
    monkeypatch.setattr(tracing, "get_tracer_provider", lambda: backend.tracers)
    async with harness.client(telemetry=telemetry) as client:
        await client.run("a", client.register(double), 1)
    assert set(backend.spans) == {"a"}


async def test_without_a_provider_everything_runs_and_nothing_is_made(harness):
    async with harness.client(telemetry=OTel()) as client:
        assert await client.run("a", client.register(double), 1) == 2
