"""This client's side of the exchange: the functions that each peer has too, under the same names."""

from __future__ import annotations

import asyncio
from typing import Any

from resonate import Context, Never, Resonate


async def echo(value: Any) -> Any:
    return value


def add(a: float, b: float) -> float:
    return a + b


def fail(message: str) -> None:
    raise KeyError(message)


async def relay(ctx: Context, target: str, func: str, args: list[Any]) -> Any:
    return {"by": "this", "got": await ctx.options(target=target).rpc(func, *args)}


async def rescue(ctx: Context, target: str, func: str, args: list[Any]) -> Any:
    try:
        await ctx.options(target=target).rpc(func, *args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return {"name": type(error).__name__, "message": str(error)}
    return None


async def fan(ctx: Context, target: str, func: str, count: int) -> list[Any]:
    start = await ctx.run(add, 0, 1)
    await ctx.sleep(0.05)
    return await asyncio.gather(*(ctx.options(target=target).rpc(func, i, start) for i in range(count)))


def register(client: Resonate) -> None:
    for function in (echo, add, relay, rescue, fan):
        client.register(function)
    client.register(retry=Never())(fail)
