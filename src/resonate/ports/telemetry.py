"""The telemetry port: where traces and metrics go, and how a trace passes from one process to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from attrs import frozen

from resonate.core.protocol.records import PromiseRecord
from resonate.core.trace import LifecycleEvent
from resonate.core.values import Codec
from resonate.ports.clock import Clock


@frozen
class Load:
    """How many executions a client drives, how many it holds that can't go on here, how many it keeps suspended."""

    running: int
    waiting: int
    parked: int


class Recorder(Protocol):
    """Makes spans and metrics of what one open client does. It observes: nothing of it may fail, block or be slow."""

    @property
    def delay_ms(self) -> int:
        """For how long a report may be on its way out of the process, and is lost if the process is killed."""
        ...

    def record(self, event: LifecycleEvent) -> None:
        """Take note of `event`. Called from any thread."""
        ...

    def carried(self, execution: PromiseRecord, caller: str) -> Mapping[str, str]:
        """Return the headers that a promise takes along for whoever settles it.

        `caller` is the promise that asks for it, of the execution whose own promise is `execution`.
        """
        ...

    def handed_on(self) -> Mapping[str, str]:
        """Return the headers that an execution takes along that is started by the code that runs now."""
        ...

    def around(self, execution: str, promise: str) -> AbstractContextManager[object]:
        """Surround a try of a step, so that the spans of its code lie below the step's own."""
        ...

    def enter(self, execution: str, promise: str, replaying: Callable[[], bool]) -> None:
        """Set up the context of a workflow's body likewise; while it is replayed, its code makes no spans."""
        ...

    async def close(self) -> None:
        """Hand on what is left, for a bounded time. Hear nothing more."""
        ...


class Telemetry(Protocol):
    """What `Resonate(telemetry=...)` takes."""

    def open(self, *, clock: Clock, codec: Codec, load: Callable[[], Load]) -> Recorder:
        """Return the recorder of a client that is being opened, on the event loop that it belongs to."""
        ...
