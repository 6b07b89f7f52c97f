"""The memory server: the protocol's machine over dictionaries, shared by the stores of one process.

Law 1: each step of the machine is a transaction under one lock; whatever a request makes due is done before its reply.
Law 2: a request costs O(log n) in what is stored, searches and preloads aside.
Law 3: the server does what it does unasked while at least one store is started, and at the next request otherwise.
Law 4: nothing happens in the middle of a step, also where the garbage collector runs somebody's code there: it closes
    coroutines that nobody goes on with, and what those do at their end may come here, in the thread that has the lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, TypeVar

from resonate.adapters.clock import SystemClock
from resonate.adapters.embedded.alarm import IDLE, Alarm
from resonate.adapters.embedded.connection import event_loop
from resonate.adapters.embedded.mail import Member
from resonate.adapters.memory.facts import facts_of
from resonate.adapters.memory.post import PostOffice
from resonate.adapters.memory.store import MemoryStore
from resonate.adapters.memory.tables import Tables
from resonate.core.insight.picture import Facts
from resonate.core.protocol.effects import Effect
from resonate.core.protocol.machine import fire, handle
from resonate.core.protocol.records import Execute, Message, TaskState
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.snapshot import Snapshot
from resonate.core.protocol.steps import InternalStep
from resonate.errors import UsageError
from resonate.ports.clock import Clock

R = TypeVar("R")

Witness: TypeAlias = Callable[[Request[Any] | InternalStep, Sequence[Effect], int], None]

_MAX_STEPS: Final = 10_000
"""Internal steps done in one go; what is left is for the alarm, so that the loop turns in between."""


class MemoryServer:
    """A Resonate server in this process's memory, and the Backend that connects to it. Thread-safe.

    Give one server to several clients, and they are workers of one system. It keeps everything until it is
    garbage-collected, and nothing beyond that.

    Args:
        clock: where time comes from; the system's by default.
        settings: those of the machine.
        witness: is told of each step that wrote something, with its effects and its instant, under the lock.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        settings: Settings = DEFAULT_SETTINGS,
        *,
        witness: Witness | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._settings = settings
        self._witness = witness
        self._lock = threading.RLock()
        self._busy = False  # with what has the lock
        self._left: list[Member] = []  # while it was busy
        self._now = 0
        self._tables = Tables()
        self._post = PostOffice()
        self._alarms: dict[asyncio.AbstractEventLoop, Alarm] = {}

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self._clock

    def connect(self, *, group: str, pid: str) -> MemoryStore:
        """Return a store for member `pid` of `group`; it does nothing until its `start`."""
        return MemoryStore(self, group, pid)

    def snapshot(self) -> Snapshot:
        """Return all that is stored, as stored."""
        with self._step():
            return Snapshot(
                now=self._tick(),
                promises=self._tables.all_promises(),
                tasks=self._tables.all_tasks(),
                schedules=self._tables.all_schedules(),
                outbox=self._post.entries(),
            )

    def restarted(self, clock: Clock | None = None) -> MemoryServer:
        """Return a server that knows what this one has stored, and none of its connections and messages.

        As after a restart; this one is not to be used any more.
        """
        successor = MemoryServer(clock or self._clock, self._settings, witness=self._witness)
        with self._step():
            self._tables.take_sends()
            successor._tables, successor._now = self._tables, self._now
        return successor

    # ------------------------------------------------------------ for stores

    def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request, and what it makes due."""
        reply: R | Rejection = self.ask_all((request,))[0]
        return reply

    def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests, each with what it makes due, with nobody else's in between."""
        with self._lock:
            if self._busy:
                raise _in_the_middle()
            self._busy = True
            try:
                if len(requests) == 1:  # as nearly always
                    return (self._ask(requests[0]),)
                return [self._ask(request) for request in requests]
            finally:
                self._busy = False
                if self._left:
                    self._let_go()

    def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these promises and tasks, and who is connected."""
        with self._step():
            return facts_of(self._tables, self._post, ids)

    def attach(self, group: str, pid: str) -> Member:
        """Connect on the running loop; what was kept for somebody like this is delivered at once."""
        loop = event_loop()
        with self._step():
            member, kept = self._post.join(group, pid, self._lock)
            for entry in kept:
                if self._is_wanted(entry.message):
                    self._post.post(entry.address, entry.message)
            if loop not in self._alarms:
                self._alarms[loop] = Alarm(loop, self._clock, self._ring, self._tables.unsettle)
            self._alarms[loop].stores += 1
            self._work(self._tick())
        return member

    async def detach(self, member: Member) -> None:
        """Disconnect, and stop what served this connection alone."""
        with self._lock:
            if self._busy:
                self._left.append(member)
                return
            alarm = self._leave(member)
        if alarm is not None:
            await alarm.close()

    # ------------------------------------------------------------ with the lock held

    @contextmanager
    def _step(self) -> Generator[None]:
        """Take the lock for a step. `ask_all`, which is asked most, has the same without a call."""
        with self._lock:
            if self._busy:
                raise _in_the_middle()
            self._busy = True
            try:
                yield
            finally:
                self._busy = False
                if self._left:
                    self._let_go()

    def _leave(self, member: Member) -> Alarm | None:
        """Forget a connection; return the alarm that served it alone, to be closed."""
        self._post.leave(member)
        alarm = self._alarms.get(member.mailbox.loop)
        if alarm is None:
            return None
        alarm.stores -= 1
        if alarm.stores:
            return None
        return self._alarms.pop(member.mailbox.loop)

    def _let_go(self) -> None:
        left, self._left = self._left, []
        for member in left:
            alarm = self._leave(member)
            if alarm is not None:
                alarm.end()

    def _tick(self) -> int:
        self._now = max(self._now, self._clock.now())
        return self._now

    def _ask(self, request: Request[R]) -> R | Rejection:
        tables = self._tables
        now = self._clock.now()
        now = max(now, self._now)
        self._now = now
        reply, effects = handle(request, tables, now, self._settings)
        if effects:
            tables.apply(effects)
            if self._witness is not None:
                self._witness(request, effects, now)
        if not tables.is_quiet(now):
            self._work(now)
        return reply

    def _work(self, now: int) -> None:
        """Fire what is due, send what is to be sent, see when to go on."""
        for _ in range(_MAX_STEPS):
            step = self._tables.take_step(now)
            if step is None:
                break
            effects = fire(step, self._tables, now, self._settings)
            self._tables.apply(effects)
            if self._witness is not None and effects:
                self._witness(step, effects, now)
        for send in self._tables.take_sends():
            self._post.post(send.address, send.message)
        instant = self._tables.next_instant(now)
        if instant is not None:
            self._set_alarms(instant)

    def _set_alarms(self, instant: int) -> None:
        for loop, alarm in tuple(self._alarms.items()):
            if not alarm.set(instant):
                del self._alarms[loop]

    def _is_wanted(self, message: Message) -> bool:
        if not isinstance(message, Execute):
            return False
        task = self._tables.task(message.id)
        return task is not None and task.state is TaskState.PENDING

    # ------------------------------------------------------------ on a store's loop

    def _ring(self, alarm: Alarm) -> None:
        with self._step():
            now = self._tick()
            self._work(now)
            instant = self._tables.next_instant(now)
            alarm.at = IDLE if instant is None else instant


def _in_the_middle() -> UsageError:
    return UsageError(
        "The server was asked for something in the middle of another request, by the thread that made it.",
        hint="The garbage collector has closed a coroutine that nobody goes on with: end it in its event loop.",
    )
