"""What no run may do, looked for after each action.

Law 1: every step of the server is checked against every named property of the protocol, on what it touched and what
    that is tied to: what it did not touch was right before. A whole state is checked now and then, and at the end.
Law 2: what the server has stored is followed from its effects alone, and compared with the server in the end: a store
    that loses what it was told to write is found out.
Law 3: workers are watched by what they report: each attempt keeps the laws of the trace, each claim is driven by one
    process, and nothing is run again that was recorded before the attempt began.
Law 4: workers are watched by what they ask for: nothing new under a task after they heard that it is theirs no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from resonate.core import ids
from resonate.core.protocol.effects import (
    AddCallback,
    AddListener,
    AddResume,
    ClearResumes,
    DeleteSchedule,
    Effect,
    PutPromise,
    PutSchedule,
    PutTask,
    RemoveCallback,
    RemoveListener,
    Send,
)
from resonate.core.protocol.projection import project
from resonate.core.protocol.properties import Cause, violated_by, violated_state
from resonate.core.protocol.records import Execute, PromiseState, Tag, TaskState
from resonate.core.protocol.requests import (
    Rejection,
    Request,
    Status,
    TaskFence,
    TaskFulfill,
    TaskRelease,
    TaskSuspend,
)
from resonate.core.protocol.settings import DEFAULT_SETTINGS
from resonate.core.protocol.snapshot import PromiseSnapshot, Snapshot, TaskSnapshot
from resonate.core.protocol.steps import InternalStep, LeaseTimeout, PromiseTimeout, RetryDispatch
from resonate.core.trace import LifecycleEvent, StepStarted, TaskAcquired
from resonate.testing.attempts import Attempts
from resonate.testing.model import Model
from resonate.testing.simulation.world import Process

SKEW_MS: Final = 15_000
"""No clock is further ahead than this."""
_GONE: Final = frozenset({Status.CONFLICT, Status.NOT_FOUND})
WHOLE: Final = 64
"""Each so many steps the whole state is checked."""


@frozen
class Finding:
    """Something that no run may do.

    Args:
        oracle: the name of what it breaks.
        text: what happened.
    """

    oracle: str
    text: str


@define
class Ledger:
    """Follows the server's state by its effects, and checks each step. Call it as a server's witness."""

    report: Callable[[Finding], None]
    model: Model = field(factory=lambda: Model(DEFAULT_SETTINGS))
    well: Callable[[], bool] = lambda: False
    """Whether nothing has gone wrong so far."""
    actions: int = 0
    started: set[tuple[str, int]] = field(factory=set[tuple[str, int]])
    settled: dict[str, int] = field(factory=dict[str, int])
    granted: dict[tuple[str, int], int] = field(factory=dict[tuple[str, int], int])
    _rungs: dict[str, dict[str, None]] = field(factory=dict[str, dict[str, None]])

    def __call__(self, cause: Request[Any] | InternalStep, effects: Sequence[Effect], now: int) -> None:
        """Take note of a step of the server."""
        self.actions += 1
        self._check_cause(cause, now)
        touched = self._touched(effects)
        before = self._part(touched, now)
        self.model.apply(effects)
        self._follow(effects)
        after = self._part(touched, now)
        kind = Cause.REQUEST if isinstance(cause, Request) else Cause.INTERNAL
        violated = violated_by(before, after, kind)
        self.model.deliver(tuple(self.model.outbox))
        if self.actions % WHOLE == 0:
            violated += violated_state(self.model.snapshot(now))
        if isinstance(cause, TaskFulfill) and cause.action.state is PromiseState.RESOLVED:
            self._check_children(cause.id, now)
        for name in violated:
            self.report(Finding(name, f"the server violates {name} by {type(cause).__name__} of {', '.join(touched)}"))

    def compare(self, stored: Snapshot) -> None:
        """Check the whole state, and that the server has stored what it said that it would."""
        for name in violated_state(stored):
            self.report(Finding(name, f"the server violates {name} in the end"))
        own = self.model.snapshot(stored.now)
        for what in ("promises", "tasks", "schedules"):
            if getattr(own, what) != getattr(stored, what):
                self.report(Finding("stored as told", f"the server's {what} are not what its steps wrote"))

    # ------------------------------------------------------------ inside

    def _check_cause(self, cause: Request[Any] | InternalStep, now: int) -> None:
        """Check that what was done was to be done: by who holds the task, or when it was due."""
        match cause:
            case TaskFence() | TaskFulfill() | TaskSuspend() | TaskRelease():
                task = self.model.tasks[cause.id]
                if task.version != cause.version or task.state is not TaskState.ACQUIRED:
                    text = f"{cause.kind} of {cause.id} is done at version {cause.version}, and the task is"
                    self.report(Finding("stale writes are refused", f"{text} {task.state.value} at {task.version}"))
            case RetryDispatch(id=id):
                self._check_due(cause, self.model.tasks[id].retry_at, now)
            case LeaseTimeout(id=id):
                self._check_due(cause, self.model.tasks[id].expires_at, now)
                if self.well():
                    text = f"the lease of the task {id} runs out, though nothing has gone wrong"
                    self.report(Finding("leases are kept", text))
            case PromiseTimeout(id=id):
                self._check_due(cause, self.model.promises[id].record.timeout_at, now)
            case _:
                pass

    def _check_due(self, cause: InternalStep, due: int | None, now: int) -> None:
        if self.well() and due != now:
            late = "no instant" if due is None else f"{now - due} ms after its instant"
            self.report(Finding("what is due is done", f"{cause} is done at {late}, though nothing has gone wrong"))

    def _check_children(self, execution: str, now: int) -> None:
        """Check that what an execution has started has come to its end when it has, but for what others settle."""
        for id, promise in self.model.promises.items():
            record = promise.record
            if record.state is not PromiseState.PENDING or not ids.is_below(id, execution):
                continue
            if record.timeout_at < now + SKEW_MS:
                continue  # settled to all who read it; or the worker's clock is ahead, and to it this one is
            theirs = Tag.TARGET in record.tags or record.tags.get(Tag.EXTERNAL) == "true"
            if not (theirs or ids.is_own(execution, id) or self._is_anothers(id, execution)):
                text = f"{execution} has come to its end, and {id}, which it has started, has not"
                self.report(Finding("nothing outlives its workflow", text))

    def _is_anothers(self, id: str, execution: str) -> bool:
        """Say whether what lies below an execution was started by a remote call of its, which may outlive it."""
        return any(
            Tag.TARGET in promise.record.tags and ids.is_below(id, other) and ids.is_below(other, execution)
            for other, promise in self.model.promises.items()
        )

    def _touched(self, effects: Iterable[Effect]) -> tuple[str, ...]:
        """Return the ids of what the effects write, and of what that is tied to."""
        found: dict[str, None] = {}
        for effect in effects:
            match effect:
                case PutPromise(promise):
                    found[promise.record.id] = None
                case PutTask(task):
                    found[task.id] = None
                case AddCallback(awaited, awaiter) | RemoveCallback(awaited, awaiter):
                    found[awaited] = found[awaiter] = None
                case AddListener(id, _) | RemoveListener(id, _) | AddResume(id, _) | ClearResumes(id):
                    found[id] = None
                case Send(_, message):
                    found[message.id if isinstance(message, Execute) else message.promise.id] = None
                case PutSchedule() | DeleteSchedule():
                    pass
        for id in tuple(found):
            found.update(self._rungs.get(id, {}))
        self._tie(found)
        return tuple(found)

    def _tie(self, found: dict[str, None]) -> None:
        """Add what stands in a relation to what is there: who waits for it, and what that waits for in turn."""
        model = self.model
        new = list(found)
        while new:
            id = new.pop()
            promise, task = model.promises.get(id), model.tasks.get(id)
            ties: list[str] = list(promise.callbacks) if promise is not None else []
            if task is not None and task.state is TaskState.SUSPENDED:
                rungs = self._rungs.get(id, {})
                if not any(rung in found for rung in rungs):
                    ties += [next(iter(rungs))] if rungs else []
            for tie in ties:
                if tie not in found:
                    found[tie] = None
                    new.append(tie)

    def _part(self, ids: Iterable[str], now: int) -> Snapshot:
        promises: list[PromiseSnapshot] = []
        tasks: list[TaskSnapshot] = []
        model = self.model
        for id in ids:
            if id in model.promises:
                promises.append(model.promises[id])
            if id in model.tasks:
                tasks.append(model.tasks[id])
        return Snapshot(
            now=now,
            promises=tuple(promises),
            tasks=tuple(tasks),
            schedules=tuple(model.schedules.values()),
            outbox=tuple(model.outbox.values()),
        )

    def _follow(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case PutPromise(promise):
                    if promise.record.state is not PromiseState.PENDING:
                        self.settled.setdefault(promise.record.id, self.actions)
                case PutTask(task):
                    if task.state is TaskState.ACQUIRED:
                        self.granted.setdefault((task.id, task.version), self.actions)
                case AddCallback(awaited, awaiter):
                    self._rungs.setdefault(awaiter, {})[awaited] = None
                case RemoveCallback(awaited, awaiter):
                    self._rungs.get(awaiter, {}).pop(awaited, None)
                case _:
                    pass


@define
class Watch:
    """A tracer of one process: it sorts its attempts, and compares them with what the server granted."""

    process: Process
    ledger: Ledger
    claims: dict[tuple[str, int], Process]
    report: Callable[[Finding], None]
    tell: Callable[[Process, str], None] | None = None
    attempts: Attempts = field(factory=Attempts)

    def record(self, event: LifecycleEvent) -> None:
        """Take note of an event, as the tracer port says."""
        self.attempts.record(event)
        match event:
            case TaskAcquired(id=id, version=version):
                driver = self.claims.setdefault((id, version), self.process)
                if driver is not self.process:
                    text = f"the task {id} is driven at version {version} by {driver.name} and by {self.process.name}"
                    self.report(Finding("one valid claim", text))
            case StepStarted(id=id, attempt=attempt):
                self._check_new(id)
                self._check_once(id, attempt)
            case _:
                pass
        if self.tell is not None:
            self.tell(self.process, _told(event))

    def check(self) -> None:
        """Check the attempts that have ended since the last time."""
        attempts = self.attempts.attempts
        for attempt in attempts:
            for law in attempt.broken:
                text = f"attempt {attempt.version} of {attempt.execution}, in {self.process.name}, breaks {law}"
                self.report(Finding(law, text))

    def _check_once(self, step_id: str, attempt: int) -> None:
        """Check that nothing is done twice while nothing goes wrong."""
        started = self.ledger.started
        if (step_id, attempt) in started and self.ledger.well():
            text = f"attempt {attempt} at the step {step_id} is made twice, though nothing has gone wrong"
            self.report(Finding("steps run once", text))
        started.add((step_id, attempt))

    def _check_new(self, step_id: str) -> None:
        """Check that a step that starts was not recorded before its attempt was granted."""
        attempt = self.attempts.open_of(step_id)
        recorded = self.ledger.settled.get(step_id)
        if attempt is None or recorded is None or step_id == attempt.execution:
            return
        granted = self.ledger.granted.get((attempt.execution, attempt.version), recorded)
        if recorded < granted:
            text = f"the step {step_id} is run by attempt {attempt.version}, though it was recorded before that began"
            self.report(Finding("recorded steps are not run again", text))


@define
class Fences:
    """Watches what one process asks for under its tasks: a refused fence ends the attempt.

    What was under way already may be asked for again; nothing new may be.
    """

    process: Process
    report: Callable[[Finding], None]
    _asked: set[tuple[str, int, type, str]] = field(factory=set[tuple[str, int, type, str]], init=False)
    _refused: set[tuple[str, int]] = field(factory=set[tuple[str, int]], init=False)

    def asks(self, request: Request[Any]) -> None:
        """Take note of a request as it is sent."""
        if not isinstance(request, TaskFence):
            return
        asked = (request.id, request.version, type(request.action), request.action.id)
        if (request.id, request.version) in self._refused and asked not in self._asked:
            text = f"{self.process.name} goes on with {request.id}, version {request.version}, after it was refused"
            self.report(Finding("a refused fence ends the attempt", text))
        self._asked.add(asked)

    def hears(self, request: Request[Any], reply: object) -> None:
        """Take note of a reply as it arrives."""
        if isinstance(request, TaskFence) and isinstance(reply, Rejection) and reply.status in _GONE:
            self._refused.add((request.id, request.version))


def _told(event: LifecycleEvent) -> str:
    names = ("id", "callee", "version", "state", "outcome", "reason", "error")
    values = [getattr(event, name) for name in names if hasattr(event, name)]
    return " ".join([type(event).__name__.lower(), *(str(getattr(one, "value", one)) for one in values)])


def unsettled(stored: Snapshot) -> list[str]:
    """Return what a store still has to do, a sentence each."""
    records = (project(promise.record, stored.now) for promise in stored.promises)
    alive = {record.id: None for record in records if record.state is PromiseState.PENDING}
    left = [f"the promise {id} is still pending" for id in alive]
    left += [
        f"the promise {promise.record.id} has settled, and still owes {owed}"
        for promise in stored.promises
        if promise.record.state is not PromiseState.PENDING
        for owed in (*promise.callbacks, *promise.listeners)
    ]
    left += [
        f"the task {task.id} is still {task.state.value}"
        for task in stored.tasks
        if task.state is not TaskState.FULFILLED and task.id not in alive
    ]
    return left
