"""The internal steps: what they do when due, and that they do nothing else."""

from __future__ import annotations

import pytest

from resonate.core.protocol.effects import AddResume, PutTask, RemoveCallback, RemoveListener, Send
from resonate.core.protocol.machine import InternalStep
from resonate.core.protocol.objects import Task
from resonate.core.protocol.records import Execute, PromiseState, TaskState, Unblock
from resonate.core.protocol.requests import (
    PromiseRegisterCallback,
    PromiseRegisterListener,
    TaskHalt,
    TaskRelease,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import (
    CallbackDrain,
    LeaseTimeout,
    ListenerDrain,
    PromiseTimeout,
    RetryDispatch,
    ScheduleFire,
)
from tests.unit.protocol.world import EXTERNAL, T0, TARGET, TIMER, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    "step",
    [
        PromiseTimeout("absent"),
        CallbackDrain("absent", "absent"),
        ListenerDrain("absent", "http://a"),
        LeaseTimeout("absent"),
        RetryDispatch("absent"),
        ScheduleFire("absent"),
    ],
)
def test_a_step_for_what_is_not_there_does_nothing(world: World, step: InternalStep) -> None:
    assert world.step(step) == ()


# ---------------------------------------------------------------- promise timeout


@pytest.mark.parametrize(
    ("tags", "state"), [(EXTERNAL, PromiseState.REJECTED_TIMEDOUT), (TIMER, PromiseState.RESOLVED)]
)
def test_a_deadline_settles_at_its_instant_however_late_it_fires(tags: dict[str, str], state: PromiseState) -> None:
    world = World()
    world.create("p", tags, T0 + 10)
    world.now += 9
    assert world.step(PromiseTimeout("p")) == ()
    world.now += 1_000
    world.step(PromiseTimeout("p"))
    assert (world.record("p").state, world.record("p").settled_at) == (state, T0 + 10)
    assert world.step(PromiseTimeout("p")) == ()


def test_a_deadline_fulfils_the_task(world: World) -> None:
    world.claim("t", timeout_at=T0 + 10)
    world.now += 10
    world.step(PromiseTimeout("t"))
    assert world.tasks["t"] == Task("t", TaskState.FULFILLED, 1)


# ---------------------------------------------------------------- callback drain


def test_a_callback_resumes_a_suspended_task(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    world.suspend("t", "x")
    world.settle("x")
    world.now += 5
    effects = world.step(CallbackDrain("x", "t"))
    resumed = Task("t", TaskState.PENDING, 1, retry_at=T0 + 5)
    assert effects == (RemoveCallback("x", "t"), PutTask(resumed), AddResume("t", "x"))
    assert world.step(CallbackDrain("x", "t")) == ()


def test_a_callback_of_a_pending_promise_stays(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL, T0 + 10)
    world.suspend("t", "x")
    assert world.step(CallbackDrain("x", "t")) == ()
    world.now += 10  # reads as settled, but is not settled in the store
    assert world.step(CallbackDrain("x", "t")) == ()
    assert world.callbacks


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.ACQUIRED, TaskState.HALTED])
def test_a_callback_of_a_task_that_does_not_wait_is_noted(world: World, state: TaskState) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    world.ask(PromiseRegisterCallback(awaited="x", awaiter="t"))
    if state is TaskState.PENDING:
        world.ask(TaskRelease(id="t", version=1))
    elif state is TaskState.HALTED:
        world.ask(TaskHalt("t"))
    before = world.tasks["t"]
    world.settle("x")
    world.drain()
    assert world.tasks["t"] == before
    assert world.resumes("t") == ("x",)


def test_a_callback_of_a_fulfilled_task_is_only_removed(world: World) -> None:
    world.claim("t")
    world.create("x", EXTERNAL)
    world.suspend("t", "x")
    world.settle("t")
    world.settle("x")
    assert world.step(CallbackDrain("x", "t")) == (RemoveCallback("x", "t"),)


def test_a_callback_of_no_task_is_only_removed(world: World) -> None:
    world.create("x", EXTERNAL)
    world.settle("x")
    world.callbacks["x", "nobody"] = None
    assert world.step(CallbackDrain("x", "nobody")) == (RemoveCallback("x", "nobody"),)


# ---------------------------------------------------------------- listener drain


def test_a_listener_is_told_once(world: World) -> None:
    world.create("x", EXTERNAL)
    world.ask(PromiseRegisterListener(awaited="x", address="http://a"))
    assert world.step(ListenerDrain("x", "http://a")) == ()
    record = world.settle("x")
    effects = world.step(ListenerDrain("x", "http://a"))
    assert effects == (RemoveListener("x", "http://a"), Send("http://a", Unblock(record)))
    assert world.step(ListenerDrain("x", "http://a")) == ()


# ---------------------------------------------------------------- lease timeout


def test_a_lease_runs_out_at_its_instant(world: World) -> None:
    world.claim("t", ttl=10)
    world.now += 9
    assert world.step(LeaseTimeout("t")) == ()
    world.now += 1
    assert world.step(LeaseTimeout("t")) == (PutTask(Task("t", TaskState.PENDING, 1, retry_at=T0 + 10)),)
    assert world.step(LeaseTimeout("t")) == ()


def test_a_lease_keeps_the_resumes(world: World) -> None:
    world.claim("t", ttl=10)
    world.resumed["t"] = ["x"]
    world.now += 10
    world.step(LeaseTimeout("t"))
    assert world.resumes("t") == ("x",)


# ---------------------------------------------------------------- retry dispatch


def test_a_pending_task_is_sent_to_its_target_until_it_is_taken() -> None:
    world = World(Settings(retry_interval=100))
    world.create("t", TARGET)
    sent = Send("poll://any@workers", Execute("t", 0))
    assert world.step(RetryDispatch("t")) == (PutTask(Task("t", TaskState.PENDING, retry_at=T0 + 100)), sent)
    world.now += 99
    assert world.step(RetryDispatch("t")) == ()
    world.now += 1
    assert world.step(RetryDispatch("t"))[1] == sent


def test_a_delayed_task_is_sent_at_its_instant(world: World) -> None:
    world.create("t", TARGET | {"resonate:delay": str(T0 + 50)})
    world.now += 49
    assert world.step(RetryDispatch("t")) == ()
    world.now += 1
    assert world.step(RetryDispatch("t"))


@pytest.mark.parametrize(
    ("step", "task"),
    [
        (LeaseTimeout("t"), Task("t", TaskState.HALTED, 1, expires_at=T0)),
        (RetryDispatch("t"), Task("t", TaskState.HALTED, 1, retry_at=T0)),
    ],
)
def test_a_step_that_the_tables_refuse_does_nothing(world: World, step: InternalStep, task: Task) -> None:
    """No store holds such a task; the table is asked all the same."""
    world.claim("t")
    world.tasks["t"] = task
    assert world.step(step) == ()
