"""The same on uvloop, which shows nothing of itself and, before Python 3.12, begins no task at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from resonate import Context, MemoryServer, Resonate
from resonate.ports.store import Backend
from resonate.testing import Harness

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

BACKENDS: dict[str, Callable[[Path], str | Backend]] = {
    "memory": lambda _: MemoryServer(),
    "sqlite": lambda folder: f"sqlite:///{folder}/app.db",
}


def quick(n: int) -> int:
    return n


async def waits(n: int) -> int:
    await asyncio.sleep(0)
    return n


async def inner(ctx: Context, n: int) -> int:
    return await ctx.run(waits, n) + await ctx.run(quick, n)


async def outer(ctx: Context) -> int:
    await ctx.sleep(0.001)
    first, second = await asyncio.gather(ctx.run(inner, 1), ctx.rpc(inner, 2))
    return first + second


@pytest.mark.parametrize("kind", BACKENDS)
def test_workflows_run(tmp_path: Path, kind: str) -> None:
    async def main() -> int:
        async with Resonate(BACKENDS[kind](tmp_path)) as client:
            for function in (inner, outer):
                client.register(function)
            return await client.run("a", outer)

    assert uvloop.run(main()) == 6


def test_what_was_lost_with_a_process_goes_on() -> None:
    tried: list[int] = []

    async def hangs_first() -> str:
        tried.append(1)
        if len(tried) == 1:
            await asyncio.get_running_loop().create_future()
        return "done"

    async def workflow(ctx: Context) -> str:
        await ctx.sleep(3_600)
        return await ctx.run(hangs_first)

    async def main() -> str:
        async with Harness() as harness:
            first, second = harness.client(pid="one"), harness.client(pid="two")
            for client in (first, second):
                client.register(workflow)
            await harness.open(first)
            await first.begin_run("a", workflow)
            await harness.clock.advance(2 * 3_600_000)
            assert tried == [1]
            await harness.crash(first)
            await harness.open(second)
            return await second.get("a").result()

    assert uvloop.run(main()) == "done"
    assert tried == [1, 1]


def test_virtual_time_stands_still_while_a_task_has_something_to_do() -> None:
    async def main() -> tuple[int, int]:
        async with Harness() as harness:
            started = harness.clock.now()
            sleeper = asyncio.create_task(harness.clock.sleep_until(started + 10))
            for _ in range(1_000):
                await asyncio.sleep(0)
            working = harness.clock.now()
            await sleeper
            return working - started, harness.clock.now() - started

    assert uvloop.run(main()) == (0, 10)
