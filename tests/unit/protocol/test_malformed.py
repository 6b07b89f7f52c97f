"""Malformed requests are refused with a sentence, never with an exception, and write nothing."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resonate.core.protocol.machine import handle
from resonate.core.protocol.records import PromiseState, Value
from resonate.core.protocol.requests import (
    REQUESTS,
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
from tests.unit.protocol.world import FAR, TARGET, World

CREATE = PromiseCreate(id="p", timeout_at=FAR, tags=TARGET)
SETTLE = PromiseSettle(id="t", state=PromiseState.RESOLVED)
GOOD: tuple[Request[Any], ...] = (
    PromiseGet("p"),
    CREATE,
    SETTLE,
    PromiseRegisterCallback(awaited="a", awaiter="b"),
    PromiseRegisterListener(awaited="a", address="http://a"),
    PromiseSearch(),
    TaskGet("t"),
    TaskCreate(pid="w", ttl=1, action=CREATE),
    TaskAcquire(id="t", version=0, pid="w", ttl=1),
    TaskFence(id="t", version=1, action=CREATE),
    TaskFence(id="t", version=1, action=PromiseSettle(id="p", state=PromiseState.RESOLVED)),
    TaskHeartbeat(pid="w", tasks=(TaskRef("t", 1),)),
    TaskSuspend(id="t", version=1, actions=(PromiseRegisterCallback(awaited="a", awaiter="t"),)),
    TaskFulfill(id="t", version=1, action=SETTLE),
    TaskRelease(id="t", version=1),
    TaskHalt("t"),
    TaskContinue("t"),
    TaskSearch(),
    ScheduleCreate(id="s", cron="@daily", promise_id="p", promise_timeout=1, promise_tags=TARGET),
    ScheduleGet("s"),
    ScheduleDelete("s"),
    ScheduleSearch(),
)

BAD_IDS = ["", "a\0b", "\ud800", "é\udfff", None, 1, b"a"]
BAD_INTS = [-1, 2**53, True, 1.0, "1", None]
BAD_TEXTS: list[Any] = [None, [], "x", {"a": 1}, {1: "a"}, {"a": "\ud800"}, {"\ud800": "a"}]
BAD_VALUES: list[Any] = [None, "x", {}, Value(data=1), Value(data="\ud800"), Value({"a": 1})]  # type: ignore[arg-type,dict-item]
BAD: dict[str, list[Any]] = {
    "id": BAD_IDS,
    "awaited": BAD_IDS,
    "awaiter": BAD_IDS,
    "address": BAD_IDS,
    "pid": BAD_IDS,
    "cron": BAD_IDS,
    "promise_id": BAD_IDS,
    "timeout_at": BAD_INTS,
    "version": BAD_INTS,
    "ttl": [*BAD_INTS, 0],
    "promise_timeout": BAD_INTS,
    "limit": [*BAD_INTS, 0, 1_001],
    "param": BAD_VALUES,
    "promise_param": BAD_VALUES,
    "value": BAD_VALUES,
    "tags": BAD_TEXTS,
    "promise_tags": BAD_TEXTS,
    "state": ["resolved", "pending", 1, []],
    "cursor": ["", "\0", 1, []],
    "action": [None, 1, PromiseGet("p"), TaskRelease(id="t", version=1), attrs.evolve(CREATE, id="")],
    "actions": [None, (), [PromiseGet("p")], (1,), (PromiseGet("p"),), "ab"],
    "tasks": [None, (), [TaskRef("t", 1)], (1,), (TaskRef("", 1),), (TaskRef("t", True),)],
}
CASES = [
    pytest.param(request, field.name, bad, id=f"{request.kind}-{field.name}-{index}")
    for request in GOOD
    for field in attrs.fields(type(request))
    if field.name in BAD
    for index, bad in enumerate(BAD[field.name])
]


def test_every_request_is_tried() -> None:
    assert {type(request) for request in GOOD} == set(REQUESTS)
    assert all(field.name in BAD or field.name == "delta" for one in GOOD for field in attrs.fields(type(one)))


@pytest.mark.parametrize("request_", GOOD, ids=lambda request: request.kind)
def test_the_well_formed_are_not_refused_for_their_form(request_: Request[Any]) -> None:
    reply, _ = handle(request_, World(), 1)
    assert not isinstance(reply, Rejection) or reply.status in {404, 422}


@pytest.mark.parametrize(("request_", "field", "bad"), CASES)
def test_a_malformed_field_is_refused(request_: Request[Any], field: str, bad: Any) -> None:
    malformed: Request[Any] = attrs.evolve(request_, **{field: bad})  # type: ignore[misc]
    reply, effects = handle(malformed, World(), 1)
    assert isinstance(reply, Rejection)
    assert reply.status == 400
    assert reply.message
    assert effects == ()


def test_a_bad_awaited_in_a_suspend_is_refused() -> None:
    actions = (PromiseRegisterCallback(awaited="", awaiter="t"),)
    reply, _ = handle(TaskSuspend(id="t", version=1, actions=actions), World(), 1)
    assert isinstance(reply, Rejection)
    assert reply.status == 400


def test_what_is_no_request_is_refused() -> None:
    reply, effects = handle(TaskRef("t", 1), World(), 1)  # type: ignore[arg-type]
    assert (reply, effects) == (Rejection(400, "TaskRef is no request of the protocol"), ())


@pytest.mark.parametrize("text", ["é", "日本", "🙂"])
def test_unicode_is_welcome(text: str) -> None:
    world = World()
    request = PromiseCreate(id=text, timeout_at=FAR, param=Value({text: text}, text), tags={text: text})
    assert not isinstance(world.ask(request), Rejection)
    assert world.record(text).tags == {text: text}


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(GOOD), st.data())
@settings(max_examples=300, deadline=None)
def test_no_request_raises_whatever_its_fields_hold(request_: Request[Any], data: st.DataObject) -> None:
    names = [field.name for field in attrs.fields(type(request_))]
    changed = data.draw(st.dictionaries(st.sampled_from(names), junk, max_size=2))
    world = World()
    world.claim("t")
    world.create("p")
    reply, effects = handle(attrs.evolve(request_, **changed), world, world.now)  # type: ignore[misc]
    assert not (isinstance(reply, Rejection) and effects)
