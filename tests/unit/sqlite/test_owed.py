"""What a settled promise owes, where that is more than one transaction does: all of it is done, whatever happens."""

# ruff: noqa: ASYNC221 - what is done to the file by others is done in between, at once
from __future__ import annotations

import sqlite3
import subprocess
import sys
import time

import pytest

from resonate.adapters.sqlite import SqliteServer, worker
from resonate.adapters.sqlite import file as sqlite_file
from resonate.adapters.sqlite import tables as sqlite_tables
from resonate.core.protocol.records import PromiseState, TaskState
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseRegisterListener,
    PromiseSettle,
    Rejection,
    TaskCreate,
    TaskSuspend,
)
from tests.unit.sqlite.helpers import sql, until

FAR = 2**50
COUNT = 60
SETTLE = PromiseSettle(id="awaited", state=PromiseState.RESOLVED)


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(worker, "_MAX_STEPS", 10)


async def started(path, group="g"):
    store = SqliteServer(path, durability="normal").connect(group=group, pid="p")
    await store.start()
    return store


async def have_listen(store):
    """Have listeners wait for one promise."""
    await store.send(PromiseCreate(id="awaited", timeout_at=FAR, tags={"resonate:external": "true"}))
    listeners = [PromiseRegisterListener(awaited="awaited", address=f"poll://uni@g/p{n}") for n in range(COUNT)]
    await store.send_all(listeners)


async def have_wait(store):
    """Have listeners and tasks wait for one promise."""
    await have_listen(store)
    for n in range(COUNT):
        action = PromiseCreate(id=f"t{n}", timeout_at=FAR, tags={"resonate:target": "poll://any@g"})
        callback = PromiseRegisterCallback(awaited="awaited", awaiter=f"t{n}")
        replies = await store.send_all(
            [
                TaskCreate(pid="p", ttl=FAR, action=action),
                TaskSuspend(id=f"t{n}", version=1, actions=(callback,)),
            ]
        )
        assert not [reply for reply in replies if isinstance(reply, Rejection)]


def left(path):
    """Return how many wait for a promise that has settled, and how many promises are down as owing something."""
    snapshot = SqliteServer(path).snapshot()
    listeners = sum(len(promise.listeners) for promise in snapshot.promises)
    waiting = listeners + sum(task.state is TaskState.SUSPENDED for task in snapshot.tasks)
    return waiting + sql(path, "SELECT count(*) FROM promises WHERE due_at < 0")[0][0]


@pytest.mark.parametrize("have_some", [have_listen, have_wait])
async def test_one_process_alone_goes_on_with_it_by_itself(tmp_path, have_some):
    path = tmp_path / "app.db"
    store = await started(path)
    await have_some(store)
    await store.send(SETTLE)
    await until(lambda: not left(path))
    await store.stop()


async def test_it_is_read_again_where_it_is_more_than_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_tables, "_DRAINS", 7)
    path = tmp_path / "app.db"
    store = await started(path)
    await have_wait(store)
    await store.send(SETTLE)
    await until(lambda: not left(path))
    await store.stop()


async def test_it_is_done_though_another_process_writes_meanwhile(tmp_path):
    path = tmp_path / "app.db"
    store = await started(path)
    await have_wait(store)
    other = await started(path, group="other")
    await store.send(SETTLE)
    await other.send(PromiseCreate(id="theirs", timeout_at=FAR))
    await until(lambda: not left(path))
    await store.stop()
    await other.stop()


async def test_it_is_done_though_the_next_transaction_fails(tmp_path, monkeypatch):
    opened = sqlite_file._open

    def limited(path, durability):
        connection = opened(path, durability)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
        return connection

    monkeypatch.setattr(sqlite_file, "_open", limited)
    path = tmp_path / "app.db"
    store = await started(path)
    await have_wait(store)
    await store.send(SETTLE)
    assert isinstance(await store.send(PromiseCreate(id="bad", timeout_at=FAR, tags={"a": "x" * 200_000})), Rejection)
    await until(lambda: not left(path))
    await store.stop()


async def test_it_is_done_by_whoever_comes_after_a_death(tmp_path):
    path = tmp_path / "app.db"
    store = await started(path)
    await have_wait(store)
    await store.stop()
    script = (
        "import asyncio, os, sys\n"
        "from tests.unit.sqlite import test_owed\n"
        "test_owed.worker._MAX_STEPS = 10\n"
        "async def main():\n"
        "    store = await test_owed.started(sys.argv[1])\n"
        "    await store.send(test_owed.SETTLE)\n"
        "    os._exit(0)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    assert left(path) > 0
    store = await started(path)
    await until(lambda: not left(path))
    await store.stop()
    assert sql(path, "SELECT count(*) FROM promises WHERE due_at < 0") == [[0]]


async def test_a_promise_that_owes_is_not_pruned(tmp_path):
    path = tmp_path / "app.db"
    store = await started(path)
    await have_listen(store)
    await store.send(SETTLE)
    later = int(time.time() * 1_000) + 1_000_000
    assert await store.prune(later) == 0
    await until(lambda: not left(path))
    assert await store.prune(later) == 1
    await store.stop()


async def test_it_is_done_in_a_file_of_a_version_that_left_it(tmp_path):
    path = tmp_path / "app.db"
    store = await started(path)
    await have_wait(store)
    await store.stop()
    settled = "UPDATE promises SET state = 'resolved', settled_at = 1, due_at = NULL WHERE id = 'awaited'"
    sql(path, settled, "PRAGMA user_version = 1")
    store = await started(path)
    await until(lambda: not left(path))
    assert (await store.send(PromiseGet("awaited"))).promise.state is PromiseState.RESOLVED
    await store.stop()
