"""A backend that loses its client at a chosen request, and counts what goes through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, TypeVar

from attrs import define, field, frozen

from resonate.core.protocol.requests import Rejection, Request
from resonate.ports.store import Backend, Store
from resonate.runtime.relay import Relay

R = TypeVar("R")


class When(Enum):
    """On which side of a request the client is lost."""

    BEFORE = "before"
    AFTER = "after"


@frozen
class CrashPoint:
    """The client is lost before or after its `number`-th request (from 1)."""

    number: int
    when: When


@define
class Faulty:
    """A Backend around another: stores made by it count their requests together, and stop at the crash point.

    At the crash point, and for all requests after it, nothing is answered any more: the caller waits for ever, as
    for a dead process. `crashed` is set then; the test kills the client and starts another on the inner backend.

    Args:
        inner: where requests go.
        point: where the client is lost; None for nowhere.
        on_crash: called at the crash point: it may end the process for real.
    """

    inner: Backend
    point: CrashPoint | None = None
    requests: list[Request[Any]] = field(factory=list[Request[Any]])
    crashed: asyncio.Event = field(factory=asyncio.Event)
    on_crash: Callable[[], object] | None = None

    @property
    def clock(self) -> Any:
        """The inner backend's clock."""
        return getattr(self.inner, "clock", None)

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _FaultyStore(self.inner.connect(group=group, pid=pid), self)

    async def pass_through(self, store: Store, request: Request[R]) -> R | Rejection:
        """Do a request, unless the client is lost before, at, or after it."""
        if self.crashed.is_set():
            await _for_ever()
        self.requests.append(request)
        here = self.point is not None and len(self.requests) == self.point.number
        if here and self.point is not None and self.point.when is When.BEFORE:
            await self._crash()
        reply = await store.send(request)
        if here:
            await self._crash()
        return reply

    async def _crash(self) -> None:
        self.crashed.set()
        if self.on_crash is not None:
            self.on_crash()
        await _for_ever()


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


@frozen
class _FaultyStore(Relay):
    _faults: Faulty

    async def send(self, request: Request[R]) -> R | Rejection:
        return await self._faults.pass_through(self.inner, request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        return [await self.send(request) for request in requests]
