"""A hostile crowd of clients, a sloppy clock and an unpunctual server, as a Hypothesis state machine over the model.

Ids are few, so that everything collides. What a rule works on is picked from where it makes sense three times in four,
and blindly else. Every request and every internal step is one step of the protocol, checked against every property.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from resonate.core.protocol.properties import Cause, Census
from resonate.core.protocol.properties.reading import is_external, is_live
from resonate.core.protocol.records import PromiseRecord, PromiseState, TaskState, Value
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    Request,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleSearch,
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
    TaskSearch,
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

START = 1_000_000
RETRY_INTERVAL = 50

IDS = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
SCHEDULE_IDS = ("s", "r")
WORKERS = "poll://any@workers"
ADDRESSES = ("http://ears/1", "https://ears/2", "poll://uni@ears/3")

picks = st.integers(0, 15)
pids = st.sampled_from(["w1", "w2"])
ttls = st.sampled_from([10, 1, 100, 100, 5_000, 5_000, 5_000, 0, -1])
slips = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 1, -1])
waits = st.sampled_from([1, 0, 5, 10, 50, 100, 500, 60_000, 10**12])
headrooms = st.sampled_from([1_000, 100_000, 100, 10, 1, 0, -7])
values = st.sampled_from([Value(), Value(data="x"), Value(headers={"k": "v"})])
states = st.sampled_from(PromiseState)
addresses = st.sampled_from([*ADDRESSES, *ADDRESSES, "poll://nobody", "mailto:me", ""])
tags = st.sampled_from(
    [
        {"resonate:target": WORKERS},
        {"resonate:external": "true"},
        {"resonate:timer": "true"},
        {"resonate:target": "http://workers/1", "resonate:branch": "a", "resonate:external": "true"},
        {},
        {"resonate:timer": "1", "resonate:external": "yes", "resonate:branch": "b"},
        {"resonate:target": WORKERS, "resonate:timer": "true"},
        {"resonate:target": ""},
    ]
)
targeted = st.sampled_from(
    [
        {"resonate:target": WORKERS},
        {"resonate:target": WORKERS},
        {"resonate:target": "http://workers/1", "resonate:branch": "a"},
        {"resonate:target": WORKERS, "resonate:timer": "true"},
        {},
    ]
)
delays = st.sampled_from(["+10", "+100", "+1000", "-20", "soon"])
crons = st.sampled_from(["* * * * *", "30 0 * * * *", "0 * * * *", "0 0 30 2 *", "0 9 * * 0", "now and then"])
templates = st.sampled_from(["{{.id}}.{{.timestamp}}", "a", "b"])


def told(thing: object) -> str:
    """Return a request or a step as short as it can be told: without the fields that have their default."""
    if isinstance(thing, tuple):
        return f"({', '.join(told(item) for item in thing)})"
    if not attrs.has(type(thing)):
        return str(thing)
    fields = {f.name: getattr(thing, f.name) for f in attrs.fields(type(thing)) if getattr(thing, f.name) != f.default}
    return f"{type(thing).__name__}({', '.join(f'{name}={told(value)}' for name, value in fields.items())})"


class ProtocolMachine(RuleBasedStateMachine):
    """One store from empty, and what happens to it."""

    steps: ClassVar[int] = 0
    bites: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.model = Model(Settings(retry_interval=RETRY_INTERVAL))
        self.snapshot = self.model.snapshot(self.now)
        self.census = Census(self.snapshot)
        self.story: list[tuple[int, object]] = []
        self.fired: InternalStep | None = None

    def teardown(self) -> None:
        type(self).steps += len(self.story)
        type(self).bites.update(self.census.bites)

    # ------------------------------------------------------------ one step

    def ask(self, request: Request[Any]) -> object:
        self.story.append((self.now, request))
        before = self.snapshot
        reply = self.model.ask(request, self.now)
        self._check(Cause.REQUEST)
        if isinstance(reply, Rejection):
            after = self.snapshot
            written = (after.promises, after.tasks, after.schedules, after.outbox)
            assert written == (before.promises, before.tasks, before.schedules, before.outbox), self._tale(
                "a refusal writes"
            )
        if isinstance(reply, PromiseReply | ClaimReply):
            assert not self._is_overdue(reply.promise), self._tale("a reply shows what is stored, not what it reads as")
        return reply

    def fire(self, step: InternalStep) -> None:
        self.story.append((self.now, step))
        self.fired = step
        before = self.model.promises.copy()
        self.model.fire(step, self.now)
        self._check(Cause.INTERNAL)
        settled = [p.record for id, p in before.items() if p.record is not self.model.promises[id].record]
        assert all(is_external(record.tags) for record in settled), self._tale("the clock settles an internal promise")
        if not isinstance(step, ScheduleFire):  # one that is far behind catches up over several firings
            assert step not in self.model.due(self.now), self._tale("a step that was fired is due again at once")

    def _check(self, cause: Cause) -> None:
        self.snapshot = self.model.snapshot(self.now)
        violated = self.census.observe(self.snapshot, cause)
        assert not violated, self._tale(f"the last step violates {', '.join(violated)}")

    def _is_overdue(self, record: PromiseRecord) -> bool:
        return record.state is PromiseState.PENDING and record.timeout_at <= self.now

    def _tale(self, claim: str) -> str:
        return "\n".join([f"{claim}:", *(f"  at {now}: {told(step)}" for now, step in self.story)])

    # ------------------------------------------------------------ picking

    def id(self, pick: int, sensible: Sequence[str]) -> str:
        return sensible[pick % len(sensible)] if sensible and pick < 12 else IDS[pick % len(IDS)]

    def task(self, pick: int, *states: TaskState) -> str:
        return self.id(pick, [t.id for t in self.model.tasks.values() if t.state in states])

    def resumed(self, pick: int) -> str:
        acquired = [t for t in self.model.tasks.values() if t.state is TaskState.ACQUIRED]
        return self.id(pick, [t.id for t in acquired if t.resumes] or [t.id for t in acquired])

    def pending(self, pick: int) -> str:
        pending = {id: p for id, p in self.model.promises.items() if p.record.state is PromiseState.PENDING}
        awaited = [id for id, p in pending.items() if p.callbacks or p.listeners]
        return self.id(pick, awaited if awaited and pick % 2 else list(pending))

    def awaitable(self, pick: int) -> str:
        return self.id(pick, [id for id, p in self.model.promises.items() if p.record.tags])

    def live(self, pick: int) -> str:
        return self.id(
            pick,
            [id for id, p in self.model.promises.items() if is_external(p.record.tags) and is_live(p.record, self.now)],
        )

    def version(self, id: str, slip: int) -> int:
        task = self.model.tasks.get(id)
        return (task.version if task else 0) + slip

    def deadline(self, headroom: int) -> int:
        return self.now + headroom

    @initialize(
        headroom=st.sampled_from([100_000, 1_000, 20]),
        ttl=st.sampled_from([5_000, 10]),
        awaited=st.booleans(),
        parked=st.booleans(),
    )
    def start(self, headroom: int, ttl: int, awaited: bool, parked: bool) -> None:
        """Leave no run without something to work on: which rules a run has at all is left to chance."""
        deadline = self.deadline(headroom)
        for id in ("a", "b"):
            action = PromiseCreate(id=id, timeout_at=self.deadline(100_000), tags={"resonate:target": WORKERS})
            self.ask(TaskCreate(pid="w1", ttl=ttl, action=action))
        self.ask(PromiseCreate(id="c", timeout_at=deadline, tags={"resonate:target": WORKERS}))
        self.ask(PromiseCreate(id="d", timeout_at=self.deadline(100_000), tags={"resonate:external": "true"}))
        self.ask(PromiseCreate(id="e", timeout_at=deadline, tags={"resonate:timer": "true"}))
        almost = {"resonate:timer": "1", "resonate:external": "yes"}
        self.ask(PromiseCreate(id="f", timeout_at=deadline, tags=almost))
        for id in ("c", "d", "e") if awaited else ():
            self.ask(PromiseRegisterCallback(awaited=id, awaiter="a"))
            self.ask(PromiseRegisterListener(awaited=id, address=ADDRESSES[0]))
        if parked:
            actions = tuple(PromiseRegisterCallback(awaited=id, awaiter="b") for id in ("d", "e"))
            self.ask(TaskSuspend(id="b", version=1, actions=actions))

    # ------------------------------------------------------------ promises

    @rule(id=st.sampled_from(IDS), tags=tags, headroom=headrooms, value=values)
    def create(self, id: str, tags: dict[str, str], headroom: int, value: Value) -> None:
        self.ask(PromiseCreate(id=id, timeout_at=self.deadline(headroom), param=value, tags=tags))

    @rule(id=st.sampled_from(IDS), headroom=headrooms, delay=delays)
    def create_delayed(self, id: str, headroom: int, delay: str) -> None:
        instant = delay if delay == "soon" else str(self.now + int(delay))
        tags = {"resonate:target": WORKERS, "resonate:delay": instant}
        self.ask(PromiseCreate(id=id, timeout_at=self.deadline(headroom), tags=tags))

    @rule(pick=picks, state=states, value=values)
    def settle(self, pick: int, state: PromiseState, value: Value) -> None:
        self.ask(PromiseSettle(id=self.pending(pick), state=state, value=value))

    @rule(awaited=picks, awaiter=picks)
    def register_callback(self, awaited: int, awaiter: int) -> None:
        waiting = self.task(awaiter, TaskState.ACQUIRED, TaskState.SUSPENDED, TaskState.PENDING, TaskState.HALTED)
        self.ask(PromiseRegisterCallback(awaited=self.live(awaited), awaiter=waiting))

    @rule(pick=picks, address=addresses)
    def register_listener(self, pick: int, address: str) -> None:
        self.ask(PromiseRegisterListener(awaited=self.awaitable(pick), address=address))

    # ------------------------------------------------------------ tasks

    @rule(id=st.sampled_from(IDS), tags=targeted, headroom=headrooms, pid=pids, ttl=ttls)
    def create_task(self, id: str, tags: dict[str, str], headroom: int, pid: str, ttl: int) -> None:
        action = PromiseCreate(id=id, timeout_at=self.deadline(headroom), tags=tags)
        self.ask(TaskCreate(pid=pid, ttl=ttl, action=action))

    @rule(pick=picks, slip=slips, pid=pids, ttl=ttls, delta=st.booleans())
    def acquire(self, pick: int, slip: int, pid: str, ttl: int, delta: bool) -> None:
        id = self.task(pick, TaskState.PENDING)
        self.ask(TaskAcquire(id=id, version=self.version(id, slip), pid=pid, ttl=ttl, delta=delta))

    @rule(pick=picks, slip=slips, id=st.sampled_from(IDS), tags=tags, headroom=headrooms)
    def fence_create(self, pick: int, slip: int, id: str, tags: dict[str, str], headroom: int) -> None:
        task = self.task(pick, TaskState.ACQUIRED)
        action = PromiseCreate(id=id, timeout_at=self.deadline(headroom), tags=tags)
        self.ask(TaskFence(id=task, version=self.version(task, slip), action=action))

    @rule(pick=picks, slip=slips, promise=picks, state=states, value=values)
    def fence_settle(self, pick: int, slip: int, promise: int, state: PromiseState, value: Value) -> None:
        task = self.task(pick, TaskState.ACQUIRED)
        action = PromiseSettle(id=self.pending(promise), state=state, value=value)
        self.ask(TaskFence(id=task, version=self.version(task, slip), action=action))

    @rule(some=st.lists(picks, max_size=3), slip=slips, pid=pids)
    def heartbeat(self, some: list[int], slip: int, pid: str) -> None:
        ids = [self.task(pick, TaskState.ACQUIRED) for pick in some]
        before = self.model.tasks.copy()
        self.ask(TaskHeartbeat(pid=pid, tasks=tuple(TaskRef(id, self.version(id, slip)) for id in ids)))
        touched = [task for id, task in self.model.tasks.items() if task is not before[id]]
        assert {task.pid for task in touched} <= {pid}, self._tale("a heartbeat extends another's lease")

    @rule(pick=picks, slip=slips, some=st.lists(picks, max_size=3))
    def suspend(self, pick: int, slip: int, some: list[int]) -> None:
        id = self.task(pick, TaskState.ACQUIRED)
        awaited = [self.awaitable(other) for other in some]
        actions = tuple(PromiseRegisterCallback(awaited=other, awaiter=id) for other in awaited)
        reply = self.ask(TaskSuspend(id=id, version=self.version(id, slip), actions=actions))
        if not awaited or id in awaited or len(set(awaited)) < len(awaited):
            assert isinstance(reply, Rejection), self._tale("a malformed suspension is accepted")
            assert reply.status == 400, self._tale("a malformed suspension is answered with another status than 400")

    @rule(pick=picks, first=picks, second=picks)
    def suspend_properly(self, pick: int, first: int, second: int) -> None:
        id = self.resumed(pick)
        awaited = sorted({self.live(first), self.live(second if pick % 2 else first)} - {id})
        actions = tuple(PromiseRegisterCallback(awaited=other, awaiter=id) for other in awaited)
        self.ask(TaskSuspend(id=id, version=self.version(id, 0), actions=actions))

    @rule(pick=picks, slip=slips, state=states, value=values)
    def fulfill(self, pick: int, slip: int, state: PromiseState, value: Value) -> None:
        id = self.task(pick, TaskState.ACQUIRED)
        action = PromiseSettle(id=id, state=state, value=value)
        self.ask(TaskFulfill(id=id, version=self.version(id, slip), action=action))

    @rule(pick=picks, slip=slips)
    def release(self, pick: int, slip: int) -> None:
        id = self.task(pick, TaskState.ACQUIRED)
        self.ask(TaskRelease(id=id, version=self.version(id, slip)))

    @rule(pick=picks)
    def halt(self, pick: int) -> None:
        self.ask(TaskHalt(self.task(pick, TaskState.PENDING, TaskState.ACQUIRED, TaskState.SUSPENDED)))

    @rule(pick=picks)
    def continue_(self, pick: int) -> None:
        self.ask(TaskContinue(self.task(pick, TaskState.HALTED)))

    # ------------------------------------------------------------ schedules and reads

    @rule(id=st.sampled_from(SCHEDULE_IDS), cron=crons, template=templates, timeout=headrooms, tags=targeted)
    def create_schedule(self, id: str, cron: str, template: str, timeout: int, tags: dict[str, str]) -> None:
        self.ask(ScheduleCreate(id=id, cron=cron, promise_id=template, promise_timeout=timeout, promise_tags=tags))

    @precondition(lambda self: self.model.schedules)
    @rule(pick=picks, late=st.sampled_from([0, 1, 60_000, 300_000]))
    def fire_schedule(self, pick: int, late: int) -> None:
        schedules = list(self.model.schedules.values())
        schedule = schedules[pick % len(schedules)]
        self.now = max(self.now, schedule.next_run_at + late)
        self.fire(ScheduleFire(schedule.id))

    @rule(id=st.sampled_from(SCHEDULE_IDS))
    def delete_schedule(self, id: str) -> None:
        self.ask(ScheduleDelete(id))

    @rule(kind=st.integers(0, 5), id=st.sampled_from(IDS), limit=st.sampled_from([1, 100, 0]))
    def read(self, kind: int, id: str, limit: int) -> None:
        reads: list[Request[Any]] = [
            PromiseGet(id),
            TaskGet(id),
            ScheduleGet("s"),
            PromiseSearch(limit=limit, cursor=id),
            TaskSearch(limit=limit, tags={"resonate:target": WORKERS}),
            ScheduleSearch(limit=limit),
        ]
        self.ask(reads[kind])

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

    # ------------------------------------------------------------ the clock

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        # Every minute that a schedule is behind is a promise: a thousand of them teach nothing that ten do not.
        self.now += min(ms, 600_000) if self.model.schedules else ms

    @rule(slack=st.sampled_from([0, -1, 1]))
    def wait_until_something_is_due(self, slack: int) -> None:
        self.now = max(self.now, (self.model.next_due() or 0) + slack)
