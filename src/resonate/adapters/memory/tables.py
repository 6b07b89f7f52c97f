"""What the memory server stores: dictionaries that the machine reads and its effects write.

Law 1: applying an effect is O(log n) in what is stored, O(1) for most.
Law 2: whatever follows from a write is noted with it: when it is due, which drains it owes, what is to be sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from resonate.adapters.memory.agenda import Agenda
from resonate.adapters.memory.ids import SortedIds
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
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PENDING, PromiseRecord, ScheduleRecord
from resonate.core.protocol.snapshot import PromiseSnapshot, TaskSnapshot
from resonate.core.protocol.steps import CallbackDrain, InternalStep, ListenerDrain, PromiseTimeout, ScheduleFire

_PROMISE: Final = 0
_TASK: Final = 1
_SCHEDULE: Final = 2


class Tables:
    """See the module's text. Implements the machine's `Reads`. Not thread-safe."""

    def __init__(self) -> None:
        self._promises: dict[str, Promise] = {}
        self._tasks: dict[str, Task] = {}
        self.promise = self._promises.get
        """See `Reads`, as `task`. The dictionaries' own methods: each request asks several times."""
        self.task = self._tasks.get
        self._schedules: dict[str, ScheduleRecord] = {}
        self._callbacks: dict[str, dict[str, None]] = {}
        self._listeners: dict[str, dict[str, None]] = {}
        self._resumes: dict[str, dict[str, None]] = {}
        self._homes: dict[str, list[str]] = {}
        self._promise_ids = SortedIds()
        self._task_ids = SortedIds()
        self._agenda = Agenda()
        self._owed: deque[InternalStep] = deque()
        self._sends: list[Send] = []

    # ------------------------------------------------------------ what follows from writes

    def take_step(self, now: int) -> InternalStep | None:
        """Take the next internal step that is due by `now`: drains first, then by the clock."""
        if self._owed:
            return self._owed.popleft()
        while (key := self._agenda.pop(now)) is not None:
            kind, id = key
            if kind == _PROMISE:
                return PromiseTimeout(id)
            if kind == _SCHEDULE:
                return ScheduleFire(id)
            due = self._task_due(self._tasks[id])
            if due is not None:
                return due[1]
        return None

    def is_quiet(self, now: int) -> bool:
        """Say whether nothing is due, owed or to be sent, and `next_instant` is no earlier than when it was asked."""
        agenda = self._agenda
        return agenda.least > now and not (agenda.sooner or self._owed or self._sends)

    def unsettle(self) -> None:
        """Have `is_quiet` deny, until `next_instant` is asked for."""
        self._agenda.sooner = True

    def next_instant(self, now: int) -> int | None:
        """Return when the next internal step is due: `now` if drains are owed, None if never."""
        return now if self._owed else self._agenda.next()

    def take_sends(self) -> Sequence[Send]:
        """Take what is to be sent, oldest first."""
        if not self._sends:
            return ()
        sends, self._sends = self._sends, []
        return sends

    # ------------------------------------------------------------ writes

    def apply(self, effects: Iterable[Effect]) -> None:
        """Write the effects of one step."""
        for effect in effects:
            match effect:
                case PutPromise():
                    self._put_promise(effect.promise)
                case PutTask():
                    self._put_task(effect.task)
                case Send():
                    self._sends.append(effect)
                case AddCallback():
                    self._callbacks.setdefault(effect.awaited, {})[effect.awaiter] = None
                case RemoveCallback():
                    _remove(self._callbacks, effect.awaited, effect.awaiter)
                case AddListener():
                    self._listeners.setdefault(effect.promise, {})[effect.address] = None
                case RemoveListener():
                    _remove(self._listeners, effect.promise, effect.address)
                case AddResume():
                    self._resumes.setdefault(effect.task, {})[effect.awaited] = None
                case ClearResumes():
                    self._resumes.pop(effect.task, None)
                case PutSchedule():
                    self._put_schedule(effect.schedule)
                case DeleteSchedule():
                    self._schedules.pop(effect.id, None)
                    self._agenda.drop((_SCHEDULE, effect.id))
                case _:
                    assert_never(effect)

    def _put_promise(self, promise: Promise) -> None:
        record = promise.record
        id = record.id
        if id not in self._promises:
            self._promise_ids.add(id)
            if promise.home is not None:
                self._homes.setdefault(promise.home, []).append(id)
        self._promises[id] = promise
        instant = promise_due(promise)
        if instant is not None:
            self._agenda.put((_PROMISE, id), instant)
        elif record.state is not PENDING:
            self._agenda.drop((_PROMISE, id))
            if id in self._callbacks:
                self._owed.extend(CallbackDrain(id, awaiter) for awaiter in self._callbacks[id])
            if id in self._listeners:
                self._owed.extend(ListenerDrain(id, address) for address in self._listeners[id])

    def _put_task(self, task: Task) -> None:
        if task.id not in self._tasks:
            self._task_ids.add(task.id)
        self._tasks[task.id] = task
        due = self._task_due(task)
        if due is None:
            self._agenda.drop((_TASK, task.id))
        else:
            self._agenda.put((_TASK, task.id), due[0])

    def _task_due(self, task: Task) -> tuple[int, InternalStep] | None:
        return task_due(task, self._promises[task.id].record.timeout_at)

    def _put_schedule(self, schedule: ScheduleRecord) -> None:
        self._schedules[schedule.id] = schedule
        instant = schedule_due(schedule)
        if instant is None:
            self._agenda.drop((_SCHEDULE, schedule.id))
        else:
            self._agenda.put((_SCHEDULE, schedule.id), instant)

    # ------------------------------------------------------------ the machine's reads

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        """See `Reads`."""
        return self._schedules.get(id)

    def resumes(self, task_id: str, /) -> tuple[str, ...]:
        """See `Reads`."""
        return tuple(self._resumes.get(task_id, ()))

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        """See `Reads`."""
        return awaited in self._resumes.get(task_id, ())

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        """See `Reads`."""
        return awaiter in self._callbacks.get(awaited, ())

    def awaiters(self, awaited: str) -> tuple[str, ...]:
        """Return the tasks that a promise will resume."""
        return tuple(self._callbacks.get(awaited, ()))

    def has_listener(self, promise: str, address: str, /) -> bool:
        """See `Reads`."""
        return address in self._listeners.get(promise, ())

    def preload(self, home: str, /) -> Iterable[PromiseRecord]:
        """See `Reads`."""
        return (self._promises[id].record for id in self._homes.get(home, ()))

    def promises_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Promise]:
        """See `Reads`."""
        return (self._promises[id] for id in self._promise_ids.after(cursor))

    def tasks_after(self, cursor: str | None, _states: object, _tags: object, /) -> Iterator[Task]:
        """See `Reads`."""
        return (self._tasks[id] for id in self._task_ids.after(cursor))

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        """See `Reads`. Schedules come and go, and are few: they are sorted for each search."""
        return (self._schedules[id] for id in sorted(self._schedules) if cursor is None or id > cursor)

    # ------------------------------------------------------------ for snapshots

    def all_promises(self) -> tuple[PromiseSnapshot, ...]:
        """Return all promises with what they owe, in id order."""
        return tuple(
            PromiseSnapshot(
                record=promise.record,
                callbacks=tuple(self._callbacks.get(id, ())),
                listeners=tuple(self._listeners.get(id, ())),
            )
            for id, promise in sorted(self._promises.items())
        )

    def all_tasks(self) -> tuple[TaskSnapshot, ...]:
        """Return all tasks, in id order."""
        return tuple(
            TaskSnapshot(
                id=id,
                state=task.state,
                version=task.version,
                pid=task.pid,
                ttl=task.ttl,
                expires_at=task.expires_at,
                retry_at=task.retry_at,
                resumes=self.resumes(id),
            )
            for id, task in sorted(self._tasks.items())
        )

    def all_schedules(self) -> tuple[ScheduleRecord, ...]:
        """Return all schedules, in id order."""
        return tuple(schedule for _, schedule in sorted(self._schedules.items()))


def _remove(rows: dict[str, dict[str, None]], of: str, row: str) -> None:
    held = rows.get(of)
    if held is not None:
        held.pop(row, None)
        if not held:
            del rows[of]
