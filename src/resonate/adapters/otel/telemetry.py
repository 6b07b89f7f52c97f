"""What `Resonate(telemetry=OTel())` takes: the providers of the process, and what is made of events with them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Token
from typing import Any, Final, cast, get_args

from opentelemetry import context as contexts
from opentelemetry import metrics
from opentelemetry import trace as tracing
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from resonate.adapters.otel.lineage import SILENT, W3C, Homes, Place, headers_of, within
from resonate.adapters.otel.meters import Instruments, Meters
from resonate.adapters.otel.pump import Pump
from resonate.adapters.otel.spans import IDS, Spans
from resonate.core import trace
from resonate.core.protocol.records import PromiseRecord
from resonate.core.trace import LifecycleEvent
from resonate.core.values import Codec
from resonate.logs import Log
from resonate.ports.clock import Clock
from resonate.ports.telemetry import Load

log = Log("resonate.telemetry")

SCOPE: Final = "resonate"
MOST_WAITING: Final = 20_000
UNCOUNTED: Final = frozenset({*get_args(trace.TraceEvent), trace.StepStarted})


class OTel:
    """Traces and metrics by OpenTelemetry. One can serve any number of clients.

    Args:
        tracer_provider: where spans go; the process's global provider by default, as it is when a client is opened.
        meter_provider: where metrics go; likewise.
        namespace: goes into the ids of spans. Give each store its own where two of them have executions of the same
            ids and their traces go to the same backend; it must be the same in all processes of one store.
        messages: whether spans carry the messages of errors, and not their types alone. Turn it off where what a
            function says of its failure is nobody's business: a codec that encrypts values does not reach this far.
        queue: so many events may wait for a slow exporter; more are dropped, and counted.
        buffer: for how long, in seconds, a span may be on its way out of a process, and is lost if that is killed: what
            an execution reported so shortly before it was cut off is reported again by whoever takes it up.
        flush: how long, in seconds, closing a client may wait for exporters.
    """

    def __init__(
        self,
        tracer_provider: tracing.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        *,
        namespace: str = "",
        messages: bool = True,
        queue: int = MOST_WAITING,
        buffer: float = 10.0,
        flush: float = 5.0,
    ) -> None:
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._namespace = namespace
        self._messages = messages
        self._queue = queue
        self._buffer_ms = round(buffer * 1000)
        self._flush = flush
        self._instruments: Instruments | None = None

    def open(self, *, clock: Clock, codec: Codec, load: Callable[[], Load]) -> Recording:
        """Return the recorder of a client that is being opened."""
        provider = self._tracer_provider or tracing.get_tracer_provider()
        tracer = _with_chosen_ids(provider.get_tracer(SCOPE))
        homes = Homes(self._namespace, getattr(tracer, "sampler", None))
        if self._instruments is None:
            self._instruments = Instruments.of((self._meter_provider or metrics.get_meter_provider()).get_meter(SCOPE))
        return Recording(
            clock=clock,
            homes=homes,
            spans=Spans(tracer, codec, homes, self._messages),
            instruments=self._instruments,
            load=load,
            flushes=[self._tracer_provider or provider, self._meter_provider or metrics.get_meter_provider()],
            queue=self._queue,
            delay_ms=self._buffer_ms,
            flush=self._flush,
        )


class Recording:
    """A `Recorder`: hands events to a thread of its own, and knows the spans of what runs now."""

    def __init__(
        self,
        *,
        clock: Clock,
        homes: Homes,
        spans: Spans,
        instruments: Instruments,
        load: Callable[[], Load],
        flushes: list[object],
        queue: int,
        delay_ms: int,
        flush: float,
    ) -> None:
        self.delay_ms = delay_ms
        self._clock = clock
        self._homes = homes
        self._spans = spans
        self._instruments = instruments
        self._meters = Meters(instruments)
        self._load = load
        self._flushes = flushes
        self._flush = flush
        self._driven: dict[str, Place] = {}
        self._instruments.loads.add(load)
        self._pump: Pump[tuple[int, LifecycleEvent]] = Pump(self._work, self._rest, queue)

    # ------------------------------------------------------------ the spine

    def record(self, event: LifecycleEvent) -> None:
        """See the port."""
        if type(event) in UNCOUNTED:
            return
        match event:
            case trace.TaskAcquired(id=id, promise=promise) if promise is not None:
                self._driven[id] = self._homes.of(promise)
            case (
                trace.TaskSuspended()
                | trace.TaskFulfilled()
                | trace.TaskReleased()
                | trace.TaskLeft()
                | trace.LeaseLost()
            ):
                self._driven.pop(event.id, None)
            case _:
                pass
        self._pump.put((self._clock.now(), event))

    def _work(self, item: tuple[int, LifecycleEvent]) -> None:
        now, event = item
        self._meters.take(event)
        match event:
            case trace.Settled():
                self._spans.settled(event)
            case trace.TaskAcquired():
                self._spans.acquired(event, now)
            case trace.Joined():
                self._spans.joined(event)
            case trace.TaskSuspended():
                self._spans.ended(event.id, now, "suspended", event.awaiting)
            case trace.TaskFulfilled():
                self._spans.ended(event.id, now, "fulfilled")
            case trace.TaskReleased():
                self._spans.ended(event.id, now, "released")
            case trace.TaskLeft():
                self._spans.ended(event.id, now, "left")
            case trace.LeaseLost():
                self._spans.ended(event.id, now, "lost")
            case _:
                pass

    def _rest(self) -> None:
        self._meters.dropped(self._pump.dropped)
        self._meters.hand_over()

    # ------------------------------------------------------------ how a trace is passed on

    def carried(self, execution: PromiseRecord, caller: str) -> Mapping[str, str]:
        """See the port."""
        return headers_of(self._homes.of(execution).below(self._homes.span(caller)))

    def handed_on(self) -> Mapping[str, str]:
        """See the port."""
        found: dict[str, str] = {}
        W3C.inject(found)
        return found

    def around(self, execution: str, promise: str) -> AbstractContextManager[object]:
        """See the port."""
        home = self._driven.get(execution)
        return nullcontext() if home is None else _Within(home.below(self._homes.span(promise)))

    def enter(self, execution: str, promise: str, replaying: Callable[[], bool]) -> None:
        """See the port."""
        home = self._driven.get(execution)
        if home is not None:
            span = WorkflowSpan(home.below(self._homes.span(promise)), replaying)
            _ = contexts.attach(tracing.set_span_in_context(span))

    async def close(self) -> None:
        """See the port."""
        self._instruments.loads.discard(self._load)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        def tell() -> None:
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(finish)

        self._pump.close(self._flush_providers, tell)
        with self._clock.busy():
            try:
                await asyncio.wait_for(done, self._flush)
            except TimeoutError:
                log.warning("Telemetry was not done within %.1f s of closing: the rest is left behind.", self._flush)

    def _flush_providers(self) -> None:
        for provider in self._flushes:
            flush: Any = getattr(provider, "force_flush", None)
            if flush is not None:
                flush(int(self._flush * 1000))


class _Within:
    """Makes a span the current one: a context manager that costs little."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: SpanContext) -> None:
        self._context = context
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        self._token = contexts.attach(within(self._context))

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            contexts.detach(self._token)


class WorkflowSpan(NonRecordingSpan):
    """The span of a workflow as its code sees it: one to be the parent of others, but not while it is replayed."""

    def __init__(self, context: SpanContext, replaying: Callable[[], bool]) -> None:
        super().__init__(context)
        self._replaying = replaying
        self._silent = SpanContext(
            context.trace_id, context.span_id, is_remote=False, trace_flags=SILENT, trace_state=context.trace_state
        )

    def get_span_context(self) -> SpanContext:
        """Return its ids; while the workflow is replayed they are those of a span that is not sampled."""
        return self._silent if self._replaying() else super().get_span_context()


def _with_chosen_ids(tracer: tracing.Tracer) -> tracing.Tracer:
    """Return a tracer of a provider that takes its ids from us. The provider's other tracers keep theirs."""
    if hasattr(tracer, "id_generator"):
        cast("Any", tracer).id_generator = IDS
    return tracer
