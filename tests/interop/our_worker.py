"""A worker of this client in a process of its own, to be killed: `our_worker.py URL GROUP`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from resonate import Context, Resonate


def note(path: str, i: int) -> int:
    """Do something that can be counted from outside."""
    with Path(path).open("a") as file:
        file.write(f"{i}\n")
    time.sleep(0.02)
    return i


async def journey(ctx: Context, path: str, length: int) -> int:
    """Take one step after the other, with a nap half-way."""
    total = 0
    for i in range(length):
        total += await ctx.run(note, path, i)
        if i == length // 2:
            await ctx.sleep(0.1)
    return total


async def work(url: str, group: str) -> None:
    async with Resonate(url, group=group, ttl=3) as client:
        client.register(journey)
        print("ready", flush=True)  # noqa: T201 - said to the test
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
