"""A tiny store for the machine's tests: dicts, the effects applied literally, nothing fires unless it is told to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from resonate.core.protocol.due import promise_due, schedule_due, task_due
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
from resonate.core.protocol.machine import fire, handle
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import (
    NO_VALUE,
    Execute,
    Message,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    Value,
)
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseRegisterCallback,
    PromiseSettle,
    Rejection,
    Request,
    TaskCreate,
    TaskSuspend,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    ListenerDrain,
    PromiseTimeout,
    ScheduleFire,
)

R = TypeVar("R")

T0 = 1_000_000
FAR = 10_000_000
TARGET = {"resonate:target": "poll://any@workers"}
TIMER = {"resonate:timer": "true"}
EXTERNAL = {"resonate:external": "true"}


class World:
    """What is stored, the instant, and the outbox by key."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.now = T0
        self.promises: dict[str, Promise] = {}
        self.tasks: dict[str, Task] = {}
        self.schedules: dict[str, ScheduleRecord] = {}
        self.callbacks: dict[tuple[str, str], None] = {}
        self.listeners: dict[tuple[str, str], None] = {}
        self.resumed: dict[str, list[str]] = {}
        self.outbox: dict[object, tuple[str, Message]] = {}

    # ------------------------------------------------------------ Reads

    def promise(self, id: str, /) -> Promise | None:
        return self.promises.get(id)

    def task(self, id: str, /) -> Task | None:
        return self.tasks.get(id)

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        return self.schedules.get(id)

    def resumes(self, task_id: str, /) -> Sequence[str]:
        return tuple(self.resumed.get(task_id, ()))

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        return awaited in self.resumed.get(task_id, ())

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        return (awaited, awaiter) in self.callbacks

    def has_listener(self, promise: str, address: str, /) -> bool:
        return (promise, address) in self.listeners

    def preload(self, home: str, /) -> list[PromiseRecord]:
        return [promise.record for promise in self.promises.values() if promise.home == home]

    def promises_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Promise]:
        return (self.promises[id] for id in sorted(self.promises) if cursor is None or id > cursor)

    def tasks_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Task]:
        return (self.tasks[id] for id in sorted(self.tasks) if cursor is None or id > cursor)

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        return (self.schedules[id] for id in sorted(self.schedules) if cursor is None or id > cursor)

    # ------------------------------------------------------------ writes

    def apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case PutPromise(promise):
                    self.promises[promise.record.id] = promise
                case PutTask(task):
                    self.tasks[task.id] = task
                case PutSchedule(schedule):
                    self.schedules[schedule.id] = schedule
                case DeleteSchedule(id):
                    del self.schedules[id]
                case AddCallback(awaited, awaiter):
                    assert (awaited, awaiter) not in self.callbacks, "a callback is added once"
                    self.callbacks[awaited, awaiter] = None
                case RemoveCallback(awaited, awaiter):
                    del self.callbacks[awaited, awaiter]
                case AddListener(promise, address):
                    assert (promise, address) not in self.listeners, "a listener is added once"
                    self.listeners[promise, address] = None
                case RemoveListener(promise, address):
                    del self.listeners[promise, address]
                case AddResume(task, awaited):
                    assert not self.has_resume(task, awaited), "a resume is added once"
                    self.resumed.setdefault(task, []).append(awaited)
                case ClearResumes(task):
                    self.resumed.pop(task, None)
                case Send(address, message):
                    key = message.id if isinstance(message, Execute) else (message.promise.id, address)
                    self.outbox[key] = (address, message)

    # ------------------------------------------------------------ doing

    def ask(self, request: Request[R]) -> R | Rejection:
        """Do a request, apply what it writes, leave the drains undone."""
        reply, effects = handle(request, self, self.now, self.settings)
        assert not (isinstance(reply, Rejection) and effects), "a refusal writes nothing"
        self.apply(effects)
        return reply

    def step(self, step: InternalStep) -> tuple[Effect, ...]:
        """Fire a step, apply what it writes."""
        effects = fire(step, self, self.now, self.settings)
        self.apply(effects)
        return effects

    def drain(self) -> None:
        """Fire the drains that settled promises owe."""
        for awaited, awaiter in [*self.callbacks]:
            self.step(CallbackDrain(awaited, awaiter))
        for promise, address in [*self.listeners]:
            self.step(ListenerDrain(promise, address))

    def due(self) -> list[InternalStep]:
        """Return the steps that are due by the clock."""
        steps: list[InternalStep] = []
        for id, promise in self.promises.items():
            instant = promise_due(promise)
            if instant is not None and instant <= self.now:
                steps.append(PromiseTimeout(id))
        for task in self.tasks.values():
            due = task_due(task, self.promises[task.id].record.timeout_at)
            if due is not None and due[0] <= self.now:
                steps.append(due[1])
        for id, schedule in self.schedules.items():
            instant = schedule_due(schedule)
            if instant is not None and instant <= self.now:
                steps.append(ScheduleFire(id))
        return steps

    def sweep(self) -> None:
        """Fire all that is due, and the drains, until nothing is."""
        for _ in range(100):
            self.drain()
            steps = self.due()
            if not steps:
                return
            for step in steps:
                self.step(step)
        raise AssertionError("a sweep does not end")

    # ------------------------------------------------------------ shorthands

    def create(self, id: str, tags: dict[str, str] | None = None, timeout_at: int = FAR) -> PromiseRecord:
        reply = self.ask(PromiseCreate(id=id, timeout_at=timeout_at, tags=tags or {}))
        assert not isinstance(reply, Rejection), reply
        return reply.promise

    def settle(self, id: str, state: PromiseState = PromiseState.RESOLVED, value: Value = NO_VALUE) -> PromiseRecord:
        reply = self.ask(PromiseSettle(id=id, state=state, value=value))
        assert not isinstance(reply, Rejection), reply
        return reply.promise

    def claim(self, id: str, timeout_at: int = FAR, ttl: int = 60_000, tags: dict[str, str] | None = None) -> Task:
        """Create a task acquired at version 1 by `w1`."""
        action = PromiseCreate(id=id, timeout_at=timeout_at, tags=TARGET | (tags or {}))
        reply = self.ask(TaskCreate(pid="w1", ttl=ttl, action=action))
        assert not isinstance(reply, Rejection), reply
        return self.tasks[id]

    def suspend(self, id: str, *awaited: str, version: int = 1) -> Any:
        actions = tuple(PromiseRegisterCallback(awaited=one, awaiter=id) for one in awaited)
        return self.ask(TaskSuspend(id=id, version=version, actions=actions))

    def record(self, id: str) -> PromiseRecord:
        return self.promises[id].record

    def state(self) -> object:
        """Return all that is stored, to compare."""
        parts = (self.promises, self.tasks, self.schedules, self.callbacks, self.listeners, self.resumed)
        return tuple(dict(part) for part in parts)
