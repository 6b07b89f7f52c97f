"""When steps become due, and that firing what is due always ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resonate.core.protocol.due import NEVER, promise_due, schedule_due, task_due
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PromiseState, ScheduleRecord, TaskState
from resonate.core.protocol.steps import LeaseTimeout, RetryDispatch
from tests.unit.protocol.world import EXTERNAL, T0, TARGET, TIMER, World


@pytest.mark.parametrize("tags", [TARGET, TIMER, EXTERNAL])
def test_a_pending_external_promise_is_due_at_its_deadline(tags: dict[str, str]) -> None:
    world = World()
    assert promise_due(Promise(world.create("p", tags, T0 + 10))) == T0 + 10
    assert promise_due(Promise(world.settle("p"))) is None


@pytest.mark.parametrize("tags", [{}, {"resonate:timer": "yes"}, {"resonate:external": "false"}])
def test_an_internal_promise_is_never_due(tags: dict[str, str]) -> None:
    assert promise_due(Promise(World().create("p", tags, T0 + 10))) is None


@pytest.mark.parametrize(
    ("task", "due"),
    [
        (Task("t", TaskState.PENDING, retry_at=5), (5, RetryDispatch("t"))),
        (Task("t", TaskState.PENDING, retry_at=10), None),
        (Task("t", TaskState.ACQUIRED, 1, "w", 5, 5), (5, LeaseTimeout("t"))),
        (Task("t", TaskState.ACQUIRED, 1, "w", 5, 10), None),
        (Task("t", TaskState.SUSPENDED, 1), None),
        (Task("t", TaskState.HALTED, 1), None),
        (Task("t", TaskState.FULFILLED, 1), None),
    ],
)
def test_a_task_is_due_before_its_promises_deadline_only(task: Task, due: object) -> None:
    assert task_due(task, 10) == due


@pytest.mark.parametrize(("next_run_at", "due"), [(5, 5), (NEVER, None)])
def test_a_schedule_is_due_at_its_next_run_if_there_is_one(next_run_at: int, due: int | None) -> None:
    schedule = ScheduleRecord(
        id="s", cron="* * * * *", promise_id="p", promise_timeout=1, created_at=0, next_run_at=next_run_at
    )
    assert schedule_due(schedule) == due


@given(
    timeouts=st.lists(st.integers(T0 + 1, T0 + 30), min_size=1, max_size=4),
    ttl=st.integers(1, 30),
    late=st.integers(0, 60),
)
def test_a_sweep_ends_however_late_it_comes(timeouts: list[int], ttl: int, late: int) -> None:
    world = World()
    for index, timeout_at in enumerate(timeouts):
        world.create(f"pending {index}", TARGET, timeout_at)
        world.claim(f"acquired {index}", timeout_at=timeout_at, ttl=ttl)
        world.create(f"timer {index}", TIMER, timeout_at)
    world.now += late
    world.sweep()
    assert world.due() == []
    for promise in world.promises.values():
        assert (promise.record.state is PromiseState.PENDING) == (promise.record.timeout_at > world.now)
