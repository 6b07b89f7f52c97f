"""Spans of promises and of attempts, made when all is known of them.

Law 1: a promise's span is made of its record alone, so that whoever makes it, and however often, it is the same.
Law 2: what only one process knows (when it took an execution up, and for how long) is a span of its own below it.
Law 3: one process makes no span twice, as far back as it remembers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from attrs import define, field
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, Tracer

from resonate.adapters.otel.lineage import Homes, Place, attempt_id, place_in, place_of, within
from resonate.adapters.otel.naming import Attributes, attributes_of, kind_of, name_of
from resonate.core import trace
from resonate.core.engine.tries import failures_in
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.values import Codec

REMEMBERED: Final = 100_000
NS: Final = 1_000_000

FAILED: Final = frozenset({PromiseState.REJECTED, PromiseState.REJECTED_TIMEDOUT})


class ChosenIds(threading.local):
    """An id generator that gives the ids that this thread has set."""

    trace = 1
    span = 1

    def generate_trace_id(self) -> int:
        """Return the trace id of the next span, if it has no parent."""
        return self.trace

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return self.span

    def is_trace_id_random(self) -> bool:
        """Say no: it follows from a name."""
        return False


IDS: Final = ChosenIds()


@define
class _Attempt:
    since: int
    promise: PromiseRecord
    version: int
    joined: list[Link] = field(factory=list[Link])


@define
class Spans:
    """See the module's text. Belongs to one thread.

    Args:
        tracer: makes spans with the ids of `IDS`.
        codec: reads what went wrong.
        homes: where executions stand.
        messages: whether spans tell the messages of errors, or their types alone.
    """

    tracer: Tracer
    codec: Codec
    homes: Homes
    messages: bool = True
    _made: OrderedDict[tuple[int, int], None] = field(factory=OrderedDict[tuple[int, int], None], init=False)
    _attempts: OrderedDict[str, _Attempt] = field(factory=OrderedDict[str, _Attempt], init=False)

    def settled(self, event: trace.Settled) -> None:
        """Make the span of a promise."""
        record, home = event.promise, self.homes.of(event.home)
        place = home if record.id == event.home.id else place_in(home, record, self.homes.namespace)
        if not self._is_new(place.own) or record.settled_at is None:
            return
        attributes = attributes_of(record, event.home)
        if event.attempts is not None:
            attributes["resonate.attempts"] = event.attempts
        span = self._start(place, name_of(record), kind_of(record), attributes, record.created_at)
        if span.is_recording():
            self._tell_failures(span, record)
            self._tell_outcome(span, record)
        span.end(record.settled_at * NS)

    def acquired(self, event: trace.TaskAcquired, now: int) -> None:
        """Take note that an attempt at an execution began."""
        if event.promise is not None:
            self._attempts[event.id] = _Attempt(now, event.promise, event.version)
            if len(self._attempts) > REMEMBERED:
                self._attempts.popitem(last=False)

    def joined(self, event: trace.Joined) -> None:
        """Take note that an attempt waits for what another execution asked for."""
        attempt = self._attempts.get(event.execution)
        if attempt is not None:
            context = place_of(event.promise, self.homes.namespace).own
            attempt.joined.append(
                Link(context, {"resonate.link": "waits for", "resonate.promise.id": event.promise.id})
            )

    def ended(self, execution: str, now: int, how: str, awaiting: int | None = None) -> None:
        """Make the span of an attempt that has ended."""
        attempt = self._attempts.pop(execution, None)
        if attempt is None:
            return
        home, version = self.homes.of(attempt.promise), attempt.version
        place = Place(home.below(attempt_id(self.homes.namespace, execution, version)), home.own)
        attributes: Attributes = {
            "resonate.execution.id": execution,
            "resonate.attempt": version,
            "resonate.attempt.outcome": how,
        }
        if awaiting is not None:
            attributes["resonate.attempt.awaiting"] = awaiting
        name = f"attempt {name_of(attempt.promise)}"
        span = self._start(place, name, SpanKind.INTERNAL, attributes, attempt.since, attempt.joined)
        span.end(now * NS)

    def _start(  # noqa: PLR0917 - all of a span
        self,
        place: Place,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        since: int,
        links: Sequence[Link] = (),
    ) -> Span:
        IDS.trace, IDS.span = place.own.trace_id, place.own.span_id
        if place.link is not None:
            links = [Link(place.link, {"resonate.link": "started by"}), *links]
        return self.tracer.start_span(
            name,
            context=within(place.parent),
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=since * NS,
            record_exception=False,
            set_status_on_exception=False,
        )

    def _tell_failures(self, span: Span, record: PromiseRecord) -> None:
        failures = failures_in(record.value.headers)
        for number, failure in enumerate(failures.last, failures.count - len(failures.last) + 1):
            told: Attributes = {
                "resonate.attempt": number,
                "resonate.retry.delay_ms": failure.delay_ms,
                "exception.type": failure.error,
            }
            span.add_event("resonate.attempt.failed", told, failure.at * NS)

    def _tell_outcome(self, span: Span, record: PromiseRecord) -> None:
        if record.state not in FAILED or record.settled_at is None:
            return
        if record.state is PromiseState.REJECTED_TIMEDOUT:
            kind, message = "PromiseTimedOut", "The promise passed its deadline."
        else:
            error: Any = self.codec.decode_error(record.value, at=record.id)
            kind = getattr(error, "name", None) or type(error).__name__
            message = str(error).removeprefix(f"{kind}: ")  # which an ApplicationError begins with
        told = {"exception.type": kind}
        if self.messages:
            told["exception.message"] = message
        span.set_attribute("error.type", kind)
        span.add_event("exception", told, record.settled_at * NS)
        span.set_status(Status(StatusCode.ERROR, f"{kind}: {message}" if self.messages else kind))

    def _is_new(self, own: SpanContext) -> bool:
        key = (own.trace_id, own.span_id)
        if key in self._made:
            return False
        self._made[key] = None
        if len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return True
