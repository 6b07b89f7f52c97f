"""The tables are complete, hold the protocol's edges and no others, and the diagrams show them."""

from __future__ import annotations

from itertools import product

import pytest

from resonate.core.protocol.diagrams import promise_diagram, task_diagram
from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.transitions import (
    PROMISE_BIRTHS,
    PROMISE_TABLE,
    SETTLED_BY,
    TASK_BIRTHS,
    TASK_TABLE,
    PromiseBirth,
    PromiseEvent,
    TaskBirth,
    TaskEvent,
    task_after,
)
from resonate.errors import EngineBug


def test_every_state_is_listed_with_every_event() -> None:
    assert set(PROMISE_TABLE) == set(product(PromiseState, PromiseEvent))
    assert set(TASK_TABLE) == set(product(TaskState, TaskEvent))
    assert set(PROMISE_BIRTHS) == set(PromiseBirth)
    assert set(TASK_BIRTHS) == set(TaskBirth)


def test_promise_edges_are_the_protocols() -> None:
    edges = {(source, target) for (source, _), target in PROMISE_TABLE.items() if source is not target}
    assert edges == {(PromiseState.PENDING, state) for state in PromiseState if state is not PromiseState.PENDING}


def test_task_edges_are_the_protocols() -> None:
    edges = {(s.value, t.value) for (s, _), t in TASK_TABLE.items() if t is not None and s is not t}
    assert edges == {
        ("pending", "acquired"),
        ("pending", "halted"),
        ("pending", "fulfilled"),
        ("acquired", "pending"),
        ("acquired", "suspended"),
        ("acquired", "halted"),
        ("acquired", "fulfilled"),
        ("suspended", "pending"),
        ("suspended", "halted"),
        ("suspended", "fulfilled"),
        ("halted", "pending"),
        ("halted", "fulfilled"),
    }


def test_a_client_asks_for_three_states() -> None:
    assert {state: PROMISE_TABLE[PromiseState.PENDING, event] for state, event in SETTLED_BY.items()} == {
        state: state for state in (PromiseState.RESOLVED, PromiseState.REJECTED, PromiseState.REJECTED_CANCELED)
    }


def test_the_server_alone_never_acquires_suspends_halts_or_continues() -> None:
    internal = [TaskEvent.RESUME, TaskEvent.EXPIRE, TaskEvent.DISPATCH, TaskEvent.SETTLE]
    targets = {TASK_TABLE[state, event] for state in TaskState for event in internal if event is not None}
    assert TaskState.SUSPENDED not in targets
    assert TASK_TABLE[TaskState.HALTED, TaskEvent.RESUME] is TaskState.HALTED
    assert all(TASK_TABLE[TaskState.PENDING, event] is not TaskState.ACQUIRED for event in internal)


def test_an_event_that_was_thought_possible_and_is_not_is_a_bug() -> None:
    assert task_after(TaskState.PENDING, TaskEvent.ACQUIRE) is TaskState.ACQUIRED
    with pytest.raises(EngineBug, match="a task that is fulfilled cannot be halted"):
        task_after(TaskState.FULFILLED, TaskEvent.HALT)


def test_the_promise_diagram_shows_the_table() -> None:
    assert promise_diagram() == (
        "stateDiagram-v2\n"
        "    [*] --> pending: create\n"
        "    [*] --> rejected_timedout: create late\n"
        "    [*] --> resolved: create late timer\n"
        "    pending --> resolved: resolve, elapse\n"
        "    pending --> rejected: reject\n"
        "    pending --> rejected_canceled: cancel\n"
        "    pending --> rejected_timedout: time out\n"
        "    resolved --> [*]\n"
        "    rejected --> [*]\n"
        "    rejected_canceled --> [*]\n"
        "    rejected_timedout --> [*]\n"
    )


def test_the_task_diagram_shows_the_table() -> None:
    lines = task_diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    [*] --> acquired: create acquired" in lines
    assert "    acquired --> pending: release, expire" in lines
    assert "    acquired --> acquired: fence, heartbeat, redirect, resume" in lines
    assert "    suspended --> pending: resume" in lines
    assert lines[-1] == "    fulfilled --> [*]"
    assert not any(line.startswith("    fulfilled --> fulfilled") for line in lines)
