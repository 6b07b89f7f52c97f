"""The wire form: round trips, the checks of an envelope in order, what is tolerated, and that nothing raises."""

from __future__ import annotations

import json
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.core.protocol.records import (
    NO_VALUE,
    Execute,
    PromiseRecord,
    PromiseState,
    ScheduleRecord,
    TaskRecord,
    TaskState,
    Unblock,
    Value,
)
from resonate.core.protocol.requests import (
    REQUESTS,
    ClaimReply,
    Done,
    FenceReply,
    PromiseCreate,
    PromiseGet,
    PromisePage,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    SchedulePage,
    ScheduleReply,
    ScheduleSearch,
    SuspendReply,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskPage,
    TaskRef,
    TaskRelease,
    TaskReply,
    TaskSearch,
    TaskSuspend,
)
from resonate.core.protocol.wire import (
    VERSION,
    Incoming,
    OthersReply,
    decode_message,
    decode_reply,
    decode_request,
    encode_message,
    encode_reply,
    encode_request,
)
from resonate.errors import ServerError, UsageError

# ---------------------------------------------------------------- strategies

texts = st.text(max_size=8)
ints = st.integers(-(2**63), 2**63 - 1)
tags = st.dictionaries(texts, texts, max_size=3)
values = st.builds(Value, headers=tags, data=st.none() | texts)
promise_states = st.sampled_from(PromiseState)
creates = st.builds(PromiseCreate, id=texts, timeout_at=ints, param=values, tags=tags)
settles = st.builds(PromiseSettle, id=texts, state=promise_states, value=values)
callbacks = st.builds(PromiseRegisterCallback, awaited=texts, awaiter=texts)
refs = st.builds(TaskRef, id=texts, version=ints)
page: dict[str, Any] = {"tags": tags, "limit": ints, "cursor": st.none() | texts}
promises = st.builds(
    PromiseRecord,
    id=texts,
    state=promise_states,
    param=values,
    value=values,
    tags=tags,
    timeout_at=ints,
    created_at=ints,
    settled_at=st.none() | ints,
)
tasks = st.builds(
    TaskRecord,
    id=texts,
    state=st.sampled_from(TaskState),
    version=ints,
    resumes=st.integers(0, 5),
    ttl=st.none() | ints,
    pid=st.none() | texts,
)
schedules = st.builds(
    ScheduleRecord,
    id=texts,
    cron=texts,
    promise_id=texts,
    promise_timeout=ints,
    promise_param=values,
    promise_tags=tags,
    created_at=ints,
    next_run_at=ints,
    last_run_at=st.none() | ints,
)
preloads = st.lists(promises, max_size=2).map(tuple)
refusals = st.builds(Rejection, st.sampled_from([400, 401, 403, 404, 409, 422, 500]), texts)
promise_replies = st.builds(PromiseReply, promises)
claims = st.builds(ClaimReply, tasks, promises, preloads)
done = st.just(Done())
cursors = st.none() | texts

REQUEST: dict[type[Any], st.SearchStrategy[Any]] = {
    PromiseGet: st.builds(PromiseGet, texts),
    PromiseCreate: creates,
    PromiseSettle: settles,
    PromiseRegisterCallback: callbacks,
    PromiseRegisterListener: st.builds(PromiseRegisterListener, awaited=texts, address=texts),
    PromiseSearch: st.builds(PromiseSearch, state=st.none() | promise_states, **page),
    TaskGet: st.builds(TaskGet, texts),
    TaskCreate: st.builds(TaskCreate, pid=texts, ttl=ints, action=creates),
    TaskAcquire: st.builds(TaskAcquire, id=texts, version=ints, pid=texts, ttl=ints, delta=st.booleans()),
    TaskFence: st.builds(TaskFence, id=texts, version=ints, action=creates | settles),
    TaskHeartbeat: st.builds(TaskHeartbeat, pid=texts, tasks=st.lists(refs, max_size=2).map(tuple)),
    TaskSuspend: st.builds(TaskSuspend, id=texts, version=ints, actions=st.lists(callbacks, max_size=2).map(tuple)),
    TaskFulfill: st.builds(TaskFulfill, id=texts, version=ints, action=settles),
    TaskRelease: st.builds(TaskRelease, id=texts, version=ints),
    TaskHalt: st.builds(TaskHalt, texts),
    TaskContinue: st.builds(TaskContinue, texts),
    TaskSearch: st.builds(TaskSearch, state=st.none() | st.sampled_from(TaskState), **page),
    ScheduleCreate: st.builds(
        ScheduleCreate,
        id=texts,
        cron=texts,
        promise_id=texts,
        promise_timeout=ints,
        promise_param=values,
        promise_tags=tags,
    ),
    ScheduleGet: st.builds(ScheduleGet, texts),
    ScheduleDelete: st.builds(ScheduleDelete, texts),
    ScheduleSearch: st.builds(ScheduleSearch, **page),
}
REPLY: dict[type[Any], st.SearchStrategy[Any]] = {
    PromiseGet: promise_replies,
    PromiseCreate: promise_replies,
    PromiseSettle: promise_replies,
    PromiseRegisterCallback: promise_replies,
    PromiseRegisterListener: promise_replies,
    PromiseSearch: st.builds(PromisePage, preloads, cursors),
    TaskGet: st.builds(TaskReply, tasks),
    TaskCreate: claims,
    TaskAcquire: claims,
    TaskFence: st.builds(FenceReply, promise_replies | refusals, preloads),
    TaskHeartbeat: done,
    TaskSuspend: st.just(SuspendReply()) | st.builds(SuspendReply, st.just(True), preloads),
    TaskFulfill: promise_replies,
    TaskRelease: done,
    TaskHalt: done,
    TaskContinue: done,
    TaskSearch: st.builds(TaskPage, st.lists(tasks, max_size=2).map(tuple), cursors),
    ScheduleCreate: st.builds(ScheduleReply, schedules),
    ScheduleGet: st.builds(ScheduleReply, schedules),
    ScheduleDelete: done,
    ScheduleSearch: st.builds(SchedulePage, st.lists(schedules, max_size=2).map(tuple), cursors),
}
json_values = st.recursive(
    st.none() | st.booleans() | ints | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def test_every_request_has_a_form() -> None:
    assert set(REQUEST) == set(REPLY) == set(REQUESTS)


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.kind)
@given(data=st.data(), corr_id=texts, auth=st.none() | texts)
@settings(deadline=None, max_examples=20)
def test_a_request_survives_the_wire(
    kind: type[Request[Any]], data: st.DataObject, corr_id: str, auth: str | None
) -> None:
    request_ = data.draw(REQUEST[kind])
    incoming = decode_request(encode_request(request_, corr_id, auth))
    assert incoming == Incoming(kind=request_.kind, corr_id=corr_id, auth=auth, request=request_)


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.kind)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_a_reply_survives_the_wire(kind: type[Request[Any]], data: st.DataObject) -> None:
    request = data.draw(REQUEST[kind])
    reply = data.draw(REPLY[kind] | refusals)
    incoming = decode_request(encode_request(request, "7"))
    assert decode_reply(request, "7", encode_reply(incoming, reply)) == reply


@given(st.builds(Execute, texts, ints) | st.builds(Unblock, promises))
def test_a_message_survives_the_wire(message: Execute | Unblock) -> None:
    assert decode_message(encode_message(message, "http://here")) == message


# ---------------------------------------------------------------- shapes


def test_a_fenced_create_as_it_is_sent() -> None:
    action = PromiseCreate(id="t:1", timeout_at=9, param=Value(data="x"), tags={"a": "b"})
    sent = json.loads(encode_request(TaskFence(id="t", version=3, action=action), "7", "token"))
    assert sent == {
        "kind": "task.fence",
        "head": {"corrId": "7", "version": "2026-04-01", "auth": "token"},
        "data": {
            "id": "t",
            "version": 3,
            "action": {
                "kind": "promise.create",
                "head": {"corrId": "7", "version": "2026-04-01"},
                "data": {"id": "t:1", "timeoutAt": 9, "param": {"data": "x"}, "tags": {"a": "b"}},
            },
        },
    }


def test_a_fenced_create_as_it_is_answered() -> None:
    record = PromiseRecord(id="t:1", state=PromiseState.PENDING, timeout_at=9, created_at=1, tags={"a": "b"})
    action = PromiseCreate(id="t:1", timeout_at=9)
    incoming = decode_request(encode_request(TaskFence(id="t", version=3, action=action), "7"))
    head = {"corrId": "7", "status": 200, "version": "2026-04-01"}
    promise = {
        "id": "t:1",
        "state": "pending",
        "param": {},
        "value": {},
        "tags": {"a": "b"},
        "timeoutAt": 9,
        "createdAt": 1,
    }
    assert json.loads(encode_reply(incoming, FenceReply(PromiseReply(record)))) == {
        "kind": "task.fence",
        "head": head,
        "data": {"action": {"kind": "promise.create", "head": head, "data": {"promise": promise}}, "preload": []},
    }


def test_a_refusal_is_a_plain_string() -> None:
    incoming = decode_request(encode_request(PromiseGet("p"), "7"))
    sent = json.loads(encode_reply(incoming, Rejection(404, "no promise has the id p")))
    assert sent["data"] == "no promise has the id p"
    assert sent["head"]["status"] == 404


def test_an_execute_as_it_is_sent() -> None:
    assert json.loads(encode_message(Execute("t", 3), "http://here")) == {
        "kind": "execute",
        "head": {"serverUrl": "http://here"},
        "data": {"task": {"id": "t", "version": 3}},
    }


@pytest.mark.parametrize("request_", [PromiseGet("\ud800"), TaskRelease(id="t", version=2**64)])
def test_what_json_cannot_hold_is_a_usage_error(request_: Request[Any]) -> None:
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        encode_request(request_, "7")


# ---------------------------------------------------------------- envelopes, in the order of their checks

HEAD = {"corrId": "7", "version": VERSION}


@pytest.mark.parametrize(
    ("body", "kind", "corr_id", "message"),
    [
        ("{", "unknown", "0", "not JSON"),
        ("\xff", "unknown", "0", "not JSON"),
        ([], "unknown", "0", "the request must be an object"),
        ({}, "unknown", "0", "kind must be a string"),
        ({"kind": 1, "head": HEAD, "data": {}}, "unknown", "7", "kind must be a string"),
        ({"kind": "k", "data": {}}, "k", "0", "head must be an object"),
        ({"kind": "k", "head": {"corrId": 7, "version": VERSION}, "data": {}}, "k", "0", "corrId must be a string"),
        ({"kind": "k", "head": {"corrId": "7"}, "data": {}}, "k", "7", "version must be a string"),
        ({"kind": "k", "head": HEAD | {"auth": 1}, "data": {}}, "k", "7", "auth must be a string"),
        ({"kind": "k", "head": HEAD}, "k", "7", "data must be present"),
        ({"kind": "", "head": HEAD, "data": 1}, "", "7", "kind must be a non-empty string"),
        ({"kind": "k", "head": HEAD | {"version": "1"}, "data": 1}, "k", "7", "data must be an object"),
        ({"kind": "k", "head": HEAD | {"version": "1"}, "data": {}}, "k", "7", "version 1 is not supported"),
        ({"kind": "k", "head": HEAD, "data": {}}, "k", "7", "unknown operation: k"),
        ({"kind": "promise.get", "head": HEAD, "data": {}}, "promise.get", "7", "id must be a string"),
    ],
)
def test_an_envelope_is_checked_in_order(body: object, kind: str, corr_id: str, message: str) -> None:
    raw = body.encode("latin-1") if isinstance(body, str) else json.dumps(body).encode()
    incoming = decode_request(raw)
    assert (incoming.kind, incoming.corr_id) == (kind, corr_id)
    assert isinstance(incoming.request, Rejection)
    assert incoming.request.status == 400
    assert message in incoming.request.message
    answer = json.loads(encode_reply(incoming, incoming.request))
    assert (answer["kind"], answer["head"]["corrId"], answer["head"]["status"]) == (kind, corr_id, 400)


def ask(kind: str, data: object) -> object:
    return decode_request(json.dumps({"kind": kind, "head": HEAD, "data": data, "more": 1})).request


CREATE = {"id": "p", "timeoutAt": 5}
ACTION = {"kind": "promise.create", "head": {}, "data": CREATE}


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("promise.create", CREATE | {"timeoutAt": 5.0}, "timeoutAt must be an integer"),
        ("promise.create", CREATE | {"timeoutAt": True}, "timeoutAt must be an integer"),
        ("promise.create", CREATE | {"timeoutAt": None}, "timeoutAt must be an integer"),
        ("promise.create", CREATE | {"param": None}, "param must be an object"),
        ("promise.create", CREATE | {"tags": None}, "tags must be an object"),
        ("promise.create", CREATE | {"tags": []}, "tags must be an object"),
        ("promise.create", CREATE | {"tags": {"a": 1}}, "tags.a must be a string"),
        ("promise.create", CREATE | {"param": {"data": {}}}, "param.data must be a string"),
        ("promise.create", CREATE | {"param": {"headers": {"a": None}}}, "param.headers.a must be a string"),
        ("promise.settle", {"id": "p", "state": "done"}, "state must be one of pending, resolved"),
        ("promise.settle", {"id": "p", "state": []}, "state must be one of"),
        ("promise.search", {"state": "done"}, "state must be one of"),
        ("promise.search", {"limit": "1"}, "limit must be an integer"),
        ("promise.search", {"cursor": 1}, "cursor must be a string"),
        ("task.create", {"pid": "w", "ttl": 1, "action": None}, "action must be an object"),
        ("task.create", {"pid": "w", "ttl": 1, "action": {"head": {}}}, "action.kind must be a string"),
        ("task.create", {"pid": "w", "ttl": 1, "action": {"kind": "", "data": CREATE}}, "action.head must be present"),
        (
            "task.create",
            {"pid": "w", "ttl": 1, "action": ACTION | {"data": {"id": 1}}},
            "action.data.id must be a string",
        ),
        ("task.acquire", {"id": "t", "version": 1, "pid": "w", "ttl": 1, "delta": 1}, "delta must be true or false"),
        ("task.fence", {"id": "t", "version": 1, "action": {"kind": "promise.get"}}, "action.kind must be promise"),
        ("task.heartbeat", {"pid": "w", "tasks": {}}, "tasks must be a list"),
        ("task.heartbeat", {"pid": "w", "tasks": [{"id": "t", "version": 1}, 1]}, "tasks[1] must be an object"),
        ("task.heartbeat", {"pid": "w", "tasks": [{"id": "t"}]}, "tasks[0].version must be an integer"),
    ],
)
def test_malformed_data_is_refused_with_the_path_to_it(kind: str, data: object, message: str) -> None:
    reply = ask(kind, data)
    assert isinstance(reply, Rejection)
    assert reply.status == 400
    assert message in reply.message


def test_absent_members_have_their_defaults_and_unknown_ones_are_ignored() -> None:
    assert ask("promise.create", CREATE | {"new": 1}) == PromiseCreate(id="p", timeout_at=5)
    empty = {"param": {"data": None, "headers": None}}
    assert ask("promise.create", CREATE | empty) == PromiseCreate(id="p", timeout_at=5)
    assert ask("promise.search", {}) == PromiseSearch()
    assert ask("promise.search", {"state": None, "cursor": None, "limit": None}) == PromiseSearch()
    assert ask("task.heartbeat", {"pid": "w"}) == TaskHeartbeat(pid="w", tasks=())
    fenced = {"id": "t", "version": 1, "action": {"kind": "promise.create", "data": CREATE}}
    assert ask("task.fence", fenced) == TaskFence(id="t", version=1, action=PromiseCreate(id="p", timeout_at=5))


# ---------------------------------------------------------------- what replies may do


def answer(request: Request[Any], data: object, status: int = 200) -> object:
    head = {"corrId": "7", "status": status, "version": VERSION}
    return decode_reply(request, "7", json.dumps({"kind": request.kind, "head": head, "data": data}))


PROMISE = {"id": "p", "state": "resolved", "timeoutAt": 9, "createdAt": 1}
RECORD = PromiseRecord(id="p", state=PromiseState.RESOLVED, timeout_at=9, created_at=1)
TASK = {"id": "p", "state": "pending", "version": 2}


def test_null_is_absent_in_a_reply() -> None:
    nulls = {"param": None, "value": {"headers": None, "data": None}, "tags": None, "settledAt": None}
    assert answer(PromiseGet("p"), {"promise": PROMISE | nulls}) == PromiseReply(RECORD)
    assert answer(PromiseGet("p"), {"promise": PROMISE}) == PromiseReply(RECORD)
    task = TaskRecord(id="p", state=TaskState.PENDING, version=2)
    assert answer(TaskGet("p"), {"task": TASK | {"ttl": None, "pid": None, "resumes": None}}) == TaskReply(task)


@pytest.mark.parametrize(("resumes", "count"), [(3, 3), (["a", "b"], 2), ([], 0)])
def test_resumes_are_a_count_or_a_list(resumes: object, count: int) -> None:
    reply = answer(TaskGet("p"), {"task": TASK | {"resumes": resumes}})
    assert isinstance(reply, TaskReply)
    assert reply.task.resumes == count


def test_created_is_as_good_as_ok() -> None:
    assert answer(PromiseCreate(id="p", timeout_at=9), {"promise": PROMISE}, 201) == PromiseReply(RECORD)
    claim = answer(TaskAcquire(id="p", version=2, pid="w", ttl=1), {"task": TASK, "promise": PROMISE}, 201)
    assert isinstance(claim, ClaimReply)
    assert claim.preload == ()


SUSPEND = TaskSuspend(id="p", version=1, actions=(PromiseRegisterCallback(awaited="a", awaiter="p"),))


@pytest.mark.parametrize(
    ("data", "status"), [({"preload": [PROMISE]}, 300), ({"preload": [PROMISE], "redirect": True}, 200)]
)
def test_a_redirect_is_a_status_or_a_flag(data: object, status: int) -> None:
    assert answer(SUSPEND, data, status) == SuspendReply(redirect=True, preload=(RECORD,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("gone", "gone"),
        ({"error": "gone"}, "gone"),
        ({"message": "gone"}, "gone"),
        ({"other": 1}, '{"other":1}'),
        (None, "null"),
        ([1], "[1]"),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 503])
def test_a_refusal_is_a_string_or_an_object(data: object, message: str, status: int) -> None:
    assert answer(PromiseGet("p"), data, status) == Rejection(status, message)


@pytest.mark.parametrize("inner", [PromiseReply(RECORD), Rejection(404, "gone")])
def test_the_reply_of_a_fenced_action_is_inside(inner: PromiseReply | Rejection) -> None:
    request = TaskFence(id="t", version=1, action=PromiseSettle(id="p", state=PromiseState.RESOLVED))
    sent = encode_reply(decode_request(encode_request(request, "7")), FenceReply(inner))
    assert decode_reply(request, "7", sent) == FenceReply(inner)


def test_the_reply_of_a_fenced_action_may_have_a_preload() -> None:
    request = TaskFence(id="t", version=1, action=PromiseSettle(id="p", state=PromiseState.RESOLVED))
    record = PromiseRecord(id="p", state=PromiseState.RESOLVED, timeout_at=9, created_at=1, settled_at=2)
    reply = FenceReply(PromiseReply(record), (record,))
    assert decode_reply(request, "7", encode_reply(decode_request(encode_request(request, "7")), reply)) == reply


@pytest.mark.parametrize("kind", ["unknown", "error", "", None, 7, "promise.get"])
@pytest.mark.parametrize("number", ["unknown", "0", "", None, 7, "7"])
@pytest.mark.parametrize("status", [400, 401, 403, 413, 500, 501])
def test_a_refusal_need_not_echo(status: int, number: object, kind: object) -> None:
    body = {"kind": kind, "head": {"corrId": number, "status": status, "version": VERSION}, "data": "bad"}
    assert decode_reply(PromiseGet("p"), "7", json.dumps(body)) == Rejection(status, "bad")
    del body["kind"], body["head"]["corrId"]  # type: ignore[attr-defined] - it is a dict
    assert decode_reply(PromiseGet("p"), "7", json.dumps(body)) == Rejection(status, "bad")


@pytest.mark.parametrize(("number", "kind"), [("8", "promise.get"), ("7", "promise.settle"), ("8", "unknown")])
@pytest.mark.parametrize("status", [400, 401, 403, 413, 500, 501])
def test_a_refusal_of_another_request_is_none_of_this_one(status: int, number: str, kind: str) -> None:
    body = {"kind": kind, "head": {"corrId": number, "status": status, "version": VERSION}, "data": "bad"}
    with pytest.raises(OthersReply, match="another request") as caught:
        decode_reply(PromiseGet("p"), "7", json.dumps(body))
    assert caught.value.retriable


GET = PromiseGet("p")
GOOD_HEAD = {"corrId": "7", "status": 200, "version": VERSION}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("<html>", "not JSON"),
        ([], "the reply must be an object"),
        ({"kind": "promise.get"}, "head must be an object"),
        ({"kind": "promise.get", "head": {}}, "status must be an integer"),
        ({"kind": "promise.settle", "head": GOOD_HEAD, "data": {}}, "kind must be promise.get"),
        ({"kind": "promise.get", "head": GOOD_HEAD | {"corrId": "8"}, "data": {}}, "head.corrId must be 7"),
        ({"kind": "promise.get", "head": GOOD_HEAD | {"status": 302}, "data": {}}, "head.status must be 200"),
        ({"kind": "promise.get", "head": GOOD_HEAD | {"status": 300}, "data": {}}, "head.status must be 200"),
        ({"kind": "promise.get", "head": GOOD_HEAD, "data": []}, "data must be an object"),
        ({"kind": "promise.get", "head": GOOD_HEAD, "data": {}}, "promise must be an object"),
        (
            {"kind": "promise.get", "head": GOOD_HEAD, "data": {"promise": PROMISE | {"timeoutAt": 5.0}}},
            "promise.timeoutAt must be an integer",
        ),
        (
            {"kind": "promise.get", "head": GOOD_HEAD, "data": {"promise": PROMISE | {"value": 1}}},
            "promise.value must be an object",
        ),
        (
            {"kind": "promise.get", "head": GOOD_HEAD, "data": {"promise": PROMISE | {"value": {"data": 1}}}},
            "promise.value.data must be a string",
        ),
    ],
)
def test_what_is_no_reply_is_a_server_error(body: object, why: str) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(ServerError) as caught:
        decode_reply(GET, "7", raw)
    assert why in str(caught.value)


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "{}",
        '{"kind":1}',
        '{"kind":"notify","data":{}}',
        '{"kind":"execute","head":{}}',
        '{"kind":"execute","data":{"task":{"id":"t"}}}',
        '{"kind":"unblock","data":{"promise":{}}}',
    ],
)
def test_an_unreadable_message_is_a_rejection(body: str) -> None:
    message = decode_message(body)
    assert isinstance(message, Rejection)
    assert "message" in message.message


def test_a_message_needs_no_head() -> None:
    assert decode_message('{"kind":"execute","data":{"task":{"id":"t","version":1,"x":2}}}') == Execute("t", 1)


# ---------------------------------------------------------------- fuzz

kinds = st.sampled_from([request.kind for request in REQUESTS])


def swap(wire: object, path: list[int], value: object) -> object:
    """Replace one member, found by walking `path`, with `value`."""
    if not path or not isinstance(wire, dict | list) or not wire:
        return value
    if isinstance(wire, dict):
        key = sorted(wire)[path[0] % len(wire)]
        return wire | {key: swap(wire[key], path[1:], value)}
    index = path[0] % len(wire)
    return [*wire[:index], swap(wire[index], path[1:], value), *wire[index + 1 :]]


@given(st.binary(max_size=20) | json_values.map(orjson.dumps))
def test_arbitrary_bytes_never_raise(body: bytes) -> None:
    assert isinstance(decode_request(body).request, Rejection)
    assert isinstance(decode_message(body), Rejection)
    with pytest.raises(ServerError):
        decode_reply(GET, "7", body)


@given(kinds, st.dictionaries(texts, json_values, max_size=3))
def test_arbitrary_data_never_raises(kind: str, data: dict[str, Any]) -> None:
    decode_request(orjson.dumps({"kind": kind, "head": HEAD, "data": data}))


@given(st.data(), st.lists(st.integers(0, 9), max_size=6), json_values)
@settings(max_examples=300, deadline=None)
def test_a_damaged_request_reply_or_message_never_raises(data: st.DataObject, path: list[int], value: object) -> None:
    kind = data.draw(st.sampled_from(REQUESTS))
    request = data.draw(REQUEST[kind])
    sent = encode_request(request, "7")
    decode_request(orjson.dumps(swap(orjson.loads(sent), path, value)))
    reply = encode_reply(decode_request(sent), data.draw(REPLY[kind]))
    try:
        got = decode_reply(request, "7", orjson.dumps(swap(orjson.loads(reply), path, value)))
    except ServerError:
        pass
    else:
        assert attrs.has(type(got))
    message = encode_message(data.draw(st.builds(Unblock, promises)))
    decode_message(orjson.dumps(swap(orjson.loads(message), path, value)))


def test_an_empty_value_is_the_empty_value() -> None:
    record = PromiseRecord(id="p", state=PromiseState.PENDING, timeout_at=9, created_at=1)
    message = decode_message(encode_message(Unblock(record)))
    assert isinstance(message, Unblock)
    assert message.promise.param is NO_VALUE
