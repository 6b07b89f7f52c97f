"""A tracer that sorts lifecycle events into attempts and says which laws of the trace are broken."""

from __future__ import annotations

from attrs import define, field

from resonate.core.trace import (
    Await,
    Block,
    Dedup,
    LeaseLost,
    LifecycleEvent,
    Resume,
    Return,
    Rpc,
    Run,
    Spawn,
    Suspend,
    TaskAcquired,
    TaskFulfilled,
    TaskLeft,
    TaskReleased,
    TaskSuspended,
    TraceEvent,
    violated,
)


@define
class Attempt:
    """One attempt at an execution, as its events tell it.

    Args:
        execution: id of the execution.
        version: the task version under which it was driven.
        events: its lifecycle events, in order.
        finished: whether it was driven to its end (fulfilled or suspended), and not cut off.
    """

    execution: str
    version: int
    events: list[TraceEvent] = field(factory=list[TraceEvent])
    finished: bool = False

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the laws that it breaks; one that was cut off breaks none."""
        return violated(self.events) if self.finished else ()


class Attempts:
    """A tracer for one client: give it as `Resonate(tracers=[attempts])`, and look at `broken` afterwards."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self._open: dict[str, Attempt] = {}
        self._home: dict[str, str] = {}  # the execution that a promise's body runs in
        self._callers: dict[str, str] = {}  # the execution that asked for a promise just now

    @property
    def broken(self) -> list[str]:
        """A sentence for each attempt that breaks laws."""
        return [
            f"attempt {attempt.version} of {attempt.execution} breaks {', '.join(attempt.broken)}"
            for attempt in self.attempts
            if attempt.broken
        ]

    def open_of(self, promise_id: str) -> Attempt | None:
        """Return the attempt that is under way in whose body a promise is."""
        return self._open.get(self._home.get(promise_id, ""))

    def record(self, event: LifecycleEvent) -> None:
        """Take note of an event, as the tracer port says."""
        match event:
            case TaskAcquired(id=id, version=version):
                self._open[id] = Attempt(id, version)
                self.attempts.append(self._open[id])
                self._home[id] = id
            case TaskSuspended(id=id) | TaskFulfilled(id=id):
                self._close(id, finished=True)
            case TaskReleased(id=id) | TaskLeft(id=id) | LeaseLost(id=id):
                self._close(id, finished=False)
            case Run(id=id, callee=callee) | Rpc(id=id, callee=callee):
                self._callers[callee] = self._home.get(id, id)
                self._note(self._home.get(id), event)
            case Spawn(id=id):
                self._home[id] = self._callers.pop(id, self._home.get(id, id))
                self._note(self._home[id], event)
            case Block(id=id) | Dedup(id=id):
                self._note(self._callers.pop(id, None), event)
            case Await(id=id) | Resume(id=id) | Suspend(id=id) | Return(id=id):
                self._note(self._home.get(id), event)
            case _:
                pass

    def _note(self, execution: str | None, event: TraceEvent) -> None:
        attempt = None if execution is None else self._open.get(execution)
        if attempt is not None:
            attempt.events.append(event)

    def _close(self, execution: str, *, finished: bool) -> None:
        attempt = self._open.pop(execution, None)
        if attempt is not None:
            attempt.finished = finished
