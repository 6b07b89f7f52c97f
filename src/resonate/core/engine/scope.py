"""A scope: one workflow body that runs in an execution, the root's own or one that it runs as a local child.

Law 1: a scope ends once its body has, no child that it owes is open, and no task of it is left.
Law 2: when only tasks that wait for timers, outside promises or nothing durable are left, they are canceled,
    as `asyncio.run` does with what it finds at the end. The workflow's code hears of that as it hears of results,
    so it is recorded like a delivery.
Law 3: a canceled scope (its future was canceled, or its deadline has passed) cancels all that it has started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resonate.core.engine.children import Child
from resonate.core.engine.unheard import Failures
from resonate.core.registry import Function

PATIENCE = 8
"""How often a task that swallows its cancellation is canceled again."""
LEFT = "^"
"""Ends the token of a cancellation of what is left."""


class Scope:
    """See the module's text. Mutable; owned by one execution.

    `child` is None for the root. `tasks` counts live tasks, `owed` the children that Law 1 waits for, `live` those of
    them that the workflow has neither heard of nor abandoned: unlike `owed`, it follows from what it heard of alone.
    `now` is its logical time (epoch ms): when it was asked for, and then that of the latest event that it has heard of.
    """

    __slots__ = (
        "body",
        "canceled",
        "child",
        "children",
        "cleanups",
        "error",
        "failures",
        "finished",
        "function",
        "grew",
        "id",
        "late",
        "live",
        "local_tags",
        "logger",
        "now",
        "outcome",
        "over",
        "owed",
        "tasks",
        "timeout_at",
    )

    def __init__(self, *, id: str, function: Function, now: int, timeout_at: int, child: Child | None = None) -> None:
        self.id = id
        self.function = function
        self.now = now
        self.timeout_at = timeout_at
        self.child = child
        self.body: Any = None
        self.logger: Any = None
        self.local_tags: Mapping[str, str] | None = None
        """The tags that all its plain steps and workflows share; see `tags`."""
        self.owed = 0
        self.live = 0
        self.tasks = 0
        self.children: dict[str, Child] = {}
        self.grew = False  # asked for something since what it had was canceled
        self.cleanups = 0
        self.over = False
        self.finished = False
        self.canceled = False
        self.late = False  # canceled because its deadline has passed
        self.outcome: object = None
        self.error: BaseException | None = None
        self.failures: Failures | None = None

    @property
    def lingers(self) -> bool:
        """Whether the body has ended and tasks are left."""
        return self.over and not self.finished and bool(self.tasks) and self.cleanups < PATIENCE

    @property
    def token(self) -> str:
        """What the record of deliveries calls the cancellation of the tasks that are left."""
        return ("" if self.child is None else self.child.suffix) + LEFT

    def failed(self) -> Failures:
        """Return where a failure is noted."""
        if self.failures is None:
            self.failures = Failures(self.id)
        return self.failures

    def ended(self, outcome: object, error: BaseException | None) -> None:
        """Take note of how the body ended."""
        self.over = True
        self.outcome = outcome
        self.error = error
