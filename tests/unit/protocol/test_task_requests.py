"""The task rows of the request table."""

from __future__ import annotations

from typing import Any

import pytest

from resonate.core.protocol.machine import handle
from resonate.core.protocol.objects import Task
from resonate.core.protocol.records import PromiseState, TaskState, Value
from resonate.core.protocol.requests import (
    ClaimReply,
    Done,
    FenceReply,
    PromiseCreate,
    PromiseRegisterCallback,
    PromiseReply,
    PromiseSettle,
    Rejection,
    SuspendReply,
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
    TaskReply,
    TaskSuspend,
)
from resonate.errors import EngineBug
from tests.unit.protocol.world import EXTERNAL, FAR, T0, TARGET, TIMER, World


def status(reply: object) -> int:
    return reply.status if isinstance(reply, Rejection) else 200


@pytest.fixture
def world() -> World:
    return World()


def acquire(id: str, version: int, pid: str = "w2", **more: Any) -> TaskAcquire:
    return TaskAcquire(id=id, version=version, pid=pid, ttl=30_000, **more)


def fulfill(
    id: str, version: int = 1, state: PromiseState = PromiseState.RESOLVED, of: str | None = None
) -> TaskFulfill:
    return TaskFulfill(id=id, version=version, action=PromiseSettle(id=of or id, state=state, value=Value(data="v")))


def fence_create(id: str, child: str, version: int = 1, tags: dict[str, str] | None = None) -> TaskFence:
    return TaskFence(id=id, version=version, action=PromiseCreate(id=child, timeout_at=FAR, tags=tags or {}))


def fence_settle(id: str, child: str, state: PromiseState = PromiseState.RESOLVED) -> TaskFence:
    return TaskFence(id=id, version=1, action=PromiseSettle(id=child, state=state))


def in_state(world: World, state: TaskState) -> None:
    """Bring a task `t` into a state."""
    if state is TaskState.PENDING:
        world.create("t", TARGET)
        return
    world.claim("t")
    if state is TaskState.SUSPENDED:
        world.create("x", EXTERNAL)
        world.suspend("t", "x")
    elif state is TaskState.HALTED:
        world.ask(TaskHalt("t"))
    elif state is TaskState.FULFILLED:
        world.settle("t")
    assert world.tasks["t"].state is state


# ---------------------------------------------------------------- get


def test_get_answers_404_or_the_task(world: World) -> None:
    assert world.ask(TaskGet("t")) == Rejection(404, "no task has the id t")
    world.claim("t", ttl=7)
    world.resumed["t"] = ["a", "b"]
    reply = world.ask(TaskGet("t"))
    assert isinstance(reply, TaskReply)
    task = reply.task
    assert (task.id, task.state, task.version) == ("t", TaskState.ACQUIRED, 1)
    assert (task.ttl, task.pid, task.resumes) == (7, "w1", 2)


# ---------------------------------------------------------------- create


def test_create_makes_promise_and_acquired_task(world: World) -> None:
    action = PromiseCreate(id="t", timeout_at=FAR, tags=TARGET)
    reply = world.ask(TaskCreate(pid="w1", ttl=500, action=action))
    assert isinstance(reply, ClaimReply)
    assert (reply.task.state, reply.task.version, reply.task.pid, reply.task.ttl) == (TaskState.ACQUIRED, 1, "w1", 500)
    assert (reply.promise.state, reply.promise.created_at) == (PromiseState.PENDING, T0)
    assert reply.preload == ()
    assert world.tasks["t"] == Task("t", TaskState.ACQUIRED, 1, "w1", 500, T0 + 500)


def test_create_past_the_deadline_is_born_dead(world: World) -> None:
    action = PromiseCreate(id="t", timeout_at=T0, tags=TARGET)
    reply = world.ask(TaskCreate(pid="w1", ttl=500, action=action))
    assert isinstance(reply, ClaimReply)
    assert (reply.task.state, reply.task.version, reply.task.pid) == (TaskState.FULFILLED, 0, None)
    assert (reply.promise.state, reply.promise.settled_at) == (PromiseState.REJECTED_TIMEDOUT, T0)


@pytest.mark.parametrize("tags", [{}, TIMER, TARGET | TIMER])
def test_create_refuses_no_target_and_timers(world: World, tags: dict[str, str]) -> None:
    action = PromiseCreate(id="t", timeout_at=FAR, tags=tags)
    assert status(world.ask(TaskCreate(pid="w1", ttl=500, action=action))) == 400


def claim_again(world: World) -> object:
    action = PromiseCreate(id="t", timeout_at=FAR, tags=TARGET)
    return world.ask(TaskCreate(pid="w9", ttl=500, action=action))


def test_create_answers_422_where_the_promise_has_no_target(world: World) -> None:
    world.create("t", EXTERNAL)
    assert status(claim_again(world)) == 422


@pytest.mark.parametrize("state", [TaskState.ACQUIRED, TaskState.SUSPENDED, TaskState.HALTED])
def test_create_conflicts_with_a_task_that_is_taken(world: World, state: TaskState) -> None:
    in_state(world, state)
    assert claim_again(world) == Rejection(409, f"a task that is {state.value} cannot be acquired")


def test_create_acquires_a_pending_task(world: World) -> None:
    in_state(world, TaskState.PENDING)
    reply = claim_again(world)
    assert isinstance(reply, ClaimReply)
    assert world.tasks["t"] == Task("t", TaskState.ACQUIRED, 1, "w9", 500, T0 + 500)


def test_create_answers_with_a_fulfilled_task_as_it_is(world: World) -> None:
    in_state(world, TaskState.FULFILLED)
    before = world.state()
    reply = claim_again(world)
    assert isinstance(reply, ClaimReply)
    assert (reply.task.state, reply.promise.state) == (TaskState.FULFILLED, PromiseState.RESOLVED)
    assert world.state() == before


# ---------------------------------------------------------------- acquire


def test_acquire_leases_the_task_and_clears_its_resumes(world: World) -> None:
    world.create("t", TARGET)
    world.resumed["t"] = ["x"]
    reply = world.ask(acquire("t", 0))
    assert isinstance(reply, ClaimReply)
    assert (reply.task.version, reply.task.resumes) == (1, 0)
    assert world.tasks["t"] == Task("t", TaskState.ACQUIRED, 1, "w2", 30_000, T0 + 30_000)
    assert world.resumes("t") == ()


def test_acquire_answers_404_for_an_absent_task(world: World) -> None:
    assert status(world.ask(acquire("t", 0))) == 404


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.PENDING])
def test_acquire_refuses_every_state_but_pending(world: World, state: TaskState) -> None:
    in_state(world, state)
    version = world.tasks["t"].version
    assert world.ask(acquire("t", version)) == Rejection(409, f"a task that is {state.value} cannot be acquired")


def test_acquire_refuses_another_version(world: World) -> None:
    in_state(world, TaskState.PENDING)
    assert world.ask(acquire("t", 1)) == Rejection(409, "the task is at version 0, not 1")


def test_preload_is_the_history_of_the_tasks_branch(world: World) -> None:
    world.claim("t", tags={"resonate:branch": "t"})
    world.ask(fence_create("t", "t:1", tags={"resonate:branch": "t"}))
    world.ask(fence_create("t", "t:2", tags=TARGET | {"resonate:branch": "t:2"}))  # an rpc child: a branch of its own
    world.ask(fence_create("t", "t:3", tags=TIMER))
    world.create("u", EXTERNAL | {"resonate:branch": "t"})
    world.create("other", EXTERNAL | {"resonate:branch": "other"})
    world.ask(TaskRelease(id="t", version=1))
    reply = world.ask(acquire("t", 1))
    assert isinstance(reply, ClaimReply)
    assert {record.id for record in reply.preload} == {"t:1", "t:2", "t:3", "u"}


def test_preload_of_a_task_without_a_branch_tag_is_that_of_its_id(world: World) -> None:
    world.claim("t")
    world.ask(fence_create("t", "child"))
    world.ask(TaskRelease(id="t", version=1))
    reply = claim_again(world)
    assert isinstance(reply, ClaimReply)
    assert [record.id for record in reply.preload] == ["child"]


def test_preload_reads_as_now(world: World) -> None:
    world.claim("t")
    world.ask(TaskFence(id="t", version=1, action=PromiseCreate(id="c", timeout_at=T0 + 10, tags=TIMER)))
    world.ask(TaskRelease(id="t", version=1))
    world.now += 10
    reply = world.ask(acquire("t", 1))
    assert isinstance(reply, ClaimReply)
    assert [record.state for record in reply.preload] == [PromiseState.RESOLVED]


def test_delta_preload_is_what_resumed_the_task(world: World) -> None:
    world.claim("t")
    for child in ("a", "b", "c"):
        world.ask(fence_create("t", child, tags=EXTERNAL))
    world.suspend("t", "a", "b")
    settled = world.settle("b")
    world.drain()
    reply = world.ask(acquire("t", 1, delta=True))
    assert isinstance(reply, ClaimReply)
    assert reply.preload == (settled,)


# ---------------------------------------------------------------- fence


def test_fence_creates_and_settles(world: World) -> None:
    world.claim("t")
    reply = world.ask(fence_create("t", "c", tags={"a": "b"}))
    assert reply == FenceReply(PromiseReply(world.record("c")))
    assert world.record("c").state is PromiseState.PENDING
    reply = world.ask(fence_settle("t", "c"))
    assert reply == FenceReply(PromiseReply(world.record("c")))
    assert world.record("c").state is PromiseState.RESOLVED


def test_fence_makes_a_task_with_a_target_and_fulfils_it(world: World) -> None:
    world.claim("t")
    world.ask(fence_create("t", "c", tags=TARGET))
    assert world.tasks["c"].state is TaskState.PENDING
    world.ask(fence_settle("t", "c"))
    assert world.tasks["c"].state is TaskState.FULFILLED


def test_fence_puts_the_refusal_of_the_action_inside(world: World) -> None:
    world.claim("t")
    absent = world.ask(fence_settle("t", "absent"))
    assert isinstance(absent, FenceReply)
    assert status(absent.action) == 404
    timed = world.ask(fence_settle("t", "absent", PromiseState.REJECTED_TIMEDOUT))
    assert isinstance(timed, FenceReply)
    assert status(timed.action) == 400
    timer = world.ask(fence_create("t", "c", tags=TARGET | TIMER))
    assert isinstance(timer, FenceReply)
    assert status(timer.action) == 400


def test_fence_refuses_its_own_id_before_it_looks(world: World) -> None:
    assert status(world.ask(fence_settle("t", "t"))) == 400
    assert status(world.ask(fence_create("t", "t"))) == 400


# ---------------------------------------------------------------- what is asked of an acquired task


HELD = [
    pytest.param(lambda version: fence_create("t", "c", version), "fence a promise", id="fence"),
    pytest.param(lambda version: fulfill("t", version), "be fulfilled", id="fulfill"),
    pytest.param(lambda version: TaskRelease(id="t", version=version), "be released", id="release"),
    pytest.param(
        lambda version: TaskSuspend(
            id="t", version=version, actions=(PromiseRegisterCallback(awaited="y", awaiter="t"),)
        ),
        "be suspended",
        id="suspend",
    ),
]


@pytest.mark.parametrize(("make", "verb"), HELD)
@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.ACQUIRED])
def test_only_an_acquired_task_does_this(world: World, make: Any, verb: str, state: TaskState) -> None:
    world.create("y", EXTERNAL)
    in_state(world, state)
    before = world.state()
    reply = world.ask(make(world.tasks["t"].version))
    assert reply == Rejection(409, f"a task that is {state.value} cannot {verb}")
    assert world.state() == before


@pytest.mark.parametrize(("make", "verb"), HELD)
def test_nothing_is_done_for_an_absent_task(world: World, make: Any, verb: str) -> None:
    assert status(world.ask(make(1))) == 404, verb


@pytest.mark.parametrize(("make", "verb"), HELD)
def test_nothing_is_done_at_another_version(world: World, make: Any, verb: str) -> None:
    world.create("y", EXTERNAL)
    world.claim("t")
    for version in (0, 2):
        assert world.ask(make(version)) == Rejection(409, f"the task is at version 1, not {version}"), verb


@pytest.mark.parametrize(("make", "verb"), HELD)
def test_nothing_is_done_past_the_deadline(world: World, make: Any, verb: str) -> None:
    world.create("y", EXTERNAL)
    world.claim("t", timeout_at=T0 + 10)
    world.now += 10
    assert world.ask(make(1)) == Rejection(409, f"a task that is fulfilled cannot {verb}")


# ---------------------------------------------------------------- heartbeat


def beat(*refs: tuple[str, int], pid: str = "w1") -> TaskHeartbeat:
    return TaskHeartbeat(pid=pid, tasks=tuple(TaskRef(id, version) for id, version in refs))


def test_heartbeat_extends_the_lease_by_its_ttl(world: World) -> None:
    world.claim("t", ttl=100)
    world.now += 60
    assert world.ask(beat(("t", 1))) == Done()
    assert world.tasks["t"] == Task("t", TaskState.ACQUIRED, 1, "w1", 100, T0 + 160)


def test_heartbeat_passes_over_what_is_not_held(world: World) -> None:
    world.claim("held", ttl=100)
    world.claim("other version", ttl=100)
    world.create("not acquired", TARGET)
    before = dict(world.tasks)
    world.now += 60
    assert world.ask(beat(("absent", 1), ("other version", 2), ("not acquired", 0), ("held", 1))) == Done()
    assert world.tasks.pop("held").expires_at == T0 + 160
    before.pop("held")
    assert world.tasks == before


def test_heartbeat_of_another_process_extends_nothing(world: World) -> None:
    world.claim("t", ttl=100)
    before = world.state()
    world.now += 60
    assert world.ask(beat(("t", 1), pid="w2")) == Done()
    assert world.state() == before


# ---------------------------------------------------------------- suspend


def test_suspend_registers_the_callbacks_and_gives_the_lease_back(world: World) -> None:
    world.claim("t")
    world.create("a", EXTERNAL)
    world.create("b", TARGET)
    assert world.suspend("t", "a", "b") == SuspendReply()
    assert [*world.callbacks] == [("a", "t"), ("b", "t")]
    assert world.tasks["t"] == Task("t", TaskState.SUSPENDED, 1)


def test_suspend_keeps_callbacks_that_are_there_already(world: World) -> None:
    world.claim("t")
    world.create("a", EXTERNAL)
    world.ask(PromiseRegisterCallback(awaited="a", awaiter="t"))
    assert world.suspend("t", "a") == SuspendReply()
    assert [*world.callbacks] == [("a", "t")]


def test_suspend_redirects_when_something_has_settled(world: World) -> None:
    world.claim("t")
    world.create("a", EXTERNAL)
    world.create("b", EXTERNAL)
    settled = world.settle("b")
    world.resumed["t"] = ["b"]
    before = world.tasks["t"]
    assert world.suspend("t", "a", "b") == SuspendReply(redirect=True, preload=(settled,))
    assert world.tasks["t"] == before
    assert world.callbacks == {}
    assert world.resumes("t") == ()


def test_suspend_redirects_on_a_deadline_nobody_has_noticed(world: World) -> None:
    world.claim("t")
    world.create("a", TIMER, T0 + 10)
    world.now += 10
    reply = world.suspend("t", "a")
    assert reply.redirect
    assert [record.state for record in reply.preload] == [PromiseState.RESOLVED]


def test_suspend_redirects_when_something_settled_since_the_last_acquire(world: World) -> None:
    world.claim("t")
    world.create("a", EXTERNAL)
    world.create("b", EXTERNAL)
    world.ask(PromiseRegisterCallback(awaited="a", awaiter="t"))
    settled = world.settle("a")
    world.drain()
    assert world.resumes("t") == ("a",)
    assert world.suspend("t", "b") == SuspendReply(redirect=True, preload=(settled,))
    assert world.tasks["t"].state is TaskState.ACQUIRED
    assert world.resumes("t") == ()
    assert world.suspend("t", "b") == SuspendReply()


@pytest.mark.parametrize(
    "actions",
    [
        (),
        (PromiseRegisterCallback(awaited="t", awaiter="t"),),
        (PromiseRegisterCallback(awaited="a", awaiter="t"),) * 2,
        (PromiseRegisterCallback(awaited="a", awaiter="someone else"),),
    ],
    ids=["none", "self", "duplicate", "not of this task"],
)
def test_suspend_refuses_actions_before_it_looks(world: World, actions: tuple[PromiseRegisterCallback, ...]) -> None:
    assert status(world.ask(TaskSuspend(id="t", version=1, actions=actions))) == 400


def test_suspend_answers_422_for_absent_and_internal_promises(world: World) -> None:
    world.claim("t")
    world.create("settled", EXTERNAL)
    world.settle("settled")
    world.create("internal")
    before = world.state()
    assert status(world.suspend("t", "settled", "absent")) == 422
    assert status(world.suspend("t", "settled", "internal")) == 422
    assert world.state() == before


# ---------------------------------------------------------------- fulfill, release, halt, continue


@pytest.mark.parametrize("state", [PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED])
def test_fulfill_settles_the_promise_and_ends_the_task(world: World, state: PromiseState) -> None:
    world.claim("t")
    world.resumed["t"] = ["x"]
    reply = world.ask(fulfill("t", state=state))
    assert reply == PromiseReply(world.record("t"))
    assert (world.record("t").state, world.record("t").settled_at) == (state, T0)
    assert world.record("t").value == Value(data="v")
    assert world.tasks["t"] == Task("t", TaskState.FULFILLED, 1)
    assert world.resumes("t") == ()


def test_fulfill_refuses_other_ids_and_states_before_it_looks(world: World) -> None:
    assert status(world.ask(fulfill("t", of="other"))) == 400
    for state in (PromiseState.PENDING, PromiseState.REJECTED_TIMEDOUT):
        assert status(world.ask(fulfill("t", state=state))) == 400


def test_release_offers_the_task_again_at_the_same_version(world: World) -> None:
    world.claim("t")
    world.resumed["t"] = ["x"]
    world.now += 5
    assert world.ask(TaskRelease(id="t", version=1)) == Done()
    assert world.tasks["t"] == Task("t", TaskState.PENDING, 1, retry_at=T0 + 5)
    assert world.resumes("t") == ("x",)


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.ACQUIRED, TaskState.SUSPENDED, TaskState.HALTED])
def test_halt_stops_a_task_and_clears_lease_and_retry(world: World, state: TaskState) -> None:
    in_state(world, state)
    version = world.tasks["t"].version
    assert world.ask(TaskHalt("t")) == Done()
    assert world.tasks["t"] == Task("t", TaskState.HALTED, version)


def test_halting_a_halted_task_writes_nothing(world: World) -> None:
    in_state(world, TaskState.HALTED)
    assert handle(TaskHalt("t"), world, world.now) == (Done(), ())


def test_halt_refuses_absent_and_fulfilled_tasks(world: World) -> None:
    assert status(world.ask(TaskHalt("t"))) == 404
    in_state(world, TaskState.FULFILLED)
    assert world.ask(TaskHalt("t")) == Rejection(409, "a task that is fulfilled cannot be halted")


def test_continue_offers_a_halted_task_again(world: World) -> None:
    in_state(world, TaskState.HALTED)
    world.now += 5
    assert world.ask(TaskContinue("t")) == Done()
    assert world.tasks["t"] == Task("t", TaskState.PENDING, 1, retry_at=T0 + 5)


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.HALTED])
def test_continue_refuses_every_other_state(world: World, state: TaskState) -> None:
    in_state(world, state)
    assert world.ask(TaskContinue("t")) == Rejection(409, f"a task that is {state.value} cannot be continued")


def test_continue_answers_404_for_an_absent_task(world: World) -> None:
    assert status(world.ask(TaskContinue("t"))) == 404


def test_a_store_with_a_task_but_no_promise_is_a_bug_that_says_so(world: World) -> None:
    world.claim("t")
    del world.promises["t"]
    with pytest.raises(EngineBug, match="without its promise"):
        handle(TaskGet("t"), world, world.now)
