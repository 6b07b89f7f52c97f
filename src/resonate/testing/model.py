"""The smallest store there can be: the machine over plain dicts, one step at a time.

It says what every other store must do: whatever a store answers and keeps, the model answers and keeps. It has no
locks, no tasks and no clock; nothing happens in it unasked.

Law 1: one call of `ask`, `fire` or `deliver` is one step; `now` is given with each.
Law 2: what a step did not write is the very same value in the snapshots before and after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar, assert_never

from attrs import evolve

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
from resonate.core.protocol.records import Execute, PromiseRecord, PromiseState, ScheduleRecord
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.snapshot import OutboxEntry, PromiseSnapshot, Snapshot, TaskSnapshot
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    ListenerDrain,
    PromiseTimeout,
    ScheduleFire,
)

R = TypeVar("R")
Key: TypeAlias = tuple[str, ...]


class Model:
    """A store in dicts.

    Args:
        settings: those of the machine.
    """

    def __init__(self, settings: Settings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self.promises: dict[str, PromiseSnapshot] = {}
        self.homes: dict[str, str | None] = {}
        self.tasks: dict[str, TaskSnapshot] = {}
        self.schedules: dict[str, ScheduleRecord] = {}
        self.outbox: dict[Key, OutboxEntry] = {}

    # ------------------------------------------------------------ steps

    def ask(self, request: Request[R], now: int) -> R | Rejection:
        """Do one request; the drains of what it settles are left to `fire`."""
        reply, effects = handle(request, self, now, self._settings)
        self.apply(effects)
        return reply

    def fire(self, step: InternalStep, now: int) -> None:
        """Do one internal step, due or not."""
        self.apply(fire(step, self, now, self._settings))

    def deliver(self, keys: Iterable[Key]) -> list[OutboxEntry]:
        """Take these messages out of the outbox and return them."""
        return [self.outbox.pop(key) for key in keys if key in self.outbox]

    # ------------------------------------------------------------ what there is

    def due(self, now: int) -> list[InternalStep]:
        """Return the internal steps that are due."""
        return [*self.drains(), *(step for at, step in self._timed() if at <= now)]

    def drains(self) -> list[InternalStep]:
        """Return the drains that are due: one for each callback and listener of each settled promise."""
        drains: list[InternalStep] = []
        for id, promise in self.promises.items():
            if promise.record.state is not PromiseState.PENDING:
                drains += [CallbackDrain(id, awaiter) for awaiter in promise.callbacks]
                drains += [ListenerDrain(id, address) for address in promise.listeners]
        return drains

    def next_due(self) -> int | None:
        """Return the first instant at which the clock makes a step due; None if it never does."""
        return min((at for at, _ in self._timed()), default=None)

    def snapshot(self, now: int) -> Snapshot:
        """Return everything that is stored."""
        return Snapshot(
            now=now,
            promises=tuple(self.promises[id] for id in sorted(self.promises)),
            tasks=tuple(self.tasks[id] for id in sorted(self.tasks)),
            schedules=tuple(self.schedules[id] for id in sorted(self.schedules)),
            outbox=tuple(self.outbox[key] for key in sorted(self.outbox)),
        )

    def _timed(self) -> Iterator[tuple[int, InternalStep]]:
        for id, promise in self.promises.items():
            at = promise_due(self._promise(promise))
            if at is not None:
                yield at, PromiseTimeout(id)
        for task in self.tasks.values():
            due = task_due(_task(task), self.promises[task.id].record.timeout_at)
            if due is not None:
                yield due
        for id, schedule in self.schedules.items():
            at = schedule_due(schedule)
            if at is not None:
                yield at, ScheduleFire(id)

    # ------------------------------------------------------------ the machine's reads

    def promise(self, id: str, /) -> Promise | None:
        """Return the promise, None if there is none."""
        promise = self.promises.get(id)
        return None if promise is None else self._promise(promise)

    def task(self, id: str, /) -> Task | None:
        """Return the task, None if there is none."""
        task = self.tasks.get(id)
        return None if task is None else _task(task)

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        """Return the schedule, None if there is none."""
        return self.schedules.get(id)

    def resumes(self, task_id: str, /) -> Sequence[str]:
        """Return what settled since the task was last acquired, in order of arrival."""
        task = self.tasks.get(task_id)
        return () if task is None else task.resumes

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        """Tell whether `awaited` is among the task's resumes."""
        return awaited in self.resumes(task_id)

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        """Tell whether the callback is remembered."""
        return awaited in self.promises and awaiter in self.promises[awaited].callbacks

    def has_listener(self, promise: str, address: str, /) -> bool:
        """Tell whether the listener is remembered."""
        return promise in self.promises and address in self.promises[promise].listeners

    def preload(self, home: str, /) -> Iterable[PromiseRecord]:
        """Return the records of all promises at home there."""
        return [promise.record for id, promise in self.promises.items() if self.homes[id] == home]

    def promises_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Promise]:
        """Scan promises in id order, from the first id after `cursor`."""
        return (self._promise(self.promises[id]) for id in _after(cursor, self.promises))

    def tasks_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Task]:
        """Scan tasks likewise."""
        return (_task(self.tasks[id]) for id in _after(cursor, self.tasks))

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        """Scan schedules likewise."""
        return (self.schedules[id] for id in _after(cursor, self.schedules))

    def _promise(self, promise: PromiseSnapshot) -> Promise:
        return Promise(promise.record, self.homes[promise.record.id])

    # ------------------------------------------------------------ the machine's writes

    def apply(self, effects: Iterable[Effect]) -> None:
        """Write the effects of one step."""
        for effect in effects:
            self._write(effect)

    def _write(self, effect: Effect) -> None:
        match effect:
            case PutPromise(promise):
                self._put_promise(promise)
            case PutTask(task):
                self._put_task(task)
            case PutSchedule(schedule):
                self.schedules[schedule.id] = schedule
            case DeleteSchedule(id):
                self.schedules.pop(id, None)
            case AddCallback(awaited, awaiter):
                self._put_callbacks(awaited, _with(self.promises[awaited].callbacks, awaiter))
            case RemoveCallback(awaited, awaiter):
                self._put_callbacks(awaited, _without(self.promises[awaited].callbacks, awaiter))
            case AddListener(id, address):
                self._put_listeners(id, _with(self.promises[id].listeners, address))
            case RemoveListener(id, address):
                self._put_listeners(id, _without(self.promises[id].listeners, address))
            case AddResume(id, awaited):
                self.tasks[id] = evolve(self.tasks[id], resumes=_with(self.tasks[id].resumes, awaited))
            case ClearResumes(id):
                self.tasks[id] = evolve(self.tasks[id], resumes=())
            case Send(address, message):
                key = (message.id,) if isinstance(message, Execute) else (message.promise.id, address)
                self.outbox[key] = OutboxEntry(address=address, message=message)
            case _:
                assert_never(effect)

    def _put_promise(self, promise: Promise) -> None:
        id = promise.record.id
        known = self.promises.get(id)
        self.promises[id] = evolve(known, record=promise.record) if known else PromiseSnapshot(record=promise.record)
        self.homes[id] = promise.home

    def _put_task(self, task: Task) -> None:
        self.tasks[task.id] = TaskSnapshot(
            id=task.id,
            state=task.state,
            version=task.version,
            pid=task.pid,
            ttl=task.ttl,
            expires_at=task.expires_at,
            retry_at=task.retry_at,
            resumes=tuple(self.resumes(task.id)),
        )

    def _put_callbacks(self, id: str, callbacks: tuple[str, ...]) -> None:
        self.promises[id] = evolve(self.promises[id], callbacks=callbacks)

    def _put_listeners(self, id: str, listeners: tuple[str, ...]) -> None:
        self.promises[id] = evolve(self.promises[id], listeners=listeners)


def _task(task: TaskSnapshot) -> Task:
    return Task(task.id, task.state, task.version, task.pid, task.ttl, task.expires_at, task.retry_at)


def _after(cursor: str | None, ids: Iterable[str]) -> list[str]:
    return sorted(id for id in ids if cursor is None or id > cursor)


def _with(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    return items if item in items else (*items, item)


def _without(items: tuple[str, ...], item: str) -> tuple[str, ...]:
    return tuple(x for x in items if x != item)
