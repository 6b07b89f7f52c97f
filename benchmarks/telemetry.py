"""What traces and metrics cost: off, on with an exporter that does nothing, and on with a batch of OTLP bytes.

Opening and closing the client is part of what is timed, since closing hands on what is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.harness import Spending, Spent, Work
from benchmarks.scenarios import new_client, sequential
from benchmarks.sqlite import folder
from resonate import OTel
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.server import SqliteServer
from resonate.core.trace import LifecycleEvent
from resonate.ports.store import Backend

SIZE = 2_000
QUEUE = 100_000
"""Nothing is to be dropped: that would be cheap."""


class Nothing(SpanExporter):
    """An exporter that does nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        del spans
        return SpanExportResult.SUCCESS


class Bytes(SpanExporter):
    """An exporter that does all that one for OTLP does before it sends."""

    sent = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode them."""
        self.sent += len(encode_spans(spans).SerializeToString())
        return SpanExportResult.SUCCESS


class Ear:
    """A tracer that does nothing: what it costs that events are made at all."""

    def record(self, event: LifecycleEvent) -> None:
        """Take it."""


def tracers(*, batch: bool) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(Bytes(), max_queue_size=QUEUE) if batch else SimpleSpanProcessor(Nothing())
    provider.add_span_processor(processor)
    return provider


def run(options: Callable[[], dict[str, object]], *, file: bool) -> Callable[[int], Awaitable[Spent]]:
    async def once(size: int, backend: Backend) -> Spent:
        chosen = options()
        spending = Spending()
        async with new_client(backend, **chosen) as client:
            assert await client.run("w", sequential, size) == size * (size - 1) // 2
        return spending.spent()

    async def round_(size: int) -> Spent:
        if not file:
            return await once(size, MemoryServer())
        with folder() as path:
            return await once(size, SqliteServer(path / "bench.db", durability=Durability.NORMAL))

    return round_


def with_otel(*, batch: bool) -> dict[str, object]:
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return {"telemetry": OTel(tracers(batch=batch), meters, queue=QUEUE)}


VARIANTS: dict[str, Callable[[], dict[str, object]]] = {
    "off": dict,
    "a tracer that does nothing": lambda: {"tracers": [Ear()]},
    "on, no-op exporter": lambda: with_otel(batch=False),
    "on, batch exporter": lambda: with_otel(batch=True),
}


def works() -> list[Work]:
    """Return what is timed."""
    return [
        Work(
            f"telemetry {name}, {place}",
            run(options, file=place == "file"),
            (SIZE,),
            beside=None if name == "off" else f"telemetry off, {place}",
        )
        for place in ("memory", "file")
        for name, options in VARIANTS.items()
    ]
