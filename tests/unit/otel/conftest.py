"""A system in memory on virtual time, and what its clients make of it for OpenTelemetry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resonate import OTel, Resonate
from resonate.testing import Harness


@define
class Backend:
    """Where traces and metrics go in a test."""

    exporter: InMemorySpanExporter = field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader)
    tracers: TracerProvider = field(init=False)
    meters: MeterProvider = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    def telemetry(self, **options: Any) -> OTel:
        return OTel(self.tracers, self.meters, **options)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """Spans of promises, by id."""
        return {
            str(span.attributes["resonate.promise.id"]): span
            for span in self.exporter.get_finished_spans()
            if "resonate.promise.id" in span.attributes
        }

    @property
    def others(self) -> dict[str, ReadableSpan]:
        """All other spans, by name."""
        return {s.name: s for s in self.exporter.get_finished_spans() if "resonate.promise.id" not in s.attributes}

    def metrics(self) -> dict[str, list[tuple[Mapping[str, Any], Any]]]:
        """What was measured so far: by name, each set of attributes with its sum, or its count."""
        found: dict[str, list[tuple[Mapping[str, Any], Any]]] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        number = point.count if hasattr(point, "count") else point.value
                        found.setdefault(metric.name, []).append((dict(point.attributes), number))
        return found


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture(params=[1000, 0], ids=["parked", "replayed"])
def continuations(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
async def harness(continuations: int):
    async with Harness(grace=1, continuations=continuations) as harness:
        yield harness


@pytest.fixture
async def client(harness: Harness, backend: Backend) -> Resonate:
    """A client that is open, until the test closes it."""
    return await harness.open(harness.client(pid="one", telemetry=backend.telemetry()))


async def closed(client: Resonate) -> None:
    """Close a client, so that all of its spans are there."""
    await client.__aexit__(None, None, None)


def total(metrics: Mapping[str, Any], name: str, **wanted: object) -> int:
    """Add up what was measured under a name with these attributes (`_` for `.`)."""
    wanted = {key.replace("_", "."): value for key, value in wanted.items()}
    return sum(number for told, number in metrics.get(name, []) if wanted.items() <= told.items())
