"""The records as JSON objects.

Law 1: absent members are omitted, never null, in what we write.
Law 2: what we read may say null for absent, `resumes` as a count or a list, and leave out what has a plain default.
"""

from __future__ import annotations

from typing import Any, Final, cast

from resonate.core.protocol.records import (
    NO_HEADERS,
    NO_VALUE,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    TaskRecord,
    TaskState,
    Value,
)
from resonate.core.protocol.wire.fields import (
    Json,
    Malformed,
    as_object,
    integer,
    maybe_integer,
    maybe_text,
    maybe_texts,
    state,
    text,
)

_TEXT: Final[frozenset[type]] = frozenset({str})
PROMISE_STATES = {state.value: state for state in PromiseState}
TASK_STATES = {state.value: state for state in TaskState}


def value_to_wire(value: Value) -> Json:
    """Write a value; nothing in it, nothing written."""
    wire: Json = {}
    if value.headers:
        wire["headers"] = dict(value.headers)
    if value.data is not None:
        wire["data"] = value.data
    return wire


def value_from_wire(data: Json) -> Value:
    """Read a value; raise `Malformed`."""
    headers, payload = maybe_texts(data, "headers"), maybe_text(data, "data")
    if headers is None and payload is None:
        return NO_VALUE
    return Value(NO_HEADERS if headers is None else headers, payload)


def maybe_value(data: Json, name: str) -> Value:
    """Read a value member that may be null or absent; raise `Malformed`."""
    value: Json | None = data.get(name)
    if value is None or value == {}:
        return NO_VALUE
    if type(value) is dict:  # as nearly always, and without a call
        headers: Json | None = value.get("headers")
        payload = value.get("data")
        if type(payload) is str and type(headers) is dict and _TEXT.issuperset(map(type, headers.values())):
            return Value(headers, payload)
    try:
        return value_from_wire(as_object(value, name))
    except Malformed as malformed:
        raise malformed if malformed.path == name else malformed.under(name) from None


def promise_to_wire(record: PromiseRecord) -> dict[str, Any]:
    """Return the record as a JSON object."""
    wire: Json = {
        "id": record.id,
        "state": record.state.value,
        "param": value_to_wire(record.param),
        "value": value_to_wire(record.value),
        "tags": dict(record.tags),
        "timeoutAt": record.timeout_at,
        "createdAt": record.created_at,
    }
    if record.settled_at is not None:
        wire["settledAt"] = record.settled_at
    return wire


def promise_from_wire(data: dict[str, Any]) -> PromiseRecord:
    """Return the record that a JSON object shows; raise `Malformed`.

    Most of what is read over a network are promises, so what is as it should be is taken here, without a call.
    """
    get = data.get
    found, timeout_at, created_at, settled_at = get("id"), get("timeoutAt"), get("createdAt"), get("settledAt")
    named, param, value = get("state"), get("param"), get("value")
    return PromiseRecord(
        found if type(found) is str else text(data, "id"),
        (PROMISE_STATES.get(named) if type(named) is str else None) or state(data, "state", PROMISE_STATES),
        timeout_at if type(timeout_at) is int else integer(data, "timeoutAt"),
        created_at if type(created_at) is int else maybe_integer(data, "createdAt") or 0,
        settled_at if type(settled_at) is int else maybe_integer(data, "settledAt"),
        NO_VALUE if param is None else maybe_value(data, "param"),
        NO_VALUE if value is None or value == {} else maybe_value(data, "value"),
        maybe_texts(data, "tags") or {},
    )


def task_to_wire(record: TaskRecord) -> Json:
    """Return the record as a JSON object."""
    wire: Json = {
        "id": record.id,
        "state": record.state.value,
        "version": record.version,
        "resumes": record.resumes,
    }
    if record.ttl is not None:
        wire["ttl"] = record.ttl
    if record.pid is not None:
        wire["pid"] = record.pid
    return wire


def task_from_wire(data: Json) -> TaskRecord:
    """Return the record that a JSON object shows; raise `Malformed`."""
    return TaskRecord(
        id=text(data, "id"),
        state=state(data, "state", TASK_STATES),
        version=integer(data, "version"),
        resumes=_resumes(data),
        ttl=maybe_integer(data, "ttl"),
        pid=maybe_text(data, "pid"),
    )


def _resumes(data: Json) -> int:
    resumes = data.get("resumes")
    if type(resumes) is list:
        return len(cast("list[object]", resumes))
    return maybe_integer(data, "resumes") or 0


def schedule_to_wire(record: ScheduleRecord) -> Json:
    """Return the record as a JSON object."""
    wire: Json = {
        "id": record.id,
        "cron": record.cron,
        "promiseId": record.promise_id,
        "promiseTimeout": record.promise_timeout,
        "promiseParam": value_to_wire(record.promise_param),
        "promiseTags": dict(record.promise_tags),
        "createdAt": record.created_at,
        "nextRunAt": record.next_run_at,
    }
    if record.last_run_at is not None:
        wire["lastRunAt"] = record.last_run_at
    return wire


def schedule_from_wire(data: Json) -> ScheduleRecord:
    """Return the record that a JSON object shows; raise `Malformed`."""
    return ScheduleRecord(
        id=text(data, "id"),
        cron=text(data, "cron"),
        promise_id=text(data, "promiseId"),
        promise_timeout=integer(data, "promiseTimeout"),
        promise_param=maybe_value(data, "promiseParam"),
        promise_tags=maybe_texts(data, "promiseTags") or {},
        created_at=maybe_integer(data, "createdAt") or 0,
        next_run_at=maybe_integer(data, "nextRunAt") or 0,
        last_run_at=maybe_integer(data, "lastRunAt"),
    )
