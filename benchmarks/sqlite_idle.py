"""`python -m benchmarks.sqlite_idle`: how soon processes on one file hear of each other, and what doing nothing costs.

Two processes share a file. For each round one starts an execution that the other runs, and settles a promise that the
other waits for; both read the same clock. Then one is left alone with an open client, and tells its processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer


def now() -> int:
    """Tell when it ran, in ns."""
    return time.time_ns()


async def there(path: str, durability: str, pipe: Connection) -> None:
    """Run what is offered; wait for each promise that is named on the pipe, and tell when it was heard of."""
    client = Resonate(SqliteServer(path, durability=durability), group="there")
    client.register(now)
    async with client:
        pipe.send("open")
        while (asked := await asyncio.to_thread(pipe.recv)) is not None:
            if isinstance(asked, float):
                before = time.process_time()
                await asyncio.sleep(asked)
                pipe.send(time.process_time() - before)
                continue
            handle = client.get(asked)
            waiting = asyncio.ensure_future(handle.result())
            await handle.done()  # by now the other has been asked for
            pipe.send("waits")
            await waiting
            pipe.send(time.time_ns())


def run_there(path: str, durability: str, pipe: Connection) -> None:
    """Be the other process."""
    asyncio.run(there(path, durability, pipe))


async def measure(path: Path, durability: str, rounds: int, idle: float) -> dict[str, Any]:
    """Return seconds of each round, and of processor time per second of idling."""
    context = get_context("spawn")
    pipe, end = context.Pipe()
    process = context.Process(target=run_there, args=(str(path), durability, end))
    client = Resonate(SqliteServer(path, durability=durability), group="here")
    client.register(now)
    hear: Callable[[], Awaitable[Any]] = lambda: asyncio.to_thread(pipe.recv)  # noqa: E731
    executed: list[float] = []
    back: list[float] = []
    unblocked: list[float] = []
    async with client:
        process.start()
        await hear()
        for number in range(rounds):
            await asyncio.sleep(0.0371)  # not in step with what the other does every so often
            started = time.time_ns()
            ran = await client.options(target="there").rpc(f"r{number}", now)
            executed.append((ran - started) / 1e9)
            back.append((time.time_ns() - started) / 1e9)
            await client.promises.create(f"p{number}")
            pipe.send(f"p{number}")
            await hear()
            await asyncio.sleep(0.0371)
            settled = time.time_ns()
            await client.promises.resolve(f"p{number}")
            unblocked.append((await hear() - settled) / 1e9)
        pipe.send(idle)
        cost = await hear() / idle
        pipe.send(None)
        await asyncio.to_thread(process.join)
    return {"create to execute": executed, "create to result": back, "settle to unblock": unblocked, "idle": cost}


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sqlite_idle", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--idle", type=float, default=5.0, help="seconds of idling (5)")
    parser.add_argument("--durability", default="full")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder) / "a.db", options.durability, options.rounds, options.idle))
    print(f"{'between two processes':24}{'median':>10}{'fastest':>10}{'slowest':>10}")
    for name in ("create to execute", "create to result", "settle to unblock"):
        taken = figures[name]
        row = (statistics.median(taken), min(taken), max(taken))
        print(f"{name:24}" + "".join(f"{seconds * 1e3:>7.1f} ms" for seconds in row))
    print(f"\nan idle process takes {figures['idle'] * 100:.2f} % of a core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
