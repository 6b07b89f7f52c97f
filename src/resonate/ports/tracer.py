"""The tracer port."""

from __future__ import annotations

from typing import Protocol

from resonate.core.trace import LifecycleEvent


class Tracer(Protocol):
    """Whoever wants to know what happens. It observes; nothing waits for it and nothing depends on it."""

    def record(self, event: LifecycleEvent) -> None:
        """Take note of `event`.

        Called from the event loop, so it must not block. A tracer that raises is logged once and dropped.
        """
        ...
