"""What the official Python SDK writes: its values on standard output, and each request that it can be brought to make.

    PYTHON golden_peer.py URL

PYTHON is an interpreter with `resonate-sdk` installed. Used by capture_golden.py.
"""

# ruff: noqa: T201 - what is printed is what is captured

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import decimal
import json
import sys
import time
import uuid
from importlib.metadata import version
from typing import Any

from resonate.codec import Codec, NoopEncryptor
from resonate.context import Context
from resonate.resonate import Resonate
from resonate.retry import Never
from resonate.types import Value


class OutOfStock(Exception):
    """An error of one's own."""


@dataclasses.dataclass
class Item:
    sku: str
    cents: int


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "a whole number": 42,
    "a negative number": -7,
    "a fraction": 0.1,
    "a large number": 1e21,
    "the largest whole number": 2**64 - 1,
    "infinity": float("inf"),
    "infinity inside": {"limits": [float("-inf"), 1, float("inf")]},
    "empty text": "",
    "text": 'héllo "you" \\ / \n \u2028 🙂',
    "list": [1, "two", None, [3.5]],
    "object": {"b": 1, "a": {"deep": [True]}},
    "a tuple": (1, "a"),
    "a set": {7},
    "bytes": b"\x01\x02",
    "a datetime": dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC),
    "a date": dt.date(2026, 1, 2),
    "a duration": dt.timedelta(hours=1, microseconds=500_000),
    "a uuid": uuid.UUID(int=7),
    "a decimal": decimal.Decimal("19.90"),
    "a dataclass": Item("b-12", 1990),
    "error": ValueError("boom"),
    "a key's error": KeyError("b-12"),
    "an error of one's own": OutOfStock("b-12 is out of stock"),
    "a group of errors": ExceptionGroup("all failed", [ValueError("one"), OutOfStock("two")]),
    "call": {"func": "charge", "args": ["42", 1999], "kwargs": {}, "version": 1},
}


async def charge(_ctx: Context, order: str, cents: int) -> str:
    return f"{order}: {cents}"


async def double(_ctx: Context, cents: int) -> int:
    return cents * 2


async def slow(_ctx: Context) -> None:
    await asyncio.sleep(1.5)


async def fail(_ctx: Context) -> None:
    raise OutOfStock("b-12 is out of stock")


async def shop(ctx: Context, order: str) -> dict[str, Any]:
    receipt = await ctx.run(double, 21)
    await ctx.sleep(dt.timedelta(milliseconds=30))
    remote = await ctx.rpc(charge, order, receipt)
    await ctx.detached("charge", order, 0)
    return {"receipt": receipt, "remote": remote}


def written() -> dict[str, Any]:
    codec, found = Codec(NoopEncryptor()), {}
    for name, value in VALUES.items():
        encoded = codec.encode(value)
        found[name] = {"headers": encoded.headers, "data": encoded.data}
    return found


async def main(url: str) -> None:
    print(json.dumps({"package": f"resonate-sdk {version('resonate-sdk')}", "values": written()}), flush=True)
    resonate = Resonate(url=url, group="default", pid="py-1", ttl=dt.timedelta(seconds=1), retry_policy=Never())
    for function in (charge, double, slow, fail, shop):
        resonate.register(function)
    later = int(time.time() * 1000) + 3_600_000
    await resonate.run("golden.py.shop", shop, "42").result()
    with contextlib.suppress(Exception):
        await resonate.run("golden.py.fail", fail).result()
    await resonate.run("golden.py.slow", slow).result()
    promises, schedules = resonate.promises, resonate.schedules
    await promises.create("golden.py.open", later, Value(headers=None, data=[1]), {"shop": "north"})
    await promises.get("golden.py.open")
    await promises.resolve("golden.py.open", Value(headers=None, data="done"))
    for verb, settle in (("reject", promises.reject), ("cancel", promises.cancel)):
        await promises.create(f"golden.py.{verb}", later, Value(headers=None, data=None), {})
        await settle(f"golden.py.{verb}", Value(headers=None, data=ValueError("boom")))
    with contextlib.suppress(Exception):
        await promises.search("resolved", {"shop": "north"}, 10, None)
    with contextlib.suppress(Exception):
        await promises.get("golden.py.nothing")
    await resonate.schedule("golden-py-daily", "0 9 * * *", "charge", ["42", 1999])
    await schedules.get("golden-py-daily")
    with contextlib.suppress(Exception):
        await schedules.search({"shop": "north"}, 10, None)
    await schedules.delete("golden-py-daily")
    await resonate.stop()


asyncio.run(main(sys.argv[1]))
