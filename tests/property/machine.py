"""A hostile crowd of clients and an unpunctual server, as a Hypothesis state machine over the model.

Every request and every internal step is one step of the protocol, checked against every property.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from resonate.core.protocol.properties import Cause, Census
from resonate.core.protocol.properties.reading import is_external
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseReply,
    Rejection,
    Request,
    TaskAcquire,
    TaskFence,
    TaskFulfill,
    TaskHeartbeat,
    TaskRelease,
    TaskSuspend,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    LeaseTimeout,
    ListenerDrain,
    PromiseTimeout,
    RetryDispatch,
    ScheduleFire,
)
from resonate.testing.model import Model
from tests.property.crowd import ADDRESSES, RETRY_INTERVAL, SCHEDULE_IDS, Crowd, World, picks

HOLDERS = (TaskAcquire, TaskFence, TaskFulfill, TaskRelease, TaskSuspend)
"""What names the version of the task that it is about."""


class ProtocolMachine(Crowd):
    """One store from empty, and what happens to it."""

    steps: ClassVar[int] = 0
    bites: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(Settings(retry_interval=RETRY_INTERVAL))
        self.snapshot = self.model.snapshot(self.now)
        self.census = Census(self.snapshot)
        self.fired: InternalStep | None = None

    @property
    def world(self) -> World:
        return self.model

    def teardown(self) -> None:
        type(self).steps += len(self.story)
        type(self).bites.update(self.census.bites)

    # ------------------------------------------------------------ one step

    def ask(self, request: Request[Any]) -> object:
        self.story.append((self.now, request))
        before = self.snapshot
        tasks = self.model.tasks.copy()
        reply = self.model.ask(request, self.now)
        self._check(Cause.REQUEST)
        if isinstance(request, TaskHeartbeat):
            touched = [task for id, task in self.model.tasks.items() if task is not tasks[id]]
            assert {task.pid for task in touched} <= {request.pid}, self.tale("a heartbeat extends another's lease")
        if isinstance(reply, Rejection):
            after = self.snapshot
            written = (after.promises, after.tasks, after.schedules, after.outbox)
            assert written == (before.promises, before.tasks, before.schedules, before.outbox), self.tale(
                "a refusal writes"
            )
        if isinstance(reply, PromiseReply | ClaimReply):
            assert not self._is_overdue(reply.promise), self.tale("a reply shows what is stored, not what it reads as")
            assert (reply.promise.settled_at or 0) <= self.now, self.tale("a reply shows what is yet to come")
        if isinstance(request, HOLDERS) and not isinstance(reply, Rejection):
            assert tasks[request.id].version == request.version, self.tale("a request at another version is done")
        return reply

    def fire(self, step: InternalStep) -> None:
        self.story.append((self.now, step))
        self.fired = step
        before = self.model.promises.copy()
        self.model.fire(step, self.now)
        self._check(Cause.INTERNAL)
        settled = [p.record for id, p in before.items() if p.record is not self.model.promises[id].record]
        assert all(is_external(record.tags) for record in settled), self.tale("the clock settles an internal promise")
        if not isinstance(step, ScheduleFire):  # one that is far behind catches up over several firings
            assert step not in self.model.due(self.now), self.tale("a step that was fired is due again at once")

    def _check(self, cause: Cause) -> None:
        self.snapshot = self.model.snapshot(self.now)
        violated = self.census.observe(self.snapshot, cause)
        assert not violated, self.tale(f"the last step violates {', '.join(violated)}")

    def _is_overdue(self, record: PromiseRecord) -> bool:
        return record.state is PromiseState.PENDING and record.timeout_at <= self.now

    # ------------------------------------------------------------ the server

    @precondition(lambda self: self.model.due(self.now))
    @rule(pick=picks)
    def fire_due(self, pick: int) -> None:
        due = self.model.due(self.now)
        self.fire(due[pick % len(due)])

    @precondition(lambda self: self.model.drains())
    @rule(pick=picks)
    def drain(self, pick: int) -> None:
        drains = self.model.drains()
        self.fire(drains[pick % len(drains)])

    @rule(kind=st.integers(0, 5), pick=picks, other=picks)
    def fire_anything(self, kind: int, pick: int, other: int) -> None:
        id = self.awaitable(pick)
        steps: list[InternalStep] = [
            PromiseTimeout(id),
            CallbackDrain(id, self.id(other, list(self.model.tasks))),
            ListenerDrain(id, ADDRESSES[other % 3]),
            LeaseTimeout(id),
            RetryDispatch(id),
            ScheduleFire(SCHEDULE_IDS[pick % 2]),
        ]
        self.fire(steps[kind])

    @precondition(lambda self: self.fired is not None)
    @rule()
    def fire_again(self) -> None:
        assert self.fired is not None
        self.fire(self.fired)

    @precondition(lambda self: self.model.outbox)
    @rule(some=st.lists(picks, min_size=1, max_size=3))
    def deliver(self, some: list[int]) -> None:
        keys = list(self.model.outbox)
        taken = [keys[pick % len(keys)] for pick in some]
        self.story.append((self.now, f"delivery of {taken}"))
        self.model.deliver(taken)
        self._check(Cause.DELIVERY)

    @precondition(lambda self: self.model.schedules)
    @rule(pick=picks, late=st.sampled_from([0, 1, 60_000, 300_000]))
    def fire_schedule(self, pick: int, late: int) -> None:
        schedules = list(self.model.schedules.values())
        schedule = schedules[pick % len(schedules)]
        self.now = max(self.now, schedule.next_run_at + late)
        self.fire(ScheduleFire(schedule.id))

    # ------------------------------------------------------------ the clock

    @rule(slack=st.sampled_from([0, -1, 1]))
    def wait_until_something_is_due(self, slack: int) -> None:
        self.now = max(self.now, (self.model.next_due() or 0) + slack)
