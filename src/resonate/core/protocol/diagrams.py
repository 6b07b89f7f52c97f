"""The transition tables drawn as mermaid state diagrams, so that the docs show what runs.

Law 1: a diagram is drawn from the table alone; each edge between two states carries all its events.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar

from resonate.core.protocol.transitions import PROMISE_BIRTHS, PROMISE_TABLE, TASK_BIRTHS, TASK_TABLE

BirthT = TypeVar("BirthT", bound=StrEnum)
StateT = TypeVar("StateT", bound=StrEnum)
EventT = TypeVar("EventT", bound=StrEnum)


def promise_diagram() -> str:
    """Return the life of a promise as mermaid text. Events that change nothing in a final state are left out."""
    return _diagram(PROMISE_BIRTHS, PROMISE_TABLE)


def task_diagram() -> str:
    """Return the life of a task as mermaid text. Events that change nothing in a final state are left out."""
    return _diagram(TASK_BIRTHS, TASK_TABLE)


def _diagram(
    births: Mapping[BirthT, StateT],
    table: Mapping[tuple[StateT, EventT], StateT] | Mapping[tuple[StateT, EventT], StateT | None],
) -> str:
    edges: dict[tuple[str, str], list[str]] = {}
    for birth, state in births.items():
        edges.setdefault(("[*]", state.value), []).append(_label(birth))
    final = _final_states(table)
    for (state, event), target in table.items():
        if target is not None and state not in final:
            edges.setdefault((state.value, target.value), []).append(_label(event))
    lines = [f"    {source} --> {target}: {', '.join(labels)}" for (source, target), labels in edges.items()]
    ends = [f"    {state.value} --> [*]" for state in final]
    return "\n".join(["stateDiagram-v2", *lines, *ends]) + "\n"


def _final_states(
    table: Mapping[tuple[StateT, EventT], StateT] | Mapping[tuple[StateT, EventT], StateT | None],
) -> Collection[StateT]:
    states = dict.fromkeys(state for state, _ in table)
    leaving = {state for (state, _), target in table.items() if target is not None and target is not state}
    return [state for state in states if state not in leaving]


def _label(event: StrEnum) -> str:
    return event.name.lower().replace("_", " ")
