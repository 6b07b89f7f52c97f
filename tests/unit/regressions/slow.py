"""A backend that answers later, as one across a network does, and stops at a gate if it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from attrs import evolve, frozen

from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.requests import Rejection, Request
from resonate.ports.store import Backend, Store
from resonate.runtime.relay import Relay

R = TypeVar("R")


async def a_moment(_request: Request[Any]) -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@frozen
class Slow:
    """`before` and `after` are awaited around each request."""

    inner: Backend
    before: Callable[[Request[Any]], Awaitable[None]] = a_moment
    after: Callable[[Request[Any]], Awaitable[None]] = a_moment

    def connect(self, *, group: str, pid: str) -> Store:
        return _SlowStore(self.inner.connect(group=group, pid=pid), self)


@frozen
class _SlowStore(Relay):
    _slow: Slow

    @property
    def dialect(self) -> Dialect:
        return evolve(self.inner.dialect, loses_answers=True)

    async def send(self, request: Request[R]) -> R | Rejection:
        await self._slow.before(request)
        reply = await self.inner.send(request)
        await self._slow.after(request)
        return reply

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        return await asyncio.gather(*[self.send(request) for request in requests])
