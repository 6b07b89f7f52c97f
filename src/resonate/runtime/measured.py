"""A store whose requests are reported, with what was answered and how long it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, TypeVar

from attrs import frozen

from resonate.core.protocol.requests import Rejection, Request, SuspendReply
from resonate.core.trace import LifecycleEvent, StoreRequest
from resonate.runtime.relay import Relay

R = TypeVar("R")

OK, REDIRECT = 200, 300


@frozen
class Measured(Relay):
    """Hands everything on, and tells `observe` of each request. One of several that go together takes as long as all.

    What is measured is real time, whatever the clock says.
    """

    observe: Callable[[LifecycleEvent], None]

    async def send(self, request: Request[R]) -> R | Rejection:
        """See the port."""
        since = perf_counter()
        try:
            reply = await self.inner.send(request)
        except BaseException as error:
            self._tell(request, error, since)
            raise
        self._tell(request, reply, since)
        return reply

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """See the port."""
        since = perf_counter()
        try:
            replies = await self.inner.send_all(requests)
        except BaseException as error:
            for request in requests:
                self._tell(request, error, since)
            raise
        for request, reply in zip(requests, replies, strict=False):
            self._tell(request, reply, since)
        return replies

    def _tell(self, request: Request[Any], reply: object, since: float) -> None:
        taken = (perf_counter() - since) * 1000
        match reply:
            case Rejection(status=status):
                event = StoreRequest(kind=request.kind, status=int(status), duration_ms=taken)
            case SuspendReply(redirect=True):
                event = StoreRequest(kind=request.kind, status=REDIRECT, duration_ms=taken)
            case BaseException():
                event = StoreRequest(kind=request.kind, status=None, duration_ms=taken, error=type(reply).__name__)
            case _:
                event = StoreRequest(kind=request.kind, status=OK, duration_ms=taken)
        self.observe(event)
