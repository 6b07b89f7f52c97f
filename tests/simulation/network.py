"""HTTP between the clients and the server of a simulation, and what can go wrong there."""

from __future__ import annotations

import asyncio
from random import Random

import httpx
from attrs import define, evolve, field

from resonate.adapters.http import HttpBackend
from resonate.core.protocol.dialect import OURS, Dialect
from resonate.ports.clock import Clock
from resonate.ports.store import Backend
from resonate.testing import Harness, HttpFront

QUIET = evolve(OURS, loses_messages=False)
"""Waiters need not ask again each minute, of which a year has many: those who are told of a lost message do."""


def http(dialect: Dialect = QUIET, faults: Faults | None = None):
    """Return what puts HTTP between a client and a server, and faults into it."""

    def between(harness: Harness, server: Backend) -> Backend:
        front = HttpFront(server)

        def client() -> httpx.AsyncClient:
            inner = front.transport()
            return httpx.AsyncClient(transport=inner if faults is None else Faulted(inner, faults, harness.clock))

        return HttpBackend("http://server", client=client, clock=harness.clock, dialect=dialect)

    return between


@define
class Faults:
    """What happens to requests, drawn from a seed. Each number is a share of all.

    Args:
        seed: of what is drawn.
        lost: the request does not arrive.
        unanswered: it is done, and its reply is lost.
        doubled: it is done twice.
        late: nobody hears of it, and it is done some seconds later.
        slow: it arrives some seconds later.
    """

    seed: int
    lost: float = 0.08
    unanswered: float = 0.08
    doubled: float = 0.08
    late: float = 0.08
    slow: float = 0.08
    counts: dict[str, int] = field(factory=dict)
    _random: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(self.seed)

    def draw(self) -> str:
        """Return what happens to the next request."""
        at = self._random.random()
        for what in ("lost", "unanswered", "doubled", "late", "slow"):
            at -= getattr(self, what)
            if at < 0:
                self.counts[what] = self.counts.get(what, 0) + 1
                return what
        return "fine"

    def delay_ms(self) -> int:
        """Return how much later something arrives."""
        return self._random.randrange(10_000)


class Faulted(httpx.AsyncBaseTransport):
    """A transport on which requests fare as faults have it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, faults: Faults, clock: Clock) -> None:
        self._inner = inner
        self._faults = faults
        self._clock = clock
        self._late: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await self._inner.handle_async_request(request)
        match self._faults.draw():
            case "lost":
                raise httpx.ConnectError("the request is lost", request=request)
            case "unanswered":
                await self._do(request)
                raise httpx.ReadError("the reply is lost", request=request)
            case "doubled":
                await self._do(request)
            case "late":
                task = asyncio.ensure_future(self._do_later(request))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                raise httpx.ReadTimeout("the request is late", request=request)
            case "slow":
                await self._sleep()
        return await self._inner.handle_async_request(request)

    async def _sleep(self) -> None:
        await self._clock.sleep_until(self._clock.now() + self._faults.delay_ms())

    async def _do_later(self, request: httpx.Request) -> None:
        await self._sleep()
        await self._do(request)

    async def _do(self, request: httpx.Request) -> None:
        response = await self._inner.handle_async_request(request)
        await response.aread()
        await response.aclose()

    async def aclose(self) -> None:
        for task in [*self._late]:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        await self._inner.aclose()
