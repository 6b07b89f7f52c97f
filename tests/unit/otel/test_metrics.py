"""What is counted and measured, and that its attributes have few values."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from resonate import Constant, Context, Info
from resonate.testing import Harness
from tests.unit.otel.conftest import Backend, closed, total


def double(n: int) -> int:
    return 2 * n


def flaky(info: Info) -> int:
    if info.attempt < 3:
        raise OSError("again")
    return info.attempt


async def naps(ctx: Context) -> int:
    await ctx.sleep(60)
    return await ctx.run(double, 1) + await ctx.options(retry=Constant(delay=1)).run(flaky)


async def test_what_a_client_does_is_counted(client, backend, continuations):
    client.register(naps)
    for number in range(3):
        await client.run(f"run-{number}", naps)
    await closed(client)
    metrics = backend.metrics()
    counted = {told["resonate.outcome"]: number for told, number in metrics["resonate.tasks"]}
    assert counted == {"acquired": 6, "suspended": 3, "fulfilled": 3}
    steps = [
        (told["resonate.function.name"], told["resonate.outcome"], n) for told, n in metrics["resonate.step.duration"]
    ]
    assert sorted(steps) == [("double", "resolved", 3), ("flaky", "failed", 6), ("flaky", "resolved", 3)]
    assert metrics["resonate.step.retries"] == [({"resonate.function.name": "flaky", "error.type": "OSError"}, 6)]
    assert total(metrics, "resonate.promises.settled") == 3 * 4
    assert metrics["resonate.execution.duration"] == [
        ({"resonate.function.name": "naps", "resonate.promise.state": "resolved"}, 3)
    ]
    assert total(metrics, "resonate.replays") == (0 if continuations else 3)
    kinds = {
        (told["resonate.request.kind"], told["resonate.request.status"])
        for told, _ in metrics["resonate.store.request.duration"]
    }
    assert {("task.create", 200), ("task.suspend", 200), ("task.acquire", 200), ("task.fence", 200)} <= kinds


async def test_no_metric_carries_an_id(client, backend):
    client.register(naps)
    for number in range(20):
        await client.run(f"run-{number}", naps)
    await closed(client)
    for name, points in backend.metrics().items():
        assert len(points) <= 12, name
        for told, _ in points:
            assert not any("run-" in str(value) for value in told.values()), name


async def test_how_many_executions_are_held_shows_while_the_client_is_open(harness, client, backend, continuations):
    @client.register
    async def waits(ctx: Context) -> None:
        await (await ctx.promise())

    for number in range(4):
        await client.begin_run(f"run-{number}", waits)
    await harness.clock.advance(timedelta(seconds=1))
    gauge = {told["resonate.execution.state"]: n for told, n in backend.metrics()["resonate.executions"]}
    assert gauge == {"running": 0, "waiting": 0, "parked": 4 if continuations else 0}
    await closed(client)
    assert {n for _, n in backend.metrics()["resonate.executions"]} == {0}


async def test_what_goes_wrong_is_counted(harness, client, backend):
    @client.register
    async def unwritable(ctx: Context) -> object:
        return object()

    with pytest.raises(Exception, match="object"):
        await client.run("a", unwritable)
    await client.begin_rpc("b", "nowhere")
    await harness.clock.advance(timedelta(seconds=30))
    await closed(client)
    metrics = backend.metrics()
    assert total(metrics, "resonate.codec.failures") == 1
    [(told, times)] = metrics["resonate.functions.missing"]
    assert told == {"resonate.function.name": "nowhere"}
    assert times > 1


async def test_several_clients_share_their_instruments():
    backend = Backend()
    telemetry = backend.telemetry()
    async with Harness() as harness:
        clients = [harness.client(pid=f"p{n}", group=f"g{n}", telemetry=telemetry) for n in range(2)]
        for number, client in enumerate(clients):
            client.register(double)
            async with client:
                await client.run(f"run-{number}", double, 1)
    assert total(backend.metrics(), "resonate.tasks", resonate_outcome="fulfilled") == 2


async def test_steps_that_are_interrupted_are_told_apart(client, backend):
    async def endless() -> None:
        await asyncio.Event().wait()

    @client.register
    async def gives_up(ctx: Context) -> None:
        async with asyncio.timeout(60):
            await ctx.run(endless)

    with pytest.raises(TimeoutError):
        await client.run("a", gives_up)
    await closed(client)
    [(told, _)] = backend.metrics()["resonate.step.duration"]
    assert told["resonate.outcome"] == "interrupted"
