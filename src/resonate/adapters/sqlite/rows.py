"""Records as rows, and back.

Law 1: what is read back equals what was written.
Law 2: headers and tags are JSON with their keys as given; NULL stands for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import orjson
from attrs import define, field

from resonate.core.protocol.due import schedule_due
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import (
    NO_HEADERS,
    NO_VALUE,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    TaskState,
    Value,
)

Row: TypeAlias = tuple[Any, ...]


@define
class Put:
    """A statement that writes rows.

    Args:
        insert: its beginning, up to the values.
        width: values in a row.
        conflict: its end.
    """

    insert: str
    width: int
    conflict: str = ""
    _sql: dict[int, str] = field(factory=dict[int, str], init=False)

    def sql(self, rows: int) -> str:
        """Return the statement for a number of rows."""
        sql = self._sql.get(rows)
        if sql is None:
            row = f"({', '.join('?' * self.width)})"
            sql = self._sql[rows] = f"{self.insert} VALUES {', '.join([row] * rows)} {self.conflict}"
        return sql


PROMISE_COLUMNS: Final = (
    "id, state, timeout_at, created_at, settled_at, tags, param_headers, param_data, value_headers, value_data"
)
PUT_PROMISE: Final = Put(
    f"INSERT INTO promises ({PROMISE_COLUMNS}, home, origin, due_at)",
    13,
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, value_headers = excluded.value_headers, "
    "value_data = excluded.value_data, settled_at = excluded.settled_at, due_at = excluded.due_at",
)
"""What a promise was born with does not change."""

TASK_COLUMNS: Final = "id, state, version, pid, ttl, expires_at, retry_at"
PUT_TASK: Final = Put(f"INSERT OR REPLACE INTO tasks ({TASK_COLUMNS}, due_at)", 8)

SCHEDULE_COLUMNS: Final = (
    "id, cron, promise_id, promise_timeout, promise_param_headers, promise_param_data, promise_tags, "
    "created_at, next_run_at, last_run_at"
)
PUT_SCHEDULE: Final = (
    f"INSERT OR REPLACE INTO schedules ({SCHEDULE_COLUMNS}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)

_PROMISE_STATES: Final = {state.value: state for state in PromiseState}
_TASK_STATES: Final = {state.value: state for state in TaskState}


def promise_row(promise: Promise, home: int | None, origin: int | None, due_at: int | None) -> Row:
    """Return the parameters of `PUT_PROMISE`."""
    record = promise.record
    return (
        record.id,
        record.state.value,
        record.timeout_at,
        record.created_at,
        record.settled_at,
        _dumped(record.tags),
        _dumped(record.param.headers),
        record.param.data,
        _dumped(record.value.headers),
        record.value.data,
        home,
        origin,
        due_at,
    )


def promise_record(row: Row) -> PromiseRecord:
    """Return the record of a row of `PROMISE_COLUMNS`."""
    id, state, timeout_at, created_at, settled_at, tags, param_headers, param_data, value_headers, value_data = row
    return PromiseRecord(
        id,
        _PROMISE_STATES[state],
        timeout_at,
        created_at,
        settled_at,
        _value(param_headers, param_data),
        _value(value_headers, value_data),
        {} if tags is None else orjson.loads(tags),
    )


def task_row(task: Task, due_at: int | None) -> Row:
    """Return the parameters of `PUT_TASK`."""
    return (task.id, task.state.value, task.version, task.pid, task.ttl, task.expires_at, task.retry_at, due_at)


def task_of(row: Row) -> Task:
    """Return the task of a row of `TASK_COLUMNS`."""
    id, state, version, pid, ttl, expires_at, retry_at = row
    return Task(id, _TASK_STATES[state], version, pid, ttl, expires_at, retry_at)


def schedule_row(schedule: ScheduleRecord) -> Row:
    """Return the parameters of `PUT_SCHEDULE`."""
    return (
        schedule.id,
        schedule.cron,
        schedule.promise_id,
        schedule.promise_timeout,
        _dumped(schedule.promise_param.headers),
        schedule.promise_param.data,
        _dumped(schedule.promise_tags),
        schedule.created_at,
        schedule.next_run_at,
        schedule.last_run_at,
        schedule_due(schedule),
    )


def schedule_of(row: Row) -> ScheduleRecord:
    """Return the schedule of a row of `SCHEDULE_COLUMNS`."""
    id, cron, promise_id, timeout, headers, data, tags, created_at, next_run_at, last_run_at = row
    return ScheduleRecord(
        id=id,
        cron=cron,
        promise_id=promise_id,
        promise_timeout=timeout,
        promise_param=_value(headers, data),
        promise_tags={} if tags is None else orjson.loads(tags),
        created_at=created_at,
        next_run_at=next_run_at,
        last_run_at=last_run_at,
    )


def listed(ids: Iterable[str | int]) -> str:
    """Return ids, or numbers, as the parameter of `json_each(?)`."""
    return orjson.dumps([*ids]).decode()


def _dumped(texts: Mapping[str, str]) -> str | None:
    return orjson.dumps(texts if type(texts) is dict else dict(texts)).decode() if texts else None


def _value(headers: str | None, data: str | None) -> Value:
    if headers is None:
        return NO_VALUE if data is None else Value(NO_HEADERS, data)
    return Value(orjson.loads(headers), data)
