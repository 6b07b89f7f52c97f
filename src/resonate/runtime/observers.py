"""Lifecycle events on their way to the tracers. An observer can't hurt what it observes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from resonate.core.trace import LifecycleEvent
from resonate.logs import Log
from resonate.ports.tracer import Tracer

log = Log("resonate")


class Observers:
    """Hands each event to each tracer; one that raises is logged once and dropped."""

    def __init__(self, tracers: Iterable[Tracer]) -> None:
        self._tracers = list(tracers)

    @property
    def observe(self) -> Callable[[LifecycleEvent], None] | None:
        """Where to report events, or None if nobody listens."""
        return self.record if self._tracers else None

    def record(self, event: LifecycleEvent) -> None:
        """Hand `event` to every tracer."""
        for tracer in tuple(self._tracers):
            try:
                tracer.record(event)
            except Exception:
                self._tracers.remove(tracer)
                log.exception("The tracer %s failed and hears no more events.", type(tracer).__name__)
