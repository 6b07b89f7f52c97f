"""The same work done by the official Python SDK in its in-process mode: `official_app.py memory WORK SIZE`.

Run by a Python that has `resonate-sdk`. It prints the seconds, the CPU seconds and the peak memory that it took.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import Any

from resonate.context import Context
from resonate.resonate import Resonate

PER_WORKFLOW = 5


async def step(_ctx: Context, number: int) -> int:
    return number


async def sequential(ctx: Context, n: int) -> int:
    return sum([await ctx.run(step, number) for number in range(n)])


async def calls(ctx: Context, n: int) -> int:
    return sum([await ctx.rpc("step", number) for number in range(n)])


async def do(client: Any, work: str, size: int) -> None:
    """Do the work, and check that it was done."""
    if work == "at-once":
        handles = [client.run(f"w{number}", "sequential", PER_WORKFLOW) for number in range(size // PER_WORKFLOW)]
        assert {await handle.result() for handle in handles} == {sum(range(PER_WORKFLOW))}
    else:
        assert await client.run(f"w-{size}", work, size).result() == sum(range(size))


def peak() -> int:
    """Return the most bytes of memory that this process has had; 0 if this system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


async def main(work: str, size: int) -> None:
    """Do a little work to warm up, then the work for the clock."""
    client = Resonate()
    for function in (step, sequential, calls):
        client.register(function)
    await do(client, "calls" if work == "calls" else "sequential", 20)
    started = (time.perf_counter(), time.process_time())
    await do(client, work, size)
    taken = (time.perf_counter() - started[0], time.process_time() - started[1])
    print(*taken, peak(), flush=True)
    await client.stop()


logging.disable(logging.CRITICAL)
asyncio.run(main(sys.argv[2], int(sys.argv[3])))
