"""What a file stores, as the machine reads it and its effects write it.

Law 1: used by one thread, inside a transaction that its caller begins and ends; after a rollback, `forget` it all.
Law 2: promises and tasks that were read or written are kept in memory while nobody else writes the file, and their
writes go to the file together, by `flush`; whatever scans the file flushes first.
Law 3: whatever follows from a write is noted with it: when it is due, which drains it owes, what is to be sent. A
promise that is settled and still owes when it is flushed is due at `OWING` in the file, until it owes nothing.
Law 4: an operation costs O(log n) in what is stored, searches and preloads aside.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush
from itertools import chain
from typing import Any, Final, TypeAlias, assert_never

from attrs import define

from resonate.adapters.sqlite.rows import (
    PROMISE_COLUMNS,
    PUT_PROMISE,
    PUT_SCHEDULE,
    PUT_TASK,
    SCHEDULE_COLUMNS,
    TASK_COLUMNS,
    Put,
    Row,
    listed,
    promise_record,
    promise_row,
    schedule_of,
    schedule_row,
    task_of,
    task_row,
)
from resonate.core.protocol.due import NEVER, promise_due, schedule_due, task_due
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
from resonate.core.protocol.guards import is_external
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord, Tag, TaskState
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    LeaseTimeout,
    ListenerDrain,
    PromiseTimeout,
    RetryDispatch,
    ScheduleFire,
)
from resonate.errors import EngineBug

_PROMISE: Final = 0
_TASK: Final = 1
_SCHEDULE: Final = 2
_DUE_TABLES: Final = ((_PROMISE, "promises"), (_TASK, "tasks"), (_SCHEDULE, "schedules"))

_Due: TypeAlias = tuple[int, int, str]
"""Instant, kind and id: the order in which what is due is done."""

OWING: Final = -1
"""When a settled promise with callbacks or listeners left is due, whatever the clock says. Files say so, too."""

_SIZES: Final = (64, 8, 1)
"""How many rows go into one statement: few different ones, so that they stay prepared."""
_KEPT: Final = 10_000
"""Promises kept in memory, and as many tasks and names."""
_HEAVY: Final = 16_384
"""Characters of payload from which a promise is not kept in memory."""
_PAGE: Final = 256
"""Rows that a scan reads at once."""
_DRAINS: Final = 10_000
"""Drains of one promise that are read at once."""
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9:._/-]+")
"""Tags that SQLite can be asked for by a JSON path without escapes."""


@define(eq=False)
class _Debt:
    """What a settled promise owes: the first drains, and whether there are no others."""

    promise: str
    drains: deque[InternalStep]
    is_all: bool


class Tables:
    """See the module's text. Implements the machine's `Reads`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._promises: dict[str, Promise | None] = {}
        self._tasks: dict[str, Task | None] = {}
        self._names: dict[str, int] = {}
        self._new_promises: dict[str, Promise] = {}
        self._new_tasks: dict[str, Task] = {}
        self._debts: deque[_Debt] = deque()
        self._sends: list[Send] = []
        self._fresh: list[_Due] = []  # written since the last flush, and due already
        self._due: int | None = None  # nothing else is due before; None if nobody has looked

    def forget(self) -> None:
        """Forget all that was read, and all that was written but not flushed."""
        self.read_anew()
        self._new_promises.clear()
        self._new_tasks.clear()
        for queued in (self._debts, self._sends, self._fresh):
            queued.clear()
        self._due = None

    def read_anew(self) -> None:
        """Forget what was read: the file was changed by other means. All that was written has been flushed."""
        self._promises.clear()
        self._tasks.clear()
        self._names.clear()

    def flush(self) -> None:
        """Write to the file what was written here."""
        if self._new_promises:
            owing = {debt.promise for debt in self._debts}
            self._put_all(PUT_PROMISE, [self._promise_row(promise, owing) for promise in self._new_promises.values()])
            for id, promise in self._new_promises.items():
                if _is_heavy(promise.record):
                    self._promises.pop(id, None)
            self._new_promises.clear()
        if self._new_tasks:
            self._put_all(PUT_TASK, [task_row(task, self._task_due_at(task)) for task in self._new_tasks.values()])
            self._new_tasks.clear()
        for kept in (self._promises, self._tasks, self._names):
            if len(kept) > _KEPT:
                kept.clear()

    def _put_all(self, put: Put, rows: list[Row]) -> None:
        """Write rows, many by one statement: each statement lets go of the interpreter, and has to get it back."""
        start = 0
        for size in _SIZES:
            while len(rows) - start >= size:
                self._db.execute(put.sql(size), list(chain.from_iterable(rows[start : start + size])))
                start += size

    def prefetch(self, ids: Iterable[str]) -> None:
        """Read at once the promises of these ids, or that there are none, and likewise their tasks."""
        promises, tasks = self._promises, self._tasks
        wanted = [id for id in ids if id not in promises]
        if len(wanted) > 1:
            promises.update(dict.fromkeys(wanted))
            for row in self._db.execute(f"{_SELECT_PROMISE} WHERE id {_AMONG}", (listed(wanted),)):
                self._keep(row)
        wanted = [id for id in wanted if id not in tasks]
        if len(wanted) > 1:
            tasks.update(dict.fromkeys(wanted))
            for row in self._db.execute(f"SELECT {TASK_COLUMNS} FROM tasks WHERE id {_AMONG}", (listed(wanted),)):
                tasks[row[0]] = task_of(row)

    def _keep(self, row: Row) -> Promise:
        promise = Promise(promise_record(row[:-1]), row[-1])
        id = promise.record.id
        if _is_heavy(promise.record):
            self._promises.pop(id, None)
        else:
            self._promises[id] = promise
        return promise

    def _promise_row(self, promise: Promise, owing: AbstractSet[str]) -> tuple[Any, ...]:
        record = promise.record
        due_at = OWING if record.id in owing else promise_due(promise)
        return promise_row(promise, self._name(promise.home), self._name(record.tags.get(Tag.ORIGIN)), due_at)

    def _name(self, name: str | None) -> int | None:
        if name is None:
            return None
        n = self._names.get(name)
        if n is None:
            row = self._one("SELECT n FROM names WHERE name = ?", name)
            if row is None:
                row = self._one("INSERT INTO names (name) VALUES (?) RETURNING n", name)
            n = self._names[name] = row[0] if row is not None else 0
        return n

    def _one(self, sql: str, *params: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, params).fetchone()
        return row

    # ------------------------------------------------------------ what follows from writes

    def take_step(self, now: int) -> InternalStep | None:
        """Take the next internal step that is due by `now`: drains first, then by the clock."""
        if self._debts:
            drain = self._next_drain()
            if drain is not None:
                return drain
        if self._due is None or self._due <= now:
            return self._next_stored(now)
        while self._fresh:
            instant, kind, id = heappop(self._fresh)
            if instant > now:
                self._due = min(self._due, instant)
                continue
            step = self._step_at(kind, id, instant)
            if step is not None:
                return step
        return None

    def _next_stored(self, now: int) -> InternalStep | None:
        """Look through all that is stored: what is due first, and if that is not yet, when it will be."""
        self.flush()
        self._fresh.clear()
        while True:
            due = self._first_stored()
            if due is None or due[0] > now:
                self._due = NEVER if due is None else due[0]
                return None
            instant, kind, id = due
            if instant == OWING:
                self._debts.append(self._debt_of(id))
                drain = self._next_drain()
                if drain is not None:
                    return drain
                continue
            step = self._step_at(kind, id, instant)
            if step is None:
                raise EngineBug("what is due in the file is not what is stored", execution=id)
            return step

    def _debt_of(self, id: str) -> _Debt:
        """Read what a settled promise owes."""
        callbacks = self._list("callbacks", "awaiter", "awaited", id, _DRAINS)
        listeners = self._list("listeners", "address", "promise", id, _DRAINS)
        drains: deque[InternalStep] = deque(CallbackDrain(id, awaiter) for awaiter in callbacks)
        drains.extend(ListenerDrain(id, address) for address in listeners)
        return _Debt(id, drains, max(len(callbacks), len(listeners)) < _DRAINS)

    def _next_drain(self) -> InternalStep | None:
        """Take the next drain that is owed; a promise whose drains are all done owes nothing any more."""
        while self._debts:
            debt = self._debts[0]
            if debt.drains:
                return debt.drains.popleft()
            if not debt.is_all:
                self._debts[0] = self._debt_of(debt.promise)
                continue
            self._debts.popleft()
            if debt.promise not in self._new_promises:  # it has been flushed, as one that owes
                self._db.execute("UPDATE promises SET due_at = NULL WHERE id = ?", (debt.promise,))
        return None

    def _first_stored(self) -> _Due | None:
        first: _Due | None = None
        for kind, table in _DUE_TABLES:
            row = self._one(f"SELECT due_at, id FROM {table} WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT 1")
            if row is not None and (first is None or (row[0], kind, row[1]) < first):
                first = (row[0], kind, row[1])
        return first

    def _step_at(self, kind: int, id: str, instant: int) -> InternalStep | None:
        """Return what is due of an object, if it still is due at `instant`."""
        if kind == _PROMISE:
            promise = self.promise(id)
            return PromiseTimeout(id) if promise is not None and promise_due(promise) == instant else None
        if kind == _TASK:
            task = self.task(id)
            due = None if task is None else self._task_due(task)
            return due[1] if due is not None and due[0] == instant else None
        schedule = self.schedule(id)
        return ScheduleFire(id) if schedule is not None and schedule_due(schedule) == instant else None

    def next_instant(self, now: int) -> int:
        """Return when the next internal step is due at the earliest: `now` if one is owed, `NEVER` if none is."""
        if self._debts or self._fresh or self._due is None:
            return now
        return self._due

    def look(self) -> int:
        """Return when the next internal step is due, by what the file holds."""
        due = self._first_stored()
        self._due = NEVER if due is None else due[0]
        return self._due

    def take_sends(self) -> Sequence[Send]:
        """Take what is to be sent, oldest first."""
        if not self._sends:
            return ()
        sends, self._sends = self._sends, []
        return sends

    def _note_due(self, kind: int, id: str, instant: int | None, now: int) -> None:
        if instant is None:
            return
        if instant <= now:
            heappush(self._fresh, (instant, kind, id))
        elif self._due is not None and instant < self._due:
            self._due = instant

    # ------------------------------------------------------------ writes

    def apply(self, effects: Iterable[Effect], now: int) -> None:
        """Write the effects of one step that was done at `now`."""
        for effect in effects:
            match effect:
                case PutPromise():
                    self._put_promise(effect.promise, now)
                case PutTask():
                    task = effect.task
                    self._tasks[task.id] = self._new_tasks[task.id] = task
                    self._note_due(_TASK, task.id, self._task_due_at(task), now)
                case Send():
                    self._sends.append(effect)
                case AddCallback():
                    self._insert("callbacks (awaited, awaiter)", effect.awaited, effect.awaiter)
                case RemoveCallback():
                    self._delete("callbacks", "awaited = ? AND awaiter = ?", effect.awaited, effect.awaiter)
                case AddListener():
                    self._insert("listeners (promise, address)", effect.promise, effect.address)
                case RemoveListener():
                    self._delete("listeners", "promise = ? AND address = ?", effect.promise, effect.address)
                case AddResume():
                    self._insert("resumes (task, awaited)", effect.task, effect.awaited)
                case ClearResumes():
                    self._delete("resumes", "task = ?", effect.task)
                case PutSchedule():
                    self._db.execute(PUT_SCHEDULE, schedule_row(effect.schedule))
                    self._note_due(_SCHEDULE, effect.schedule.id, schedule_due(effect.schedule), now)
                case DeleteSchedule():
                    self._delete("schedules", "id = ?", effect.id)
                case _:
                    assert_never(effect)

    def _insert(self, into: str, one: str, other: str) -> None:
        self._db.execute(f"INSERT OR IGNORE INTO {into} VALUES (?, ?)", (one, other))

    def _delete(self, table: str, where: str, *params: str) -> None:
        self._db.execute(f"DELETE FROM {table} WHERE {where}", params)

    def _put_promise(self, promise: Promise, now: int) -> None:
        record = promise.record
        id = record.id
        self._promises[id] = self._new_promises[id] = promise
        self._note_due(_PROMISE, id, promise_due(promise), now)
        if record.state is not PromiseState.PENDING and is_external(record.tags):  # no other has obligations
            debt = self._debt_of(id)
            if debt.drains:
                self._debts.append(debt)

    def _list(self, table: str, column: str, by: str, key: str, limit: int = -1) -> list[str]:
        rows = self._db.execute(f"SELECT {column} FROM {table} WHERE {by} = ? ORDER BY n LIMIT ?", (key, limit))
        return [row[0] for row in rows]

    def _task_due(self, task: Task) -> tuple[int, LeaseTimeout | RetryDispatch] | None:
        promise = self.promise(task.id)
        return None if promise is None else task_due(task, promise.record.timeout_at)

    def _task_due_at(self, task: Task) -> int | None:
        due = self._task_due(task)
        return None if due is None else due[0]

    # ------------------------------------------------------------ the machine's reads

    def promise(self, id: str, /) -> Promise | None:
        """See `Reads`."""
        try:
            return self._promises[id]
        except KeyError:
            row = self._one(f"{_SELECT_PROMISE} WHERE id = ?", id)
            if row is not None:
                return self._keep(row)
            self._promises[id] = None
            return None

    def task(self, id: str, /) -> Task | None:
        """See `Reads`."""
        try:
            return self._tasks[id]
        except KeyError:
            row = self._one(f"SELECT {TASK_COLUMNS} FROM tasks WHERE id = ?", id)
            found = self._tasks[id] = None if row is None else task_of(row)
            return found

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        """See `Reads`."""
        row = self._one(f"SELECT {SCHEDULE_COLUMNS} FROM schedules WHERE id = ?", id)
        return None if row is None else schedule_of(row)

    def resumes(self, task_id: str, /) -> tuple[str, ...]:
        """See `Reads`."""
        return tuple(self._list("resumes", "awaited", "task", task_id))

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        """See `Reads`."""
        return self._one("SELECT 1 FROM resumes WHERE task = ? AND awaited = ?", task_id, awaited) is not None

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        """See `Reads`."""
        return self._one("SELECT 1 FROM callbacks WHERE awaited = ? AND awaiter = ?", awaited, awaiter) is not None

    def has_listener(self, promise: str, address: str, /) -> bool:
        """See `Reads`."""
        return self._one("SELECT 1 FROM listeners WHERE promise = ? AND address = ?", promise, address) is not None

    def preload(self, home: str, /) -> Iterable[PromiseRecord]:
        """See `Reads`."""
        self.flush()
        rows = self._db.execute(
            f"SELECT {PROMISE_COLUMNS} FROM promises WHERE home = (SELECT n FROM names WHERE name = ?)",
            (home,),
        )
        return [promise_record(row) for row in rows]

    def promises_after(
        self, cursor: str | None, states: AbstractSet[PromiseState], tags: Mapping[str, str], /
    ) -> Iterator[Promise]:
        """See `Reads`. What is found has no home: the searches do not ask for it."""
        where, params = _matching(tags)
        for row in self._scan("promises p", "p.id", "p.state", PROMISE_COLUMNS, cursor, states, where, params):
            yield Promise(promise_record(row))

    def tasks_after(
        self, cursor: str | None, states: AbstractSet[TaskState], tags: Mapping[str, str], /
    ) -> Iterator[Task]:
        """See `Reads`."""
        where, params = _matching(tags)
        columns = ", ".join(f"t.{name}" for name in TASK_COLUMNS.split(", "))
        # In the order of the table that the condition is on: else each page sorts all that it finds.
        source, key = ("tasks t JOIN promises p ON p.id = t.id", "p.id") if where else ("tasks t", "t.id")
        for row in self._scan(source, key, "t.state", columns, cursor, states, where, params):
            yield task_of(row)

    def _scan(  # noqa: PLR0917 - the parts of one statement
        self,
        source: str,
        key: str,
        state: str,
        columns: str,
        cursor: str | None,
        states: AbstractSet[PromiseState] | AbstractSet[TaskState],
        where: str,
        params: Sequence[str],
    ) -> Iterator[tuple[Any, ...]]:
        self.flush()
        marks = ", ".join("?" * len(states))
        sql = (
            f"SELECT {columns} FROM {source} WHERE {key} > ? AND {state} IN ({marks}){where} "
            f"ORDER BY {key} LIMIT {_PAGE}"
        )
        last = cursor or ""
        while True:
            rows = self._db.execute(sql, (last, *sorted(states), *params)).fetchall()
            yield from rows
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        """See `Reads`."""
        sql = f"SELECT {SCHEDULE_COLUMNS} FROM schedules WHERE id > ? ORDER BY id"
        return map(schedule_of, self._db.execute(sql, (cursor or "",)))


_SELECT_PROMISE: Final = f"SELECT {PROMISE_COLUMNS}, h.name FROM promises p LEFT JOIN names h ON h.n = p.home"
_AMONG: Final = "IN (SELECT value FROM json_each(?))"


def _is_heavy(record: PromiseRecord) -> bool:
    return len(record.param.data or "") + len(record.value.data or "") > _HEAVY


def _matching(tags: Mapping[str, str]) -> tuple[str, Sequence[str]]:
    """Return a condition on `p`, and its parameters, that all promises with these tags fulfil."""
    where = ""
    params: list[str] = []
    for key, text in tags.items():
        if key == Tag.ORIGIN:
            where += " AND p.origin = (SELECT n FROM names WHERE name = ?)"
            params.append(text)
        elif _PLAIN_KEY.fullmatch(key):
            where += " AND p.tags ->> ? = ?"
            params += (f'$."{key}"', text)
    return where, params
