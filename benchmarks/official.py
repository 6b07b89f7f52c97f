"""What `benchmarks.servers` times, in the official Python SDK: `official.py URL`, run by an interpreter that has it.

Prints a line of JSON when it is ready; each line of its input, {"id", "shape", "size"}, is answered by one,
{"id", "seconds", "cpu"}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import timedelta
from importlib.metadata import version

from resonate.context import Context
from resonate.resonate import Resonate


async def plus_one(_ctx: Context, a: int) -> int:
    return a + 1


async def sequential(ctx: Context, size: int) -> int:
    total = 0
    for _ in range(size):
        total = await ctx.run(plus_one, total)
    return total


async def fanned_out(ctx: Context, size: int) -> int:
    steps = [ctx.run(plus_one, i) for i in range(size)]
    return sum([await step for step in steps])


async def calls(ctx: Context, size: int) -> int:
    total = 0
    for _ in range(size):
        total = await ctx.rpc("plus_one", total)
    return total


async def main(url: str, group: str) -> None:
    resonate = Resonate(url=url, group=group, ttl=timedelta(seconds=60))
    for function in (plus_one, sequential, fanned_out, calls):
        resonate.register(function)
    print(json.dumps({"package": f"resonate-sdk {version('resonate-sdk')}"}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        started, cpu = time.perf_counter(), time.process_time()
        await resonate.run(asked["id"], asked["shape"], asked["size"]).result()
        taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}
        print(json.dumps({"id": asked["id"]} | taken), flush=True)
    await resonate.stop()


asyncio.run(main(*sys.argv[1:]))
