"""A thread that does what must not hold up the event loop, in order, behind a bounded queue.

Law 1: `put` never waits and never raises; what finds the queue full is counted and dropped.
Law 2: what the work raises is said once, and costs that piece of work alone.
Law 3: the thread lives as long as there is a pump; one that hangs is left behind, and does not keep the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from resonate.logs import Log

T = TypeVar("T")

log = Log("resonate.telemetry")

LINGER: Final = 0.02
"""Seconds for which more is collected before the thread sets to work: waking it costs more than the work."""


class Pump(Generic[T]):
    """See the module's text.

    Args:
        work: is called in the thread with each item.
        idle: is called in the thread whenever the queue has run empty.
        limit: so many items may wait.
    """

    def __init__(self, work: Callable[[T], None], idle: Callable[[], None], limit: int) -> None:
        self._work = work
        self._idle = idle
        self._limit = limit
        self._items: deque[T] = deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._closing = False
        self._failed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="resonate-telemetry", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue an item. Called from any thread."""
        if len(self._items) >= self._limit:
            self.dropped += 1
            if self.dropped == 1:
                log.warning(
                    "Telemetry can't keep up and drops events, of which %d wait. Executions go on. "
                    "Look at what the exporter waits for; more of it is in the metric resonate.telemetry.dropped.",
                    self._limit,
                )
            return
        self._items.append(item)
        if not self._wake.is_set():
            self._wake.set()

    def close(self, last: Callable[[], None], done: Callable[[], None]) -> None:
        """Do what is queued, then `last`, and call `done` in the thread. Nothing may be put any more."""
        self._last, self._done = last, done
        self._closing = True
        self._hurry.set()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            _ = self._hurry.wait(LINGER)
            self._wake.clear()
            closing = self._closing
            self._drain()
            self._try(self._idle)
            if closing:
                self._try(self._last)
                self._done()
                return

    def _drain(self) -> None:
        items, work = self._items, self._work
        while items:
            item = items.popleft()
            try:
                work(item)
            except Exception as error:  # noqa: BLE001 - whatever an exporter raises is no concern of an execution
                self._say(error)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as above
            self._say(error)

    def _say(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            text = "Telemetry failed, and goes on with what comes next. Executions go on. It is said once."
            log.error(text, exc_info=error)
