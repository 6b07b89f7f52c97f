"""A worker of the official Python SDK (`resonate-sdk`), which also starts what it is told to.

    PYTHON peer_worker.py URL GROUP

PYTHON is an interpreter with `resonate-sdk` installed: its package has the same name as ours, so it lives in a venv of
its own. Speaks on its standard streams as peer_worker.mjs does.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from resonate.context import Context
from resonate.resonate import Resonate
from resonate.retry import Never


async def echo(_ctx: Context, value: Any) -> Any:
    return value


async def add(_ctx: Context, a: float, b: float) -> float:
    return a + b


async def fail(_ctx: Context, message: str) -> None:
    raise ValueError(message)


async def relay(ctx: Context, target: str, func: str, args: list[Any]) -> Any:
    return {"by": "python", "got": await ctx.options(target=target).rpc(func, *args)}


async def rescue(ctx: Context, target: str, func: str, args: list[Any]) -> Any:
    try:
        await ctx.options(target=target).rpc(func, *args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return {"name": type(error).__name__, "message": str(error)}
    return None


async def one(_ctx: Context) -> int:
    return 1


async def fan(ctx: Context, target: str, func: str, count: int) -> list[Any]:
    start = await ctx.run(one)
    await ctx.sleep(timedelta(milliseconds=50))
    calls = [ctx.options(target=target).rpc(func, i, start) for i in range(count)]
    return [await call for call in calls]


async def plus_one(_ctx: Context, a: int) -> int:
    return a + 1


async def chain(ctx: Context, count: int) -> int:
    total = 0
    for _ in range(count):
        total = await ctx.run(plus_one, total)
    return total


async def star(ctx: Context, count: int) -> int:
    steps = [ctx.run(plus_one, i) for i in range(count)]
    return sum([await step for step in steps])


async def start(resonate: Resonate, id: str, target: str, func: str, args: list[Any]) -> dict[str, Any]:
    try:
        return {"id": id, "value": await resonate.options(target=target).rpc(id, func, *args).result()}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return {"id": id, "error": {"name": type(error).__name__, "message": str(error)}}


async def main(url: str, group: str) -> None:
    resonate = Resonate(url=url, group=group, pid=f"py-{os.getpid()}", ttl=timedelta(seconds=5), retry_policy=Never())
    for function in (echo, add, fail, relay, rescue, fan, chain, star):
        resonate.register(function)
    print(json.dumps({"package": f"resonate-sdk {version('resonate-sdk')}"}), flush=True)  # noqa: T201 - said to the test

    async def handle(line: str) -> None:
        print(json.dumps(await start(resonate, **json.loads(line))), flush=True)  # noqa: T201 - as above

    async with asyncio.TaskGroup() as tasks:
        while line := await asyncio.to_thread(sys.stdin.readline):
            tasks.create_task(handle(line))
    await resonate.stop()


asyncio.run(main(*sys.argv[1:]))
