"""One execution and a dict for a store: no runtime, no event loop, no clock. Every race is a list of events.

Nothing is answered unless a test says so: writes wait in `writes`, steps in `steps`, until `answer`, `returns`, ...
are called. `play` answers all of it, in an order that the test chooses.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve

from resonate.adapters.codecs.json import JsonCodec
from resonate.core.engine import commands as do
from resonate.core.engine.context import Context
from resonate.core.engine.deliveries import HEADER
from resonate.core.engine.environment import DAY_MS, Dependencies, Environment
from resonate.core.engine.execution import Execution
from resonate.core.engine.identity import KIND
from resonate.core.function import describe
from resonate.core.ids import is_own
from resonate.core.protocol.dialect import OURS, Dialect
from resonate.core.protocol.records import NO_VALUE, PromiseRecord, PromiseState, Tag, Value
from resonate.core.protocol.requests import PromiseCreate, PromiseSettle
from resonate.core.registry import Registry
from resonate.core.trace import LifecycleEvent, TraceEvent, violated
from resonate.core.values import Call
from resonate.errors import Conflict

T0 = 1_735_689_600_000
CODEC = JsonCodec()


class SilentLogger:
    """What a scope's logger is made of here: it remembers who asked for it, and what got through."""

    def __init__(self, name: str, promise_id: str, replaying: Callable[[], bool]) -> None:
        self.name, self.promise_id, self._replaying = name, promise_id, replaying
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        if not self._replaying():
            self.lines.append(text)


class World:
    """An execution of `fn`, driven by hand.

    Args:
        fn: the workflow.
        args: its arguments.
        functions: what else is registered.
        dialect: how the store speaks.
        store: what is stored already, by id; the root promise is added to it if it is not there.
        now: the first instant.
        timeout_ms: the root's deadline, from `now`.
        observed: whether lifecycle events are collected in `trace`.
    """

    alive: ClassVar[list[World]] = []
    """All that were made in this test."""

    def __init__(
        self,
        fn: Callable[..., Any],
        *args: Any,
        id: str = "root",
        functions: Sequence[Callable[..., Any]] = (),
        dialect: Dialect = OURS,
        store: dict[str, PromiseRecord] | None = None,
        history: Iterable[PromiseRecord] | None = None,
        whole: bool = True,
        now: int = T0,
        timeout_ms: int = DAY_MS,
        tags: dict[str, str] | None = None,
        version: int = 1,
        observed: bool = True,
        many: int = 1000,
    ) -> None:
        self.fn, self.args = fn, args
        self.now = now
        self.store: dict[str, PromiseRecord] = {} if store is None else store
        self.events: list[LifecycleEvent] = []
        """What was reported in this attempt."""
        self.all_events: list[LifecycleEvent] = []
        self.registry = Registry()
        for function in (*functions, fn):
            self.registry.add(describe(function))
        self.loggers: list[SilentLogger] = []
        self.dependencies = Dependencies()
        self.timers_made: list[str] = []
        self.env = Environment(
            codec=CODEC,
            registry=self.registry,
            address=lambda target: target if target and "://" in target else f"poll://any@{target or 'default'}",
            random=random.Random,
            logger=self._logger,
            observe=self._observe if observed else None,
            dialect=dialect,
            timer_made=self.timers_made.append,
            dependencies=self.dependencies,
            many=many,
        )
        function = describe(fn)
        call = Call(func=function.name, args=args, version=1)
        promise = self.store.setdefault(
            id,
            PromiseRecord(
                id=id,
                state=PromiseState.PENDING,
                param=CODEC.encode_call(call, function.signature),
                tags=tags or {},
                timeout_at=now + timeout_ms,
                created_at=now,
            ),
        )
        if history is None:
            history = [record for record in self.store.values() if record.id != id]
        self.execution = Execution(self.env, Context, promise, function, call, history, version, whole=whole)
        self.id = id
        self.version = version
        self.commands: list[do.Command] = []
        self.sent: list[do.Command] = []
        """Every command of this attempt."""
        self.writes: dict[str, PromiseCreate | PromiseSettle] = {}
        self.steps: dict[str, do.RunStep] = {}
        self.looks: dict[str, tuple[str, ...]] = {}
        """What is asked for and not answered yet, by the first id of each batch."""
        self.canceled: list[str] = []
        self.end: do.Suspend | do.Fulfill | do.Stop | None = None
        self.watched: set[str] = set()
        self.alarm: int | None = None
        self.over = False
        self.alive.append(self)

    def _observe(self, event: LifecycleEvent) -> None:
        self.events.append(event)
        self.all_events.append(event)

    def _logger(
        self, name: str, known: Callable[[], Mapping[str, object]], replaying: Callable[[], bool]
    ) -> SilentLogger:
        self.loggers.append(SilentLogger(name, str(known()["id"]), replaying))
        return self.loggers[-1]

    # ------------------------------------------------------------ driving

    def start(self) -> list[do.Command]:
        """Begin; return the commands."""
        return self._take(self.execution.start(self.now))

    def step(self, *events: do.Event, now: int | None = None) -> list[do.Command]:
        """Tell `events`, at `now`."""
        self.now = max(self.now, now or self.now)
        self.end = None
        return self._take(self.execution.step(list(events), self.now))

    def resume(self, *news: PromiseRecord, now: int | None = None, behind: int = 0) -> list[do.Command]:
        """Bring the suspended execution back with a new task version, `news` and the timers that have rung.

        The store's clock is `behind` by so many ms.
        """
        assert isinstance(self.end, do.Suspend)
        if not self.over:
            self.execution.suspended()
        self.over = False
        self.events.clear()
        self.watched.clear()
        self.now = max(self.now, now or self.now)
        self.version += 1
        self.end = None
        self.writes, self.steps, self.looks = {}, {}, {}
        news = (
            (*news, *self._rung({record.id for record in news}, self.now - behind))
            if self.env.dialect.delta_preload
            else news
        )
        return self._take(self.execution.resume(self.store[self.id], news, self.version, self.now))

    def _rung(self, besides: set[str], now: int) -> list[PromiseRecord]:
        rung = [
            _read(record, now)
            for record in self.store.values()
            if record.id not in besides
            and record.state is PromiseState.PENDING
            and record.tags.get(Tag.TIMER) == "true"
            and record.timeout_at <= now
        ]
        self.store.update({record.id: record for record in rung})
        return rung

    def _take(self, commands: list[do.Command]) -> list[do.Command]:
        self.commands = commands
        self.sent.extend(commands)
        for command in commands:
            match command:
                case do.Write(action):
                    assert action.id not in self.writes, "a write while one of the same promise is under way"
                    self.writes[action.id] = action
                case do.RunStep():
                    assert command.id not in self.steps, "a step that runs is run again"
                    self.steps[command.id] = command
                case do.CancelStep(id):
                    self.steps.pop(id, None)
                    self.canceled.append(id)
                case do.Look(ids):
                    self.looks[ids[0]] = ids
                case do.Watch(id):
                    assert id not in self.watched, "watched twice"
                    self.watched.add(id)
                case do.Unwatch(id):
                    self.watched.remove(id)
                case do.Wake(at):
                    self.alarm = at
                case do.Suspend() | do.Fulfill() | do.Stop():
                    assert self.end is None, "two ends of one turn"
                    self.end = command
        return commands

    # ------------------------------------------------------------ the store's rules, in short

    def apply(self, action: PromiseCreate | PromiseSettle) -> PromiseRecord:
        """Do a write as the store would; return the promise as it is then."""
        known = self.store.get(action.id)
        if isinstance(action, PromiseCreate):
            if known is None:
                known = self.store[action.id] = self._born(action)
        elif known is None:
            raise AssertionError(f"{action.id} is settled before it is created")
        elif self.read(action.id).state is PromiseState.PENDING:
            known = evolve(known, state=action.state, value=action.value, settled_at=self.now)
            self.store[action.id] = known
        return self.read(action.id)

    def _born(self, action: PromiseCreate) -> PromiseRecord:
        born = PromiseRecord(
            id=action.id,
            state=PromiseState.PENDING,
            param=action.param,
            tags=action.tags,
            timeout_at=action.timeout_at,
            created_at=self.now,
        )
        return _read(born, self.now)

    def read(self, promise_id: str) -> PromiseRecord:
        """Return a promise as the store shows it now."""
        return _read(self.store[promise_id], self.now)

    def settle(self, promise_id: str, value: object = None, state: PromiseState = PromiseState.RESOLVED) -> do.Event:
        """Settle a promise from outside; return the event that would tell of it."""
        encoded = CODEC.encode_error(value) if isinstance(value, BaseException) else CODEC.encode(value)
        return do.PromiseKnown(self.apply(PromiseSettle(id=promise_id, state=state, value=encoded)))

    # ------------------------------------------------------------ events

    def written(self, promise_id: str) -> do.Event:
        """Do a write that is under way; return the event that answers it."""
        return do.PromiseKnown(self.apply(self.writes.pop(promise_id)))

    def answer(self, *promise_ids: str) -> list[do.Command]:
        """Answer these writes, in this order, together; all that are under way if none is named."""
        return self.step(*[self.written(promise_id) for promise_id in promise_ids or tuple(self.writes)])

    def looked(self, first: str) -> list[do.Event]:
        """Return the events that answer a `Look`, and with it all writes, as `Look` says."""
        written = [self.written(promise_id) for promise_id in tuple(self.writes)]
        return written + [do.PromiseKnown(self.read(each)) for each in self.looks.pop(first) if each in self.store]

    def refuse(self, promise_id: str, error: Exception | None = None) -> list[do.Command]:
        """Refuse a write that is under way."""
        del self.writes[promise_id]
        return self.step(do.WriteRefused(promise_id, error or Conflict("refused", step=promise_id)))

    def returns(self, promise_id: str, value: object = None) -> list[do.Command]:
        """Let a step return."""
        del self.steps[promise_id]
        return self.step(do.StepReturned(promise_id, value))

    def fails(self, promise_id: str, error: BaseException) -> list[do.Command]:
        """Let a step fail for good."""
        del self.steps[promise_id]
        return self.step(do.StepFailed(promise_id, error))

    # ------------------------------------------------------------ everything at once

    def play(
        self,
        *,
        choose: Callable[[Sequence[str]], str] | None = None,
        budget: int = 10_000,
    ) -> do.Suspend | do.Fulfill | do.Stop:
        """Answer every write and run every step until the attempt ends.

        `choose` picks what happens next among `w:<id>` (a write is answered) and `s:<id>` (a step returns).
        """
        if not self.sent:
            self.start()
        for _ in range(budget):
            if self.end is not None:
                return self.end
            if not self.pending:
                assert self.alarm is not None, "nothing is under way and nothing will come"
                self.step(now=self.alarm)
                continue
            self.happen((choose or _first)(self.pending))
        raise AssertionError("it never ends")

    @property
    def pending(self) -> list[str]:
        """What can happen next: answers to writes and looks, and ends of steps."""
        if self.looks:
            return [f"l:{first}" for first in self.looks]
        return [f"w:{promise_id}" for promise_id in self.writes] + [f"s:{step_id}" for step_id in self.steps]

    def happen(self, what: str) -> list[do.Command]:
        """Let one of `pending` happen."""
        kind, _, promise_id = what.partition(":")
        if kind == "w":
            return self.answer(promise_id)
        if kind == "l":
            return self.step(*self.looked(promise_id))
        command = self.steps.pop(promise_id)
        try:
            value = command.function.fn(*command.args, **command.kwargs)
        except Exception as error:  # noqa: BLE001 - it is the step's outcome
            return self.step(do.StepFailed(promise_id, error))
        return self.step(do.StepReturned(promise_id, value))

    # ------------------------------------------------------------ another process

    def again(self, **changes: Any) -> World:
        """Return a fresh execution over what is stored now: another process takes over."""
        given = {
            "id": self.id,
            "dialect": self.env.dialect,
            "store": self.store,
            "now": self.now,
            "version": self.version + 1,
            **changes,
        }
        history = [self.read_at(record, given["now"]) for record in self.store.values() if record.id != self.id]
        if not (self.env.dialect.whole_preload or self.env.dialect.searches):  # the record of deliveries, and no more
            history = [one for one in history if HEADER in one.param.headers and is_own(self.id, one.id)]
            given["whole"] = False
        given.setdefault("history", history)
        fn = given.pop("fn", self.fn)
        other = World(fn, *self.args, **given)
        for name in self.registry.names():
            function = self.registry.get(name)
            if name != describe(fn).name:
                other.registry.add(function)
        return other

    @staticmethod
    def read_at(record: PromiseRecord, now: int) -> PromiseRecord:
        return _read(record, now)

    # ------------------------------------------------------------ looking

    @property
    def result(self) -> Any:
        """The execution's outcome: its value, or its error raised."""
        assert isinstance(self.end, do.Fulfill), self.end
        action = self.end.action
        if action.state is PromiseState.RESOLVED:
            return CODEC.decode(action.value)
        raise CODEC.decode_error(action.value)

    @property
    def state(self) -> PromiseState:
        """The state in which the execution ended."""
        assert isinstance(self.end, do.Fulfill), self.end
        return self.end.action.state

    @property
    def awaiting(self) -> tuple[str, ...]:
        """What the execution suspended on."""
        assert isinstance(self.end, do.Suspend), self.end
        return self.end.awaiting

    @property
    def created(self) -> list[str]:
        """Ids of the promises that were asked for by writes of this attempt, in order."""
        return [
            command.action.id
            for command in self.sent
            if isinstance(command, do.Write) and isinstance(command.action, PromiseCreate)
        ]

    @property
    def settled(self) -> list[str]:
        """Ids of the promises that this attempt settled, in order."""
        return [
            command.action.id
            for command in self.sent
            if isinstance(command, do.Write) and isinstance(command.action, PromiseSettle)
        ]

    @property
    def trace(self) -> list[TraceEvent]:
        """The lifecycle events of this attempt."""
        return [event for event in self.events if isinstance(event, TraceEvent)]

    @property
    def broken_laws(self) -> tuple[str, ...]:
        """Laws of the trace that this attempt breaks; if it asked to be suspended, it is taken to have been."""
        if isinstance(self.end, do.Suspend) and not self.over:
            self.over = True
            self.execution.suspended()
        return violated(self.trace)


def _first(pending: Sequence[str]) -> str:
    return pending[0]


def _read(record: PromiseRecord, now: int) -> PromiseRecord:
    """Project: a pending promise whose deadline has passed reads as settled."""
    if record.state is not PromiseState.PENDING or now < record.timeout_at:
        return record
    timer = record.tags.get(Tag.TIMER) == "true"
    state = PromiseState.RESOLVED if timer else PromiseState.REJECTED_TIMEDOUT
    return evolve(record, state=state, settled_at=record.timeout_at)


def bare(record: PromiseRecord) -> PromiseRecord:
    """Return a record as another SDK would have written it: without our headers."""
    return evolve(
        record,
        param=Value(
            {k: v for k, v in record.param.headers.items() if not k.startswith("resonate:")}, record.param.data
        ),
        value=Value({k: v for k, v in record.value.headers.items() if k != HEADER}, record.value.data),
    )


def kind_of(record: PromiseRecord) -> str:
    """Return what a promise was asked for as."""
    return record.param.headers.get(KIND, "")


__all__ = ["CODEC", "NO_VALUE", "T0", "World", "bare", "kind_of"]
