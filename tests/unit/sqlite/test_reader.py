"""A file that is only read: it answers as a store that takes part, and leaves no trace."""

from __future__ import annotations

import sqlite3

import pytest

from resonate import PromiseState, SqliteServer, StoreError, UsageError
from resonate.adapters.memory import MemoryServer
from resonate.adapters.sqlite.file import Durability, open_file
from resonate.adapters.sqlite.still import look_at_still
from resonate.core.insight.picture import Facts
from resonate.core.protocol.records import Tag
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseSearch,
    PromiseSettle,
    Rejection,
    ScheduleGet,
    ScheduleSearch,
    TaskCreate,
    TaskGet,
    TaskSearch,
    TaskSuspend,
)
from resonate.ports.store import Knows, Readable
from resonate.testing import VirtualClock

READS = (
    PromiseGet("a"),
    PromiseGet("nothing"),
    TaskGet("a"),
    ScheduleGet("nothing"),
    PromiseSearch(),
    TaskSearch(),
    ScheduleSearch(),
)


async def started(backend, group="g", pid="p"):
    store = backend.connect(group=group, pid=pid)
    await store.start()
    return store


def creation(id, clock, **tags):
    return PromiseCreate(id=id, timeout_at=clock.now() + 1_000_000, tags=tags)


async def fill(store, clock):
    """Suspend `a` on `b`, hold `c`, leave `d` to a group without workers."""
    target = {Tag.TARGET: "poll://any@g"}
    await store.send(creation("b", clock, **{Tag.EXTERNAL: "true"}))
    await store.send(TaskCreate(pid="p", ttl=60_000, action=creation("a", clock, **target)))
    actions = (PromiseRegisterCallback(awaited="b", awaiter="a"),)
    await store.send(TaskSuspend(id="a", version=1, actions=actions))
    await store.send(TaskCreate(pid="p", ttl=60_000, action=creation("c", clock, **target)))
    await store.send(creation("d", clock, **{Tag.TARGET: "poll://any@h"}))


async def test_it_answers_as_the_store_does(tmp_path):
    clock = VirtualClock(auto_jump=False)
    server = SqliteServer(tmp_path / "app.db", clock=clock)
    store = await started(server)
    await fill(store, clock)
    reader = server.reader()
    await reader.start()
    await reader.start()
    assert await reader.send_all(READS) == await store.send_all(READS) == [await reader.send(one) for one in READS]
    assert await reader.send_all([]) == []
    before = await reader.send(PromiseGet("b"))
    await store.send(PromiseSettle(id="b", state=PromiseState.RESOLVED))
    assert await reader.send(PromiseGet("b")) != before
    await store.stop()
    assert not isinstance(await reader.send(PromiseGet("a")), Rejection)
    await reader.stop()
    await reader.stop()


async def test_facts_are_the_same_in_memory_and_in_a_file(tmp_path):
    clock = VirtualClock(auto_jump=False)
    found = []
    for server in (MemoryServer(clock=clock), SqliteServer(tmp_path / "app.db", clock=clock)):
        store = await started(server)
        assert isinstance(store, Knows)
        await fill(store, clock)
        found.append(await store.facts(["a", "b", "c", "d", "nothing"]))
        if isinstance(server, Readable):
            reader = server.reader()
            await reader.start()
            found.append(await reader.facts(["a", "b", "c", "d", "nothing"]))
            await reader.stop()
        await store.stop()
    memory, file, read = found
    assert memory == Facts(expires={"c": clock.now() + 60_000}, awaiting={"a": ("b",)}, groups={"g": ("p",)})
    assert file == read
    assert (file.expires, file.awaiting, file.groups) == (memory.expires, memory.awaiting, memory.groups)
    assert file.alive == {"p": True}


async def test_it_writes_and_receives_nothing(tmp_path):
    clock = VirtualClock(auto_jump=False)
    server = SqliteServer(tmp_path / "app.db", clock=clock)
    store = await started(server)
    await fill(store, clock)
    reader = server.reader()
    await reader.start()
    with pytest.raises(UsageError, match=r"A reader does not do promise\.settle"):
        await reader.send(PromiseSettle(id="b", state=PromiseState.RESOLVED))
    with pytest.raises(UsageError, match="A reader gets no messages"):
        reader.messages()
    await reader.stop()
    with pytest.raises(UsageError, match="The reader is not started"):
        await reader.send(PromiseGet("a"))
    await store.stop()


async def test_what_is_due_is_left_to_who_takes_part(tmp_path):
    clock = VirtualClock(auto_jump=False)
    server = SqliteServer(tmp_path / "app.db", clock=clock)
    store = await started(server)
    await fill(store, clock)
    await store.stop()
    await clock.advance(2_000_000)
    before = server.snapshot().promises
    reader = server.reader()
    await reader.start()
    assert (await reader.send(PromiseGet("b"))).promise.state == "rejected_timedout"
    await reader.stop()
    assert server.snapshot().promises == before


async def test_there_has_to_be_a_file_that_it_knows(tmp_path):
    with pytest.raises(StoreError, match="There is no file"):
        await SqliteServer(tmp_path / "none.db").reader().start()
    assert list(tmp_path.iterdir()) == []
    path = tmp_path / "app.db"
    await (await started(SqliteServer(path))).stop()
    for version, text in ((0, "older version"), (99, "schema version 99")):
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        with pytest.raises(StoreError, match=text):
            await SqliteServer(path).reader().start()


async def test_a_store_that_is_not_started_or_is_stopped_knows_nothing(tmp_path):
    for server in (MemoryServer(), SqliteServer(tmp_path / "app.db")):
        store = server.connect(group="g", pid="p")
        with pytest.raises(UsageError, match="has not been started"):
            await store.facts(["a"])
        await store.start()
        await store.stop()
        with pytest.raises(StoreError, match="has been stopped"):
            await store.facts(["a"])


def found_in(folder):
    """Return all that is in a folder, byte for byte, and when it was changed."""
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


async def test_a_file_that_nobody_works_on_is_left_as_it_is(tmp_path):
    server = SqliteServer(tmp_path / "app.db")
    store = await started(server)
    await store.send(PromiseCreate(id="p", timeout_at=2**50))
    await store.stop()
    before = found_in(tmp_path)
    reader = server.reader()
    await reader.start()
    assert len((await reader.send(PromiseSearch())).promises) == 1
    assert found_in(tmp_path) == before
    await store.start()  # somebody works on it now
    await store.send(PromiseCreate(id="q", timeout_at=2**50))
    assert len((await reader.send(PromiseSearch())).promises) == 2
    await reader.stop()
    await store.stop()
    assert list(found_in(tmp_path)) == ["app.db"]
    before = found_in(tmp_path)
    assert len(server.snapshot().promises) == 2
    assert found_in(tmp_path) == before


@pytest.mark.parametrize("stays", [False, True])
async def test_a_file_that_is_written_under_a_look_is_looked_at_again(tmp_path, stays):
    path = tmp_path / "app.db"
    await (await started(SqliteServer(path))).stop()
    seen = []

    def look(db):
        if not seen:
            other = open_file(path, Durability.NORMAL, 1.0)
            other.execute("INSERT INTO names (name) VALUES ('theirs')")
            others.append(other) if stays else other.close()
        seen.append(db.execute("SELECT count(*) FROM names").fetchone()[0])
        if seen == [0]:
            raise sqlite3.DatabaseError("what was read of two versions makes no sense")
        return seen[-1]

    others = []
    assert look_at_still(path, look) == (None if stays else (1,))
    for other in others:
        other.close()


async def test_a_file_that_makes_no_sense_is_told_of(tmp_path):
    path = tmp_path / "app.db"
    await (await started(SqliteServer(path))).stop()

    def look(db):
        return db.execute("SELECT a FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        look_at_still(path, look)


async def test_a_file_that_took_the_place_of_the_one_that_was_read_is_read_from_then_on(tmp_path):
    path, clock = tmp_path / "app.db", VirtualClock()
    server = SqliteServer(path, clock=clock)
    before = await started(server)
    await before.send(creation("before", clock))
    reader = server.reader()
    await reader.start()
    assert not isinstance(await reader.send(PromiseGet("before")), Rejection)
    await before.stop()
    for part in tuple(tmp_path.iterdir()):
        part.rename(tmp_path.parent / f"away-{part.name}")
    after = await started(server)
    await after.send(creation("after", clock))
    assert [promise.id for promise in (await reader.send(PromiseSearch())).promises] == ["after"]
    assert (await reader.send(PromiseGet("before"))).status == 404
    await reader.stop()
    await after.stop()
