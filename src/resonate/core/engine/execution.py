"""An execution: one workflow run from its history to the point where it is blocked, done, or stopped.

Law 1: nothing here awaits, and nothing is called outside but pure functions and the environment's factories.
Law 2: `step(events, now) -> commands` is the only way in and out; what is asked for in one turn comes out together.
Law 3: the workflow hears of results one at a time, each followed by running until idle, in the recorded order
    (see `deliveries`).
Law 4: what the history already says is neither asked for nor done again.
Law 5: no command leaves after a `Stop`, a `Fulfill` or a `Suspend` until the next attempt.

Theory of operation. The body runs on a durable loop. Each durable call draws an id from the branch of the task that
makes it, and becomes a `Child`: found in the history, or asked for by a `Write`. What the store says of a child comes
back as `PromiseKnown`; a local child that is open is run (a step by the driver, a workflow as a task of the same
loop), and settled by another `Write` when it ends. Settled children wait in a heap for their delivery.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, ParamSpec, assert_never

from attrs import evolve

from resonate.core import ids, trace
from resonate.core.engine import commands as do
from resonate.core.engine.bodies import body_of
from resonate.core.engine.children import (
    ABANDONS,
    ASKED,
    CREATED,
    DELIVERS,
    DETACHED,
    FINISHED,
    KNOWN_BY_CREATION,
    LOCAL,
    OPEN,
    OWED,
    OWNED,
    RECORD,
    SETTLED,
    SETTLES,
    SETTLING,
    STEP,
    TIMER,
    Child,
    Durable,
    Role,
)
from resonate.core.engine.deliveries import HEADER, Deliveries
from resonate.core.engine.identity import CALL, CALLER, CODE, Identity, Kind, fingerprint
from resonate.core.engine.limits import Limits, is_woken
from resonate.core.engine.loop import (
    Branch,
    CancelledError,
    DurableLoop,
    Future,
    GuardedCoroutine,
    TimerHandle,
    current_branch,
)
from resonate.core.engine.outcome import converted, outcome_of, placed, with_unawaited
from resonate.core.engine.outside import Outside
from resonate.core.engine.recall import Recall
from resonate.core.engine.reports import Reports
from resonate.core.engine.scope import LEFT, Scope
from resonate.core.engine.stretches import Stretches
from resonate.core.engine.tags import Place, own_tags, tags_of
from resonate.core.engine.tries import with_failures
from resonate.core.engine.unheard import Failures, told
from resonate.core.engine.writes import Writes
from resonate.core.protocol.due import NEVER
from resonate.core.protocol.records import (
    NO_HEADERS,
    NO_VALUE,
    PENDING,
    RESOLVED,
    PromiseRecord,
    PromiseState,
    Tag,
    Value,
)
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.registry import Function, FunctionKind
from resonate.core.sameness import same_call
from resonate.core.values import is_plain, is_plain_call, place_of_param, recorded_call
from resonate.errors import (
    ApplicationError,
    CodecError,
    Conflict,
    EngineBug,
    FunctionNotRegistered,
    NotReadableHere,
    PromiseTimedOut,
    ResonateError,
    UsageError,
)

if TYPE_CHECKING:
    from resonate.core.engine.environment import Environment
    from resonate.core.values import Call, Signature

P = ParamSpec("P")

ACK, RESULT = 0, 1
SLACK = 64
"""Alarms of timers that are gone, beyond this many and beyond as many as there are children, are swept."""
SKEW_MS = 10_000
"""How far a server's clock is taken to be ahead of ours, at most, before everything is asked for."""
LINGER_MS = 1_000
"""How long a task is held that waits for much of which the store does not tell what has settled: a suspension and a
resumption then cost a request for each of it, so there is at most one of them in this time."""
AGAIN_MS = 1_000
"""When to ask again for a promise that is past its deadline by our clock, and not by the store's."""
TOLD_OF: Final = frozenset({Role.REMOTE, Role.PROMISE, Role.DETACHED})
"""What others settle, and are told on whose behalf."""
UNREPORTED = -1
"""Awaited before the call itself was reported."""
_COUNTED: Final = re.compile(r"[1-9][0-9]*(?:\.[1-9][0-9]*)*")
MANY_CALLBACKS = 1_000_000
"""A workflow that runs through so many without a pause is taken to do so for ever."""
AT_ONCE = 64
"""So many workflows, one in another, are canceled by calls within calls: more would overflow Python's stack."""
MANY_REFUSALS = 100
"""Code that goes on calling after so many refusals (a loop around a bare `except`) is left waiting for ever instead."""


def heard_at(child: Child, what: int) -> int:
    """Return the instant to which hearing of a child moves its workflow's time, in a replay as the first time."""
    record = child.record
    assert record is not None
    if what is ACK or child.role in KNOWN_BY_CREATION:
        return record.created_at
    return record.timeout_at if record.settled_at is None else record.settled_at


class Execution:
    """See the module's text.

    Args:
        env: what all executions of a worker share.
        context_of: makes the Context that a scope's body is given.
        promise: the execution's own promise, pending.
        function: the workflow.
        call: its arguments, decoded.
        history: every promise that is known of earlier attempts, in any order.
        version: the task's version.
        whole: whether `history` is all there is; else it tells of the record of deliveries alone, and the rest is
            asked for as the replay goes on.
    """

    def __init__(  # noqa: PLR0917 - all of an execution
        self,
        env: Environment,
        context_of: Callable[[Execution, Scope], object],
        promise: PromiseRecord,
        function: Function,
        call: Call,
        history: Iterable[PromiseRecord] = (),
        version: int = 1,
        *,
        whole: bool = True,
    ) -> None:
        self.env = env
        self._context_of = context_of
        self.id = promise.id
        self.promise = promise
        self.function, self.call, self.version = function, call, version
        self._code = str(function.version) if call.version is None else None  # to be said by what this asks for
        dialect = env.dialect
        self._separator, self._stem = dialect.separator, ids.below(promise.id, dialect.separator)
        self._place = Place.of(promise, dialect)
        self._observe = env.observe
        self.now = promise.created_at
        self.loop = DurableLoop(self)  # type: ignore[abstract]  # its refusals are set in a loop
        self.deliveries = Deliveries()
        self._history: dict[str, PromiseRecord] = {}
        self._children: dict[str, Child] = {}  # asked for, not delivered, not abandoned
        self._asked: set[str] = set()  # of those: workflows that are to run here, and are not known to the store
        self._abandoned: dict[str, Child] = {}  # canceled while a write of theirs is under way
        self._tokens: dict[str, Child] = {}  # what may be delivered, once known
        self._deliverable: list[tuple[int, str, int, int, Child]] = []
        self._known_tokens: set[str] = set()
        self._timers: dict[int, Child] = {}
        self._alarms: list[tuple[int, str]] = []
        self._stretches = Stretches(self._place, promise.created_at)
        self._reports: Reports | None = None
        if env.carried is not None and env.observe is not None:
            self._reports = Reports(
                promise, dialect.separator, self._suffix, env.observe, env.shortly_ms, complete=whole
            )
        apart = not (dialect.whole_preload or dialect.searches)
        self._writes = Writes(self.deliveries, self._stretches, self._reports, apart=apart)
        self._recall = Recall(self._separator, whole=whole)
        self._looks: dict[str, None] = {}  # to be asked for at the end of this turn
        self._suspending = False  # asked to be suspended; stepped again, it was redirected
        self._lingers_until = self._wakes_at = 0  # `_wakes_at`: for when this attempt has asked to be stepped again
        self._rung = 0  # the last instant that has passed by the store's clock, as timers of our own have told
        self._wakers: set[str] = set()  # timers that stand in for deadlines that the store does not enforce
        self._others: list[do.Command] = []
        self._running: set[str] = set()
        self._ending: list[Scope] = []
        self._lingering: dict[str, Scope] = {}  # by token: the body has ended, and tasks are left
        self._ripe: OrderedDict[str, Scope] = OrderedDict()  # of those: nothing was owed when they were looked at
        self._outside = Outside()
        self._nested: dict[str, Child] = {}  # workflows that run here as children
        self._limits = Limits(self._nested)
        self._deeper: list[Scope] = []  # nested workflows to be canceled after those that are being canceled
        self._count = self._refusals = self._offers = self._canceling = 0
        self._stopped: ResonateError | None = None
        self._outcome: PromiseSettle | None = None
        self._ended = self._dead = self.replaying = False
        self._root = Scope(id=promise.id, function=function, now=promise.created_at, timeout_at=promise.timeout_at)
        self._branch = Branch(promise.id, self._root, self._separator)
        self._learn(history)

    # ------------------------------------------------------------ the driver's side

    def start(self, now: int) -> list[do.Command]:
        """Run the body from its beginning, over the history. Called once."""
        self.now = now
        self.replaying = bool(self._history) or self._recall.may_find(self.id)
        self._emit(trace.Spawn, self.id)
        self._begin(self._root, self._branch, self.call)
        return self._turn()

    def step(self, events: Sequence[do.Event], now: int) -> list[do.Command]:
        """Take in what has happened and return what to do next; with no events, see whether a timer is due."""
        self.now = now
        redirected, self._suspending = self._suspending, False
        offers = self._offers
        for event in events:
            match event:
                case do.PromiseKnown():
                    self._promise_known(event.promise)
                case do.StepReturned():
                    self._step_returned(event)
                case do.StepFailed():
                    self._step_failed(event)
                case do.WriteRefused():
                    self._write_refused(event.id, event.error)
                case _:
                    assert_never(event)
        asks = bool(self._alarms) and self._alarms[0][0] <= now and self._fire_due_timers()
        if redirected and not asks and self._offers == offers and not self.env.dialect.delta_preload:
            self._look_at_what_is_open(NEVER)
        return self._turn()

    def suspended(self) -> None:
        """Take note that the store accepted the last `Suspend`: this attempt is over."""
        self._suspending = False
        self._outside.suspended()
        if self._observe is not None:
            for child_id in self._nested:
                self._emit(trace.Suspend, child_id)
            self._emit(trace.Suspend, self.id)

    def resume(self, promise: PromiseRecord, news: Iterable[PromiseRecord], version: int, now: int) -> list[do.Command]:
        """Begin another attempt in place: the task came back while the body is still here, parked."""
        self.promise = promise
        self.version = version
        self.now = now
        self._wakes_at = 0
        if self._observe is not None:
            self._emit(trace.Spawn, self.id)
            for child_id in self._nested:
                self._emit(trace.Spawn, child_id)
        offers = self._offers
        for record in news:
            self._promise_known(record)
        asks = self._fire_due_timers(told=self.env.dialect.delta_preload)
        if not asks and self._offers == offers and not self.env.dialect.delta_preload:
            if self._outside.is_wide:
                self._lingers_until = now + LINGER_MS
            else:
                self._look_at_what_is_open(now + SKEW_MS)
        return self._turn()

    def close(self) -> None:
        """Give the execution up: its tasks are closed where they stand, and its durable calls refuse from now on."""
        self._dead = True
        self.loop.close()

    def facts(self, scope: Scope) -> dict[str, object]:
        """Return what a line of a log says of where it was written."""
        return {
            "id": scope.id,
            "execution": self.id,
            "function": scope.function.name,
            "version": scope.function.version,
            "attempt": self.version,
        }

    @property
    def stopped(self) -> ResonateError | None:
        """Why the engine refuses to go on, None while it does not."""
        return self._stopped

    @property
    def awaiting(self) -> tuple[str, ...]:
        """Ids of the promises whose results the workflow does not have yet."""
        return tuple(self._children)

    # ------------------------------------------------------------ the workflow's side (Context calls these)

    def ask(
        self,
        role: Role,
        identity: Identity,
        *,
        scope: Scope,
        param: Value = NO_VALUE,
        id: str | None = None,
        timeout_ms: int | None = None,
        tags: Mapping[str, str] | None = None,
        function: Function | None = None,
        retry: Any = None,
        returns: Any = Any,
        convert: Any = None,
        signature: Signature | None = None,
        call: Call | None = None,
        by_name: bool = False,
    ) -> Child:
        """Make the child for a durable call: found in the history, or asked for.

        Its id is `id`, which `draw_id` gave, or the next one of the task that calls; `signature` has the types of the
        `call` that `param` says; `by_name` says that the function was looked up by its name alone.
        """
        child_id = self.draw_id() if id is None else id
        child = Child(child_id, role, scope, self._suffix(child_id), identity, function, retry, returns)
        child.convert = convert
        child.by_name = by_name
        child.param = param
        child.signature = signature
        if call is not None and signature is not None and is_plain_call(call, signature, self.env.plain):
            child.call = call
        future: Durable[Any] = Durable(loop=self.loop)
        future.bind(child, self)
        child.future = future
        if self._stopped is not None or self._dead or self._ended:
            return child  # the attempt is over; the body runs to its next await and no further
        if scope.finished:
            msg = f"The workflow {scope.id} is over."
            raise UsageError(msg, hint="Use a Context only inside its own workflow, while it runs.", execution=self.id)
        if child_id in self._children or child_id in self._abandoned:
            msg = f"The id {child_id} is already in use in this workflow."
            raise UsageError(msg, hint="Give each call an id of its own, or none.", execution=self.id)
        if role is TIMER and identity.kind is Kind.SLEEP and child_id not in self._history:
            # In a replay it may have been found to be short enough before, and then been taken back or not looked for.
            self._check_wakes(scope, timeout_ms or 0, scope.now if self.replaying else self.now)
        self._children[child_id] = child
        if role is Role.WORKFLOW:
            self._asked.add(child_id)
        self._tokens[child.suffix] = child
        scope.children[child_id] = child
        scope.grew = True
        if role in OWED:
            scope.owed += 1
            scope.live += 1
        self._count += 1
        if self._count == self.env.many + 1 and not self.replaying:
            self._tell_of_many()
        known = self._history.pop(child_id, None)
        if known is None:
            self.replaying = self.replaying and self._recall.may_find(child_id)
            if not self._recall.over:
                self._recall.asked(child_id)
            self._create(child, param, timeout_ms, tags)
        else:
            if self._reports is not None and role is STEP and known.state is PENDING:
                self._reports.cut_off()
            self._recognize(child, known)
        return child

    def _check_wakes(self, scope: Scope, sleep_ms: int, now: int) -> None:
        if now + sleep_ms > scope.timeout_at:
            left = max(scope.timeout_at - now, 0) / 1000
            raise UsageError(
                f"A sleep of {sleep_ms / 1000:,.10g} s would end after the workflow's deadline, "
                f"{left:,.10g} s from now.",
                hint="Give the workflow a longer timeout: options(timeout=...), or register(timeout=...).",
                execution=self.id,
                step=scope.id,
            )

    def draw_id(self, branch: Branch | None = None, chosen: str | None = None) -> str:
        """Return the id for a call: the `chosen` one, or the next of `branch`, or of the task that calls.

        A call that then can't be encoded has used it up. Raise `UsageError` where no call can be made.
        """
        if self._dead or self._ended or not self.loop.is_running():
            self._refuse_call()
        return (branch or current_branch() or self._branch).next_id() if chosen is None else chosen

    def acknowledge(self, child: Child) -> Future[Any]:
        """Return a future that has the child's own future once its promise is durable."""
        acknowledged: Future[Any] = self.loop.create_future()
        child.acknowledged = acknowledged
        if self._stopped is None and not (child.gone or self._dead or self._ended):
            self._tokens[child.suffix + "!"] = child
            if child.record is not None:
                self._offer(child, ACK)
        return acknowledged

    def _refuse_call(self) -> None:
        """Raise `UsageError` where no call can be made, unless code that goes on and on was told so often enough."""
        if (self._dead or self._ended) and self._refusals < MANY_REFUSALS:
            self._refusals += 1
            msg = "A durable call was made on an execution that is over."
            raise UsageError(msg, hint="Use a Context only inside its own workflow, while it runs.", execution=self.id)
        if not (self._dead or self._ended):
            msg = "A durable call was made from outside of its workflow."
            raise UsageError(
                msg,
                hint="Use the Context in the workflow's own code; a step takes `info: Info` instead.",
                execution=self.id,
            )

    def _suffix(self, child_id: str) -> str:
        """Return what the record of deliveries calls a child: its lineage, or a hash where somebody chose the id."""
        lineage = child_id.removeprefix(self._stem)
        if lineage.isdigit() and lineage.isascii() and lineage[0] != "0":
            return lineage  # as in most calls
        return lineage if _COUNTED.fullmatch(lineage) else "=" + fingerprint(child_id)

    def _create(self, child: Child, param: Value, timeout_ms: int | None, tags: Mapping[str, str] | None) -> None:
        tagged = tags_of(child, self._place, tags)
        if self._code is not None:
            param = Value({**param.headers, CODE: self._code}, param.data)
        if self.env.carried is not None and child.role in TOLD_OF:
            param = Value({**param.headers, **self.env.carried(self.promise, child.scope.id)}, param.data)
        if child.role is TIMER and self.env.dialect.targeted_timers:
            tagged = {**tagged, **self._targeted(child.id)}
        self._writes.create(child, param, self._deadline(child, timeout_ms), tagged)

    def _targeted(self, timer_id: str) -> dict[str, str]:
        """Return the tags that make a store keep a timer which it would else never look at."""
        self.env.timer_made(timer_id)
        return {Tag.TARGET: self.env.address(None), Tag.BRANCH: timer_id}

    def _deadline(self, child: Child, timeout_ms: int | None) -> int:
        """Return until when a child may stay pending: no longer than its parent, unless it is independent."""
        if child.role is RECORD:
            return self.promise.created_at  # born settled: its param is all there is to it
        if child.role is DETACHED:
            return self.now + (self.env.timeout_ms if timeout_ms is None else timeout_ms)
        if timeout_ms is None:
            timeout_ms = self.env.step_timeout_ms if child.role is STEP else None
        parents: int = child.scope.timeout_at
        return parents if timeout_ms is None else min(self.now + timeout_ms, parents)

    def _tell_of_many(self) -> None:
        self._emit(trace.ManyPromises, self.id, self._count)
        self.env.warn(
            f"The execution {self.id} has made more than {self.env.many} promises: each replay reads them all. "
            "Let a part of its work, or its next round, be an execution of its own: ctx.detached."
        )

    # ------------------------------------------------------------ what the loop tells (Host)

    def task_started(self, task: GuardedCoroutine[Any]) -> None:
        """Count a task of a scope."""
        task.scope.tasks += 1

    def task_ended(self, task: GuardedCoroutine[Any], result: object, error: BaseException | None) -> None:
        """Take note of a task's end; the end of a scope's body is the scope's outcome."""
        ended = self.loop.forget(task)
        scope: Scope = task.scope
        scope.tasks -= 1
        if task is scope.body:
            scope.body = None
            scope.ended(result, error)
        elif error is not None and ended is not None:
            scope.failed().of_task(task.name, error, ended)
        if scope.over:
            self._ending.append(scope)

    def timer_started(self, handle: TimerHandle, delay: float) -> None:
        """Make a durable timer for something that asyncio schedules (a sleep, a timeout)."""
        if delay <= 0:
            self.loop.fire(handle)
            return
        branch = current_branch() or self._branch
        child = self.ask(
            TIMER,
            Identity(Kind.TIMER),
            scope=branch.scope,
            timeout_ms=round(min(delay, 1e12) * 1000) or 1,
        )
        child.handle = handle
        self._timers[id(handle)] = child

    def timer_canceled(self, handle: TimerHandle) -> None:
        """Cancel the timer behind `handle`."""
        child = self._timers.pop(id(handle), None)
        if child is not None and not child.gone:
            self.abandoned(child)

    # ------------------------------------------------------------ what a child's future tells (Listener)

    def awaited(self, child: Child, *, known: bool = False) -> None:
        """Report that the workflow waits for `child`, once the call itself is `known` and reported."""
        if self._observe is None or child.awaited == self.version or child.gone:
            return
        if child.phase is ASKED and not known:
            child.awaited = UNREPORTED  # the call itself is not reported yet
            return
        child.awaited = self.version
        self._emit(trace.Await, child.scope.id, child.id)

    def abandoned(self, child: Child) -> None:
        """Stop waiting for `child`, and cancel it where it is ours to cancel."""
        if self._dead or self._stopped is not None or child.gone or child.id not in self._children:
            return
        phase = child.phase
        child.move(ABANDONS)
        self._let_go(child)
        if child.awaited > 0:
            self._emit(trace.Resume, child.scope.id, child.id)
        if child.watched == self.version:
            self._others.append(do.Unwatch(child.id))
        if phase is ASKED:
            if not self._writes.withdraw(child.id):
                self._abandoned[child.id] = child  # its creation is under way: cancel it when it is known
            else:
                self._owes_no_more(child)
            return
        if phase is OPEN and child.role in OWNED:
            self._cancel_open(child)
        elif phase is SETTLING and child.role in LOCAL:
            child.recording = True
            self._abandoned[child.id] = child
        else:
            self._owes_no_more(child)

    def _cancel_open(self, child: Child) -> None:
        if child.role is Role.WORKFLOW:
            self._abandoned[child.id] = child
            self._cancel_scope(child.running)
            return  # it settles, canceled, when its body has ended
        if child.role is STEP:
            self._running.discard(child.id)
            self._others.append(do.CancelStep(child.id))
            self._emit(trace.Return, child.id, PromiseState.REJECTED_CANCELED)
        self._owes_no_more(child)
        self._settle(child, PromiseState.REJECTED_CANCELED, NO_VALUE, by_workflow=True)

    def _let_go(self, child: Child) -> None:
        """Drop a child from all that could still deliver it."""
        self._no_longer_live(child)
        for token in (child.suffix, child.suffix + "!"):
            self._tokens.pop(token, None)
            self._known_tokens.discard(token)
        self._outside.closed(child)
        if child.handle is not None:
            self._timers.pop(id(child.handle), None)

    def _no_longer_live(self, child: Child) -> None:
        del self._children[child.id]
        if self._asked:
            self._asked.discard(child.id)
        if child.role in OWED:
            scope: Scope = child.scope
            scope.live -= 1
            if scope.over:
                self._ending.append(scope)

    def _owes_no_more(self, child: Child) -> None:
        scope: Scope = child.scope
        del scope.children[child.id]
        if child.role in OWED:
            scope.owed -= 1
        if scope.over:
            self._ending.append(scope)
        if child.acknowledged is None:
            child.future = None  # they refer to each other: parted, they go without the garbage collector

    # ------------------------------------------------------------ what the store says

    def _learn(self, records: Iterable[PromiseRecord]) -> None:
        for record in records:
            if self._reports is not None:
                self._reports.learn(record)
            if ids.is_own(self.id, record.id, self._separator):
                self._stretches.learn(record)
            else:
                self._history[record.id] = record
            self.deliveries.learn(record.param.headers)
            self.deliveries.learn(record.value.headers)

    def _promise_known(self, record: PromiseRecord) -> None:
        self._writes.acknowledged(record)
        if self._reports is not None:
            self._reports.learn(record)
        child = self._children.get(record.id)
        if child is not None:
            if child.phase is ASKED:
                self._recognize(child, record)
            elif record.state is not PENDING and child.phase is not SETTLED:
                self._settled(child, record)
            return
        self._abandoned_known(record)

    def _abandoned_known(self, record: PromiseRecord) -> None:
        child = self._abandoned.get(record.id)
        if child is None:
            if self._recall.looked_for(record.id):
                self._learn([record])
            elif ids.is_own(self.id, record.id, self._separator):
                self._wakers.add(record.id)
                if record.state is not PENDING:
                    self._rung = max(self._rung, record.timeout_at)
                    self._fire_due_timers()
            return
        if record.state is not PENDING or child.role not in OWNED:
            self._abandoned.pop(record.id)
            if child.recording:
                self._emit(trace.Return, child.id, record.state)
            self._owes_no_more(child)
        elif child.running is None:  # created after all, after it was abandoned
            self._abandoned.pop(record.id)
            self._owes_no_more(child)
            self._settle(child, PromiseState.REJECTED_CANCELED, NO_VALUE, by_workflow=True)

    def _recognize(self, child: Child, record: PromiseRecord) -> None:
        """Match a child that was asked for with what the store has at its id."""
        if child.identity.difference(record) is not None and self._is_another_call(child, record):
            return
        if record.param.headers.get(HEADER) != child.written:
            self.deliveries.learn(record.param.headers)  # an earlier attempt's write
        if record.value.headers is not NO_HEADERS:
            self.deliveries.learn(record.value.headers)
        child.record = record
        if self._asked:
            self._asked.discard(child.id)
        if child.call is not None and record.param.data != child.param.data:
            child.call = None  # written by another codec or key: it is to be read
        child.param = NO_VALUE
        if self._observe is not None:
            self._announce(child)
            if self._reports is not None and child.role is Role.REMOTE and not self._reports.asked_for(record):
                self._emit(trace.Joined, child.scope.id, self.id, record)
        if child.acknowledged is not None:
            self._offer(child, ACK)
        if child.role in KNOWN_BY_CREATION:
            child.move(SETTLES)
            self._emit(trace.Dedup, child.id, RESOLVED)
            self._offer(child, RESULT)
        elif record.state is PENDING:
            child.move(CREATED)
            self._open(child, record)
        else:
            if self._observe is not None:
                self._emit(trace.Dedup, child.id, record.state)
            self._settled(child, record)

    def _is_another_call(self, child: Child, record: PromiseRecord) -> bool:
        """Say whether the store has another call at a child's id, and then refuse the child, or stop.

        It is the same one if only the bytes of its arguments differ, as those of another codec or key do.
        """
        try:
            self._turn_to_the_recorded_version(child, record)
        except FunctionNotRegistered as error:
            self._stop(error)
            return True
        same = child.identity.same_call(record, same_args=True)
        try:
            same = (
                same
                and child.signature is not None
                and same_call(
                    self.env.codec,
                    child.param,
                    record.param,
                    child.signature,
                    at=child.id,
                    stored_at=place_of_param(record),
                )
            )
        except NotReadableHere as error:
            self._stop(error)
            return True
        difference = child.identity.difference(record, same_args=same, param=child.param)
        if difference is None:
            return False
        if child.role is DETACHED and record.param.headers.get(CALLER) != child.scope.id:
            if child.identity.same_call(record, same_args=same):
                return False
            # Anybody may use an id, and somebody did, for something else.
            taken = f"The id {child.id} belongs to another call: {difference}"
            self._write_refused(child.id, Conflict(taken, hint="Use another id.", step=child.id))
        else:
            self._stop(difference)
        return True

    def _turn_to_the_recorded_version(self, child: Child, record: PromiseRecord) -> None:
        """Let a call by name alone be one of the version that was the latest when it was made.

        Raise `FunctionNotRegistered` if that is not here.
        """
        name, _, version = record.param.headers.get(CALL, "").rpartition("@")
        if not child.by_name or child.function is None or name != child.function.name or not version.isdecimal():
            return
        child.function = function = self.env.registry.get(name, int(version))
        child.role = Role.WORKFLOW if function.kind is FunctionKind.WORKFLOW else STEP
        child.signature, child.returns, child.call = function.signature, function.signature.returns, None
        child.identity = evolve(child.identity, call=f"{name}@{function.version}")

    def _open(self, child: Child, record: PromiseRecord) -> None:
        if child.role in LOCAL and record.timeout_at < child.scope.timeout_at:
            heappush(self._alarms, (record.timeout_at, child.id))  # nobody else would stop it there
            if child.role is Role.WORKFLOW:
                self._limits.set(child, record.timeout_at)
        match child.role:
            case Role.STEP:
                if self._observe is not None:
                    self._emit(trace.Spawn, child.id)
                self._run_step(child, record)
            case Role.WORKFLOW:
                self._emit(trace.Spawn, child.id)
                self._run_workflow(child, record)
            case Role.TIMER:
                self._emit(trace.Block, child.id)
                self._outside.opened(child)
                self._set_alarm(record.timeout_at, child.id)
            case Role.REMOTE | Role.PROMISE:
                self._emit(trace.Block, child.id)
                self._outside.opened(child)
                if child.role is Role.PROMISE and not self.env.dialect.enforces_deadlines:
                    self._set_alarm(record.timeout_at, child.id)
            case _:
                msg = f"A child of role {child.role.name} is never open ({child.id})."
                raise EngineBug(msg)

    def _set_alarm(self, at: int, child_id: str) -> None:
        heappush(self._alarms, (at, child_id))
        if len(self._alarms) > SLACK + 2 * len(self._children):  # timers that were canceled long before they are due
            self._alarms = [alarm for alarm in self._alarms if alarm[1] in self._children]
            heapify(self._alarms)

    def _run_step(self, child: Child, record: PromiseRecord) -> None:
        function = child.function
        assert function is not None
        child.running = True
        call = child.call or self._read_call(child, function, record)
        if call is None:
            return
        self._running.add(child.id)
        self._others.append(
            do.RunStep(
                child.id,
                function,
                call.args,
                call.kwargs,
                child.retry or function.retry or self.env.step_retry,
                record.timeout_at,
                None if call is child.call else partial(recorded_call, self.env.codec, record, function.signature),
            )
        )

    def _run_workflow(self, child: Child, record: PromiseRecord) -> None:
        function = child.function
        assert function is not None
        scope = Scope(id=child.id, function=function, now=record.created_at, timeout_at=record.timeout_at, child=child)
        child.running = scope
        call = child.call or self._read_call(child, function, record)
        if call is None:
            return
        self._nested[child.id] = child
        self._begin(scope, Branch(child.id, scope, self._separator), call)

    def _read_call(self, child: Child, function: Function, record: PromiseRecord) -> Call | None:
        """Read the arguments of what is to run here; one that can't be read has failed, or stops the attempt."""
        try:
            return recorded_call(self.env.codec, record, function.signature)
        except NotReadableHere as error:
            self._stop(error)
        except CodecError as error:
            child.move(FINISHED)
            self._settle(child, PromiseState.REJECTED, self._encode_error(child.id, error))
        return None

    def _begin(self, scope: Scope, branch: Branch, call: Call) -> None:
        body = body_of(scope.function, self._context_of(self, scope), call)
        enter = self.env.enter
        within = None if enter is None else lambda: enter(self.id, scope.id, lambda: self.replaying)
        task = self.loop.spawn(body, branch, within)
        scope.body = task.get_coro()

    def _settled(self, child: Child, record: PromiseRecord) -> None:
        if child.role in LOCAL:
            self._running.discard(child.id)
            if child.phase is not ASKED and child.running is not None:
                if self._observe is not None:
                    self._emit(trace.Return, child.id, record.state)
                if child.phase is OPEN:
                    self._overtaken(child)
        child.move(SETTLES)
        child.record = record
        self._outside.closed(child)
        self._offer(child, RESULT)

    def _overtaken(self, child: Child) -> None:
        """Someone else settled what still runs here: stop it."""
        if child.role is STEP:
            self._others.append(do.CancelStep(child.id))
        else:
            self._cancel_scope(child.running)

    def _cancel_scope(self, scope: Scope) -> None:
        """Cancel a nested workflow, and what runs in it; beyond `AT_ONCE` one in another, one after another."""
        if self._canceling == AT_ONCE:
            self._deeper.append(scope)
            return
        self._canceling += 1
        try:
            self._cancel_tasks(scope)
            while self._canceling == 1 and self._deeper:
                self._cancel_tasks(self._deeper.pop(0))
        finally:
            self._canceling -= 1

    def _cancel_tasks(self, scope: Scope) -> None:
        scope.canceled = True
        for task in self.loop.tasks_of(scope):
            task.cancel()
        if scope.over:
            self._ending.append(scope)

    def _write_refused(self, child_id: str, error: ResonateError) -> None:
        self._writes.refused(child_id)
        if ids.is_own(self.id, child_id, self._separator):
            self._stop(error)
            return
        child = self._children.get(child_id)
        if child is None:
            child = self._abandoned.pop(child_id, None)
            if child is not None:
                if child.recording:
                    self._emit(trace.Return, child.id, PromiseState.REJECTED)
                self._owes_no_more(child)
            return
        if child.phase is not ASKED:
            self._emit(trace.Return, child.id, PromiseState.REJECTED)
        self._running.discard(child_id)
        child.move(ABANDONS)
        self._let_go(child)
        if child.awaited > 0:
            self._emit(trace.Resume, child.scope.id, child.id)
        held = child.future if child.acknowledged is None else child.acknowledged  # which one the workflow has
        for future in (child.acknowledged, child.future):
            if future is held and future is not None and not future.done():
                self._fail(child, future, error)
            elif future is not None and not future.done():
                future.set_exception(error)
        self._owes_no_more(child)

    # ------------------------------------------------------------ what steps say

    def _step_returned(self, event: do.StepReturned) -> None:
        child = self._finished(event.id)
        if child is None:
            return
        try:
            encoded = self.env.codec.encode(event.value, child.returns, at=child.id)
        except CodecError as error:
            assert child.function is not None
            callee = child.function
            placed(error, f"the result of {callee.name}", execution=self.id, step=child.id, signature=callee.signature)
            self._emit(trace.CodecFailed, id=child.id, path=getattr(error, "path", ""), message=str(error))
            self._settle(child, PromiseState.REJECTED, self._encode_error(child.id, error))
            return
        if is_plain(event.value, child.returns, self.env.plain):
            child.result = (encoded.data, event.value)
        if event.failures.count:
            encoded = with_failures(encoded, event.failures)
        self._writes.settle(child, RESOLVED, encoded, carries=False)

    def _step_failed(self, event: do.StepFailed) -> None:
        child = self._finished(event.id)
        if child is not None:
            state = PromiseState.REJECTED_CANCELED if isinstance(event.error, CancelledError) else PromiseState.REJECTED
            self._settle(child, state, with_failures(self._encode_error(child.id, event.error), event.failures))

    def _finished(self, child_id: str) -> Child | None:
        child = self._children.get(child_id)
        if child is None or child_id not in self._running:
            return None
        self._running.discard(child_id)
        child.move(FINISHED)
        return child

    def _encode_error(self, step: str, error: BaseException) -> Value:
        if isinstance(error, ResonateError) and error.step is None:
            error.execution, error.step = self.id, step
        return self.env.codec.encode_error(error, at=step)

    def _settle(self, child: Child, state: PromiseState, value: Value, *, by_workflow: bool = False) -> None:
        self._writes.settle(child, state, value, carries=by_workflow)

    # ------------------------------------------------------------ turns

    def _fire_due_timers(self, *, told: bool = False) -> bool:
        """See to timers and what runs here once their deadlines have passed. How they ended is the store's word.

        If it has just `told` how all did that it has seen to, timers that are due since then are left to it: it does
        not let the execution be suspended. Return whether anything is asked for: what has brought the execution back is
        likely to be among it.
        """
        by, asks = max(self.now, self._rung), False
        left: list[tuple[int, str]] = []
        while self._alarms and self._alarms[0][0] <= by:
            due, child_id = heappop(self._alarms)
            child = self._children.get(child_id)
            if child is None or child.phase is not OPEN or child.record is None:
                continue
            if told and child.role is TIMER:
                left.append((due, child_id))
                continue
            asks = True
            if child.role in LOCAL:
                self._out_of_time(child)
            elif child.role is Role.PROMISE:  # asking makes the store see to it; whether it is late is the store's word
                self._looks[child_id] = None
                heappush(self._alarms, (by + AGAIN_MS, child_id))  # later than `by`, or this would never end
            else:  # others may have settled it before, and its store may not have looked at it yet
                child.move(FINISHED)
                self._settle(child, RESOLVED, NO_VALUE)
        for alarm in left:
            heappush(self._alarms, alarm)
        return asks

    def _out_of_time(self, child: Child) -> None:
        """Stop what runs here past its deadline. The store has the last word on how it ended."""
        if child.role is STEP:
            self._overtaken(child)
            self._running.discard(child.id)
            child.move(FINISHED)
            late = PromiseTimedOut(f"The step {child.id} passed its deadline.", step=child.id)
            self._settle(child, PromiseState.REJECTED, self._encode_error(child.id, late))
        else:
            child.running.late = True
            self._overtaken(child)

    def _turn(self) -> list[do.Command]:
        idle = self.loop.run_until_idle(MANY_CALLBACKS)
        while (self._known_tokens or self._ending or self._lingering) and idle and self._stopped is None:
            if not self._advance() and not self.loop.has_ready:  # what was ended may have been told so
                break
            idle = self.loop.run_until_idle(MANY_CALLBACKS)
        if not idle:
            self._spins()
        return self._commands()

    def _advance(self) -> bool:
        """Let the workflow hear of one thing, the one that the record says is next; return whether there was one."""
        if self._ending:
            self._end_scopes()
        if len(self._children) + len(self._lingering) > 1 and (expected := self._expected()) is not None:
            return self._hear_of(expected)
        while self._deliverable:
            instant, _, what, _, child = heappop(self._deliverable)
            token = child.suffix if what is RESULT else child.suffix + "!"
            if self._tokens.get(token) is child and token in self._known_tokens:
                self._deliver(instant, child, what)
                return True
        if not self._lingering:
            return False
        while self._ripe:
            token, ripe = next(iter(self._ripe.items()))
            if not ripe.owed:
                self._cancel_left(ripe)
                return True
            del self._ripe[token]  # it has asked for something since, and comes again when that is over
        return False

    def _hear_of(self, expected: str) -> bool:
        """Do what the record says is next; return False if that has to be waited for."""
        scope = self._lingering.get(expected)
        if scope is not None and not scope.owed:
            self._cancel_left(scope)
            return True
        if expected not in self._known_tokens:
            return False
        child, what = self._tokens[expected], ACK if expected.endswith("!") else RESULT
        self._deliver(heard_at(child, what), child, what)
        return True

    def _spins(self) -> None:
        """Fail a workflow that would keep its worker's event loop for ever."""
        self._give_up(
            UsageError(
                f"The workflow {self.function.name} goes on and on without waiting for anything "
                "(a loop around asyncio.sleep(0)?).",
                hint="Await the durable call, task, event or queue itself.",
                execution=self.id,
            )
        )

    def _give_up(self, error: ResonateError) -> None:
        """End the root with `error`, whatever its tasks stand at."""
        self.loop.halt()
        self._root.ended(None, error)
        self._end_scope(self._root)
        self._writes.clear()
        self._others.clear()

    def _offer(self, child: Child, what: int) -> None:
        token = child.suffix if what is RESULT else child.suffix + "!"
        self._known_tokens.add(token)
        self._offers += 1
        heappush(self._deliverable, (heard_at(child, what), child.id, what, self._offers, child))

    def _expected(self) -> str | None:
        """Return the next recorded token that can still be heard of, passing over what has settled as a whole."""
        while (token := self.deliveries.expected()) is not None:
            if token in self._tokens or token in self._lingering or self._lies_in_what_is_asked(token):
                return token
            self.deliveries.skip()
        return None

    def _lies_in_what_is_asked(self, token: str) -> bool:
        """Say whether a token belongs to a workflow that is to run here, once its promise is known."""
        if token.startswith("="):  # a hash does not say what it lies in
            return bool(self._asked)
        place = token.rstrip("!" + LEFT)
        while place:
            child = self._tokens.get(place)
            if child is not None and child.role is Role.WORKFLOW and child.phase is ASKED:
                return True
            place = place.rpartition(ids.JOINT)[0]
        return False

    def _deliver(self, instant: int, child: Child, what: int) -> None:
        token = child.suffix if what is RESULT else child.suffix + "!"
        if self.replaying and not self._history and self.deliveries.expected() is None:
            self.replaying = False  # all that earlier attempts asked for was asked for again: this is news
        self.deliveries.delivered(token, free=len(self._children) + len(self._lingering) == 1)
        self._known_tokens.discard(token)
        del self._tokens[token]
        scope: Scope = child.scope
        scope.now = max(scope.now, instant)
        if what is ACK:
            assert child.acknowledged is not None
            if not child.acknowledged.done():
                child.acknowledged.set_result(child.id if child.role is DETACHED else child.future)
            child.acknowledged = None
            return
        child.move(DELIVERS)
        self._no_longer_live(child)
        if instant >= scope.timeout_at and scope.child is not None and not (scope.over or scope.canceled):
            self._out_of_time(scope.child)  # by the store's clock, which a replay sees too: no result came in time
        self._hand_over(child)
        self._owes_no_more(child)

    def _hand_over(self, child: Child) -> None:
        record, future = child.record, child.future
        assert record is not None and future is not None  # noqa: PT018 - a settled child has both
        self._nested.pop(child.id, None)
        if child.handle is not None:
            self._timers.pop(id(child.handle), None)
            self.loop.fire(child.handle)
            return
        if child.awaited > 0:
            self._emit(trace.Resume, child.scope.id, child.id)
        if future.done():
            return
        if child.role is TIMER and record.state is RESOLVED:
            future.set_result(None)  # the server settles it, and writes no value that a codec could read
            return
        if child.result is not None and record.state is RESOLVED and record.value.data == child.result[0]:
            future.set_result(child.result[1])
            return
        if child.convert is not None:
            value, error = converted(child.convert, record)
        else:
            value, error = outcome_of(self.env.codec, record, child.returns)
        if error is None:
            future.set_result(value)
        elif isinstance(error, NotReadableHere):
            self._stop(error)  # another worker, or this one once it has what it lacks, goes on from here
        elif isinstance(error, StopIteration | StopAsyncIteration):  # a future can't hold these
            self._fail(child, future, ApplicationError(str(error), name=type(error).__name__, step=child.id))
        else:
            self._fail(child, future, error)

    def _fail(self, child: Child, future: Future[Any], error: Exception) -> None:
        future.set_exception(error)
        scope: Scope = child.scope
        scope.failed().of_call(child, error, future)

    # ------------------------------------------------------------ ends

    def _end_scopes(self) -> None:
        """End what can be ended. What that does to the workflow follows from what it heard of, and nothing else."""
        while self._ending:
            scope = self._ending.pop()
            self._lingering.pop(scope.token, None)
            self._ripe.pop(scope.token, None)
            if scope.canceled and scope.over and not scope.finished:
                self._cancel_children(scope)
            if scope.lingers:
                self._lingering[scope.token] = scope
                if not scope.owed:
                    self._ripe[scope.token] = scope
            elif scope.over and not scope.finished and not scope.live:
                self._cancel_children(scope)
                if not scope.owed:
                    self._end_scope(scope)

    def _cancel_left(self, scope: Scope) -> None:
        """Cancel the tasks that are left of a scope whose body has ended."""
        self.deliveries.delivered(scope.token, free=len(self._children) + len(self._lingering) == 1)
        scope.cleanups += 1
        self._ending.append(scope)
        for task in self.loop.tasks_of(scope):
            task.cancel()

    def _cancel_children(self, scope: Scope) -> None:
        """Cancel what a workflow that is over has started and not awaited; but what was canceled so, not again."""
        if scope.grew:
            scope.grew = False
            for child in tuple(scope.children.values()):
                child.awaitable.cancel()

    def _end_scope(self, scope: Scope) -> None:
        scope.finished = True
        for left in list(scope.children.values()):
            left.awaitable.cancel()
        if scope.failures is not None:
            self._tell_of_unheard(scope, scope.failures)
        state, value = self._verdict(scope)
        child, scope.child = scope.child, None  # it refers to its scope
        if child is None:
            self._emit(trace.Return, scope.id, state)
            self._outcome = PromiseSettle(id=scope.id, state=state, value=value)
        elif child.id in self._abandoned:
            self._emit(trace.Return, child.id, PromiseState.REJECTED_CANCELED)
            self._nested.pop(child.id, None)
            self._settle(child, PromiseState.REJECTED_CANCELED, NO_VALUE, by_workflow=True)
        elif child.phase is OPEN:
            child.move(FINISHED)
            self._settle(child, state, value)

    def _tell_of_unheard(self, scope: Scope, failures: Failures) -> None:
        """Warn of what failed in a scope whose code never asked; one that was canceled had no chance to."""
        scope.failures = None
        if scope.canceled or isinstance(scope.error, CancelledError):
            return
        for event in failures.unheard(self.id):
            if self._observe is not None:
                self._observe(event)
            self.env.warn(told(event))

    def _verdict(self, scope: Scope) -> tuple[PromiseState, Value]:
        error = scope.error
        if error is None:
            try:
                value = self.env.codec.encode(scope.outcome, scope.function.signature.returns, at=scope.id)
            except CodecError as failed:
                callee = scope.function
                placed(
                    failed, f"the result of {callee.name}", execution=self.id, step=scope.id, signature=callee.signature
                )
                with_unawaited(failed, scope.outcome)
                self._emit(trace.CodecFailed, id=scope.id, path=getattr(failed, "path", ""), message=str(failed))
                error = failed
            else:
                return RESOLVED, value
        if isinstance(error, CancelledError) and scope.late:
            error = PromiseTimedOut(f"The workflow {scope.id} passed its deadline.", step=scope.id)
        state = PromiseState.REJECTED_CANCELED if isinstance(error, CancelledError) else PromiseState.REJECTED
        return state, self._encode_error(scope.id, error)

    def _stop(self, error: ResonateError) -> None:
        error.execution = self.id
        self._stopped = error
        self.loop.halt()

    def _commands(self) -> list[do.Command]:
        """Return what this turn asks for, and what the attempt waits for if that is all."""
        if self._stopped is not None:
            self._ended = True
            return [do.Stop(self._stopped)]
        if self._outcome is None and self.now >= self.promise.timeout_at:
            return [self._expire()]
        out = self._writes.send()
        if self._others:
            out.extend(self._others)
            self._others = []
        look = self._look() if self._looks or not self._recall.over else None
        if look is not None:
            out.append(look)
        if look is not None or self._writes.under_way:
            return out
        if self._outcome is not None:
            out.append(self._fulfill(self._outcome))
        elif self._running:
            if not self._is_watched():
                self._watch(out)
        else:
            self._block(out)
        return out

    def _fulfill(self, outcome: PromiseSettle) -> do.Command:
        self._ended = True
        if self._reports is not None:
            self._reports.flush()
        return do.Fulfill(outcome)

    def _expire(self) -> do.Command:
        """End past the execution's own deadline: its promise has timed out, and no write is taken any more."""
        late = PromiseTimedOut(f"The execution {self.id} passed its deadline.", execution=self.id, step=self.id)
        return self._fulfill(
            PromiseSettle(id=self.id, state=PromiseState.REJECTED, value=self.env.codec.encode_error(late, at=self.id))
        )

    def _look(self) -> do.Look | None:
        """Return what to ask the store for at the end of this turn."""
        for promise_id in self._recall.ahead():
            self._looks[promise_id] = None
        if not self._looks:
            return None
        looks, self._looks = self._looks, {}
        return do.Look(tuple(looks))

    def _look_at_what_is_open(self, horizon: int) -> None:
        """Ask for what may have settled, of a store that said that something has, and not what."""
        for promise_id in self._outside.to_look_at(horizon):
            self._looks[promise_id] = None
        late = self._late()
        if late is not None and self._rung < late[0] <= horizon and self._waker_of(late[1]) in self._wakers:
            self._looks[self._waker_of(late[1])] = None

    def _is_watched(self) -> bool:
        """Say whether `_watch` has nothing to do, as where step follows step: it will be woken early enough."""
        alarms = self._alarms
        return (
            self.now < self._wakes_at
            and len(alarms) < SLACK  # else those of children that are gone are to be swept
            and (not alarms or self._wakes_at <= alarms[0][0])
            and self._recall.over
            and not self.replaying
            and not self._outside
        )

    def _watch(self, out: list[do.Command], *, lingers: bool = False) -> None:
        """Steps run, so the task can't be suspended, or should not be yet: hear of the rest by other means."""
        self.replaying = False
        if not self._recall.over:
            self._caught_up()
        while self._alarms and self._alarms[0][1] not in self._children:
            heappop(self._alarms)
        wake_at = self._alarms[0][0] if self._alarms else self.promise.timeout_at
        if lingers:
            wake_at = min(wake_at, self._lingers_until)
        unwatched, again = self._outside.to_watch(self.version, self.now, at_once=lingers)
        if again is not None:
            wake_at = min(again, wake_at)
        if not self.now < self._wakes_at <= wake_at:  # else it was asked for, and is to come
            self._wakes_at = wake_at
            out.append(do.Wake(wake_at))
        for child in unwatched:
            child.watched = self.version
            out.append(do.Watch(child.id))

    def _caught_up(self) -> None:
        self.replaying = False
        self._recall.end()
        if self._reports is not None:
            self._reports.complete = True

    def _block(self, out: list[do.Command]) -> None:
        self._caught_up()
        if not self._outside and self._late() is None:
            self._starve(out)
        elif self._outside.is_wide and self.now < self._lingers_until:
            self._watch(out, lingers=True)
        else:
            self._suspend(out)

    def _suspend(self, out: list[do.Command]) -> None:
        dialect = self.env.dialect
        awaiting = self._outside.to_name(remembered=dialect.keeps_resumes and not dialect.loses_answers)
        late = self._late()
        if late is not None:
            waker = self._waker_of(late[1])
            if waker not in self._wakers:
                self._wake_at(late[0], waker, late[1])
                out.extend(self._writes.send())
                return
            awaiting = (*awaiting, waker)
        self._suspending = True
        out.append(do.Suspend(awaiting))

    def _late(self) -> tuple[int, str] | None:
        """Return the first deadline at which nothing but a timer of our own would bring this back, and whose it is."""
        found: list[tuple[int, str]] = []
        if not self.env.dialect.enforces_deadlines:
            promise = self._outside.first_deadline()
            if promise is not None and promise.record is not None:
                found.append((promise.record.timeout_at, promise.id))
        limited = self._limits.first()
        if limited is not None and not is_woken(limited[1]):
            found.append((limited[0], limited[1].id))
        return min((one for one in found if one[0] < self.promise.timeout_at), default=None)

    def _waker_of(self, promise_id: str) -> str:
        return ids.child(promise_id, 0, self._separator)

    def _wake_at(self, instant: int, waker: str, promise_id: str) -> None:
        """Ask for a timer that brings this execution back when a deadline passes that the store does not enforce."""
        tags = own_tags(waker, promise_id, self._place)
        if self.env.dialect.targeted_timers:
            tags |= self._targeted(waker)
        self._writes.own(PromiseCreate(id=waker, timeout_at=instant, tags=tags))

    def _starve(self, out: list[do.Command]) -> None:
        """Fail a body that waits for something that nothing durable will ever bring about."""
        if not self._root.over:
            self._root.ended(
                None,
                UsageError(
                    f"The workflow {self.function.name} waits for something that nothing will ever settle "
                    "(a bare future, an event that is never set, an empty queue).",
                    hint="Await durable calls; hand values between tasks of the same workflow.",
                    execution=self.id,
                ),
            )
        self._end_scope(self._root)
        self._writes.clear()
        assert self._outcome is not None
        out.append(self._fulfill(self._outcome))

    # ------------------------------------------------------------ events

    def _announce(self, child: Child) -> None:
        event = trace.Run if child.role in LOCAL else trace.Rpc
        self._emit(event, child.scope.id, child.id)
        if child.awaited == UNREPORTED:
            self.awaited(child, known=True)

    def _emit(self, event: Callable[P, trace.LifecycleEvent], *args: P.args, **kwargs: P.kwargs) -> None:
        if self._observe is not None:  # else none is made
            self._observe(event(*args, **kwargs))
