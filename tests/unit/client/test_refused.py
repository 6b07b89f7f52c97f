"""A server that refuses this process's credentials: it is told once, and asked no more."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from resonate import AuthError, Context
from resonate.core.protocol.requests import (
    PromiseGet,
    PromiseRegisterListener,
    TaskAcquire,
    TaskFence,
    TaskFulfill,
    TaskHeartbeat,
    TaskRelease,
    TaskSuspend,
)
from tests.unit.regressions.slow import Slow


class Guard:
    """Refuses all requests from the first of a kind on; counts those that it refused."""

    def __init__(self, server, kind):
        self.kind = kind
        self.shut = False
        self.refused = []
        self.backend = Slow(server, before=self._check)

    async def _check(self, request):
        self.shut = self.shut or isinstance(request, self.kind)
        if self.shut:
            self.refused.append(request)
            raise AuthError("the token was revoked")


async def step() -> int:
    await asyncio.sleep(0)
    return 1


async def napping(ctx: Context) -> int:
    await ctx.sleep(60)
    return await ctx.run(step)


async def calling(ctx: Context) -> int:
    return await ctx.options(target="nobody").rpc("nothing")


def closed_errors(caplog):
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "kind", [TaskAcquire, TaskFence, TaskFulfill, TaskSuspend, PromiseRegisterListener], ids=lambda kind: kind.kind
)
async def test_it_is_asked_little_more_and_says_so_once(harness, caplog, kind):
    guard = Guard(harness.backend, kind)
    client = await harness.open(harness.client(backend=guard.backend, ttl=10))
    client.register(napping)
    running = [asyncio.ensure_future(client.run(f"o{n}", napping)) for n in range(10)]
    await harness.clock.advance(timedelta(minutes=10))
    errors = await asyncio.gather(*running, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthError}
    assert not client.healthy
    asked = len(guard.refused)
    assert asked <= 30  # what was under way when it was refused
    await harness.clock.advance(timedelta(minutes=10))
    assert len(guard.refused) == asked
    assert len(closed_errors(caplog)) <= 1
    assert not [request for request in guard.refused if isinstance(request, TaskRelease)]


async def test_a_refused_heartbeat_stops_the_steps_and_the_worker(harness, caplog):
    guard = Guard(harness.backend, TaskHeartbeat)
    client = await harness.open(harness.client(backend=guard.backend, ttl=10))
    stopped = []

    @client.register
    async def slow() -> None:
        try:
            await harness.clock.sleep_until(harness.clock.now() + 3_600_000)
        except asyncio.CancelledError:
            stopped.append(1)
            raise

    running = [asyncio.ensure_future(client.run(f"o{n}", slow)) for n in range(10)]
    await harness.clock.advance(timedelta(seconds=30))
    errors = await asyncio.gather(*running, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthError}
    assert stopped == [1] * 10
    assert not client.healthy
    await harness.clock.advance(timedelta(minutes=10))
    assert len(guard.refused) <= 10  # a heartbeat for each origin, once
    assert len(closed_errors(caplog)) == 1


async def test_a_refused_stream_of_messages_stops_the_worker(harness, caplog, monkeypatch):
    async def messages(_store):
        raise AuthError("the token was revoked")
        yield

    monkeypatch.setattr("resonate.runtime.patience.Patient.messages", messages)
    client = await harness.open(harness.client())
    await harness.clock.advance(timedelta(seconds=1))
    assert not client.healthy
    assert len(closed_errors(caplog)) == 1


async def test_who_asks_later_is_refused_himself(harness):
    guard = Guard(harness.backend, PromiseGet)
    client = await harness.open(harness.client(backend=guard.backend))
    with pytest.raises(AuthError):
        await client.promises.get("p")
    assert client.healthy  # nobody refused the worker
    client.register(napping)
    with pytest.raises(AuthError):
        await client.run("o", napping)
    with pytest.raises(AuthError):
        await client.get("o")
    assert len(guard.refused) == 3
