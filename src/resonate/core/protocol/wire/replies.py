"""Replies as envelopes `{kind, head: {corrId, status, version}, data}`.

Law 1: `data` of a refusal is its message, a plain string; deployed servers may wrap it in an object.
Law 2: a reply is read by the request it answers; one that does not fit it is a `ServerError`, never half a reply.
Law 3: a reply that names another request is no answer to this one, whatever its status. A refusal may name none, if
    the server could not read the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar, cast

import orjson

from resonate.core.protocol.requests import (
    ClaimReply,
    Done,
    FenceReply,
    PromisePage,
    PromiseReply,
    Rejection,
    Reply,
    Request,
    SchedulePage,
    ScheduleReply,
    SuspendReply,
    TaskFence,
    TaskPage,
    TaskReply,
)
from resonate.core.protocol.wire.fields import (
    VERSION,
    Json,
    Malformed,
    as_object,
    dumps,
    integer,
    maybe_text,
    member,
    members,
    text,
)
from resonate.core.protocol.wire.records import (
    promise_from_wire,
    promise_to_wire,
    schedule_from_wire,
    schedule_to_wire,
    task_from_wire,
    task_to_wire,
)
from resonate.core.protocol.wire.requests import UNKNOWN_CORR_ID, UNKNOWN_KIND, Incoming
from resonate.errors import ServerError

R = TypeVar("R")

OK: Final = 200
CREATED: Final = 201
REDIRECT: Final = 300
REFUSED: Final = 400
"""The least status of a refusal."""
UNDERSTOOD: Final = frozenset({404, 409, 422})
"""Refusals of a server that has read the request, and so can name it; the others may come from one that could not."""
NOBODYS: Final = frozenset({"", UNKNOWN_CORR_ID, UNKNOWN_KIND})
"""Numbers that a server puts in place of one that it could not read."""


class OthersReply(ServerError):
    """A reply names another request than the one that it was taken for."""


# ---------------------------------------------------------------- writing


def encode_reply(incoming: Incoming, reply: Reply | Rejection) -> bytes:
    """Return the envelope that answers a request, refused ones too."""
    status, data = _status_and_data(incoming, reply)
    return dumps(_envelope(incoming.kind, incoming.corr_id, status, data))


def _envelope(kind: str, corr_id: str, status: int, data: object) -> Json:
    return {"kind": kind, "head": {"corrId": corr_id, "status": status, "version": VERSION}, "data": data}


def _status_and_data(incoming: Incoming, reply: Reply | Rejection) -> tuple[int, object]:
    if isinstance(reply, Rejection):
        return reply.status, reply.message
    if isinstance(reply, FenceReply):
        return OK, _write_fence(incoming, reply)
    status = REDIRECT if isinstance(reply, SuspendReply) and reply.redirect else OK
    return status, _WRITERS[type(reply)](reply)


def _write_fence(incoming: Incoming, reply: FenceReply) -> Json:
    fence = cast("TaskFence", incoming.request)
    status, data = _status_and_data(incoming, reply.action)
    action = _envelope(fence.action.kind, incoming.corr_id, status, data)
    return {"action": action, "preload": [promise_to_wire(record) for record in reply.preload]}


def _write_promise(reply: PromiseReply) -> Json:
    return {"promise": promise_to_wire(reply.promise)}


def _write_claim(reply: ClaimReply) -> Json:
    return {
        "task": task_to_wire(reply.task),
        "promise": promise_to_wire(reply.promise),
        "preload": [promise_to_wire(record) for record in reply.preload],
    }


def _write_suspend(reply: SuspendReply) -> Json:
    return {"preload": [promise_to_wire(record) for record in reply.preload]} if reply.redirect else {}


def _write_page(reply: PromisePage | TaskPage | SchedulePage) -> Json:
    wire: Json
    if isinstance(reply, PromisePage):
        wire = {"promises": [promise_to_wire(record) for record in reply.promises]}
    elif isinstance(reply, TaskPage):
        wire = {"tasks": [task_to_wire(record) for record in reply.tasks]}
    else:
        wire = {"schedules": [schedule_to_wire(record) for record in reply.schedules]}
    if reply.cursor is not None:
        wire["cursor"] = reply.cursor
    return wire


def _write_task(reply: TaskReply) -> Json:
    return {"task": task_to_wire(reply.task)}


def _write_schedule(reply: ScheduleReply) -> Json:
    return {"schedule": schedule_to_wire(reply.schedule)}


def _write_nothing(_reply: Done) -> Json:
    return {}


_Writer: TypeAlias = Callable[[Any], Json]

# Each writer takes its own reply only, which no type of a table can say; hence the cast.
_WRITERS: Final = cast(
    "Mapping[type[Reply], _Writer]",
    {
        PromiseReply: _write_promise,
        TaskReply: _write_task,
        ClaimReply: _write_claim,
        SuspendReply: _write_suspend,
        Done: _write_nothing,
        ScheduleReply: _write_schedule,
        PromisePage: _write_page,
        TaskPage: _write_page,
        SchedulePage: _write_page,
    },
)

# ---------------------------------------------------------------- reading


def decode_reply(request: Request[R], corr_id: str, body: bytes | str) -> R | Rejection:
    """Read the reply to `request`, which was sent under `corr_id`.

    Every status from 400 on is a `Rejection`, 401, 403 and 5xx too: the caller knows which of them are its to raise.
    Raise `ServerError` for what is no reply of the protocol to this request, `OthersReply` if it is one to another.
    """
    try:
        envelope = as_object(orjson.loads(body), "the reply")
        if type(request) is TaskFence and (fenced := _done_as_asked(envelope, corr_id)) is not None:
            return cast("R", fenced)
        head = as_object(envelope.get("head"), "head")
        status = integer(head, "status")
        if status < REFUSED or status in UNDERSTOOD:
            _check_echo(request, corr_id, envelope, head)
        elif _names_another(request, corr_id, envelope, head):
            raise OthersReply(f"the server answered {request.kind} with its reply to another request")
        if status >= REFUSED:
            return Rejection(status, _message(envelope.get("data")))
        return cast("R", _read(request.kind, status, as_object(envelope.get("data"), "data")))
    except (ValueError, Malformed) as error:
        why = str(error) if isinstance(error, Malformed) else "it is not JSON"
        raise ServerError(
            f"the server answered {request.kind} with what the protocol does not know: {why}",
            hint="Check that the address is that of a Resonate server.",
        ) from error


def _done_as_asked(envelope: Json, corr_id: str) -> FenceReply | None:
    """Return what a fence was answered if it is just what is hoped for; None if it is to be looked at part by part.

    Nearly all that is read while workflows run are these.
    """
    try:
        head, outer = envelope["head"], envelope["data"]
        action = outer["action"]
        inner, promise = action["head"], action["data"]["promise"]
        if (
            envelope["kind"] == "task.fence"
            and head["corrId"] == corr_id
            and type(head["status"]) is type(inner["status"]) is int
            and head["status"] == inner["status"] == OK
            and outer.get("preload", []) == []
        ):
            return FenceReply(PromiseReply(promise_from_wire(promise)))
    except (LookupError, TypeError, AttributeError, Malformed):
        pass  # it is for who looks part by part to say what is wrong
    return None


def _check_echo(request: Request[Any], corr_id: str, envelope: Json, head: Json) -> None:
    if text(envelope, "kind") != request.kind:
        raise Malformed("kind", request.kind)
    if text(head, "corrId") != corr_id:
        raise Malformed("head.corrId", corr_id)


def _names_another(request: Request[Any], corr_id: str, envelope: Json, head: Json) -> bool:
    kind, number = envelope.get("kind"), head.get("corrId")
    if type(number) is str and number not in NOBODYS and number != corr_id:
        return True
    return type(kind) is str and kind in _READERS and kind != request.kind


def _message(data: object) -> str:
    """Return the text of a refusal: a string, or an object that holds one."""
    if isinstance(data, dict):
        holder = cast("Json", data)
        found = holder.get("error") or holder.get("message")
        return found if isinstance(found, str) else orjson.dumps(holder).decode()
    return data if isinstance(data, str) else orjson.dumps(data).decode()


def _read(kind: str, status: int, data: Json) -> Reply:
    if kind == "task.suspend" and status in {OK, CREATED, REDIRECT}:
        redirect = status == REDIRECT or data.get("redirect") is True
        return SuspendReply(redirect, members(data, "preload", promise_from_wire))
    if status not in {OK, CREATED}:
        raise Malformed("head.status", "200")
    return _READERS[kind](data)


def _read_promise(data: Json) -> PromiseReply:
    return PromiseReply(member(data, "promise", promise_from_wire))


def _read_claim(data: Json) -> ClaimReply:
    return ClaimReply(
        member(data, "task", task_from_wire),
        member(data, "promise", promise_from_wire),
        members(data, "preload", promise_from_wire),
    )


def _read_fence(data: Json) -> FenceReply:
    return FenceReply(member(data, "action", _read_action), members(data, "preload", promise_from_wire))


def _read_action(action: Json) -> PromiseReply | Rejection:
    status = member(action, "head", _read_status)
    if status >= REFUSED:
        return Rejection(status, _message(action.get("data")))
    return member(action, "data", _read_promise)


def _read_status(head: Json) -> int:
    return integer(head, "status")


def _read_schedule(data: Json) -> ScheduleReply:
    return ScheduleReply(member(data, "schedule", schedule_from_wire))


def _read_nothing(_data: Json) -> Done:
    return Done()


_READERS: Final[Mapping[str, Callable[[Json], Reply]]] = {
    "promise.get": _read_promise,
    "promise.create": _read_promise,
    "promise.settle": _read_promise,
    "promise.register_callback": _read_promise,
    "promise.register_listener": _read_promise,
    "promise.search": lambda data: PromisePage(
        members(data, "promises", promise_from_wire), maybe_text(data, "cursor")
    ),
    "task.get": lambda data: TaskReply(member(data, "task", task_from_wire)),
    "task.create": _read_claim,
    "task.acquire": _read_claim,
    "task.fence": _read_fence,
    "task.heartbeat": _read_nothing,
    "task.fulfill": _read_promise,
    "task.release": _read_nothing,
    "task.halt": _read_nothing,
    "task.continue": _read_nothing,
    "task.search": lambda data: TaskPage(members(data, "tasks", task_from_wire), maybe_text(data, "cursor")),
    "schedule.create": _read_schedule,
    "schedule.get": _read_schedule,
    "schedule.delete": _read_nothing,
    "schedule.search": lambda data: SchedulePage(
        members(data, "schedules", schedule_from_wire), maybe_text(data, "cursor")
    ),
}
