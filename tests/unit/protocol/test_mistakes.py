"""What implementations get wrong: one test each, by name, against the machine."""

from __future__ import annotations

import pytest

from resonate.core.protocol.due import promise_due, task_due
from resonate.core.protocol.effects import Send
from resonate.core.protocol.objects import Promise
from resonate.core.protocol.records import Execute, PromiseState, TaskState
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    TaskAcquire,
    TaskContinue,
    TaskCreate,
    TaskGet,
    TaskHalt,
    TaskHeartbeat,
    TaskRef,
    TaskRelease,
    TaskReply,
    TaskSearch,
    TaskSuspend,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import CallbackDrain, LeaseTimeout, PromiseTimeout, RetryDispatch
from resonate.core.protocol.wire import decode_request
from tests.unit.protocol.world import EXTERNAL, FAR, T0, TARGET, TIMER, World


def status(reply: object) -> int:
    return reply.status if isinstance(reply, Rejection) else 200


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("tags", "armed"), [(TARGET, True), (TIMER, True), (EXTERNAL, True), ({}, False)])
def test_1_deadlines_are_armed_for_external_promises_and_no_others(tags: dict[str, str], armed: bool) -> None:
    world = World()
    record = world.create("p", tags, T0 + 10)
    assert promise_due(Promise(record)) == (T0 + 10 if armed else None)
    world.now += 10
    assert bool(world.step(PromiseTimeout("p"))) is armed
    assert (world.record("p").state is PromiseState.PENDING) is not armed


def test_1_a_suspended_task_does_not_wait_for_ever_on_an_external_promise(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL, T0 + 10)
    world.suspend("t", "x")
    world.now += 10
    world.sweep()
    assert world.tasks["t"].state is TaskState.PENDING
    assert world.resumes("t") == ("x",)


def test_2_callbacks_and_listeners_on_an_internal_promise_are_refused(world: World) -> None:
    world.claim("t")
    world.create("internal")
    assert status(world.ask(PromiseRegisterCallback(awaited="internal", awaiter="t"))) == 422
    assert status(world.ask(PromiseRegisterListener(awaited="internal", address="http://a"))) == 422
    assert status(world.suspend("t", "internal")) == 422
    assert world.callbacks == {}
    assert world.listeners == {}


def test_3_a_dead_workflow_is_not_leased_halted_continued_or_kept_alive(world: World) -> None:
    world.create("pending", TARGET, T0 + 10)
    world.claim("acquired", timeout_at=T0 + 10)
    world.claim("halted", timeout_at=T0 + 10)
    world.ask(TaskHalt("halted"))
    world.now += 10
    before = world.state()
    action = PromiseCreate(id="pending", timeout_at=FAR, tags=TARGET)
    created = world.ask(TaskCreate(pid="w", ttl=10, action=action))
    assert isinstance(created, ClaimReply)
    assert created.task.state is TaskState.FULFILLED
    assert created.promise.state is PromiseState.REJECTED_TIMEDOUT
    assert status(world.ask(TaskHalt("pending"))) == 409
    assert status(world.ask(TaskContinue("halted"))) == 409
    assert status(world.ask(TaskHeartbeat(pid="w1", tasks=(TaskRef("acquired", 1),)))) == 200
    assert world.state() == before


@pytest.mark.parametrize("step", [LeaseTimeout("acquired"), RetryDispatch("pending")])
def test_4_lease_timeout_and_retry_dispatch_do_not_reoffer_a_dead_workflow(
    world: World, step: LeaseTimeout | RetryDispatch
) -> None:
    world.create("pending", TARGET, T0 + 10)
    world.claim("acquired", timeout_at=T0 + 10, ttl=5)
    world.now += 10
    effects = world.step(step)
    assert not any(isinstance(effect, Send) for effect in effects)
    assert world.tasks[step.id].state is TaskState.FULFILLED
    assert world.record(step.id).settled_at == T0 + 10


def test_5_the_callback_drain_does_not_resume_an_awaiter_past_its_own_deadline(world: World) -> None:
    world.claim("t", timeout_at=T0 + 10)
    world.create("x", EXTERNAL)
    world.suspend("t", "x")
    world.now += 10
    world.settle("x")
    world.step(CallbackDrain("x", "t"))
    assert world.tasks["t"].state is TaskState.SUSPENDED
    assert world.resumes("t") == ()
    assert world.callbacks == {}
    world.sweep()
    assert world.tasks["t"].state is TaskState.FULFILLED
    assert world.outbox == {}


def test_6_every_reply_serves_the_projected_record(world: World) -> None:
    for id, tags in (("t", TARGET), ("timer", TIMER), ("internal", {})):
        world.create(id, tags, T0 + 10)
    world.claim("waiter")
    world.now += 10
    got = world.ask(PromiseGet("t"))
    assert isinstance(got, PromiseReply)
    timed_out = got.promise
    assert timed_out.state is PromiseState.REJECTED_TIMEDOUT
    assert timed_out.settled_at == T0 + 10
    assert world.ask(PromiseCreate(id="t", timeout_at=FAR)) == got
    assert world.ask(PromiseSettle(id="t", state=PromiseState.RESOLVED)) == got
    assert world.ask(PromiseRegisterCallback(awaited="t", awaiter="waiter")) == got
    assert world.ask(PromiseRegisterListener(awaited="t", address="http://a")) == got
    task = world.ask(TaskGet("t"))
    assert isinstance(task, TaskReply)
    assert task.task.state is TaskState.FULFILLED
    action = PromiseCreate(id="t", timeout_at=FAR, tags=TARGET)
    claim = world.ask(TaskCreate(pid="w", ttl=10, action=action))
    assert isinstance(claim, ClaimReply)
    assert (claim.task, claim.promise) == (task.task, timed_out)
    assert world.suspend("waiter", "t").preload == (timed_out,)
    pending = world.ask(PromiseSearch(state=PromiseState.PENDING))
    assert [record.id for record in pending.promises] == ["waiter"]  # type: ignore[union-attr]
    fulfilled = world.ask(TaskSearch(state=TaskState.FULFILLED))
    assert [record.id for record in fulfilled.tasks] == ["t"]  # type: ignore[union-attr]
    timer = world.ask(PromiseGet("timer"))
    assert isinstance(timer, PromiseReply)
    assert timer.promise.state is PromiseState.RESOLVED
    internal = world.ask(PromiseGet("internal"))
    assert isinstance(internal, PromiseReply)
    assert internal.promise.state is PromiseState.REJECTED_TIMEDOUT


def test_7_the_version_grows_by_one_on_acquisition_and_never_else(world: World) -> None:
    world.create("t", TARGET)
    world.create("x", EXTERNAL)
    seen: list[int] = []

    def note() -> None:
        seen.append(world.tasks["t"].version)

    def acquire() -> None:
        version = world.tasks["t"].version
        assert status(world.ask(TaskAcquire(id="t", version=version, pid="w", ttl=10))) == 200
        note()

    note()
    world.sweep()
    note()
    acquire()
    world.ask(TaskRelease(id="t", version=1))
    note()
    acquire()
    world.now += 10
    world.step(LeaseTimeout("t"))
    note()
    acquire()
    world.ask(TaskHalt("t"))
    note()
    world.ask(TaskContinue("t"))
    note()
    acquire()
    world.suspend("t", "x", version=4)
    note()
    world.settle("x")
    world.drain()
    note()
    acquire()
    world.settle("t")
    note()
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5]


@pytest.mark.parametrize("state", [PromiseState.REJECTED_TIMEDOUT, PromiseState.PENDING])
def test_8_a_client_cannot_write_a_state_that_is_the_servers(world: World, state: PromiseState) -> None:
    world.create("p")
    assert status(world.ask(PromiseSettle(id="p", state=state))) == 400
    assert world.record("p").state is PromiseState.PENDING


def test_9_suspending_for_nothing_for_itself_or_twice_is_refused(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    assert status(world.suspend("t")) == 400
    assert status(world.suspend("t", "t")) == 400
    assert status(world.suspend("t", "x", "x")) == 400
    assert world.tasks["t"].state is TaskState.ACQUIRED


def test_9_resumes_hold_no_duplicates(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    world.suspend("t", "x")
    world.settle("x")
    world.drain()
    world.callbacks["x", "t"] = None  # as if the drain had been repeated by a store that lost its removal
    world.drain()
    assert world.resumes("t") == ("x",)


def test_10_an_empty_target_a_lease_of_nothing_and_a_delay_past_the_deadline_are_refused(world: World) -> None:
    empty = {"resonate:target": ""}
    late = TARGET | {"resonate:delay": str(FAR)}
    for tags in (empty, late, TARGET | {"resonate:delay": "soon"}, {"resonate:delay": "1"}):
        action = PromiseCreate(id="p", timeout_at=FAR, tags=tags)
        assert status(world.ask(action)) == 400
        assert status(world.ask(TaskCreate(pid="w", ttl=1, action=action))) == 400
    action = PromiseCreate(id="p", timeout_at=FAR, tags=TARGET)
    for ttl in (0, -1):
        assert status(world.ask(TaskCreate(pid="w", ttl=ttl, action=action))) == 400
        assert status(world.ask(TaskAcquire(id="p", version=0, pid="w", ttl=ttl))) == 400
    assert world.promises == {}


@pytest.mark.parametrize("interval", [0, -1])
def test_11_a_retry_interval_that_spins_is_refused(interval: int) -> None:
    with pytest.raises(ValueError, match="retry_interval"):
        Settings(retry_interval=interval)


def test_11_after_a_due_step_has_fired_it_is_not_due_any_more(world: World) -> None:
    world.create("t", TARGET)
    assert task_due(world.tasks["t"], FAR) == (T0, RetryDispatch("t"))
    world.step(RetryDispatch("t"))
    assert task_due(world.tasks["t"], FAR) == (T0 + 5_000, RetryDispatch("t"))


def test_12_preload_has_no_order_to_rely_on(world: World) -> None:
    world.claim("t")
    for number in (1, 2, 10):
        world.create(f"t:{number}", {"resonate:branch": "t"})
    world.ask(TaskRelease(id="t", version=1))
    reply = world.ask(TaskAcquire(id="t", version=1, pid="w", ttl=10))
    assert isinstance(reply, ClaimReply)
    assert {record.id for record in reply.preload} == {"t:1", "t:2", "t:10"}


@pytest.mark.parametrize("kind", ["start", "stop", "reset", "tick", "snap"])
def test_13_there_are_no_debug_requests(kind: str) -> None:
    body = f'{{"kind":"debug.{kind}","head":{{"corrId":"1","version":"2026-04-01"}},"data":{{"time":1}}}}'
    assert decode_request(body).request == Rejection(400, f"unknown operation: debug.{kind}")


def test_14_a_redispatch_replaces_the_execute_that_waits(world: World) -> None:
    world.create("t", TARGET)
    for _ in range(5):
        world.sweep()
        world.now += 5_000
    world.ask(TaskAcquire(id="t", version=0, pid="w", ttl=10))
    world.ask(TaskRelease(id="t", version=1))
    world.sweep()
    assert world.outbox == {"t": ("poll://any@workers", Execute("t", 1))}


def test_a_suspension_without_callbacks_of_its_own_is_refused(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    actions = (PromiseRegisterCallback(awaited="x", awaiter="u"),)
    assert status(world.ask(TaskSuspend(id="t", version=1, actions=actions))) == 400
