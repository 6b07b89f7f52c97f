"""A process with a client on a file, for tests: reads commands from its standard input, answers on its output."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from resonate import Context, Resonate
from resonate.adapters.sqlite import SqliteServer


def echo(value: Any) -> Any:
    return value


def who() -> int:
    return os.getpid()


def now() -> int:
    return time.time_ns()


def hold(folder: str) -> int:
    """Say that it runs, and run until a file is there."""
    Path(folder, f"held-{os.getpid()}").touch()
    while not Path(folder, "release").exists():
        time.sleep(0.005)
    return os.getpid()


async def holder(ctx: Context, folder: str) -> int:
    return await ctx.run(hold, folder)


async def napper(ctx: Context, seconds: float) -> int:
    await ctx.sleep(seconds)
    return await ctx.run(who)


async def steps(ctx: Context, count: int, size: int) -> int:
    total = 0
    for number in range(count):
        total += len(await ctx.run(echo, str(number % 10) * size))
    return total


async def approval(ctx: Context) -> str:
    """Wait for somebody to settle a promise: its id is this one's with `:1`."""
    return await (await ctx.promise(returns=str))


FUNCTIONS = (echo, who, now, hold, holder, napper, steps, approval)


def register_all(client: Resonate) -> Resonate:
    for function in FUNCTIONS:
        client.register(function)
    return client


class Peer:
    """What the commands do; each is a method, its answer what it returns."""

    def __init__(self) -> None:
        self.clients: list[Resonate] = []
        self.handles: dict[str, Any] = {}
        self.raw: sqlite3.Connection | None = None

    @property
    def client(self) -> Resonate:
        return self.clients[-1]

    async def open(self, path: str, options: dict[str, Any]) -> int:
        timeout = options.pop("lock_timeout", 30.0)
        client = register_all(Resonate(SqliteServer(path, lock_timeout=timeout), **options))
        await client.__aenter__()
        self.clients.append(client)
        return os.getpid()

    async def close(self) -> None:
        await self.clients.pop().__aexit__(None, None, None)

    async def create(self, id: str, value: Any) -> str:
        return (await self.client.promises.create(id, value=value)).state

    async def resolve(self, id: str, value: Any) -> int:
        await self.client.promises.resolve(id, value)
        return time.time_ns()

    async def get(self, id: str) -> str:
        return (await self.client.promises.get(id)).state

    async def run(self, id: str, name: str, *args: Any) -> Any:
        return await self.client.run(id, name, *args)

    async def rpc(self, id: str, target: str, name: str, *args: Any) -> Any:
        return await self.client.options(target=target).rpc(id, name, *args)

    async def begin_run(self, id: str, name: str, *args: Any) -> str:
        self.handles[id] = await self.client.begin_run(id, name, *args)
        return id

    async def begin_rpc(self, id: str, target: str, name: str, *args: Any) -> int:
        started = time.time_ns()
        self.handles[id] = await self.client.options(target=target).begin_rpc(id, name, *args)
        return started

    async def result(self, id: str) -> Any:
        return await self.client.get(id).result()

    async def wait(self, id: str) -> int:
        """Say that it waits, then say when it has heard."""
        handle = self.client.get(id)
        waiting = asyncio.ensure_future(handle.result())
        await handle.done()
        say({"value": "waits"})
        await waiting
        return time.time_ns()

    async def idle(self, seconds: float) -> float:
        """Tell how much processor time so many seconds of doing nothing cost."""
        before = time.process_time()
        await asyncio.sleep(seconds)
        return time.process_time() - before

    async def lock(self, path: str) -> str:
        """Hold the file's lock, as another program may."""
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.raw.execute("BEGIN EXCLUSIVE")
        return "locked"

    async def unlock(self) -> str:
        assert self.raw is not None
        self.raw.execute("ROLLBACK")
        self.raw.close()
        return "unlocked"


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main() -> None:
    me = Peer()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, *arguments = json.loads(line)
        try:
            say({"value": await getattr(me, command)(*arguments)})
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            say({"error": f"{type(error).__name__}: {error}"})
    while me.clients:
        await me.close()


if __name__ == "__main__":
    asyncio.run(main())
