"""Deadlines of their own of the workflows that run inside an execution.

Law 1: a workflow is stopped at its deadline also while nothing else would bring its execution back by then.
Law 2: nothing here costs more as history grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from resonate.core.engine.children import OPEN, Child, Role
from resonate.core.engine.scope import Scope

SLACK = 64
"""Deadlines of workflows that are over, beyond this many and beyond as many as there are workflows, are swept."""


class Limits:
    """See the module's text. Mutable; owned by one execution. `running` are its workflows, by id."""

    __slots__ = ("_first", "_running")

    def __init__(self, running: Mapping[str, Child]) -> None:
        self._running = running
        self._first: list[tuple[int, str]] = []

    def set(self, child: Child, at: int) -> None:
        """Take note of the deadline (epoch ms) of a workflow that is about to run."""
        heappush(self._first, (at, child.id))
        if len(self._first) > SLACK + 2 * len(self._running):
            self._first = [one for one in self._first if one[1] in self._running or one[1] == child.id]
            heapify(self._first)

    def first(self) -> tuple[int, Child] | None:
        """Return the first deadline of a workflow that runs and was not canceled, and the workflow."""
        while self._first:
            at, child_id = self._first[0]
            child = self._running.get(child_id)
            if child is not None and child.phase is OPEN and not child.running.canceled:
                return at, child
            heappop(self._first)
        return None


def is_woken(limited: Child) -> bool:
    """Say whether something else brings the execution back by the deadline of this workflow.

    Whatever the workflow waits for of the store does: it may not stay pending for longer.
    """
    scopes: list[Scope] = [limited.running]
    for scope in scopes:  # it grows
        for child in reversed(scope.children.values()):  # the first are slow to find where many are gone
            if child.phase is not OPEN:
                continue
            if child.role is not Role.WORKFLOW:
                return True
            scopes.append(child.running)
    return False
