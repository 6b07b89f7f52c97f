"""Requests as envelopes `{kind, head: {corrId, version, auth?}, data}`.

Law 1: the envelope is checked before its data, in the order in which deployed servers check it.
Law 2: a request that cannot be read is a `Rejection` that can be answered; whether its fields make sense is the
machine's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import orjson
from attrs import frozen

from resonate.core.protocol.records import NO_VALUE, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleSearch,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskRef,
    TaskRelease,
    TaskSearch,
    TaskSuspend,
)
from resonate.core.protocol.wire.fields import (
    VERSION,
    Json,
    Malformed,
    as_object,
    dumps,
    integer,
    maybe_flag,
    maybe_integer,
    maybe_state,
    maybe_text,
    maybe_texts,
    member,
    members,
    present,
    state,
    text,
)
from resonate.core.protocol.wire.records import PROMISE_STATES, TASK_STATES, value_from_wire, value_to_wire

_NAMES: Final = {state: name for name, state in PROMISE_STATES.items()}  # a member's `value` is a call
UNKNOWN_KIND: Final = "unknown"
UNKNOWN_CORR_ID: Final = "0"
DEFAULT_LIMIT: Final = 100


@frozen(kw_only=True)
class Incoming:
    """What a server makes of the bytes it got.

    `kind` and `corr_id` are what a reply echoes. `request` is a `Rejection` when the bytes hold no request;
    a server that asks for credentials looks at `auth` before it answers with that.
    """

    kind: str
    corr_id: str
    auth: str | None
    request: Request[Any] | Rejection


def encode_request(request: Request[Any], corr_id: str, auth: str | None = None) -> bytes:
    """Return the envelope of a request. Raise `UsageError` if it holds what JSON can't."""
    head = {"corrId": corr_id, "version": VERSION}
    data = _ENCODERS[type(request)](request, head)
    outer = head if auth is None else {**head, "auth": auth}
    return dumps({"kind": request.kind, "head": outer, "data": data})


def decode_request(body: bytes | str) -> Incoming:
    """Read an envelope; never raises."""
    try:
        envelope: object = orjson.loads(body)
    except ValueError:
        return _rejected(UNKNOWN_KIND, UNKNOWN_CORR_ID, "the request is not JSON")
    kind, corr_id = _echo(envelope)
    try:
        outer = as_object(envelope, "the request")
        text(outer, "kind")
        head = as_object(outer.get("head"), "head")
        text(head, "corrId")
        version = text(head, "version")
        auth = maybe_text(head, "auth")
        present(outer, "data")
    except Malformed as malformed:
        return _rejected(kind, corr_id, f"invalid request envelope: {malformed}")
    if kind == "":
        return _rejected(kind, corr_id, "kind must be a non-empty string", auth)
    if type(outer["data"]) is not dict:
        return _rejected(kind, corr_id, "data must be an object", auth)
    if version != VERSION:
        return _rejected(kind, corr_id, f"the protocol version {version} is not supported, only {VERSION}", auth)
    return Incoming(kind=kind, corr_id=corr_id, auth=auth, request=_decode_data(kind, cast("Json", outer["data"])))


def _echo(envelope: object) -> tuple[str, str]:
    """Dig out what a reply echoes, as far as it is there."""
    outer = cast("Json", envelope) if type(envelope) is dict else {}
    kind, head = outer.get("kind"), outer.get("head")
    corr_id = cast("Json", head).get("corrId") if type(head) is dict else None
    return (kind if type(kind) is str else UNKNOWN_KIND), (corr_id if type(corr_id) is str else UNKNOWN_CORR_ID)


def _rejected(kind: str, corr_id: str, message: str, auth: str | None = None) -> Incoming:
    return Incoming(kind=kind, corr_id=corr_id, auth=auth, request=Rejection(400, message))


def _decode_data(kind: str, data: Json) -> Request[Any] | Rejection:
    decode = _DECODERS.get(kind)
    if decode is None:
        return Rejection(400, f"unknown operation: {kind}")
    try:
        return decode(data)
    except Malformed as malformed:
        return Rejection(400, f"invalid request: {malformed}")


# ---------------------------------------------------------------- writing


def _id(request: PromiseGet | TaskGet | TaskHalt | TaskContinue | ScheduleGet | ScheduleDelete, _head: Json) -> Json:
    return {"id": request.id}


def _promise_create(request: PromiseCreate, _head: Json) -> Json:
    return {
        "id": request.id,
        "timeoutAt": request.timeout_at,
        "param": value_to_wire(request.param),
        "tags": dict(request.tags),
    }


def _promise_settle(request: PromiseSettle, _head: Json) -> Json:
    return {"id": request.id, "state": _NAMES[request.state], "value": value_to_wire(request.value)}


def _promise_register_callback(request: PromiseRegisterCallback, _head: Json) -> Json:
    return {"awaited": request.awaited, "awaiter": request.awaiter}


def _promise_register_listener(request: PromiseRegisterListener, _head: Json) -> Json:
    return {"awaited": request.awaited, "address": request.address}


def _search(request: PromiseSearch | TaskSearch | ScheduleSearch, _head: Json) -> Json:
    wire: Json = {"limit": request.limit}
    if not isinstance(request, ScheduleSearch) and request.state is not None:
        wire["state"] = request.state.value
    if request.tags:
        wire["tags"] = dict(request.tags)
    if request.cursor is not None:
        wire["cursor"] = request.cursor
    return wire


def _action(request: PromiseCreate | PromiseSettle | PromiseRegisterCallback, head: Json) -> Json:
    return {"kind": request.kind, "head": head, "data": _ENCODERS[type(request)](request, head)}


def _task_create(request: TaskCreate, head: Json) -> Json:
    return {"pid": request.pid, "ttl": request.ttl, "action": _action(request.action, head)}


def _task_acquire(request: TaskAcquire, _head: Json) -> Json:
    wire: Json = {"id": request.id, "version": request.version, "pid": request.pid, "ttl": request.ttl}
    if request.delta:
        wire["delta"] = True
    return wire


def _task_acts(request: TaskFence | TaskFulfill, head: Json) -> Json:
    return {"id": request.id, "version": request.version, "action": _action(request.action, head)}


def _task_heartbeat(request: TaskHeartbeat, _head: Json) -> Json:
    return {"pid": request.pid, "tasks": [{"id": ref.id, "version": ref.version} for ref in request.tasks]}


def _task_suspend(request: TaskSuspend, head: Json) -> Json:
    actions = [_action(action, head) for action in request.actions]
    return {"id": request.id, "version": request.version, "actions": actions}


def _task_release(request: TaskRelease, _head: Json) -> Json:
    return {"id": request.id, "version": request.version}


def _schedule_create(request: ScheduleCreate, _head: Json) -> Json:
    return {
        "id": request.id,
        "cron": request.cron,
        "promiseId": request.promise_id,
        "promiseTimeout": request.promise_timeout,
        "promiseParam": value_to_wire(request.promise_param),
        "promiseTags": dict(request.promise_tags),
    }


_Encoder: TypeAlias = Callable[[Any, Json], Json]

# Each encoder takes its own request only, which no type of a table can say; hence the cast.
_ENCODERS: Final = cast(
    "Mapping[type[Request[Any]], _Encoder]",
    {
        PromiseGet: _id,
        PromiseCreate: _promise_create,
        PromiseSettle: _promise_settle,
        PromiseRegisterCallback: _promise_register_callback,
        PromiseRegisterListener: _promise_register_listener,
        PromiseSearch: _search,
        TaskGet: _id,
        TaskCreate: _task_create,
        TaskAcquire: _task_acquire,
        TaskFence: _task_acts,
        TaskHeartbeat: _task_heartbeat,
        TaskSuspend: _task_suspend,
        TaskFulfill: _task_acts,
        TaskRelease: _task_release,
        TaskHalt: _id,
        TaskContinue: _id,
        TaskSearch: _search,
        ScheduleCreate: _schedule_create,
        ScheduleGet: _id,
        ScheduleDelete: _id,
        ScheduleSearch: _search,
    },
)

# ---------------------------------------------------------------- reading


def _value(data: Json, name: str) -> Value:
    """Read a value that may be absent but, unlike in replies, not null."""
    return member(data, name, value_from_wire) if name in data else NO_VALUE


def _tags(data: Json, name: str) -> dict[str, str]:
    """Read tags that may be absent but, unlike in replies, not null."""
    if name not in data:
        return {}
    tags = maybe_texts(data, name)
    if tags is None:
        raise Malformed(name, "an object")
    return tags


def _limit(data: Json) -> int:
    limit = maybe_integer(data, "limit")
    return DEFAULT_LIMIT if limit is None else limit


def _read_promise_create(data: Json) -> PromiseCreate:
    return PromiseCreate(
        id=text(data, "id"),
        timeout_at=integer(data, "timeoutAt"),
        param=_value(data, "param"),
        tags=_tags(data, "tags"),
    )


def _read_promise_settle(data: Json) -> PromiseSettle:
    return PromiseSettle(id=text(data, "id"), state=state(data, "state", PROMISE_STATES), value=_value(data, "value"))


def _read_register_callback(data: Json) -> PromiseRegisterCallback:
    return PromiseRegisterCallback(awaited=text(data, "awaited"), awaiter=text(data, "awaiter"))


def _read_promise_search(data: Json) -> PromiseSearch:
    return PromiseSearch(
        state=maybe_state(data, "state", PROMISE_STATES),
        tags=_tags(data, "tags"),
        limit=_limit(data),
        cursor=maybe_text(data, "cursor"),
    )


def _read_task_search(data: Json) -> TaskSearch:
    return TaskSearch(
        state=maybe_state(data, "state", TASK_STATES),
        tags=_tags(data, "tags"),
        limit=_limit(data),
        cursor=maybe_text(data, "cursor"),
    )


def _read_schedule_search(data: Json) -> ScheduleSearch:
    return ScheduleSearch(tags=_tags(data, "tags"), limit=_limit(data), cursor=maybe_text(data, "cursor"))


def _action_create(action: Json) -> PromiseCreate:
    return member(_head_present(action), "data", _read_promise_create)


def _action_settle(action: Json) -> PromiseSettle:
    return member(_head_present(action), "data", _read_promise_settle)


def _action_callback(action: Json) -> PromiseRegisterCallback:
    return member(_head_present(action), "data", _read_register_callback)


def _head_present(action: Json) -> Json:
    """Check an action whose kind and head are there but say nothing new."""
    text(action, "kind")
    present(action, "head")
    return action


def _action_fenced(action: Json) -> PromiseCreate | PromiseSettle:
    kind = text(action, "kind")
    if kind == PromiseCreate.kind:
        return member(action, "data", _read_promise_create)
    if kind == PromiseSettle.kind:
        return member(action, "data", _read_promise_settle)
    raise Malformed("kind", f"{PromiseCreate.kind} or {PromiseSettle.kind}")


def _read_ref(data: Json) -> TaskRef:
    return TaskRef(text(data, "id"), integer(data, "version"))


def _read_task_acquire(data: Json) -> TaskAcquire:
    return TaskAcquire(
        id=text(data, "id"),
        version=integer(data, "version"),
        pid=text(data, "pid"),
        ttl=integer(data, "ttl"),
        delta=maybe_flag(data, "delta"),
    )


def _read_schedule_create(data: Json) -> ScheduleCreate:
    return ScheduleCreate(
        id=text(data, "id"),
        cron=text(data, "cron"),
        promise_id=text(data, "promiseId"),
        promise_timeout=integer(data, "promiseTimeout"),
        promise_param=_value(data, "promiseParam"),
        promise_tags=_tags(data, "promiseTags"),
    )


_DECODERS: Final[Mapping[str, Callable[[Json], Request[Any]]]] = {
    "promise.get": lambda data: PromiseGet(text(data, "id")),
    "promise.create": _read_promise_create,
    "promise.settle": _read_promise_settle,
    "promise.register_callback": _read_register_callback,
    "promise.register_listener": lambda data: PromiseRegisterListener(
        awaited=text(data, "awaited"), address=text(data, "address")
    ),
    "promise.search": _read_promise_search,
    "task.get": lambda data: TaskGet(text(data, "id")),
    "task.create": lambda data: TaskCreate(
        pid=text(data, "pid"), ttl=integer(data, "ttl"), action=member(data, "action", _action_create)
    ),
    "task.acquire": _read_task_acquire,
    "task.fence": lambda data: TaskFence(
        id=text(data, "id"), version=integer(data, "version"), action=member(data, "action", _action_fenced)
    ),
    "task.heartbeat": lambda data: TaskHeartbeat(pid=text(data, "pid"), tasks=members(data, "tasks", _read_ref)),
    "task.suspend": lambda data: TaskSuspend(
        id=text(data, "id"), version=integer(data, "version"), actions=members(data, "actions", _action_callback)
    ),
    "task.fulfill": lambda data: TaskFulfill(
        id=text(data, "id"), version=integer(data, "version"), action=member(data, "action", _action_settle)
    ),
    "task.release": lambda data: TaskRelease(id=text(data, "id"), version=integer(data, "version")),
    "task.halt": lambda data: TaskHalt(text(data, "id")),
    "task.continue": lambda data: TaskContinue(text(data, "id")),
    "task.search": _read_task_search,
    "schedule.create": _read_schedule_create,
    "schedule.get": lambda data: ScheduleGet(text(data, "id")),
    "schedule.delete": lambda data: ScheduleDelete(text(data, "id")),
    "schedule.search": _read_schedule_search,
}
