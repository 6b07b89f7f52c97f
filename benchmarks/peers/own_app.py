"""The same work done by this library: `python -m benchmarks.peers.own_app FILE sequential|at-once SIZE`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from resonate import Context, Resonate

PER_WORKFLOW = 5


def step(number: int) -> int:
    return number


async def sequential(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def main(file: str, work: str, size: int) -> None:
    """Do the work once to warm up, once for the clock."""
    async with Resonate(f"sqlite:///{file}") as client:
        client.register(sequential)
        client.register(step)
        await client.run("warm", sequential, 5)
        started = (time.perf_counter(), time.process_time())
        if work == "sequential":
            total = await client.run("w", sequential, size)
            assert total == sum(range(size))
        else:
            totals = await asyncio.gather(
                *[client.run(f"w{number}", sequential, PER_WORKFLOW) for number in range(size // PER_WORKFLOW)]
            )
            assert set(totals) == {sum(range(PER_WORKFLOW))}
        print(time.perf_counter() - started[0], time.process_time() - started[1], flush=True)


if __name__ == "__main__":
    logging.getLogger("resonate").setLevel(logging.ERROR)
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
