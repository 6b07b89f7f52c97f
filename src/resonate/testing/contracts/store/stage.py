"""Where a store is checked: a backend on a virtual clock that moves only when told to, with its members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

from attrs import field, frozen

from resonate.core.protocol.records import (
    NO_VALUE,
    Execute,
    Message,
    PromiseRecord,
    PromiseState,
    TaskRecord,
    Unblock,
    Value,
)
from resonate.core.protocol.requests import (
    ClaimReply,
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSettle,
    Rejection,
    Request,
    SuspendReply,
    TaskAcquire,
    TaskCreate,
    TaskGet,
    TaskSuspend,
)
from resonate.ports.store import Backend, Dropped, Reconnected, Store
from resonate.testing.clock import VirtualClock
from resonate.testing.contracts.expect import Check, Checks

R = TypeVar("R")

MakeBackend: TypeAlias = Callable[[VirtualClock], Backend]

GROUP: Final = "workers"
PID: Final = "w1"
TTL: Final = 60_000
DAY: Final = 86_400_000
TARGETED: Final[Mapping[str, str]] = {"resonate:target": f"poll://any@{GROUP}"}
TIMER: Final[Mapping[str, str]] = {"resonate:timer": "true"}
EXTERNAL: Final[Mapping[str, str]] = {"resonate:external": "true"}
INTERNAL: Final[Mapping[str, str]] = {}


@frozen
class Member:
    """A started store and what it has been sent."""

    store: Store
    heard: list[Message] = field(factory=list[Message])

    def executes(self, id: str | None = None) -> list[Execute]:
        """Return the executes heard so far, those of one task if `id` is given."""
        return [one for one in self.heard if isinstance(one, Execute) and id in {None, one.id}]

    def unblocks(self) -> list[Unblock]:
        """Return the unblocks heard so far."""
        return [one for one in self.heard if isinstance(one, Unblock)]

    async def listen(self) -> None:
        """Note down what comes, until the store stops."""
        async for message in self.store.messages():
            if not isinstance(message, Reconnected | Dropped):
                self.heard.append(message)


class Stage:
    """A backend, a clock, a first member `w1` of `workers`, and short ways to ask."""

    def __init__(self, make_backend: MakeBackend, *, retry_interval: int, latency: int) -> None:
        self.clock = VirtualClock(auto_jump=False)
        self.backend = make_backend(self.clock)
        self.retry_interval = retry_interval
        self._latency = latency
        self._members: list[Member] = []
        self._listening: list[asyncio.Task[None]] = []

    @property
    def me(self) -> Member:
        """The first member."""
        return self._members[0]

    @property
    def store(self) -> Store:
        """The first member's store."""
        return self.me.store

    @property
    def now(self) -> int:
        """The instant."""
        return self.clock.now()

    @property
    def far(self) -> int:
        """A deadline that does not come while nobody advances the clock by a day."""
        return self.now + DAY

    async def join(self, group: str = GROUP, pid: str = PID) -> Member:
        """Start another member."""
        member = Member(self.backend.connect(group=group, pid=pid))
        await member.store.start()
        self._members.append(member)
        self._listening.append(asyncio.create_task(member.listen()))
        return member

    async def close(self) -> None:
        """Stop all members."""
        for member in self._members:
            await member.store.stop()
        for task in self._listening:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # ------------------------------------------------------------ time

    async def quiet(self) -> None:
        """Let all that is under way arrive."""
        await self.clock.advance(self._latency)

    async def past(self, instant: int) -> None:
        """Let time pass, step by step, until `instant`, and all that it brings arrive."""
        await self.clock.advance(max(0, instant - self.now))
        await self.quiet()

    def at(self, instant: int) -> None:
        """Make it `instant` before the store has noticed: its next request finds that time has passed."""
        self.clock.jump_to(instant)

    # ------------------------------------------------------------ asking

    async def ask(self, request: Request[R]) -> R:
        """Send a request that must be done."""
        reply = await self.store.send(request)
        if not isinstance(reply, Rejection):
            return reply
        raise AssertionError(f"{request.kind} was refused: {reply.status} {reply.message}")

    async def refused(self, request: Request[Any], status: int, why: str) -> None:
        """Send a request that must be refused."""
        reply = await self.store.send(request)
        found = f"{reply.status} ({reply.message})" if isinstance(reply, Rejection) else "done"
        if not found.startswith(str(status)):
            raise AssertionError(f"{request.kind} must be refused with {status}, but was {found}: {why}")

    async def create(
        self,
        id: str,
        tags: Mapping[str, str] = INTERNAL,
        timeout_at: int | None = None,
        param: Value = NO_VALUE,
    ) -> PromiseRecord:
        """Create a promise, with a day to live unless said otherwise."""
        timeout_at = self.far if timeout_at is None else timeout_at
        reply = await self.ask(PromiseCreate(id=id, timeout_at=timeout_at, tags=tags, param=param))
        return reply.promise

    async def settle(
        self, id: str, state: PromiseState = PromiseState.RESOLVED, value: Value = NO_VALUE
    ) -> PromiseRecord:
        """Settle a promise."""
        return (await self.ask(PromiseSettle(id=id, state=state, value=value))).promise

    async def promise(self, id: str) -> PromiseRecord:
        """Read a promise."""
        return (await self.ask(PromiseGet(id))).promise

    async def task(self, id: str) -> TaskRecord:
        """Read a task."""
        return (await self.ask(TaskGet(id))).task

    async def claim(
        self, id: str, timeout_at: int | None = None, ttl: int = TTL, tags: Mapping[str, str] = INTERNAL
    ) -> ClaimReply:
        """Create a targeted promise with its task acquired by the first member."""
        timeout_at = self.far if timeout_at is None else timeout_at
        action = PromiseCreate(id=id, timeout_at=timeout_at, tags={**TARGETED, **tags})
        return await self.ask(TaskCreate(pid=PID, ttl=ttl, action=action))

    async def acquire(self, id: str, version: int, *, delta: bool = False) -> ClaimReply:
        """Acquire a task for the first member."""
        return await self.ask(TaskAcquire(id=id, version=version, pid=PID, ttl=TTL, delta=delta))

    async def suspend(self, id: str, version: int, awaited: Sequence[str]) -> SuspendReply:
        """Suspend a task."""
        return await self.ask(suspension(id, version, awaited))

    async def subscribe(self, id: str, address: str | None = None) -> PromiseRecord:
        """Register a listener, the first member's own address unless said otherwise."""
        address = self.store.unicast if address is None else address
        return (await self.ask(PromiseRegisterListener(awaited=id, address=address))).promise


def suspension(id: str, version: int, awaited: Sequence[str]) -> TaskSuspend:
    """Return the request that suspends a task."""
    actions = tuple(PromiseRegisterCallback(awaited=one, awaiter=id) for one in awaited)
    return TaskSuspend(id=id, version=version, actions=actions)


@asynccontextmanager
async def staged(make_backend: MakeBackend, *, retry_interval: int, latency: int) -> AsyncGenerator[Stage]:
    """Set a stage with a first member, and clear it."""
    stage = Stage(make_backend, retry_interval=retry_interval, latency=latency)
    await stage.join()
    try:
        yield stage
    finally:
        await stage.close()


StoreCheck: TypeAlias = Check[[Stage]]
StoreChecks: TypeAlias = Checks[[Stage]]
