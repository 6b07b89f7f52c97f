"""A trace passes between the TypeScript SDK and this client, whichever calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from resonate import OTel, Resonate
from tests.interop import functions
from tests.interop.conftest import Site
from tests.interop.peers import Process

pytestmark = pytest.mark.interop

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture
def made() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(params=[1000, 0], ids=["parked", "replayed"])
async def client(site: Site, made: InMemorySpanExporter, request: pytest.FixtureRequest) -> AsyncIterator[Resonate]:
    """This client, traced, with the functions that the peers have."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(made))
    group = f"{site.group('this')}-{request.param}"
    client = Resonate(
        site.server.url, group=group, ttl=5, grace=1, telemetry=OTel(provider), continuations=request.param
    )
    functions.register(client)
    async with client:
        yield client


@pytest.fixture
async def peer(site: Site, record_property: Any) -> Process:
    record_property("row", "a trace passes on")
    record_property("column", site.server.name)
    return await site.peer("typescript")


async def finished(client: Resonate, made: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """Close the client; return the spans of promises."""
    await client.__aexit__(None, None, None)
    told = "resonate.promise.id"
    found = [span for span in made.get_finished_spans() if told in span.attributes]
    assert len({span.context.span_id for span in found}) == len(found)
    return {str(span.attributes[told]): span for span in found}


def group_of(client: Resonate) -> str:
    return client._session.settings.group


@pytest.mark.parametrize("where", ["tags", "headers"])
async def test_typescript_calls_with_a_traceparent(site, client, made, peer, where):
    root, joint = site.id(), ":" if site.server.takes(":") else "."
    await peer.start(root, group_of(client), "fan", site.group("typescript"), "add", 2, **{where: GIVEN})
    assert await client.get(root).result() == [1, 2]
    spans = await finished(client, made)
    assert set(spans) == {root, *(f"{root}{joint}{number}" for number in range(1, 5))}
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert f"{spans.pop(root).parent.span_id:016x}" == SPAN
    assert len({span.parent.span_id for span in spans.values()}) == 1


async def test_a_workflow_in_typescript_stands_between_two_of_ours(site, client, made, peer):
    if not site.server.takes(":"):
        pytest.skip("there the workflow can't have children")
    root = site.id()
    called = client.options(target=site.group("typescript")).rpc(root, "relay", group_of(client), "add", [3, 4])
    assert await called == {"by": "typescript", "got": 7}
    spans = await finished(client, made)
    assert set(spans) == {root, f"{root}:0"}  # it counts from 0
    assert spans[root].parent is None
    assert spans[f"{root}:0"].parent.span_id == spans[root].context.span_id
    assert spans[f"{root}:0"].context.trace_id == spans[root].context.trace_id
