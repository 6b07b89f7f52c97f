"""`python -m benchmarks.servers`: this client beside the official Python SDK, against the same server, in one run.

The servers are the TypeScript SDK's in-process one, and those at the URLs in RESONATE_TEST_SERVER. `make interop`
installs what is needed. Rounds are interleaved, and the median counts. Requests and bytes are counted by a relay, in a
run of its own that is not timed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from benchmarks.relay import relay
from resonate import Context, Resonate
from tests.interop import peers

Run: TypeAlias = Callable[[str, int], Awaitable[float]]
"""Run one execution of a shape and a size; return its seconds."""

SHAPES = ("sequential", "fanned_out", "calls")
CALLS = 50
"""Steps of `calls` at most: both clients wait there for the server's messages, and the official SDK is quadratic."""


# ---------------------------------------------------------------- this client


async def plus_one(a: int) -> int:
    return a + 1


async def sequential(ctx: Context, size: int) -> int:
    total = 0
    for _ in range(size):
        total = await ctx.run(plus_one, total)
    return total


async def fanned_out(ctx: Context, size: int) -> int:
    return sum(await asyncio.gather(*(ctx.run(plus_one, i) for i in range(size))))


async def calls(ctx: Context, size: int) -> int:
    total = 0
    for _ in range(size):
        total = await ctx.rpc("plus_one", total)
    return total


@asynccontextmanager
async def ours(url: str) -> AsyncGenerator[Run]:
    client = Resonate(url, group=_some("ours"))
    for function in (plus_one, sequential, fanned_out, calls):
        client.register(function)

    async def run(shape: str, size: int) -> float:
        started = time.perf_counter()
        await client.run(_some("bench"), shape, size)
        return time.perf_counter() - started

    async with client:
        yield run


@asynccontextmanager
async def official(url: str) -> AsyncGenerator[Run]:
    script = str(Path(__file__).with_name("official.py"))
    process = peers.Process([str(peers.OFFICIAL), "-E", script, url, _some("official")])
    await asyncio.to_thread(process.__enter__)

    async def run(shape: str, size: int) -> float:
        reply = await process.ask(_some("bench"), seconds=600, shape=shape, size=size)
        return float(reply["seconds"])

    try:
        yield run
    finally:
        await asyncio.to_thread(process.__exit__)


# ---------------------------------------------------------------- both


@frozen
class Figure:
    """What one client did with one shape and size."""

    per_second: float
    requests: float
    kilobytes: float

    def __str__(self) -> str:
        return f"{self.per_second:9.1f} {self.requests:9.2f} {self.kilobytes:9.1f}"


async def compare(url: str, shape: str, size: int, rounds: int) -> list[Figure]:
    """Return this client's figure and the official SDK's."""
    makers = (ours, official)
    counted: list[tuple[float, float]] = []
    for make in makers:
        async with relay(url) as (address, passed), make(address) as run:
            await run(shape, size)
            counted.append((passed.requests / size, passed.bytes / size / 1000))
    async with AsyncExitStack() as stack:
        runs = [await stack.enter_async_context(make(url)) for make in makers]
        seconds: list[list[float]] = [[], []]
        for run in runs:
            await run(shape, 5)
        for _ in range(rounds):
            for run, times in zip(runs, seconds, strict=True):
                times.append(await run(shape, size))
    return [
        Figure(size / statistics.median(times), requests, kilobytes)
        for times, (requests, kilobytes) in zip(seconds, counted, strict=True)
    ]


async def table(name: str, url: str, sizes: Sequence[int], rounds: int) -> None:
    """Print a server's figures."""
    print(f"\n{name}\n{'':18}  {'this client':>29}   {'official Python SDK':>29}")
    head = f"{'per s':>9} {'requests':>9} {'kB':>9}"
    print(f"{'shape':12} {'steps':>5}  {head}   {head}   times as fast")
    for shape in SHAPES:
        for size in dict.fromkeys(min(size, CALLS) if shape == "calls" else size for size in sizes):
            mine, theirs = await compare(url, shape, size, rounds)
            print(f"{shape:12} {size:5}  {mine}   {theirs}   {mine.per_second / theirs.per_second:9.1f}", flush=True)


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[100, 400], help="steps of an execution (100 400)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds the median is taken of (3)")
    options = parser.parse_args()
    if why_not := peers.no_official():
        print(f"Skipped: {why_not}")
        return 0
    servers = [(url, url) for url in os.environ.get("RESONATE_TEST_SERVER", "").split(",") if url]
    with peers.node_server_if_any() as node:
        if node is not None:
            servers.insert(0, (f"{node.hello['package']}, its in-process server", node.hello["url"]))
        if not servers:
            print(f"Skipped: RESONATE_TEST_SERVER is not set, and {peers.no_node()}")
        for name, url in servers:
            await table(name, url, options.sizes, options.rounds)
    print("\nrequests and kB are per step; kB both ways, headers and messages included.")
    return 0


def _some(what: str) -> str:
    return f"{what}-{secrets.token_hex(4)}"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
