"""A hostile crowd of clients and a sloppy clock, as the rules of a Hypothesis state machine over whatever is asked.

Ids are few, so that everything collides. What a rule works on is picked from where it makes sense three times in four,
and blindly else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from resonate.core.protocol.properties.reading import is_external, is_live
from resonate.core.protocol.records import PromiseState, ScheduleRecord, TaskState, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
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
from resonate.core.protocol.snapshot import PromiseSnapshot, TaskSnapshot

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


class World(Protocol):
    """What there is, for rules to pick from."""

    @property
    def promises(self) -> Mapping[str, PromiseSnapshot]:
        """All promises by id."""
        ...

    @property
    def tasks(self) -> Mapping[str, TaskSnapshot]:
        """All tasks by id."""
        ...

    @property
    def schedules(self) -> Mapping[str, ScheduleRecord]:
        """All schedules by id."""
        ...


class Crowd(RuleBasedStateMachine):
    """Whatever clients may ask, in any order, of a server that starts out empty."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.story: list[tuple[int, object]] = []

    @property
    def world(self) -> World:
        """What there is."""
        raise NotImplementedError

    def ask(self, request: Request[Any]) -> object:
        """Do one request, check what is to be checked, return the reply."""
        raise NotImplementedError

    def elapse(self, ms: int) -> None:
        """Let time pass."""
        self.now += ms

    def tale(self, claim: str) -> str:
        """Return the claim, and what led to it."""
        return "\n".join([f"{claim}:", *(f"  at {now}: {told(step)}" for now, step in self.story)])

    # ------------------------------------------------------------ picking

    def id(self, pick: int, sensible: Sequence[str]) -> str:
        return sensible[pick % len(sensible)] if sensible and pick < 12 else IDS[pick % len(IDS)]

    def task(self, pick: int, *states: TaskState) -> str:
        return self.id(pick, [t.id for t in self.world.tasks.values() if t.state in states])

    def resumed(self, pick: int) -> str:
        acquired = [t for t in self.world.tasks.values() if t.state is TaskState.ACQUIRED]
        return self.id(pick, [t.id for t in acquired if t.resumes] or [t.id for t in acquired])

    def pending(self, pick: int) -> str:
        pending = {id: p for id, p in self.world.promises.items() if p.record.state is PromiseState.PENDING}
        awaited = [id for id, p in pending.items() if p.callbacks or p.listeners]
        return self.id(pick, awaited if awaited and pick % 2 else list(pending))

    def awaitable(self, pick: int) -> str:
        return self.id(pick, [id for id, p in self.world.promises.items() if p.record.tags])

    def live(self, pick: int) -> str:
        return self.id(
            pick,
            [id for id, p in self.world.promises.items() if is_external(p.record.tags) and is_live(p.record, self.now)],
        )

    def version(self, id: str, slip: int) -> int:
        task = self.world.tasks.get(id)
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
        self.ask(TaskHeartbeat(pid=pid, tasks=tuple(TaskRef(id, self.version(id, slip)) for id in ids)))

    @rule(pick=picks, slip=slips, some=st.lists(picks, max_size=3))
    def suspend(self, pick: int, slip: int, some: list[int]) -> None:
        id = self.task(pick, TaskState.ACQUIRED)
        awaited = [self.awaitable(other) for other in some]
        actions = tuple(PromiseRegisterCallback(awaited=other, awaiter=id) for other in awaited)
        reply = self.ask(TaskSuspend(id=id, version=self.version(id, slip), actions=actions))
        if not awaited or id in awaited or len(set(awaited)) < len(awaited):
            assert isinstance(reply, Rejection), self.tale("a malformed suspension is accepted")
            assert reply.status == 400, self.tale("a malformed suspension is answered with another status than 400")

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

    # ------------------------------------------------------------ the clock

    @rule(ms=waits)
    def wait(self, ms: int) -> None:
        # Every minute that a schedule is behind is a promise: a thousand of them teach nothing that ten do not.
        self.elapse(min(ms, 600_000) if self.world.schedules else ms)
