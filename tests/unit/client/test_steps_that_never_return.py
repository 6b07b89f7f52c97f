"""A `def` step that never returns: closing its client says so, and the process ends without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from resonate import Context, Resonate

PROGRAM = """
import asyncio, logging, threading
from resonate import Context, Resonate

begun = threading.Event()

def never() -> None:
    begun.set()
    threading.Event().wait()

async def stuck(ctx: Context) -> None:
    await ctx.run(never)

async def main() -> None:
    async with Resonate(grace=0) as resonate:
        resonate.register(stuck)
        await resonate.begin_run("order-42", stuck)
        await asyncio.to_thread(begun.wait)

logging.basicConfig()
asyncio.run(main())
print("over")
"""


def test_the_process_ends_without_it_and_says_what_still_runs():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "over\n"
    (line,) = [line for line in done.stderr.splitlines() if "still runs" in line]
    assert line.startswith("WARNING:resonate.steps:The step order-42:1 (never) of the execution order-42 still runs")


@pytest.mark.parametrize("returns", ["before the end", "after the end"])
async def test_what_returns_in_time_is_not_told_of(returns, caplog):
    begun, free = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        free.wait()
        return "done"

    async def waits(ctx: Context) -> str:
        return await ctx.run(slow)

    async with Resonate(grace=0) as client:
        client.register(waits)
        handle = await client.begin_run("a", waits)
        await asyncio.to_thread(begun.wait)
        if returns == "before the end":
            free.set()
            assert await handle == "done"
    told = [record for record in caplog.records if "still runs" in record.getMessage()]
    assert len(told) == (returns == "after the end")
    free.set()


async def test_a_step_that_was_canceled_and_has_returned_since_is_not_told_of(caplog):
    begun, free = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        free.wait()

    async def until_it_has_begun() -> None:
        await asyncio.to_thread(begun.wait)

    async def gives_up(ctx: Context) -> str:
        lost = await ctx.begin_run(slow)
        await ctx.run(until_it_has_begun)
        lost.cancel()
        return "gave up"

    async with Resonate(grace=0, threads=1) as client:
        client.register(gives_up)
        client.register(free.is_set, name="freed")
        assert await client.run("a", gives_up) == "gave up"
        free.set()
        assert await client.rpc("b", "freed")  # in the one thread, so that the other has returned
    assert "still runs" not in caplog.text
