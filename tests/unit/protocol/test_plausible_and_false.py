"""Claims about the protocol that sound right and are wrong, each with what refutes it."""

from __future__ import annotations

import pytest

from resonate.core.protocol.records import PromiseState, TaskState, Unblock
from resonate.core.protocol.requests import (
    PromiseGet,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSettle,
    Rejection,
    TaskAcquire,
    TaskFulfill,
    TaskRelease,
)
from resonate.core.protocol.steps import PromiseTimeout
from tests.unit.protocol.world import EXTERNAL, T0, TARGET, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_settled_promise_is_immutable__only_its_record_is(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    world.suspend("t", "x")
    world.ask(PromiseRegisterListener(awaited="x", address="http://a"))
    record = world.settle("x")
    assert world.callbacks
    assert world.listeners
    world.drain()
    assert not world.callbacks
    assert not world.listeners
    assert world.record("x") == record
    assert world.outbox["x", "http://a"] == ("http://a", Unblock(record))


def test_a_pending_promise_has_its_deadline_ahead__stored_it_may_not_but_it_reads_so(world: World) -> None:
    world.create("x", EXTERNAL, T0 + 10)
    world.now += 10
    reply = world.ask(PromiseGet("x"))
    assert isinstance(reply, PromiseReply)
    assert reply.promise.state is PromiseState.REJECTED_TIMEDOUT
    assert world.record("x").state is PromiseState.PENDING


def test_settling_twice_is_an_error__it_answers_with_the_first_outcome(world: World) -> None:
    world.create("x", EXTERNAL)
    first = world.settle("x", PromiseState.REJECTED)
    world.now += 5
    assert world.settle("x", PromiseState.RESOLVED) == first
    assert world.record("x") == first


def test_a_late_settle_fails__it_answers_that_the_promise_timed_out(world: World) -> None:
    world.create("x", EXTERNAL, T0 + 10)
    world.now += 10
    reply = world.ask(PromiseSettle(id="x", state=PromiseState.RESOLVED))
    assert isinstance(reply, PromiseReply)
    assert reply.promise.state is PromiseState.REJECTED_TIMEDOUT


def test_acquire_is_idempotent__the_second_conflicts(world: World) -> None:
    world.create("t", TARGET)
    request = TaskAcquire(id="t", version=0, pid="w", ttl=10)
    assert not isinstance(world.ask(request), Rejection)
    again = world.ask(request)
    assert isinstance(again, Rejection)
    assert again.status == 409


def test_exclusivity_holds_per_task__it_holds_per_version(world: World) -> None:
    """Two workers may both believe that they hold a task; only the one at the current version can write."""
    world.claim("t")
    world.ask(TaskRelease(id="t", version=1))
    world.ask(TaskAcquire(id="t", version=1, pid="w2", ttl=10))

    def fulfill(version: int) -> object:
        action = PromiseSettle(id="t", state=PromiseState.RESOLVED)
        return world.ask(TaskFulfill(id="t", version=version, action=action))

    stale = fulfill(1)
    assert isinstance(stale, Rejection)
    assert stale.status == 409
    assert isinstance(fulfill(2), PromiseReply)


def test_advancing_the_clock_is_neutral__only_for_what_has_settled(world: World) -> None:
    world.create("settled", EXTERNAL, T0 + 10)
    world.create("pending", EXTERNAL, T0 + 10)
    world.settle("settled")
    before = {id: world.ask(PromiseGet(id)) for id in ("settled", "pending")}
    world.now += 10
    assert world.ask(PromiseGet("settled")) == before["settled"]
    assert world.ask(PromiseGet("pending")) != before["pending"]
    assert world.step(PromiseTimeout("settled")) == ()


def test_an_expired_lease_stops_its_holder__until_the_timeout_fires_it_may_write(world: World) -> None:
    world.claim("t", ttl=10)
    world.now += 20
    action = PromiseSettle(id="t", state=PromiseState.RESOLVED)
    assert isinstance(world.ask(TaskFulfill(id="t", version=1, action=action)), PromiseReply)
    assert world.tasks["t"].state is TaskState.FULFILLED
