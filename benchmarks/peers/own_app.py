"""The same work done by this library: `python -m benchmarks.peers.own_app memory|FILE WORK SIZE`.

In a file its steps are plain functions, as DBOS has them; in memory they are coroutines, as the other SDKs have them.
It prints the seconds, the CPU seconds and the peak memory that it took.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from benchmarks.alone import peak
from resonate import Context, Resonate

PER_WORKFLOW = 5


def step(number: int) -> int:
    return number


async def async_step(number: int) -> int:
    return number


async def sequential(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def async_sequential(ctx: Context, n: int) -> int:
    return sum([await ctx.run(async_step, number) for number in range(n)])


async def calls(ctx: Context, n: int) -> int:
    return sum([await ctx.rpc(async_step, number) for number in range(n)])


async def main(where: str, work: str, size: int) -> None:
    """Do a little work to warm up, then the work for the clock."""
    url, steps = ("memory://", async_sequential) if where == "memory" else (f"sqlite:///{where}", sequential)
    workflow = calls if work == "calls" else steps
    async with Resonate(url) as client:
        for function in (step, async_step, workflow):
            client.register(function)
        await client.run("warm", workflow, 20)
        started = (time.perf_counter(), time.process_time())
        if work == "at-once":
            totals = await asyncio.gather(
                *[client.run(f"w{number}", workflow, PER_WORKFLOW) for number in range(size // PER_WORKFLOW)]
            )
            assert set(totals) == {sum(range(PER_WORKFLOW))}
        else:
            assert await client.run("w", workflow, size) == sum(range(size))
        print(time.perf_counter() - started[0], time.process_time() - started[1], peak(), flush=True)


if __name__ == "__main__":
    logging.getLogger("resonate").setLevel(logging.ERROR)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
