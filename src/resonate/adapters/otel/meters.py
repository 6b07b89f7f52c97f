"""Metrics of what clients do. Their attributes have few values each: kinds, states and functions, never ids.

Law 1: what is counted is added up first, and handed to the meter once for many events.
Law 2: a meter's instruments are made once, however many clients there are.
Law 3: a client that was closed is observed no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from attrs import frozen
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from resonate.adapters.otel.naming import name_of
from resonate.core import trace
from resonate.ports.telemetry import Load

Key: TypeAlias = tuple[tuple[str, str | int], ...]

COUNTERS: Final = {
    "resonate.store.retries": ("{request}", "Requests that failed in a way that is worth asking again."),
    "resonate.tasks": ("{task}", "Tasks acquired, suspended, fulfilled, released and left, and leases lost."),
    "resonate.replays": ("{replay}", "Executions whose body ran again from its beginning."),
    "resonate.step.retries": ("{retry}", "Tries of steps that failed and are followed by another."),
    "resonate.promises.settled": ("{promise}", "Promises reported as settled, by outcome."),
    "resonate.functions.missing": ("{task}", "Tasks given back since their function is not registered."),
    "resonate.codec.failures": ("{value}", "Values that could not be written or read."),
    "resonate.messages.dropped": ("{message}", "Messages of the server that make no sense."),
    "resonate.telemetry.dropped": ("{event}", "Events that found the telemetry queue full."),
}
HISTOGRAMS: Final = {
    "resonate.store.request.duration": ("s", "How long requests to the store take."),
    "resonate.step.duration": ("s", "How long tries of steps take."),
    "resonate.execution.duration": ("s", "How long executions take, suspensions included."),
}
GAUGE: Final = "resonate.executions"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600, 86400)
MANY: Final = 2_000


@frozen
class Instruments:
    """What a meter is asked for, once."""

    counters: dict[str, Callable[[int, dict[str, str | int]], None]]
    histograms: dict[str, Histogram]
    loads: set[Callable[[], Load]]

    @classmethod
    def of(cls, meter: Meter) -> Instruments:
        """Make them."""
        loads: set[Callable[[], Load]] = set()

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            now = [load() for load in tuple(loads)]
            for state in ("running", "waiting", "parked"):
                yield Observation(sum(getattr(load, state) for load in now), {"resonate.execution.state": state})

        counters = {name: meter.create_counter(name, unit, text) for name, (unit, text) in COUNTERS.items()}
        histograms = {
            name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=BUCKETS)
            for name, (unit, text) in HISTOGRAMS.items()
        }
        _ = meter.create_observable_gauge(GAUGE, [observe], "{execution}", "Executions that are held here, by state.")
        return cls({name: counter.add for name, counter in counters.items()}, histograms, loads)


class Meters:
    """See the module's text. Belongs to one thread, and to one client."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counts: Counter[tuple[str, Key]] = Counter()
        self._dropped = 0

    def take(self, event: trace.LifecycleEvent) -> None:
        """Count and measure an event."""
        match event:
            case trace.StoreRequest():
                self._request(event)
            case trace.StepFinished(outcome=outcome):
                attributes: dict[str, str | int] = {
                    "resonate.function.name": event.function,
                    "resonate.outcome": outcome,
                }
                self._measure("resonate.step.duration", event.duration_ms, attributes)
            case trace.Settled():
                self._settled(event)
            case trace.RetryScheduled():
                function = ("resonate.function.name", event.function)
                self._count("resonate.step.retries", function, ("error.type", event.error))
            case trace.TaskAcquired():
                self._count("resonate.tasks", ("resonate.outcome", "acquired"))
            case trace.TaskSuspended():
                self._count("resonate.tasks", ("resonate.outcome", "suspended"))
            case trace.TaskFulfilled():
                self._count("resonate.tasks", ("resonate.outcome", "fulfilled"))
            case trace.TaskReleased():
                self._count("resonate.tasks", ("resonate.outcome", "released"))
            case trace.TaskLeft():
                self._count("resonate.tasks", ("resonate.outcome", "left"))
            case trace.LeaseLost():
                self._count("resonate.tasks", ("resonate.outcome", "lost"))
            case trace.Replayed():
                self._count("resonate.replays")
            case trace.FunctionMissing():
                self._count("resonate.functions.missing", ("resonate.function.name", event.name))
            case trace.CodecFailed():
                self._count("resonate.codec.failures")
            case trace.MessageDropped():
                self._count("resonate.messages.dropped")
            case _:
                pass

    def dropped(self, so_far: int) -> None:
        """Count events that were dropped: how many, since the client was opened."""
        if so_far > self._dropped:
            self._counts["resonate.telemetry.dropped", ()] += so_far - self._dropped
            self._dropped = so_far

    def hand_over(self) -> None:
        """Hand the counts to the meter."""
        counts, self._counts = self._counts, Counter()
        for (name, key), count in counts.items():
            self._instruments.counters[name](count, dict(key))

    def _request(self, event: trace.StoreRequest) -> None:
        attributes: dict[str, str | int] = {"resonate.request.kind": event.kind}
        if event.status is not None:
            attributes["resonate.request.status"] = event.status
        if event.error is not None:
            attributes["error.type"] = event.error
            self._count("resonate.store.retries", ("resonate.request.kind", event.kind), ("error.type", event.error))
        self._measure("resonate.store.request.duration", event.duration_ms, attributes)

    def _settled(self, event: trace.Settled) -> None:
        record, home = event.promise, event.home
        function, state = ("resonate.function.name", name_of(record)), ("resonate.promise.state", record.state.value)
        self._count("resonate.promises.settled", function, state)
        if record.id == home.id and record.settled_at is not None:
            self._measure("resonate.execution.duration", record.settled_at - record.created_at, dict((function, state)))

    def _count(self, name: str, *key: tuple[str, str | int]) -> None:
        self._counts[name, key] += 1
        if len(self._counts) > MANY:
            self.hand_over()

    def _measure(self, name: str, duration_ms: float, attributes: dict[str, str | int]) -> None:
        self._instruments.histograms[name].record(duration_ms / 1000, attributes)
