"""Processes that have died leave no lock files behind, and those that live keep theirs."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

from resonate import Context, Resonate
from resonate.adapters.sqlite import SqliteServer
from resonate.adapters.sqlite.alive import Alive, Life


def lock_files(path):
    return sorted(file.name for file in path.parent.glob("*-alive-*"))


async def test_the_lock_file_of_a_process_that_died_unknown_is_removed(tmp_path):
    path = tmp_path / "app.db"
    (tmp_path / "app.db-alive-dead").touch()  # it died before it was written down, or after it was crossed out
    (tmp_path / "other.db-alive-dead").touch()
    living = Alive(path)
    living.start()
    async with Resonate(SqliteServer(path)):
        assert living.life("dead") is Life.GONE
        assert Alive(path).life(living.token) is Life.ALIVE
    living.stop()
    assert lock_files(path) == ["other.db-alive-dead"]


def test_a_process_whose_lock_file_is_tidied_away_as_it_starts_makes_another(tmp_path, monkeypatch):
    path = tmp_path / "app.db"
    starting, tidying = Alive(path), Alive(path)
    opened, times = os.open, []

    def open_slowly(*args):  # what another process may do between two calls of this one
        file = opened(*args)
        if not times:
            times.append(1)
            tidying.tidy(())
        return file

    monkeypatch.setattr(os, "open", open_slowly)
    starting.start()
    monkeypatch.undo()
    assert tidying.life(starting.token) is Life.ALIVE
    starting.stop()
    assert lock_files(path) == []


HOLDER = """
import asyncio, sys
from resonate import Context, Resonate

async def never() -> str:
    print("held", flush=True)
    await asyncio.Event().wait()

async def hold(ctx: Context) -> str:
    return await ctx.run(never)

async def main():
    client = Resonate(f"sqlite:///{sys.argv[1]}", ttl=600)
    client.register(hold)
    async with client:
        await client.run("held", hold)

asyncio.run(main())
"""


async def never() -> str:
    return "let go"


async def hold(ctx: Context) -> str:
    return await ctx.run(never)


async def test_a_process_that_is_never_idle_sees_that_another_has_died(tmp_path):
    path = tmp_path / "app.db"
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(path), stdout=PIPE)
    assert await holder.stdout.readline() == b"held\n"
    client = Resonate(SqliteServer(path))
    client.register(hold)
    async with client, asyncio.timeout(60):

        async def be_busy() -> None:
            while True:
                await client.promises.get("held")

        busy = [asyncio.create_task(be_busy()) for _ in range(3)]
        holder.kill()
        await holder.wait()
        try:
            assert await client.get("held").result() == "let go"  # long before the lease of the dead one is over
        finally:
            for task in busy:
                task.cancel()


async def test_a_process_that_was_taken_for_dead_gets_its_messages_again(tmp_path):
    path = tmp_path / "app.db"
    worker = Resonate(SqliteServer(path), group="work", pid="worker")
    worker.register(hold)
    async with worker, asyncio.timeout(60):
        (lock_file,) = tmp_path.glob("*-alive-*")
        lock_file.unlink()  # as a cleaner of temporary files may
        async with Resonate(SqliteServer(path), group="desk") as desk:  # which finds nobody alive
            assert await desk.options(target="work").rpc("held", hold) == "let go"
    assert lock_files(path) == []
