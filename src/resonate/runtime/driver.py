"""Drives one execution through the ports: does what it commands, tells it what came of it.

Law 1: the driver decides nothing; each command is one call.
Law 2: what is asked for in one turn goes out in one batch, every write under the task's fence.
Law 3: a fence that is refused ends the attempt: somebody else holds the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias, assert_never

from attrs import frozen

from resonate.core.engine import commands as do
from resonate.core.engine.reports import TELLER, signed
from resonate.core.protocol.records import PromiseRecord
from resonate.core.protocol.requests import (
    FenceReply,
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseReply,
    PromiseSettle,
    Rejection,
    Request,
    Status,
    SuspendReply,
    TaskFence,
    TaskFulfill,
    TaskSuspend,
)
from resonate.errors import Conflict, EngineBug, ResonateError, StoreError
from resonate.ports.clock import Clock
from resonate.ports.store import Store
from resonate.runtime.alarms import Alarm, Alarms
from resonate.runtime.eager import begin, turn
from resonate.runtime.news import NotHeld, news_of
from resonate.runtime.steps import Steps
from resonate.runtime.watcher import Watcher

# ---------------------------------------------------------------- how an attempt ends


@frozen
class Fulfilled:
    """The execution is over; this is its settled promise."""

    promise: PromiseRecord


@frozen
class Suspended:
    """The store took the task back until something it waits for settles."""

    awaiting: int


@frozen
class Lost:
    """The task is somebody else's now, or its promise has settled without us."""

    reason: str


@frozen
class Stopped:
    """The engine refuses to go on; the task is still ours."""

    error: ResonateError


Ending: TypeAlias = Fulfilled | Suspended | Lost | Stopped


class Drivable(Protocol):
    """What the driver needs of an execution."""

    @property
    def id(self) -> str:
        """The execution's id."""
        ...

    def step(self, events: Sequence[do.Event], now: int) -> list[do.Command]:
        """Take in events, return commands."""
        ...

    def suspended(self) -> None:
        """Take note that the last `Suspend` was accepted."""
        ...


@frozen(kw_only=True)
class Tools:
    """What all drivers of a worker share.

    `teller` is this process's name if it reports what it settles, else None.
    """

    store: Store
    clock: Clock
    alarms: Alarms
    steps: Steps
    watcher: Watcher
    teller: str | None = None


BREATH = 32
"""So many turns are taken before others on the event loop get theirs."""


class _LeaseGone(Exception):
    """The fence was refused."""


class Driver:
    """Drives one attempt. Made anew for each; `run` is called once."""

    def __init__(self, tools: Tools, execution: Drivable, version: int) -> None:
        self._tools = tools
        self._execution = execution
        self._version = version
        self._inbox: list[do.Event] = []
        self._steps: dict[str, asyncio.Task[None]] = {}
        self._watches: dict[str, Callable[[], None]] = {}
        self._alarm: Alarm | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()  # asked for once: it costs a system call
        self._woken = False  # something has happened since the last turn
        self._canceled: set[asyncio.Task[None]] = set()  # told to stop, and not done with it
        self._closed = False
        self._ended: Exception | None = None  # why the attempt can't go on, as was heard beside its requests

    async def run(self, commands: list[do.Command]) -> Ending:
        """Carry the attempt to its end. Canceled, it stops its steps and leaves the task as it is."""
        me, turns = self._execution.id, 0
        self._watches[me] = self._tools.watcher.follow(me, self._overtaken)
        try:
            while True:
                request = self._carry_out(commands)
                if request is not None:
                    outcome = await request
                    if not isinstance(outcome, list):
                        return outcome
                    self._inbox[:0] = outcome
                if not (self._inbox or self._woken):
                    await self._wait()
                events, self._inbox = self._inbox, []
                self._woken = False
                turns += 1
                if turns % BREATH == 0:
                    await turn()  # a store that answers at once would keep the event loop to itself
                if self._ended is not None:
                    raise self._ended
                commands = self._execution.step(events, self._tools.clock.now())
        except _LeaseGone as gone:
            return Lost(str(gone))
        finally:
            self._clean_up()

    # ------------------------------------------------------------ commands

    def _carry_out(self, commands: list[do.Command]) -> Awaitable[list[do.Event] | Ending] | None:
        """Do what can be done at once; return what is to be awaited, if anything is."""
        if len(commands) == 1:  # as in most turns
            command = commands[0]
            if isinstance(command, do.Write):
                return self._write_one(command.action)
            if isinstance(command, do.RunStep):
                self._start_step(command)
                return None
        writes: list[do.Write] = []
        looks: tuple[str, ...] = ()
        request: Awaitable[list[do.Event] | Ending] | None = None
        for command in commands:
            match command:
                case do.Write():
                    writes.append(command)
                case do.RunStep():
                    self._start_step(command)
                case do.Wake():
                    self._set_alarm(command.at)
                case do.CancelStep():
                    self._cancel_step(command.id)
                case do.Look():
                    looks = command.ids
                case do.Watch():
                    self._watches[command.id] = self._tools.watcher.follow(command.id, self._known)
                case do.Unwatch():
                    self._unwatch(command.id)
                case do.Suspend():
                    request = self._suspend(command)
                case do.Fulfill():
                    request = self._fulfill(command)
                case do.Stop():
                    request = self._stop(command)
                case _:
                    assert_never(command)
        return self._write(writes, looks) if writes or looks else request

    async def _write_one(self, action: PromiseCreate | PromiseSettle) -> list[do.Event]:
        (reply,) = await self._tools.store.send_all((TaskFence(self._execution.id, self._version, action),))
        return [self._answered(action.id, reply)]

    async def _write(self, writes: list[do.Write], looks: tuple[str, ...]) -> list[do.Event]:
        me, version = self._execution.id, self._version
        requests: list[Request[Any]] = [TaskFence(me, version, write.action) for write in writes]
        requests += [PromiseGet(promise_id) for promise_id in looks]
        replies = await self._tools.store.send_all(requests)
        events = [self._answered(write.action.id, reply) for write, reply in zip(writes, replies, strict=False)]
        if looks:
            events += [do.PromiseKnown(record) for reply in replies[len(writes) :] if (record := self._seen(reply))]
            self._woken = True  # it is to be stepped, also if there is none of them
        return events

    def _seen(self, reply: Any) -> PromiseRecord | None:
        match reply:
            case PromiseReply(promise=promise):
                return promise
            case Rejection(status=Status.NOT_FOUND):
                return None
            case Rejection(message=message):
                raise StoreError(f"The store refused to tell of a promise: {message}.", execution=self._execution.id)
            case StoreError():
                raise reply
            case _:
                msg = f"A store answered a promise.get with {type(reply).__name__}."
                raise EngineBug(msg, execution=self._execution.id)

    def _answered(self, promise_id: str, reply: Any) -> do.Event:
        if isinstance(reply, FenceReply) and isinstance(reply.action, PromiseReply):  # as nearly always
            return do.PromiseKnown(reply.action.promise)
        match reply:
            case Rejection(status=Status.CONFLICT | Status.NOT_FOUND):
                raise _LeaseGone(reply.message)
            case FenceReply(action=Rejection(message=message)) | Rejection(message=message):
                error = Conflict(f"The store refused the promise {promise_id}: {message}.", step=promise_id)
                return do.WriteRefused(promise_id, error)
            case StoreError():
                raise reply
            case _:
                msg = f"A store answered a fence with {type(reply).__name__}."
                raise EngineBug(msg, step=promise_id)

    async def _stop(self, command: do.Stop) -> Ending:
        return Stopped(command.error)

    async def _suspend(self, command: do.Suspend) -> list[do.Event] | Ending:
        me = self._execution.id
        callbacks = tuple(PromiseRegisterCallback(awaited=awaited, awaiter=me) for awaited in command.awaiting)
        reply = await self._tools.store.send(TaskSuspend(id=me, version=self._version, actions=callbacks))
        match reply:
            case SuspendReply(redirect=True):
                self._woken = True
                return [do.PromiseKnown(promise) for promise in reply.preload]
            case SuspendReply():
                self._execution.suspended()
                return Suspended(len(callbacks))
            case Rejection(status=Status.CONFLICT | Status.NOT_FOUND):
                raise _LeaseGone(reply.message)
            case Rejection():
                error = StoreError(f"The store refused to suspend the task: {reply.message}.", execution=me)
                return Stopped(error)

    async def _fulfill(self, command: do.Fulfill) -> Ending:
        me, action, teller = self._execution.id, command.action, self._tools.teller
        if teller is not None:
            action = PromiseSettle(id=me, state=action.state, value=signed(action.value, teller))
        reply = await self._tools.store.send(TaskFulfill(id=me, version=self._version, action=action))
        match reply:
            case PromiseReply():
                return Fulfilled(reply.promise)
            case Rejection(status=Status.CONFLICT | Status.NOT_FOUND):
                if teller is not None and (settled := await self._settled_by(teller)) is not None:
                    return Fulfilled(settled)
                raise _LeaseGone(reply.message)
            case Rejection():
                return Stopped(StoreError(f"The store refused the outcome: {reply.message}.", execution=me))

    async def _settled_by(self, teller: str) -> PromiseRecord | None:
        """Return the execution's promise if it was this process that settled it: an answer may have been lost."""
        reply = await self._tools.store.send(PromiseGet(self._execution.id))
        ours = isinstance(reply, PromiseReply) and reply.promise.value.headers.get(TELLER) == teller
        return reply.promise if isinstance(reply, PromiseReply) and ours else None

    # ------------------------------------------------------------ what happens meanwhile

    def _start_step(self, command: do.RunStep) -> None:
        task = begin(self._loop, self._run_step(command))
        if not task.done():
            self._steps[command.id] = task

    async def _run_step(self, command: do.RunStep) -> None:
        try:
            event: do.Event = await self._tools.steps.run(command, self._execution.id, self._news)
        except asyncio.CancelledError as error:
            if self._closed or asyncio.current_task() in self._canceled:
                raise
            event = do.StepFailed(command.id, error)  # it canceled its own task
        except Exception as error:  # noqa: BLE001 - the task is lost, or a clock or observer failed: not to be waited for
            self._ended = error
            self._wake()
            return
        self._steps.pop(command.id, None)
        self._post(event)

    async def _news(self, step_id: str) -> do.Event | None:
        """Return what ends a step that is about to be tried again, if anything does."""
        tools = self._tools
        match await news_of(step_id, self._execution.id, self._version, tools.store, tools.clock):
            case PromiseRecord() as settled:
                return do.PromiseKnown(settled)
            case NotHeld(reason=reason):
                raise _LeaseGone(reason)
            case None:
                return None

    def _cancel_step(self, step_id: str) -> None:
        task = self._steps.pop(step_id, None)
        if task is not None:
            self._canceled.add(task)
            task.add_done_callback(self._canceled.discard)
            task.cancel()

    def _unwatch(self, promise_id: str) -> None:
        stop = self._watches.pop(promise_id, None)
        if stop is not None:
            stop()

    def _known(self, promise: PromiseRecord) -> None:
        self._watches.pop(promise.id, None)
        self._post(do.PromiseKnown(promise))

    def _overtaken(self, promise: PromiseRecord) -> None:
        """Take note that somebody in this process settled the execution's own promise: it was canceled."""
        self._watches.pop(promise.id, None)
        self._ended = _LeaseGone("its promise was settled from outside")
        self._wake()

    def _set_alarm(self, at: int) -> None:
        if self._alarm is not None and self._alarm.call is not None:
            if self._alarm.at <= at:
                return  # it will ring soon enough, and the execution will ask again
            self._alarm.cancel()
        self._alarm = self._tools.alarms.set(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()

    def _post(self, event: do.Event) -> None:
        self._inbox.append(event)
        if self._waiting is not None:
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self) -> None:
        self._waiting = self._loop.create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _clean_up(self) -> None:
        self._closed = True
        for task in self._steps.values():
            task.cancel()
        watches, self._watches = self._watches, {}  # each leads back here: not a cycle for the garbage collector
        for stop in watches.values():
            stop()
        if self._alarm is not None:
            self._alarm.cancel()
