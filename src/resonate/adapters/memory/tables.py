"""The tables of the memory store: dictionaries that the machine reads and its effects write.

Law 1: applying an effect costs the same however much is stored.
Law 2: `changed` names what was written since it was last taken, so that due times are refreshed for that alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, assert_never

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
from resonate.core.protocol.records import PromiseRecord, ScheduleRecord

V = TypeVar("V")


class SortedKeys(Generic[V]):
    """The keys of a growing mapping in order; sorted when somebody asks, which only searches do."""

    def __init__(self, table: Mapping[str, V]) -> None:
        self._table = table
        self._keys: list[str] = []
        self._stale = False

    def touch(self) -> None:
        """Take note that a key came or went."""
        self._stale = True

    def after(self, cursor: str | None) -> Iterator[V]:
        """Yield the values whose keys come after `cursor`."""
        if self._stale:
            self._keys = sorted(self._table)
            self._stale = False
        start = 0 if cursor is None else bisect_right(self._keys, cursor)
        for number in range(start, len(self._keys)):
            yield self._table[self._keys[number]]


class Tables:
    """See the module's text. Implements the machine's `Reads`; not thread-safe by itself."""

    def __init__(self) -> None:
        self.promises: dict[str, Promise] = {}
        self.tasks: dict[str, Task] = {}
        self.schedules: dict[str, ScheduleRecord] = {}
        self.callbacks: dict[str, dict[str, None]] = {}
        self.listeners: dict[str, dict[str, None]] = {}
        self.task_resumes: dict[str, dict[str, None]] = {}
        self.homes: dict[str, dict[str, None]] = {}
        self.sent: list[Send] = []
        self.changed_promises: list[Promise] = []
        self.changed_tasks: list[Task] = []
        self.changed_schedules: list[str] = []
        self._promise_keys = SortedKeys(self.promises)
        self._task_keys = SortedKeys(self.tasks)
        self._schedule_keys = SortedKeys(self.schedules)

    # ------------------------------------------------------------ writes

    def apply(self, effects: Iterable[Effect]) -> None:
        """Write the effects of one step."""
        for effect in effects:
            match effect:
                case PutPromise(promise):
                    self._put_promise(promise)
                case PutTask(task):
                    if task.id not in self.tasks:
                        self._task_keys.touch()
                    self.tasks[task.id] = task
                    self.changed_tasks.append(task)
                case Send():
                    self.sent.append(effect)
                case AddCallback(awaited, awaiter):
                    self.callbacks.setdefault(awaited, {})[awaiter] = None
                case RemoveCallback(awaited, awaiter):
                    _remove(self.callbacks, awaited, awaiter)
                case AddListener(promise_id, address):
                    self.listeners.setdefault(promise_id, {})[address] = None
                case RemoveListener(promise_id, address):
                    _remove(self.listeners, promise_id, address)
                case AddResume(task_id, awaited):
                    self.task_resumes.setdefault(task_id, {})[awaited] = None
                case ClearResumes(task_id):
                    self.task_resumes.pop(task_id, None)
                case PutSchedule(schedule):
                    if schedule.id not in self.schedules:
                        self._schedule_keys.touch()
                    self.schedules[schedule.id] = schedule
                    self.changed_schedules.append(schedule.id)
                case DeleteSchedule(schedule_id):
                    if self.schedules.pop(schedule_id, None) is not None:
                        self._schedule_keys.touch()
                    self.changed_schedules.append(schedule_id)
                case _:
                    assert_never(effect)

    def _put_promise(self, promise: Promise) -> None:
        promise_id = promise.record.id
        if promise_id not in self.promises:
            self._promise_keys.touch()
            if promise.home is not None:
                self.homes.setdefault(promise.home, {})[promise_id] = None
        self.promises[promise_id] = promise
        self.changed_promises.append(promise)

    # ------------------------------------------------------------ the machine's reads

    def promise(self, id: str, /) -> Promise | None:
        """See `Reads`."""
        return self.promises.get(id)

    def task(self, id: str, /) -> Task | None:
        """See `Reads`."""
        return self.tasks.get(id)

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        """See `Reads`."""
        return self.schedules.get(id)

    def resumes(self, task_id: str, /) -> Sequence[str]:
        """See `Reads`."""
        return tuple(self.task_resumes.get(task_id, ()))

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        """See `Reads`."""
        return awaited in self.task_resumes.get(task_id, ())

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        """See `Reads`."""
        return awaiter in self.callbacks.get(awaited, ())

    def has_listener(self, promise: str, address: str, /) -> bool:
        """See `Reads`."""
        return address in self.listeners.get(promise, ())

    def preload(self, home: str, /) -> Iterable[PromiseRecord]:
        """See `Reads`."""
        return [self.promises[promise_id].record for promise_id in self.homes.get(home, ())]

    def promises_after(self, cursor: str | None, /) -> Iterator[Promise]:
        """See `Reads`."""
        return self._promise_keys.after(cursor)

    def tasks_after(self, cursor: str | None, /) -> Iterator[Task]:
        """See `Reads`."""
        return self._task_keys.after(cursor)

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        """See `Reads`."""
        return self._schedule_keys.after(cursor)


def _remove(rows: dict[str, dict[str, None]], key: str, value: str) -> None:
    found = rows.get(key)
    if found is not None:
        found.pop(value, None)
        if not found:
            del rows[key]
