"""Takes tasks up and drives them, as many at once as there is room for.

Law 1: a task is acquired only when there is room; an offer that finds none waits, and is taken when there is.
Law 2: a task that can't go on here (its function is not registered, its code no longer matches its history, what is
    known of it is longer than may be read) is kept for a delay that grows, then given back: never dropped, never a
    hot loop.
Law 3: a shutdown takes no more tasks, lets the running ones finish or suspend for a grace period, and gives the rest
    back, so that another worker has them at once. It ends in bounded time whatever the store does: what can't be given
    back soon lapses.

Theory of operation. An offer is an `Execute` message, or a claim that a client made by starting an execution here.
A claim becomes an `Execution` (or the parked one goes on), a `Driver` carries it to its end, and the end decides what
becomes of the task: nothing when it is fulfilled or lost, parked when it is suspended, held when it was stopped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, assert_never

from attrs import define, frozen

from resonate.core import trace
from resonate.core.batches import batches
from resonate.core.engine.context import Context
from resonate.core.engine.environment import Environment
from resonate.core.engine.execution import Execution
from resonate.core.engine.identity import CALL, code_of
from resonate.core.engine.reports import signed
from resonate.core.engine.step_execution import StepExecution
from resonate.core.function import FunctionKind, check_call
from resonate.core.protocol.records import Execute, PromiseRecord, PromiseState, Tag, TaskState, Unblock
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseReply,
    PromiseSettle,
    Rejection,
    Status,
    TaskAcquire,
    TaskFulfill,
    TaskGet,
    TaskRelease,
    TaskReply,
)
from resonate.core.values import UNTYPED, Call, Signature, place_of_param
from resonate.errors import (
    AuthError,
    DecodingError,
    EngineBug,
    FunctionNotRegistered,
    NotReadableHere,
    ReplyTooLong,
    ResonateError,
    StoreError,
    UsageError,
)
from resonate.logs import Log, know
from resonate.ports.store import Dropped, Reconnected
from resonate.ports.telemetry import Load
from resonate.runtime.alarms import Alarm
from resonate.runtime.continuations import Continuations, Parked
from resonate.runtime.driver import Driver, Fulfilled, Lost, Stopped, Suspended, Tools
from resonate.runtime.eager import begin, turn
from resonate.runtime.history import History, history_of
from resonate.runtime.lease import LeaseKeeper

P = ParamSpec("P")

log = Log("resonate.worker")

HOLD_MS = 1_000
LONGEST_HOLD_MS = 60_000
LOUD = 7
"""How often a task that has to be held is written to the log: as long as its delay grows. Events tell each time."""
MOST_OFFERS = 100_000
AT_ONCE = 64
"""How many parked executions are asked after at once."""
AT_A_STRETCH = 8
"""So many executions are begun by who starts them before others on the event loop get their turn."""
GIVING_BACK_MS = 5_000
"""So long after its grace a shutdown goes on trying to give back what is left: the store may be away."""
LATE = "the answer to its claim came late"
UNANSWERED = "the store did not answer in time"
MOST_TROUBLES = 10_000
"""Of so many tasks that could not go on here it is known why, and how often; the oldest are forgotten."""
MOST_TIMERS = 100_000
"""So many timers are known by their ids, so that their offers cost nothing; an older one costs an acquisition."""


@frozen(kw_only=True)
class Limits:
    """What a worker is allowed.

    Args:
        concurrency: executions driven at once; parked ones do not count.
        continuations: suspended executions kept in memory.
        continuation_age_ms: how long each of them is kept; None for as long as there is room.
        ttl_ms: length of a lease.
    """

    concurrency: int = 1_000
    continuations: int = 1_000
    continuation_age_ms: int | None = None
    ttl_ms: int = 60_000


@define
class _Held:
    """A task that this worker has acquired."""

    version: int
    running: asyncio.Task[None] | None = None
    lost: str | None = None
    back: bool = False  # not driven: kept for a while, then given back
    ended: PromiseRecord | ResonateError | None = None  # the settled promise, or why nobody drives it for a while


@frozen
class _Unread:
    """A task was acquired, and what was said of it is too long to be read."""

    version: int
    error: ReplyTooLong


class Worker:
    """See the module's text. Belongs to one event loop."""

    def __init__(
        self,
        *,
        pid: str,
        env: Environment,
        tools: Tools,
        leases: LeaseKeeper,
        limits: Limits,
        hurry: Callable[[], None],
        leave: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._pid = pid
        self._env = env
        self._tools = tools
        self._leases = leases
        self._limits = limits
        self._hurry = hurry  # called once there is little time left to reach the store
        self._leave = leave  # lets no more messages come, where it is not enough to read none
        self._held: dict[str, _Held] = {}
        self._acquiring: dict[str, asyncio.Task[None]] = {}
        self._offers: OrderedDict[str, int] = OrderedDict()
        self._timers: OrderedDict[str, None] = OrderedDict()  # tasks that nobody is to run: see `timer_made`
        self._again: dict[str, int] = {}  # offered while their last attempt was still ending
        self._holds: dict[str, int] = {}  # how often a task had to be held, for the growing delay
        self.troubles: dict[str, ResonateError] = {}  # why a task had to be held, for who asks
        self._waiting = 0  # held without being driven
        self._claiming: dict[asyncio.Future[None], str] = {}  # asked for by this process's client, not answered yet
        self._context = Variables()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._continuations = Continuations(limits.continuations, limits.continuation_age_ms, tools.clock, tools.alarms)
        self._taking = False
        self._beginning = False  # an execution is carried to its first wait by who has started it
        self._adopted = 0  # so many were
        self.trouble: ResonateError | None = None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Take tasks from now on."""
        self._taking = True
        self.trouble = None
        self._context = copy_context()
        self._leases.start()
        self._listening = self._spawn(self._listen(), "resonate-messages")

    async def stop(self, grace_ms: int) -> None:
        """Take no more, wait up to `grace_ms` for what runs, give back the rest, for at most `GIVING_BACK_MS`."""
        self._taking = False
        self._offers.clear()
        # What is being acquired or claimed gives itself back when it is answered.
        running: list[asyncio.Future[None]] = [*self._acquiring.values(), *self._claiming]
        running += [held.running for held in self._held.values() if held.running is not None and not held.back]
        if running:
            log.info("Waiting up to %.1f s for %d executions to finish or suspend.", grace_ms / 1000, len(running))
            await self._patience(running, grace_ms)
        self._hurry()
        left = dict(self._held)
        latest = self._tools.clock.now() + GIVING_BACK_MS
        until = {task_id: min(latest, self._leases.end_of(task_id) or latest) for task_id in left}
        await self._cancel(held.running for held in left.values() if held.running is not None)
        await self._listen_no_more()
        await self._give_all_back({task_id: (held.version, until[task_id]) for task_id, held in left.items()})
        await self.kill()

    async def _listen_no_more(self) -> None:
        """Be offered nothing more: what is given back would else be offered to who leaves, and be read here in vain."""
        if self._listening is not None:
            await self._cancel([self._listening])
        if self._leave is not None:
            await self._leave()

    async def _give_all_back(self, left: Mapping[str, tuple[int, int]]) -> None:
        """Release tasks of these versions, all at once, each until an instant; the rest lapses, which is said once."""
        troubles: list[str] = []

        async def give_back(task_id: str, version: int) -> None:
            try:
                error = await self._try_release(task_id, version, "shutdown")
            except asyncio.CancelledError:
                troubles.append(UNANSWERED)
                self._left(task_id, version, UNANSWERED)
                raise
            if error is not None:
                troubles.append(str(error))

        giving: list[asyncio.Task[None]] = []
        alarms: list[Alarm] = []
        for task_id, (version, until) in left.items():
            task = self._spawn(give_back(task_id, version), f"resonate-release-{task_id}")
            giving.append(task)
            alarms.append(self._tools.alarms.set(until, partial(_end, task)))
        if giving:
            await asyncio.wait(giving)
        for alarm in alarms:
            alarm.cancel()
        if troubles:
            log.warning("%d tasks could not be given back, their leases will lapse: %s", len(troubles), troubles[-1])

    async def kill(self) -> None:
        """Drop everything where it stands: no request is sent, as if the process had died."""
        self._taking = False
        await self._cancel(list(self._tasks))
        self._held.clear()
        self._acquiring.clear()
        self._again.clear()
        self._continuations.clear()
        await self._leases.stop()

    def forget(self) -> None:
        """Close the bodies of suspended executions, where they stand; for who has killed the process otherwise."""
        self._taking = False
        self._continuations.clear()

    def drives(self, execution_id: str) -> bool:
        """Say whether this worker runs the execution now, and so hears of its end."""
        return execution_id in self._held

    @property
    def executions(self) -> int:
        """How many executions are held here."""
        return len(self._held)

    @property
    def load(self) -> Load:
        """What this worker has to do with. Safe from any thread."""
        return Load(len(self._held) - self._waiting, self._waiting, len(self._continuations.parked))

    @property
    def parked(self) -> tuple[str, ...]:
        """The ids of the suspended executions whose bodies are kept here."""
        return self._continuations.parked

    @property
    def has_room(self) -> bool:
        """Whether another task can be taken."""
        busy = len(self._held) - self._waiting + len(self._acquiring) + len(self._claiming)
        return self._taking and busy < self._limits.concurrency

    # ------------------------------------------------------------ offers

    async def _listen(self) -> None:
        try:
            async for message in self._tools.store.messages():
                match message:
                    case Execute():
                        self.offer(message.id, message.version)
                    case Unblock():
                        self._tools.watcher.told(message.promise)
                    case Reconnected():
                        self._tools.watcher.refresh()
                        _ = self._spawn(self._look_for_resumed(), "resonate-resumed")
                    case Dropped():
                        log.warning("A message was dropped: %s.", message.reason)
                        self._report(trace.MessageDropped, message.reason)
                    case _:
                        assert_never(message)
        except StoreError as error:
            if error.retriable:
                self._in_trouble(error)
            else:
                self.refused(error)

    def offer(self, task_id: str, version: int) -> None:
        """Take the task up, now or when there is room. An offer is never a promise: it may be stale or repeated."""
        if not self._taking or task_id in self._timers:
            return
        if task_id in self._held or task_id in self._acquiring:
            self._again[task_id] = version
        elif self.has_room:
            self._acquire(task_id, version)
        else:
            self._offers[task_id] = version
            if len(self._offers) > MOST_OFFERS:
                self._offers.popitem(last=False)  # the server offers it again

    async def _look_for_resumed(self) -> None:
        """Take up what was resumed while no message could arrive; the server would offer it again, but much later."""
        parked = self._continuations.parked
        try:
            for batch in batches(parked, AT_ONCE):
                for reply in await self._tools.store.send_all([TaskGet(one) for one in batch]):
                    if isinstance(reply, TaskReply) and reply.task.state is TaskState.PENDING:
                        self.offer(reply.task.id, reply.task.version)
        except StoreError as error:
            self._in_trouble(error)

    def timer_made(self, task_id: str) -> None:
        """Take note that this task is a timer's: it waits for its deadline, and offers of it are passed over."""
        self._timers[task_id] = None
        if len(self._timers) > MOST_TIMERS:
            self._timers.popitem(last=False)

    def _acquire(self, task_id: str, version: int) -> None:
        taking = self._spawn(self._take_up(task_id, version), f"resonate-{task_id}")
        if not taking.done() and task_id not in self._held:
            self._acquiring[task_id] = taking

    async def _take_up(self, task_id: str, version: int) -> None:
        parked = self._continuations.take(task_id, version)  # so that it is not evicted meanwhile
        delta = parked is not None
        request = TaskAcquire(id=task_id, version=version, pid=self._pid, ttl=self._limits.ttl_ms, delta=delta)
        asked = self._tools.clock.now()
        reply: ClaimReply | Rejection | _Unread = Rejection(0, "not answered")
        try:
            reply = await self._ask_for(request)
        except StoreError as error:
            self._in_trouble(error)
        finally:
            self._acquiring.pop(task_id, None)
            if parked is not None and not (self._taking and isinstance(reply, ClaimReply)):
                parked.execution.close()
        if isinstance(reply, Rejection):
            newer = self._again.pop(task_id, version)
            if newer != version:
                self.offer(task_id, newer)
            elif reply.status == Status.CONFLICT:
                with suppress(StoreError):  # the lease lapses all the same
                    await self.recover(task_id)
            self._next_offer()
            return
        version = reply.version if isinstance(reply, _Unread) else reply.task.version
        if not self._taking or self._leases.is_late(asked):
            await self._release(task_id, version, "shutdown" if not self._taking else LATE)
            if parked is not None:
                parked.execution.close()
            self._next_offer()
            return
        if isinstance(reply, _Unread):
            held = self._held[task_id] = _Held(version, running=asyncio.current_task())
            self._leases.hold(task_id, version, asked)
            self._too_long(held, task_id, reply.error)
            await self._hold_back(task_id, version)
            return
        held = self._held[task_id] = _Held(version)
        await self._drive(held, reply, parked, asked)

    async def _ask_for(self, request: TaskAcquire) -> ClaimReply | Rejection | _Unread:
        """Ask for a task; what is answered may be too long, and then it was acquired all the same."""
        try:
            return await self._tools.store.send(request)
        except ReplyTooLong as error:
            version = await self._acquired_as(request.id)
            if version is None:
                raise
            return _Unread(version, error)

    async def adopt(
        self, claim: ClaimReply, asked: int, call: Call | None = None
    ) -> PromiseRecord | ResonateError | None:
        """Drive a task that was created acquired in this worker's name, on a request of the instant `asked`.

        It begins at once where it can. Return its settled promise if it is over by then, or what it was stopped for:
        nobody could wait for that yet. `call` is what its promise's param says, checked, if it need not be read back.
        """
        task_id, version = claim.promise.id, claim.task.version
        held = self._held[task_id] = _Held(version)
        drive = self._drive(held, claim, None, asked, call)
        held.running = self._spawn(drive, f"resonate-{task_id}", at_once=True)
        self._adopted += 1
        if self._adopted % AT_A_STRETCH == 0:
            await turn()  # where the store answers at once, who starts many would keep the event loop to himself
        return held.ended

    def may_drive(self, asked: int) -> bool:
        """Say whether a claim that was asked for at this instant may still be driven here."""
        return self._taking and not self._leases.is_late(asked)

    async def give_back(self, claim: ClaimReply) -> None:
        """Return a claim that is not to be driven here."""
        await self._release(claim.promise.id, claim.task.version, "it is not to be driven here")

    def begin_claim(self, task_id: str) -> asyncio.Future[None]:
        """Keep room for one task while it is being claimed, until `end_claim` is called with what is returned."""
        claim: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._claiming[claim] = task_id
        return claim

    def end_claim(self, claim: asyncio.Future[None]) -> None:
        """Take note that a claim was answered, and what it brought is adopted or given back."""
        del self._claiming[claim]
        claim.set_result(None)
        self._next_offer()

    def forsake_claim(self, task_id: str) -> None:
        """See to a claim whose asker was canceled: what it brings all the same is given back, and offered again."""
        if self._taking:
            _ = self._spawn(self._recover_forsaken(task_id), f"resonate-recover-{task_id}")

    async def _recover_forsaken(self, task_id: str) -> None:
        try:
            await self.recover(task_id)
        except StoreError as error:
            log.info("Whether the task %s was claimed is not known; if so, its lease will lapse: %s", task_id, error)

    async def recover(self, task_id: str) -> None:
        """Give a task back that is acquired in this worker's name though it never heard so: the answer was lost.

        Called when a claim was refused: it may have been this worker's own, asked for again.
        """
        version = await self._acquired_as(task_id)
        known = task_id in self._held or task_id in self._acquiring or task_id in self._claiming.values()
        if version is not None and not known:
            await self._release(task_id, version, "the answer to its claim was lost")

    async def _acquired_as(self, task_id: str) -> int | None:
        """Ask for the version under which a task is acquired in this worker's name; None if it is not."""
        reply = await self._tools.store.send(TaskGet(task_id))
        if not isinstance(reply, TaskReply):
            return None
        task = reply.task
        return task.version if task.state is TaskState.ACQUIRED and task.pid == self._pid else None

    def _next_offer(self) -> None:
        while self._offers and self.has_room:
            task_id, version = self._offers.popitem(last=False)
            self._acquire(task_id, version)

    # ------------------------------------------------------------ one attempt

    async def _drive(
        self, held: _Held, claim: ClaimReply, parked: Parked | None, asked: int, call: Call | None = None
    ) -> None:
        promise, version = claim.promise, claim.task.version
        know(lambda: _facts(promise, version))
        held.running = asyncio.current_task()
        self._leases.hold(promise.id, version, asked)
        self._report(trace.TaskAcquired, promise.id, version, promise)
        held_on = False
        try:
            held_on = await self._attempt(held, claim, parked, call)
        except asyncio.CancelledError:
            if held.lost is None:
                raise
            self._lost(promise.id, version, held.lost)
        except ReplyTooLong as error:
            self._too_long(held, promise.id, error)
            held_on = True
        except StoreError as error:
            self._in_trouble(error)
            held_on = self.trouble is None
            if held_on:
                self._stopped(held, promise.id, error)
            else:
                self._left(promise.id, version, str(error))
        except Exception as error:
            log.exception(
                "The execution %s could not be driven, and is kept. This is a bug: please report it.", promise.id
            )
            bug = EngineBug(f"Driving it failed: {error!r}.", hint="Please report this.", execution=promise.id)
            self._stopped(held, promise.id, bug)
            held_on = True
        finally:
            if not held_on:
                self._leases.drop(promise.id)
        if held_on:
            await self._hold_back(promise.id, version)
        else:
            self._let_go(promise.id)

    def _let_go(self, task_id: str) -> None:
        self._held.pop(task_id, None)
        self._tools.watcher.unattended(task_id)
        again = self._again.pop(task_id, None)
        if again is not None:
            self.offer(task_id, again)
        self._next_offer()

    async def _attempt(self, held: _Held, claim: ClaimReply, parked: Parked | None, call: Call | None) -> bool:
        """Run one attempt; return whether the task is still ours and has to be held back."""
        promise, version = claim.promise, claim.task.version
        if parked is None:
            self._continuations.drop(promise.id)  # somebody else has had the task since
        if promise.state is not PromiseState.PENDING:
            if parked is not None:
                parked.execution.close()
            self._tools.watcher.told(promise)
            self._left(promise.id, version, "its promise has settled")
            return False
        if promise.tags.get(Tag.TIMER) == "true":
            self.timer_made(promise.id)  # another process's: its lease may lapse, a release would only bring it back
            self._left(promise.id, version, "it is a timer")
            return False
        execution: Execution | StepExecution | None = None
        now = self._tools.clock.now()
        if parked is not None:
            execution = parked.execution
            commands = execution.resume(promise, claim.preload, version, now)
        else:
            execution = await self._new_execution(claim, call)
            if execution is None:
                return promise.id in self._holds
            commands = execution.start(now)
        try:
            ending = await Driver(self._tools, execution, version).run(commands)
        except BaseException:
            execution.close()
            raise
        match ending:
            case Suspended():
                self._report(trace.TaskSuspended, id=promise.id, version=version, awaiting=ending.awaiting)
                self._went_on(promise.id)
                if isinstance(execution, Execution):
                    self._continuations.park(execution, version)
                return False
            case Fulfilled():
                self._report(trace.Settled, ending.promise, ending.promise, version)
                self._report(trace.TaskFulfilled, id=promise.id, version=version)
                self._went_on(promise.id)
                execution.close()
                held.ended = ending.promise
                self._tools.watcher.told(ending.promise)
                return False
            case Lost():
                execution.close()
                self._lost(promise.id, version, ending.reason)
                return False
            case Stopped():
                execution.close()
                log.error("The execution %s was stopped, and is kept: %s", promise.id, ending.error)
                self._stopped(held, promise.id, ending.error)
                return True
            case _:
                assert_never(ending)

    async def _new_execution(self, claim: ClaimReply, call: Call | None) -> Execution | StepExecution | None:
        """Make the execution of a claim; None if it can't be made here, and then it is answered or to be held."""
        promise = claim.promise
        wanted: list[tuple[str, int | None]] = []

        def signature_of(name: str, version: int | None) -> Signature:
            wanted.append((name, version or begun_by))
            return self._env.registry.get(*wanted[-1]).signature

        history: History | None = None
        begun_by: int | None = None
        try:
            if call is not None:
                function = self._env.registry.get(call.func, call.version)
            else:
                if claim.task.version > 1 and self._names_no_version(promise):
                    history = await history_of(self._tools.store, claim)
                    begun_by = code_of((*history.first, *history.records))
                call = self._env.codec.decode_call(promise.param, signature_of, at=place_of_param(promise))
                function = self._env.registry.get(call.func, call.version or begun_by)
                check_call(function, call.args, call.kwargs)
        except FunctionNotRegistered as error:
            self._not_registered(promise.id, wanted, error)
            return None
        except NotReadableHere as error:
            error.execution = promise.id
            self._not_readable(promise.id, error)
            return None
        except (DecodingError, UsageError) as error:
            error.execution = error.step = promise.id
            if claim.task.version > 1 and _is_begun(history or await history_of(self._tools.store, claim)):
                error.hint = (
                    "Code that it fitted has begun it: restore the types, or give new fields defaults. It is kept."
                )
                self._not_readable(promise.id, error)
            else:
                await self._reject(claim, error)
            return None
        if function.kind is FunctionKind.STEP:
            return StepExecution(self._env, promise, function, call)
        if history is None:
            history = await history_of(self._tools.store, claim)
        if claim.task.version > 1:
            self._report(trace.Replayed, promise.id, len(history.records))
        return Execution(
            self._env, Context, promise, function, call, history.records, claim.task.version, whole=history.whole
        )

    def _names_no_version(self, promise: PromiseRecord) -> bool:
        """Say whether a promise's call is of a function by its name alone. Raise what the codec raises."""
        named: list[int | None] = []

        def signature_of(name: str, version: int | None) -> Signature:
            del name
            named.append(version)
            return UNTYPED

        with suppress(DecodingError):  # as values of no type; read by its types, it may well be
            self._env.codec.decode_call(promise.param, signature_of, at=place_of_param(promise))
        return named == [None]

    def _not_registered(self, task_id: str, wanted: list[tuple[str, int | None]], error: ResonateError) -> None:
        self._count_hold(task_id, error)
        name, version = wanted[-1]
        delay = self._hold_delay(task_id)
        self._report(trace.FunctionMissing, id=task_id, name=name, version=version, delay_ms=delay)
        if self._holds[task_id] <= LOUD:
            log.error("The task %s can't run here and is given back in %.1f s: %s", task_id, delay / 1000, error)

    def _not_readable(self, task_id: str, error: DecodingError | UsageError) -> None:
        self._count_hold(task_id, error)
        if isinstance(error, DecodingError):
            self._report(trace.CodecFailed, id=task_id, path=error.path, message=str(error))
        self._say_unreadable(task_id, error)

    def _too_long(self, held: _Held, task_id: str, error: ReplyTooLong) -> None:
        error.execution = task_id
        self._stopped(held, task_id, error)
        self._say_unreadable(task_id, error)

    def _say_unreadable(self, task_id: str, error: ResonateError) -> None:
        if self._holds[task_id] <= LOUD:
            delay = self._hold_delay(task_id)
            log.error("The task %s can't be read here and is given back in %.1f s: %s", task_id, delay / 1000, error)

    async def _reject(self, claim: ClaimReply, error: ResonateError) -> None:
        """Answer a call that can't be read, and that nobody has begun: whoever sent it hears what is wrong with it."""
        promise = claim.promise
        if isinstance(error, DecodingError):
            self._report(trace.CodecFailed, id=promise.id, path=error.path, message=str(error))
        value, version = self._env.codec.encode_error(error, at=promise.id), claim.task.version
        if self._tools.teller is not None:
            value = signed(value, self._tools.teller)
        action = PromiseSettle(id=promise.id, state=PromiseState.REJECTED, value=value)
        reply = await self._tools.store.send(TaskFulfill(id=promise.id, version=version, action=action))
        if isinstance(reply, PromiseReply):
            self._report(trace.Settled, reply.promise, reply.promise, version)
            self._report(trace.TaskFulfilled, id=promise.id, version=version)
        else:
            self._left(promise.id, version, reply.message)
        self._went_on(promise.id)

    def _left(self, task_id: str, version: int, reason: str) -> None:
        self._report(trace.TaskLeft, id=task_id, version=version, reason=reason)

    def _lost(self, task_id: str, version: int, reason: str) -> None:
        self._report(trace.LeaseLost, id=task_id, version=version, reason=reason)
        log.info("The task %s is no longer held here: %s.", task_id, reason)

    def lease_lost(self, task_id: str, version: int, reason: str) -> None:
        """Stop driving a task whose lease could not be kept; a later lease of it is another matter."""
        held = self._held.get(task_id)
        if held is not None and held.version == version and held.running is not None:
            held.lost = reason
            held.running.cancel()

    # ------------------------------------------------------------ tasks that can't go on here

    def _stopped(self, held: _Held, task_id: str, error: ResonateError) -> None:
        """Take note that a task has to be held, and tell who waits for it here."""
        held.ended = error
        self._tools.watcher.failed(task_id, error)
        self._count_hold(task_id, error)

    def _count_hold(self, task_id: str, error: ResonateError) -> None:
        self._holds[task_id] = self._holds.pop(task_id, 0) + 1  # the latest last
        _ = self.troubles.pop(task_id, None)
        self.troubles[task_id] = error.with_traceback(None)  # its frames hold the whole claim
        if len(self._holds) > MOST_TROUBLES:  # others have run them meanwhile: nobody tells us
            for known in (self._holds, self.troubles):
                _ = known.pop(next(iter(known)), None)

    def _went_on(self, task_id: str) -> None:
        self._holds.pop(task_id, None)
        self.troubles.pop(task_id, None)

    def _hold_delay(self, task_id: str) -> int:
        return min(HOLD_MS << min(self._holds.get(task_id, 1) - 1, 16), LONGEST_HOLD_MS)

    async def _hold_back(self, task_id: str, version: int) -> None:
        self._waiting += 1
        self._next_offer()
        held = self._held[task_id]
        held.back = True
        try:
            await self._tools.clock.sleep_until(self._tools.clock.now() + self._hold_delay(task_id))
            await self._release(task_id, version, "it can't go on here")
        except asyncio.CancelledError:
            if held.lost is None:
                raise
            self._leases.drop(task_id)
            self._lost(task_id, version, held.lost)
        finally:
            self._waiting -= 1
        self._let_go(task_id)

    async def _release(self, task_id: str, version: int, reason: str) -> None:
        error = await self._try_release(task_id, version, reason)
        if error is not None:
            log.warning("The task %s could not be given back, its lease will lapse: %s", task_id, error)

    async def _try_release(self, task_id: str, version: int, reason: str) -> StoreError | None:
        """Give a task back; return why that could not be done, unless the store refuses this process as such."""
        self._leases.drop(task_id)
        if self.trouble is not None:
            return None
        try:
            await self._tools.store.send(TaskRelease(id=task_id, version=version))
        except StoreError as error:
            self._left(task_id, version, str(error))
            if isinstance(error, AuthError):
                self.refused(error)
            return error
        self._report(trace.TaskReleased, id=task_id, version=version, reason=reason)
        return None

    # ------------------------------------------------------------ small things

    def _in_trouble(self, error: StoreError) -> None:
        if isinstance(error, AuthError):
            self.refused(error)
        else:
            log.warning("The store failed: %s", error)

    def refused(self, error: StoreError) -> None:
        """Stop for good: the store refuses this process or is broken, and asking again would change nothing.

        What is held lapses; whoever waits here for a result is told.
        """
        if self.trouble is not None:
            return
        self.trouble = error
        self._taking = False
        self._offers.clear()
        log.error("The worker stops taking tasks: %s", error)
        self._leases.drop_all()
        self._tools.watcher.fail_all(error)
        for held in self._held.values():
            if held.running is not None and held.running is not asyncio.current_task():
                held.lost = "the store takes nothing from this process"
                held.running.cancel()

    def _report(self, event: Callable[P, trace.LifecycleEvent], *args: P.args, **kwargs: P.kwargs) -> None:
        if self._env.observe is not None:  # else none is made
            self._env.observe(event(*args, **kwargs))

    def _spawn(self, body: Coroutine[Any, Any, None], name: str, *, at_once: bool = False) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        context = self._context.copy()  # else an execution would see the variables of whoever made room for it
        if at_once and not self._beginning:  # a step of what begins may start others: not ever deeper
            self._beginning = True
            try:
                task = begin(loop, body, name=name, context=context)
            finally:
                self._beginning = False
            if task.done():
                return task
        else:
            task = loop.create_task(body, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _patience(self, running: list[asyncio.Future[None]], grace_ms: int) -> None:
        clock = self._tools.clock
        limit = asyncio.get_running_loop().create_task(clock.sleep_until(clock.now() + grace_ms))
        everything = asyncio.get_running_loop().create_task(_all_done(running))
        try:
            await asyncio.wait({limit, everything}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
            everything.cancel()

    async def _cancel(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        doomed = [task for task in tasks if task is not asyncio.current_task()]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)


def _is_begun(history: History) -> bool:
    return bool(history.records or history.first)


def _facts(promise: PromiseRecord, version: int) -> dict[str, object]:
    """Return what log lines say of an execution: its function as far as its promise says it in plain."""
    function, _, number = promise.param.headers.get(CALL, "").partition("@")
    found: dict[str, object] = {"execution": promise.id, "attempt": version}
    if function:
        found["function"] = function
    if number.isdecimal():
        found["version"] = int(number)
    return found


def _end(task: asyncio.Task[None]) -> None:
    _ = task.cancel()


async def _all_done(futures: Iterable[asyncio.Future[None]]) -> None:
    await asyncio.wait(set(futures))
