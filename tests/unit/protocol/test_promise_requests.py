"""The promise rows of the request table."""

from __future__ import annotations

import pytest

from resonate.core.protocol.records import NO_VALUE, PromiseState, TaskState, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSettle,
    Rejection,
)
from resonate.core.protocol.settings import Settings
from tests.unit.protocol.world import EXTERNAL, FAR, T0, TARGET, TIMER, World

SETTLED = [PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED]


def status(reply: object) -> int:
    return reply.status if isinstance(reply, Rejection) else 200


@pytest.fixture
def world() -> World:
    return World()


def test_get_answers_404_for_an_absent_promise(world: World) -> None:
    assert world.ask(PromiseGet("p")) == Rejection(404, "no promise has the id p")


def test_get_answers_with_the_promise(world: World) -> None:
    created = world.create("p", EXTERNAL)
    assert world.ask(PromiseGet("p")) == PromiseReply(created)


def test_create_makes_a_pending_promise_with_its_fields(world: World) -> None:
    param = Value({"h": "1"}, "data")
    reply = world.ask(PromiseCreate(id="p", timeout_at=FAR, param=param, tags={"a": "b"}))
    assert isinstance(reply, PromiseReply)
    record = reply.promise
    assert (record.id, record.state, record.param, record.value) == ("p", PromiseState.PENDING, param, NO_VALUE)
    assert (record.tags, record.timeout_at, record.created_at, record.settled_at) == ({"a": "b"}, FAR, T0, None)
    assert world.record("p") == record
    assert world.tasks == {}


def test_create_does_not_share_the_tags_of_its_caller(world: World) -> None:
    tags = {"a": "b"}
    world.create("p", tags)
    tags["a"] = "changed"
    assert world.record("p").tags == {"a": "b"}


def test_create_with_a_target_makes_a_pending_task_to_be_dispatched_at_once(world: World) -> None:
    world.create("p", TARGET)
    task = world.tasks["p"]
    assert (task.state, task.version, task.retry_at) == (TaskState.PENDING, 0, T0)
    assert (task.pid, task.ttl, task.expires_at) == (None, None, None)


@pytest.mark.parametrize(("delay", "retry_at"), [(T0 + 50, T0 + 50), (5, T0)])
def test_create_with_a_delay_arms_the_dispatch_for_then_but_not_for_the_past(delay: int, retry_at: int) -> None:
    world = World()
    world.create("p", TARGET | {"resonate:delay": str(delay)})
    assert world.tasks["p"].retry_at == retry_at


@pytest.mark.parametrize(
    ("tags", "state"), [(EXTERNAL, PromiseState.REJECTED_TIMEDOUT), (TIMER, PromiseState.RESOLVED)]
)
@pytest.mark.parametrize("timeout_at", [T0, T0 - 1, 0])
def test_create_past_the_deadline_is_born_settled(tags: dict[str, str], state: PromiseState, timeout_at: int) -> None:
    record = World().create("p", tags, timeout_at)
    assert (record.state, record.created_at, record.settled_at) == (state, timeout_at, timeout_at)


def test_create_past_the_deadline_with_a_target_makes_a_fulfilled_task(world: World) -> None:
    world.create("p", TARGET, T0)
    task = world.tasks["p"]
    assert (task.state, task.version, task.retry_at) == (TaskState.FULFILLED, 0, None)


def test_create_of_an_existing_promise_answers_with_what_is_stored(world: World) -> None:
    first = world.create("p", EXTERNAL)
    reply = world.ask(PromiseCreate(id="p", timeout_at=1, param=Value(data="other"), tags=TARGET))
    assert reply == PromiseReply(first)
    assert world.record("p") == first
    assert world.tasks == {}


def test_create_refuses_a_targeted_timer_even_if_the_promise_exists(world: World) -> None:
    world.create("p")
    reply = world.ask(PromiseCreate(id="p", timeout_at=FAR, tags=TARGET | TIMER))
    assert reply == Rejection(400, "a promise cannot be both a timer and targeted")


@pytest.mark.parametrize("state", SETTLED)
def test_settle_gives_the_outcome_now(world: World, state: PromiseState) -> None:
    before = world.create("p")
    world.now += 5
    record = world.settle("p", state, Value(data="v"))
    assert (record.state, record.value, record.settled_at) == (state, Value(data="v"), T0 + 5)
    assert (record.param, record.tags, record.timeout_at) == (before.param, before.tags, before.timeout_at)
    assert record.created_at == before.created_at
    assert world.record("p") == record


def test_settle_fulfils_the_task_and_clears_it(world: World) -> None:
    world.claim("p")
    world.resumed["p"] = ["x"]
    world.settle("p")
    task = world.tasks["p"]
    assert (task.state, task.version) == (TaskState.FULFILLED, 1)
    assert (task.pid, task.ttl, task.expires_at, task.retry_at) == (None, None, None, None)
    assert world.resumes("p") == ()


def test_settle_answers_404_for_an_absent_promise(world: World) -> None:
    assert status(world.ask(PromiseSettle(id="p", state=PromiseState.RESOLVED))) == 404


@pytest.mark.parametrize("state", [PromiseState.PENDING, PromiseState.REJECTED_TIMEDOUT])
def test_settle_refuses_states_that_are_not_the_clients_before_it_looks(world: World, state: PromiseState) -> None:
    reply = world.ask(PromiseSettle(id="absent", state=state))
    assert reply == Rejection(400, f"a promise cannot be settled as {state.value} by a client")


CALLBACK = PromiseRegisterCallback(awaited="awaited", awaiter="awaiter")


def test_register_callback_remembers_once(world: World) -> None:
    awaited = world.create("awaited", EXTERNAL)
    world.create("awaiter", TARGET)
    for _ in range(2):
        assert world.ask(CALLBACK) == PromiseReply(awaited)
    assert [*world.callbacks] == [("awaited", "awaiter")]


def test_register_callback_on_a_settled_promise_answers_with_it_and_remembers_nothing(world: World) -> None:
    world.create("awaited", EXTERNAL)
    world.create("awaiter", TARGET)
    record = world.settle("awaited")
    assert world.ask(CALLBACK) == PromiseReply(record)
    assert world.callbacks == {}


@pytest.mark.parametrize("dead", ["awaited", "awaiter"])
def test_register_callback_remembers_nothing_past_either_deadline(world: World, dead: str) -> None:
    world.create("awaited", EXTERNAL, T0 + 10 if dead == "awaited" else FAR)
    world.create("awaiter", TARGET, T0 + 10 if dead == "awaiter" else FAR)
    world.now += 10
    assert status(world.ask(CALLBACK)) == 200
    assert world.callbacks == {}


def test_register_callback_refuses_in_order(world: World) -> None:
    same = PromiseRegisterCallback(awaited="awaiter", awaiter="awaiter")
    assert world.ask(same) == Rejection(400, "a task cannot wait for its own promise")
    assert status(world.ask(CALLBACK)) == 404
    world.create("awaited")
    assert status(world.ask(CALLBACK)) == 422
    world.create("awaiter")
    assert "has no resonate:target" in world.ask(CALLBACK).message  # type: ignore[union-attr]
    world.create("awaiter2", TARGET)
    reply = world.ask(PromiseRegisterCallback(awaited="awaited", awaiter="awaiter2"))
    assert isinstance(reply, Rejection)
    assert reply.status == 422
    assert "internal" in reply.message


@pytest.mark.parametrize("address", ["http://a", "https://a", "poll://any@g", "poll://uni@g/1"])
def test_register_listener_remembers_once(world: World, address: str) -> None:
    record = world.create("p", TIMER)
    request = PromiseRegisterListener(awaited="p", address=address)
    for _ in range(2):
        assert world.ask(request) == PromiseReply(record)
    assert [*world.listeners] == [("p", address)]


@pytest.mark.parametrize("address", ["poll://g", "gcps://p/t", "local://x", "g", "ahttp://x"])
def test_register_listener_refuses_an_undeliverable_address_before_it_looks(world: World, address: str) -> None:
    assert status(world.ask(PromiseRegisterListener(awaited="absent", address=address))) == 400


def test_register_listener_refuses_absent_and_internal_promises(world: World) -> None:
    world.create("internal")
    assert status(world.ask(PromiseRegisterListener(awaited="absent", address="http://a"))) == 404
    assert status(world.ask(PromiseRegisterListener(awaited="internal", address="http://a"))) == 422


def test_register_listener_on_a_settled_promise_answers_with_it_and_remembers_nothing(world: World) -> None:
    world.create("p", EXTERNAL)
    record = world.settle("p")
    assert world.ask(PromiseRegisterListener(awaited="p", address="http://a")) == PromiseReply(record)
    assert world.listeners == {}


# ---------------------------------------------------------------- targeted timers, where the operator wants them


def test_a_targeted_timer_is_accepted_by_setting_and_never_dispatched() -> None:
    world = World(Settings(targeted_timers=True))
    record = world.create("sleep", TARGET | TIMER, T0 + 60_000)
    assert record.state is PromiseState.PENDING
    assert world.tasks["sleep"].state is TaskState.PENDING
    for _ in range(59):
        world.sweep()
        world.now += 1_000
    assert world.outbox == {}
    world.now += 1_000
    world.sweep()
    assert world.record("sleep").state is PromiseState.RESOLVED
    assert world.tasks["sleep"].state is TaskState.FULFILLED
    assert world.outbox == {}


def test_a_targeted_timer_resumes_who_waits_for_it() -> None:
    world = World(Settings(targeted_timers=True))
    world.claim("flow")
    world.create("sleep", TARGET | TIMER, T0 + 10)
    world.suspend("flow", "sleep")
    world.now += 10
    world.sweep()
    assert world.tasks["flow"].state is TaskState.PENDING
    assert world.resumes("flow") == ("sleep",)
