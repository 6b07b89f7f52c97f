"""The memory server: the protocol's machine over tables, with timers and delivery, shared by all stores of a process.

Law 1: every step of the machine is a transaction under one lock; after each request the internal steps that are due
    are fired until none is.
Law 2: every operation costs O(log n) or less in what is stored; stale timers are swept before they outnumber live ones.
Law 3: nothing polls: one sleeper waits for the next due instant, on the loop of some started store.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, TypeVar

from resonate.adapters.clock import SystemClock
from resonate.adapters.memory.outbox import Outbox
from resonate.adapters.memory.store import MemoryStore
from resonate.adapters.memory.tables import Tables
from resonate.core.protocol.due import promise_due, schedule_due, task_due
from resonate.core.protocol.machine import fire, handle
from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.snapshot import PromiseSnapshot, Snapshot, TaskSnapshot
from resonate.core.protocol.steps import (
    CallbackDrain,
    InternalStep,
    ListenerDrain,
    PromiseTimeout,
    ScheduleFire,
)
from resonate.ports.clock import Clock

R = TypeVar("R")

SLACK = 64
"""Stale timers beyond this many, and beyond as many as there are live ones, are swept."""


class MemoryServer:
    """A Resonate server in this process's memory, and the Backend that connects to it. Thread-safe.

    Give one MemoryServer to several clients, and they are workers of one system.

    Args:
        clock: where time comes from.
        settings: those of the machine.
    """

    def __init__(self, clock: Clock | None = None, settings: Settings = DEFAULT_SETTINGS) -> None:
        self.clock: Clock = clock or SystemClock()
        self._settings = settings
        self._lock = threading.RLock()
        self._tables = Tables()
        self._outbox = Outbox()
        self._drains: deque[InternalStep] = deque()
        self._due: list[tuple[int, int, InternalStep]] = []
        self._live: dict[tuple[str, str], int] = {}
        self._order = count()
        self._loops: dict[asyncio.AbstractEventLoop, int] = {}
        self._sleeper: asyncio.Task[None] | None = None
        self._sleeper_loop: asyncio.AbstractEventLoop | None = None
        self._armed: int | None = None

    # ------------------------------------------------------------ for users

    def connect(self, *, group: str, pid: str) -> MemoryStore:
        """Return a store for member `pid` of `group`."""
        return MemoryStore(self, group, pid)

    def snapshot(self) -> Snapshot:
        """Return all that is stored, as stored."""
        with self._lock:
            tables = self._tables
            return Snapshot(
                now=self.clock.now(),
                promises=tuple(
                    PromiseSnapshot(
                        record=promise.record,
                        callbacks=tuple(tables.callbacks.get(promise_id, ())),
                        listeners=tuple(tables.listeners.get(promise_id, ())),
                    )
                    for promise_id, promise in sorted(tables.promises.items())
                ),
                tasks=tuple(
                    TaskSnapshot(
                        id=task.id,
                        state=task.state,
                        version=task.version,
                        pid=task.pid,
                        ttl=task.ttl,
                        expires_at=task.expires_at,
                        retry_at=task.retry_at,
                        resumes=tuple(tables.task_resumes.get(task_id, ())),
                    )
                    for task_id, task in sorted(tables.tasks.items())
                ),
                schedules=tuple(schedule for _, schedule in sorted(tables.schedules.items())),
                outbox=self._outbox.entries(),
            )

    # ------------------------------------------------------------ for stores

    def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request, and what it makes due."""
        with self._lock:
            now = self.clock.now()
            reply = self._ask(request, now)
            self._settle_down(now)
        return reply

    def ask_all(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """Do many requests, each a step of its own, and what they make due."""
        with self._lock:
            now = self.clock.now()
            replies = [self._ask(request, now) for request in requests]
            self._settle_down(now)
        return replies

    def attach(self, store: MemoryStore, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to `store` from now on; what waits for one like it goes out at once."""
        with self._lock:
            self._loops[loop] = self._loops.get(loop, 0) + 1
            self._outbox.attach(store)
            self._arm()

    def detach(self, store: MemoryStore, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to `store` no more."""
        with self._lock:
            self._outbox.detach(store)
            self._loops[loop] -= 1
            if self._loops[loop] == 0:
                del self._loops[loop]
                if self._sleeper_loop is loop:
                    self._disarm()
                    self._arm()

    # ------------------------------------------------------------ steps

    def _ask(self, request: Request[R], now: int) -> R | Rejection:
        reply, effects = handle(request, self._tables, now, self._settings)
        if effects:
            self._tables.apply(effects)
            self._note_changes()
        return reply

    def _settle_down(self, now: int) -> None:
        """Fire what is due until nothing is, then see to the messages and the next instant."""
        while True:
            if self._drains:
                step = self._drains.popleft()
            elif self._due and self._due[0][0] <= now:
                at, _, step = heappop(self._due)
                key = _key(step)
                if self._live.get(key) != at:
                    continue  # stale
                del self._live[key]
            else:
                break
            self._tables.apply(fire(step, self._tables, now, self._settings))
            self._note_changes()
        if self._tables.sent:
            sent, self._tables.sent = self._tables.sent, []
            self._outbox.send(sent)
        self._arm()

    def _note_changes(self) -> None:
        tables = self._tables
        if tables.changed_promises:
            for promise in tables.changed_promises:
                self._promise_changed(promise.record.id)
            tables.changed_promises.clear()
        if tables.changed_tasks:
            for task in tables.changed_tasks:
                current = tables.tasks[task.id]
                due = task_due(current, tables.promises[task.id].record.timeout_at)
                self._schedule_step(("task", task.id), due)
            tables.changed_tasks.clear()
        if tables.changed_schedules:
            for schedule_id in tables.changed_schedules:
                schedule = tables.schedules.get(schedule_id)
                at = None if schedule is None else schedule_due(schedule)
                step = None if at is None else (at, ScheduleFire(schedule_id))
                self._schedule_step(("schedule", schedule_id), step)
            tables.changed_schedules.clear()

    def _promise_changed(self, promise_id: str) -> None:
        tables = self._tables
        promise = tables.promises[promise_id]
        at = promise_due(promise)
        self._schedule_step(("promise", promise_id), None if at is None else (at, PromiseTimeout(promise_id)))
        if promise.record.state is not PromiseState.PENDING:
            for awaiter in tables.callbacks.get(promise_id, ()):
                self._drains.append(CallbackDrain(promise_id, awaiter))
            for address in tables.listeners.get(promise_id, ()):
                self._drains.append(ListenerDrain(promise_id, address))

    def _schedule_step(self, key: tuple[str, str], due: tuple[int, InternalStep] | None) -> None:
        if due is None:
            self._live.pop(key, None)
        elif self._live.get(key) != due[0]:
            self._live[key] = due[0]
            heappush(self._due, (due[0], next(self._order), due[1]))
        if len(self._due) > SLACK + 2 * len(self._live):
            self._due = [entry for entry in self._due if self._live.get(_key(entry[2])) == entry[0]]
            heapify(self._due)

    # ------------------------------------------------------------ timers

    def _arm(self) -> None:
        """Let the sleeper wake at the next due instant, if that is earlier than it would."""
        if not self._due or not self._loops:
            return
        at = self._due[0][0]
        if self._armed is not None and self._armed <= at:
            return
        loop = self._sleeper_loop or next(iter(self._loops))
        self._armed, self._sleeper_loop = at, loop
        if _running() is loop:
            self._restart(at)
        else:
            loop.call_soon_threadsafe(self._restart, at)

    def _restart(self, at: int) -> None:
        with self._lock:
            if self._armed != at or self._sleeper_loop is None:
                return  # overtaken by a newer call
            if self._sleeper is not None:
                self._sleeper.cancel()
            self._sleeper = self._sleeper_loop.create_task(self._sleep(at), name="resonate-memory-timers")

    def _disarm(self) -> None:
        sleeper, loop = self._sleeper, self._sleeper_loop
        self._sleeper = self._sleeper_loop = self._armed = None
        if sleeper is None or loop is None or loop.is_closed():
            return
        if _running() is loop:
            sleeper.cancel()
        else:
            loop.call_soon_threadsafe(sleeper.cancel)

    async def _sleep(self, at: int) -> None:
        await self.clock.sleep_until(at)
        with self._lock:
            if self._armed != at:
                return
            self._sleeper = self._armed = None
            self._settle_down(self.clock.now())


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _key(step: InternalStep) -> tuple[str, str]:
    match step:
        case PromiseTimeout(promise_id):
            return "promise", promise_id
        case ScheduleFire(schedule_id):
            return "schedule", schedule_id
        case CallbackDrain() | ListenerDrain():
            return "drain", ""
        case _:
            return "task", step.id
