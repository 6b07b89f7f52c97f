"""An execution whose function is a step."""

from __future__ import annotations

import asyncio

import pytest

from resonate.core import trace
from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.step_execution import StepExecution
from resonate.core.function import describe
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.retry import STEP_RETRY, Never
from resonate.core.values import Call
from resonate.errors import Conflict, EncodingError, PromiseTimedOut
from tests.unit.engine.world import CODEC, T0, World


def step(n: int) -> int:
    return n


async def unused(ctx: Context) -> None: ...


def made(fn=step, *, observed: bool = True, retry=None) -> tuple[StepExecution, list[trace.LifecycleEvent]]:
    world = World(unused, observed=observed)
    promise = PromiseRecord(id="s", state=PromiseState.PENDING, timeout_at=T0 + 5000, created_at=T0)
    return StepExecution(world.env, promise, describe(fn, retry=retry), Call(func="step", args=(3,))), world.events


def test_it_is_run_with_its_deadline():
    execution, _ = made()
    run, wake = execution.start(T0)
    assert run == do.RunStep(
        id="s", function=execution.function, args=(3,), kwargs={}, retry=STEP_RETRY, deadline=T0 + 5000
    )
    assert wake == do.Wake(T0 + 5000)


def test_it_is_retried_by_its_own_policy():
    execution, _ = made(retry=Never())
    run, _ = execution.start(T0)
    assert run.retry == Never()


def test_its_value_is_the_tasks_outcome():
    execution, events = made()
    execution.start(T0)
    (end,) = execution.step([do.StepReturned("s", 9)], T0)
    assert end.action.state is PromiseState.RESOLVED
    assert CODEC.decode(end.action.value) == 9
    assert trace.violated(events) == ()


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("x"), PromiseState.REJECTED), (asyncio.CancelledError(), PromiseState.REJECTED_CANCELED)],
)
def test_its_failure_is_the_tasks_outcome(error, state):
    execution, events = made()
    execution.start(T0)
    (end,) = execution.step([do.StepFailed("s", error)], T0)
    assert end.action.state is state
    assert trace.violated(events) == ()


def test_a_value_that_cant_be_written_rejects_it():
    execution, events = made()
    execution.start(T0)
    (end,) = execution.step([do.StepReturned("s", object())], T0)
    assert end.action.state is PromiseState.REJECTED
    assert isinstance(CODEC.decode_error(end.action.value), EncodingError)
    assert any(isinstance(event, trace.CodecFailed) for event in events)


def test_past_its_deadline_it_is_interrupted():
    execution, _ = made()
    execution.start(T0)
    assert execution.step([], T0 + 4999) == []
    cancel, end = execution.step([], T0 + 5000)
    assert cancel == do.CancelStep("s")
    assert isinstance(CODEC.decode_error(end.action.value), PromiseTimedOut)


def test_it_listens_to_nothing_else():
    execution, _ = made()
    execution.start(T0)
    execution.suspended()
    assert execution.step([do.PromiseKnown(execution.promise), do.WriteRefused("x", Conflict("x"))], T0) == []
    execution.close()


def test_it_has_nothing_to_go_on_from_and_runs_again():
    execution, _ = made(observed=False)
    execution.start(T0)
    commands = execution.resume(execution.promise, [], 2, T0 + 1)
    assert [type(command) for command in commands] == [do.RunStep, do.Wake]
