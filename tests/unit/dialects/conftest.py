"""Servers as they are in the field, on virtual time, where every request is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, evolve, field

from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.requests import Request, TaskFence
from resonate.ports.store import Backend, Store
from resonate.testing import FIELD, NO_SEARCHES, OLDER, Harness

DIALECTS = {"field": FIELD, "older": OLDER, "no searches": NO_SEARCHES}


@define
class Meter:
    """A Backend that counts what goes through the one around which it is made."""

    inner: Backend
    kinds: Counter[str] = field(factory=Counter)
    size: int = 0
    """Roughly, in bytes, of requests and replies."""
    batches: int = 0
    requests: list[Request[Any]] = field(factory=list)

    @property
    def clock(self) -> Any:
        return getattr(self.inner, "clock", None)

    @property
    def total(self) -> int:
        """The number of requests."""
        return self.kinds.total()

    def connect(self, *, group: str, pid: str) -> Any:
        return _Metered(self, self.inner.connect(group=group, pid=pid))

    def clear(self) -> None:
        """Count from nothing."""
        self.kinds.clear()
        self.requests.clear()
        self.size = self.batches = 0


class _Metered:
    def __init__(self, meter: Meter, inner: Store) -> None:
        self._meter, self._inner = meter, inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, request: Request[Any]) -> Any:
        self._meter.batches += 1
        return await self._send(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        self._meter.batches += 1
        return [await self._send(request) for request in requests]

    async def _send(self, request: Request[Any]) -> Any:
        reply = await self._inner.send(request)
        kind = f"fence {request.action.kind}" if isinstance(request, TaskFence) else request.kind
        self._meter.kinds[kind] += 1
        self._meter.requests.append(request)
        self._meter.size += len(repr(request)) + len(repr(reply))
        return reply


def quiet(dialect: Dialect) -> Dialect:
    """Return the dialect of a server whose messages are not lost: else whoever waits asks each minute of a year."""
    return evolve(dialect, loses_messages=False)


@pytest.fixture(params=DIALECTS)
def dialect(request):
    """Each way in which a server may speak."""
    return quiet(DIALECTS[request.param])


@pytest.fixture
async def harness(dialect):
    """A server that speaks so."""
    async with Harness(dialect=dialect, grace=1) as harness:
        yield harness


@pytest.fixture
def meter(harness):
    """Counts what clients ask, if they are given it as their backend."""
    return Meter(harness.backend)
