"""Where a promise's span stands: its ids, its trace, its parent. All of it follows from records.

Law 1: a span id follows from the promise's id, a trace id from its origin, in every process and language alike; a
    `traceparent` that the promise carries comes first.
Law 2: the parent is the promise that asked for it, or the span that the `traceparent` names.
Law 3: a detached execution is a trace of its own, linked to whoever started it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from attrs import evolve, frozen
from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from resonate.adapters.otel.naming import attributes_of, kind_of, name_of
from resonate.core.engine.identity import KIND, Kind
from resonate.core.protocol.records import PromiseRecord, Tag
from resonate.logs import Log

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
log = Log("resonate.telemetry")

W3C: Final = TraceContextTextMapPropagator()
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
SILENT: Final = TraceFlags(TraceFlags.DEFAULT)
REMEMBERED: Final = 10_000


def trace_id(namespace: str, origin: str) -> int:
    """Return the id of the trace of all that has this origin."""
    return int.from_bytes(_digest(namespace, "trace", origin, 16)) or 1


def span_id(namespace: str, promise_id: str) -> int:
    """Return the id of a promise's span."""
    return int.from_bytes(_digest(namespace, "span", promise_id, 8)) or 1


def attempt_id(namespace: str, promise_id: str, version: int) -> int:
    """Return the id of the span of one attempt at an execution."""
    return int.from_bytes(_digest(namespace, "attempt", f"{version} {promise_id}", 8)) or 1


def _digest(namespace: str, what: str, name: str, size: int) -> bytes:
    return blake2b(name.encode(), digest_size=size, person=what.encode(), key=namespace.encode()[:64]).digest()


@frozen
class Place:
    """Where a promise's span stands.

    Args:
        own: its own ids.
        parent: those of its parent, None for the root of a trace.
        link: those of whoever started it, where that is not its parent.
    """

    own: SpanContext
    parent: SpanContext | None
    link: SpanContext | None = None

    def below(self, span: int) -> SpanContext:
        """Return the ids of another span of the same trace, in this process."""
        own = self.own
        return SpanContext(
            own.trace_id, span, is_remote=False, trace_flags=own.trace_flags, trace_state=own.trace_state
        )


def carrier_of(record: PromiseRecord) -> SpanContext | None:
    """Return the span that a promise's `traceparent` names, in its headers, or its tags, where only these are free."""
    for found in (record.param.headers, record.tags):
        if TRACEPARENT in found:
            context = get_current_span(W3C.extract(found, Context())).get_span_context()
            return context if context.is_valid else None
    return None


def place_of(record: PromiseRecord, namespace: str) -> Place:
    """Return where an execution's own promise stands, or another one that others settle."""
    own, origin = span_id(namespace, record.id), record.tags.get(Tag.ORIGIN, record.id)
    given = carrier_of(record)
    if given is not None and record.param.headers.get(KIND) != Kind.DETACHED:
        return Place(_local(given.trace_id, own, given.trace_flags, given.trace_state), given)
    trace, above = trace_id(namespace, origin), record.tags.get(Tag.PARENT, record.id)
    if above in {record.id, ""}:
        return Place(_local(trace, own), None, given)
    parent = SpanContext(trace, span_id(namespace, above), is_remote=True, trace_flags=SAMPLED)
    return Place(_local(trace, own), parent)


def place_in(home: Place, record: PromiseRecord, namespace: str) -> Place:
    """Return where a promise stands that the execution at `home` asked for."""
    if TRACEPARENT in record.param.headers:
        return place_of(record, namespace)
    parent = home.below(span_id(namespace, record.tags.get(Tag.PARENT, "")))
    return Place(home.below(span_id(namespace, record.id)), parent)


class Homes:
    """Where executions stand, and whether their sampler keeps them. Remembers the last; safe from any thread."""

    def __init__(self, namespace: str, sampler: Any) -> None:
        self.namespace = namespace
        self._sampler = sampler
        self._known: dict[str, Place] = {}

    def span(self, promise_id: str) -> int:
        """Return the id of a promise's span."""
        return span_id(self.namespace, promise_id)

    def of(self, record: PromiseRecord) -> Place:
        """Return where an execution stands, by its own promise."""
        known = self._known.get(record.id)
        if known is None:
            known = self._sampled(place_of(record, self.namespace), record)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[record.id] = known
        return known

    def _sampled(self, place: Place, record: PromiseRecord) -> Place:
        if self._sampler is None:
            return place
        try:
            kept = self._sampler.should_sample(
                within(place.parent),
                place.own.trace_id,
                name_of(record),
                kind_of(record),
                attributes_of(record, record),
                (),
            )
        except Exception as error:
            self._sampler = None
            text = "The sampler failed, and is asked no more which traces to pass on. Executions go on."
            log.warning(text, exc_info=error)
            return place
        flags = SAMPLED if kept.decision.is_sampled() else SILENT
        return evolve(place, own=_local(place.own.trace_id, place.own.span_id, flags, kept.trace_state))


def headers_of(context: SpanContext) -> Mapping[str, str]:
    """Return the headers that name this span."""
    found: dict[str, str] = {}
    W3C.inject(found, within(context))
    return found


def within(context: SpanContext | None) -> Context:
    """Return an OpenTelemetry context in which this span is the current one."""
    return Context() if context is None else set_span_in_context(NonRecordingSpan(context), Context())


def _local(trace: int, span: int, flags: TraceFlags = SAMPLED, state: TraceState | None = None) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=flags, trace_state=state)
