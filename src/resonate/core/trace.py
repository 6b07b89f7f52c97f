"""What the engine reports: nine lifecycle events under eleven laws, and operational events beside them.

Law 1: the events of one attempt (one run of a task's body until it is blocked or done), in the order
    they were recorded, satisfy every predicate in `LAWS`.
Law 2: an event is about the promise `id`; `callee` is the other promise it speaks of.
Law 3: events are values that nothing waits for; an execution without a tracer runs the same.
Law 4: each law reads the trace once, in time linear in its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

from attrs import frozen

from resonate.core.protocol.records import PromiseRecord, PromiseState

# ---------------------------------------------------------------- lifecycle events


@frozen
class Run:
    """`id` asked for `callee` to run here."""

    id: str
    callee: str


@frozen
class Rpc:
    """`id` asked for `callee` to be settled by someone else: another task, a timer, the outside."""

    id: str
    callee: str


@frozen
class Spawn:
    """The body of `id` began to run here."""

    id: str


@frozen
class Block:
    """`id` is pending and is settled elsewhere; it does not run here."""

    id: str


@frozen
class Await:
    """`id` began to wait for `callee`. Reported once however many of its coroutines wait for the same one."""

    id: str
    callee: str


@frozen
class Resume:
    """`id` no longer waits for `callee`: it got the outcome, or stopped waiting (canceled, timed out)."""

    id: str
    callee: str


@frozen
class Suspend:
    """The body of `id` can't go on in this attempt: all it waits for is settled elsewhere."""

    id: str


@frozen
class Return:
    """The body of `id` ended, with this state."""

    id: str
    state: PromiseState


@frozen
class Dedup:
    """`id` had been settled before this attempt asked for it; it does not run again."""

    id: str
    state: PromiseState


TraceEvent: TypeAlias = Run | Rpc | Spawn | Block | Await | Resume | Suspend | Return | Dedup
Trace: TypeAlias = Sequence[TraceEvent]

# ---------------------------------------------------------------- laws


def unique_spawn(trace: Trace) -> bool:
    """No promise has two spawns."""
    spawns = [event.id for event in trace if isinstance(event, Spawn)]
    return len(spawns) == len(set(spawns))


def exclusive_lifecycle(trace: Trace) -> bool:
    """No promise has events of two kinds among spawn, block and dedup: it runs here, or elsewhere, or has run."""
    lives: dict[str, type[TraceEvent]] = {}
    return all(
        lives.setdefault(event.id, type(event)) is type(event)
        for event in trace
        if isinstance(event, Spawn | Block | Dedup)
    )


def spawn_first(trace: Trace) -> bool:
    """No event about a promise comes before a spawn of it, but another spawn (`unique_spawn` speaks of those)."""
    begun: set[str] = set()
    for event in trace:
        if isinstance(event, Spawn) and event.id in begun:
            return False
        if not isinstance(event, Spawn):
            begun.add(event.id)
    return True


def terminal_last(trace: Trace) -> bool:
    """No event about a promise comes after its return or suspend, but another of these (`unique_terminal`)."""
    ended: set[str] = set()
    for event in trace:
        if isinstance(event, Return | Suspend):
            ended.add(event.id)
        elif event.id in ended:
            return False
    return True


def block_sole(trace: Trace) -> bool:
    """No promise that has a block has another event about it, not even a second block."""
    return _is_sole(trace, Block)


def dedup_sole(trace: Trace) -> bool:
    """No promise that has a dedup has another event about it, not even a second dedup."""
    return _is_sole(trace, Dedup)


def unique_terminal(trace: Trace) -> bool:
    """Each promise that has a spawn has exactly one event among return and suspend."""
    spawned = {event.id for event in trace if isinstance(event, Spawn)}
    ends = [event.id for event in trace if isinstance(event, Return | Suspend) and event.id in spawned]
    return len(ends) == len(spawned) and set(ends) == spawned


def await_then_resume_or_suspend(trace: Trace) -> bool:
    """For each pair (p, q): every await(p, q) has a later resume(p, q) or suspend(p), no await(p, q) before that.

    A workflow may wait for several at once, so nothing is said of the other events of p in between.
    """
    waiting: dict[str, set[str]] = {}
    for event in trace:
        match event:
            case Await(id=p, callee=q):
                callees = waiting.setdefault(p, set())
                if q in callees:
                    return False
                callees.add(q)
            case Resume(id=p, callee=q):
                waiting.get(p, set()).discard(q)
            case Suspend(id=p):
                waiting.pop(p, None)
            case _:
                pass
    return not any(waiting.values())


def run_has_callee(trace: Trace) -> bool:
    """For each run(p, q) there is a spawn(q) or a dedup(q): what runs here runs, or has run.

    Nothing is said of the order: two calls that name the same id share one callee.
    """
    here = {event.id for event in trace if isinstance(event, Spawn | Dedup)}
    return all(event.callee in here for event in trace if isinstance(event, Run))


def rpc_has_callee(trace: Trace) -> bool:
    """For each rpc(p, q) there is a block(q) or a dedup(q): what runs elsewhere is pending, or settled.

    Nothing is said of the order: two calls that name the same id share one callee.
    """
    elsewhere = {event.id for event in trace if isinstance(event, Block | Dedup)}
    return all(event.callee in elsewhere for event in trace if isinstance(event, Rpc))


def root_spawn(trace: Trace) -> bool:
    """There is a first event, and it is a spawn."""
    return bool(trace) and isinstance(trace[0], Spawn)


def _is_sole(trace: Trace, kind: type[Block | Dedup]) -> bool:
    alone = {event.id for event in trace if isinstance(event, kind)}
    events = [event.id for event in trace if event.id in alone]
    return len(events) == len(alone)


LAWS: Final[tuple[Callable[[Trace], bool], ...]] = (
    unique_spawn,
    exclusive_lifecycle,
    spawn_first,
    terminal_last,
    block_sole,
    dedup_sole,
    unique_terminal,
    await_then_resume_or_suspend,
    run_has_callee,
    rpc_has_callee,
    root_spawn,
)


def violated(trace: Trace) -> tuple[str, ...]:
    """Return the names of the laws that the trace of one attempt breaks, in the order of `LAWS`."""
    return tuple(law.__name__ for law in LAWS if not law(trace))


# ---------------------------------------------------------------- operational events


@frozen
class TaskAcquired:
    """The task is held by this worker now; `promise` is the execution's.

    `TaskSuspended`, `TaskFulfilled`, `TaskReleased`, `TaskLeft` or `LeaseLost` follows, unless the process dies.
    """

    id: str
    version: int
    promise: PromiseRecord | None = None


@frozen
class Replayed:
    """The execution was taken up without what it stood at: its body runs again over `promises` that are known."""

    id: str
    promises: int


@frozen(kw_only=True)
class TaskSuspended:
    """The task waits for `awaiting` promises; this worker let go of it."""

    id: str
    version: int
    awaiting: int


@frozen
class TaskFulfilled:
    """The task's promise was settled by this worker."""

    id: str
    version: int


@frozen(kw_only=True)
class TaskReleased:
    """The task was given back unfinished."""

    id: str
    version: int
    reason: str


@frozen(kw_only=True)
class LeaseLost:
    """Another worker holds the task, or nobody does. Benign: this one stopped driving it."""

    id: str
    version: int
    reason: str


@frozen(kw_only=True)
class TaskLeft:
    """This worker let go of the task with no word to the store: it was over already, or the store did not listen."""

    id: str
    version: int
    reason: str


@frozen(kw_only=True)
class RetryScheduled:
    """The function of promise `id` failed `failures` times and is tried again; `error` names the last error's type."""

    id: str
    failures: int
    delay_ms: int
    error: str
    function: str = ""


@frozen
class StepStarted:
    """An attempt (from 1) at a step began."""

    id: str
    attempt: int


StepOutcome: TypeAlias = Literal["resolved", "rejected", "failed", "interrupted"]
"""How an attempt at a step ended: the two outcomes that are recorded, a failure that is tried again, or cut short."""


@frozen(kw_only=True)
class StepFinished:
    """An attempt at a step ended."""

    id: str
    outcome: StepOutcome
    duration_ms: float
    function: str = ""


@frozen(kw_only=True)
class FunctionMissing:
    """Task `id` asks for a function that is not registered here; it is given back after `delay_ms`.

    `version` is None when any version would do.
    """

    id: str
    name: str
    version: int | None
    delay_ms: int


@frozen(kw_only=True)
class CodecFailed:
    """A value of promise `id` could not be written or read; `path` leads to the bad part."""

    id: str
    path: str
    message: str


@frozen
class MessageDropped:
    """A message that makes no sense arrived and was ignored."""

    reason: str


@frozen(kw_only=True)
class StoreRequest:
    """A request to the store ended; `status` is None if it was not answered, and `error` then names the error's type.

    The duration is real time, whatever the clock says.
    """

    kind: str
    status: int | None
    duration_ms: float
    error: str | None = None


@frozen
class Settled:
    """A promise has settled, and this is the one report of it.

    Args:
        promise: as it is stored.
        home: the promise of the execution that asked for it, or `promise` itself where it is an execution's own.
        attempts: of an execution's own, how often a worker has taken it up; None where that is not known here.
    """

    promise: PromiseRecord
    home: PromiseRecord
    attempts: int | None = None


@frozen
class Joined:
    """`id` asked for a promise of this id that another execution had asked for before, and shares its outcome."""

    id: str
    execution: str
    promise: PromiseRecord


@frozen
class ManyPromises:
    """The execution `id` has made so many promises that its replay is slow."""

    id: str
    count: int


@frozen(kw_only=True)
class FailureUnheard:
    """A call of `function`, promise `id`, has failed, and the workflow that made it is over and never asked.

    `site` is the line that called (`shop.py:31`), `error` the error's type and message. A task of the workflow that
    failed by itself has the workflow's own id, its coroutine's name, and the line that raised.
    Reported when the workflow is over: once, unless its worker is lost right then.
    """

    id: str
    execution: str
    function: str
    site: str
    error: str


OperationalEvent: TypeAlias = (
    TaskAcquired
    | TaskSuspended
    | TaskFulfilled
    | TaskReleased
    | TaskLeft
    | LeaseLost
    | RetryScheduled
    | StepStarted
    | StepFinished
    | FunctionMissing
    | CodecFailed
    | MessageDropped
    | StoreRequest
    | ManyPromises
    | FailureUnheard
    | Replayed
    | Settled
    | Joined
)
LifecycleEvent: TypeAlias = TraceEvent | OperationalEvent
