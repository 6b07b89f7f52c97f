"""A scope: one workflow body that runs in an execution, the root's own or one that it runs as a local child.

Law 1: a scope ends once its body has, no child that it owes is open, and no task of it is left.
Law 2: when only tasks that wait for timers, outside promises or nothing durable are left, they are canceled,
    as `asyncio.run` does with what it finds at the end.
Law 3: a canceled scope (its future was canceled, or its deadline has passed) cancels all that it has started.
"""

from __future__ import annotations

from typing import Any

from resonate.core.engine.children import Child
from resonate.core.registry import Function

PATIENCE = 8
"""How often a task that swallows its cancellation is canceled again."""


class Scope:
    """See the module's text. Mutable; owned by one execution.

    `child` is None for the root. `owed` counts open children that Law 1 waits for, `tasks` live tasks.
    """

    __slots__ = (
        "body",
        "canceled",
        "child",
        "children",
        "cleanups",
        "context",
        "error",
        "function",
        "id",
        "logger",
        "outcome",
        "over",
        "owed",
        "tasks",
        "timeout_at",
    )

    def __init__(self, *, id: str, function: Function, timeout_at: int, child: Child | None = None) -> None:
        self.id = id
        self.function = function
        self.timeout_at = timeout_at
        self.child = child
        self.context: Any = None
        self.body: Any = None
        self.logger: Any = None
        self.owed = 0
        self.tasks = 0
        self.children: dict[str, Child] = {}
        self.cleanups = 0
        self.over = False
        self.canceled = False
        self.outcome: object = None
        self.error: BaseException | None = None

    def ended(self, outcome: object, error: BaseException | None) -> None:
        """Take note of how the body ended."""
        self.over = True
        self.outcome = outcome
        self.error = error
