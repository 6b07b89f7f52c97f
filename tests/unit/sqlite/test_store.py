"""Group commit, each request's own failure, and what may be stored."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from resonate import Resonate, StoreError
from resonate.adapters.sqlite import SqliteServer
from resonate.adapters.sqlite import file as sqlite_file
from resonate.core.protocol.records import Execute, PromiseState, Value
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterCallback,
    PromiseReply,
    PromiseSettle,
    Rejection,
    TaskAcquire,
    TaskCreate,
    TaskSuspend,
)
from resonate.testing import VirtualClock
from resonate.testing.clock import START
from tests.unit.sqlite.helpers import sql, until
from tests.unit.sqlite.peer import register_all

FAR = 2**50


def create(id, data=None, **tags):
    return PromiseCreate(id=id, timeout_at=FAR, param=Value({}, data), tags=tags)


def targeted(id, group="g"):
    return PromiseCreate(id=id, timeout_at=FAR, tags={"resonate:target": f"poll://any@{group}"})


class Opened:
    """A store, and the connection on which its server works, to be looked at and limited."""

    def __init__(self, path, **options):
        self.server = SqliteServer(path, durability="normal", **options)
        self.store = self.server.connect(group="g", pid="p")
        self.statements = []
        self.connection: sqlite3.Connection | None = None

    async def __aenter__(self):
        opened = sqlite_file._open

        def watched(path, durability):
            self.connection = opened(path, durability)
            self.connection.set_trace_callback(self.statements.append)
            return self.connection

        sqlite_file._open = watched
        try:
            await self.store.start()
        finally:
            sqlite_file._open = opened
        return self

    async def __aexit__(self, *_):
        await self.store.stop()

    @property
    def commits(self):
        return self.statements.count("COMMIT")


async def test_requests_that_come_together_share_few_commits(tmp_path):
    async with Opened(tmp_path / "app.db") as opened:
        before = opened.commits
        replies = await asyncio.gather(*(opened.store.send(create(f"p{number}")) for number in range(1_000)))
        assert all(isinstance(reply, PromiseReply) for reply in replies)
        assert 1 <= opened.commits - before <= 100


async def test_many_requests_asked_for_as_one_share_one_commit(tmp_path):
    async with Opened(tmp_path / "app.db") as opened:
        before = opened.commits
        replies = await opened.store.send_all([create(f"p{number}") for number in range(500)])
        assert all(isinstance(reply, PromiseReply) for reply in replies)
        assert opened.commits - before == 1


async def test_questions_share_no_commit_at_all(tmp_path):
    async with Opened(tmp_path / "app.db") as opened:
        await opened.store.send(create("p"))
        before = opened.commits
        await asyncio.gather(*(opened.store.send(PromiseGet("p")) for _ in range(100)))
        assert opened.commits == before


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_too_long_fails_by_itself(tmp_path, at_once):
    async with Opened(tmp_path / "app.db") as opened:
        assert opened.connection is not None
        opened.connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
        requests = [create("a"), create("long", "x" * 200_000), create("b"), PromiseGet("a")]
        if at_once:
            replies = await opened.store.send_all(requests)
        else:
            replies = await asyncio.gather(*(opened.store.send(request) for request in requests))
        good = [reply for reply in replies if isinstance(reply, PromiseReply)]
        assert [reply.promise.id for reply in good] == ["a", "b", "a"]
        assert isinstance(replies[1], Rejection)
        assert "longer than a row of SQLite may be" in replies[1].message
        assert isinstance(await opened.store.send(PromiseGet("long")), Rejection)


async def test_a_step_s_result_that_is_too_long_fails_its_workflow_instead_of_being_done_again(tmp_path, monkeypatch):
    opened = sqlite_file._open

    def limited(path, durability):
        connection = opened(path, durability)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
        return connection

    monkeypatch.setattr(sqlite_file, "_open", limited)
    async with register_all(Resonate(SqliteServer(tmp_path / "app.db"))) as client:
        with pytest.raises(Exception, match="longer than a row of SQLite may be"):
            await client.run("r", "steps", 1, 200_000)
        with pytest.raises(StoreError, match="longer than a row of SQLite may be"):
            await client.run("s", "echo", "x" * 200_000)
        assert await client.run("t", "steps", 1, 10) == 10


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
async def test_what_is_no_unicode_fails_by_itself(tmp_path, text):
    async with Opened(tmp_path / "app.db") as opened:
        replies = await opened.store.send_all([create("a"), create(text), create("b"), create("c", text)])
        assert [isinstance(reply, PromiseReply) for reply in replies] == [True, False, True, False]
        for reply in (replies[1], replies[3], await opened.store.send(PromiseGet(text))):
            assert isinstance(reply, Rejection)
            assert reply.status in {400, 404}


ODD = [
    "\x00",
    "a\x00b",
    "é",
    "é",
    "🜁",
    "￿",
    "\x7f",
    "'; DROP TABLE promises; --",
    "%_*?[",
    "a b",
    "\u202e",
    "x" * 5_000,
]


@pytest.mark.parametrize("text", ODD)
async def test_odd_texts_are_kept_as_they_are(tmp_path, text):
    path = tmp_path / "app.db"
    id = text.replace("\x00", "~")  # which no id may hold
    request = PromiseCreate(
        id=id, timeout_at=FAR, param=Value({text: text}, text), tags={text: text, "resonate:external": "true"}
    )
    async with Opened(path) as opened:
        await opened.store.send_all([request, create("other")])
        await opened.store.send(PromiseSettle(id=id, state=PromiseState.RESOLVED, value=Value({"h": text}, text * 2)))
    async with Opened(path) as opened:
        reply = await opened.store.send(PromiseGet(id))
        assert isinstance(reply, PromiseReply)
        promise = reply.promise
        assert (promise.id, promise.param, dict(promise.tags)) == (id, request.param, dict(request.tags))
        assert promise.value == Value({"h": text}, text * 2)
        assert {one.record.id for one in opened.server.snapshot().promises} == {id, "other"}


@pytest.mark.parametrize("size", [1_000_000, pytest.param(50_000_000, marks=pytest.mark.slow)])
async def test_huge_values_come_back(tmp_path, size):
    path = tmp_path / "app.db"
    async with Opened(path) as opened:
        await opened.store.send(create("p", "x" * size))
    async with Opened(path) as opened:
        reply = await opened.store.send(PromiseGet("p"))
        assert isinstance(reply, PromiseReply)
        assert reply.promise.param.data == "x" * size


@pytest.mark.slow
async def test_ten_thousand_callbacks_on_one_promise_are_all_called(tmp_path):
    count = 10_000
    async with Opened(tmp_path / "app.db") as opened:
        store = opened.store
        await store.send(create("awaited", **{"resonate:external": "true"}))
        await store.send_all([TaskCreate(pid="p", ttl=FAR, action=targeted(f"t{n}")) for n in range(count)])
        replies = await store.send_all(
            [
                TaskSuspend(
                    id=f"t{n}", version=1, actions=(PromiseRegisterCallback(awaited="awaited", awaiter=f"t{n}"),)
                )
                for n in range(count)
            ]
        )
        assert not [reply for reply in replies if isinstance(reply, Rejection)], replies[0]
        await store.send(PromiseSettle(id="awaited", state=PromiseState.RESOLVED))
        heard = set()
        async for message in store.messages():
            assert isinstance(message, Execute)
            heard.add(message.id)
            if len(heard) == count:
                break
    assert sql(tmp_path / "app.db", "SELECT count(*) FROM callbacks") == [[0]]


@pytest.mark.slow
async def test_ten_thousand_offers_are_kept_until_somebody_comes(tmp_path):
    count = 10_000
    path = tmp_path / "app.db"
    async with Opened(path) as opened:
        await opened.store.send_all([targeted(f"t{n}", "late") for n in range(count)])
        assert len(opened.server.snapshot().outbox) == count
    server = SqliteServer(path)
    late = server.connect(group="late", pid="q")
    await late.start()
    heard = []
    async for message in late.messages():
        heard.append(message.id)
        if len(heard) == count:
            break
    await late.stop()
    assert len(set(heard)) == count


async def test_an_offer_that_is_kept_is_not_written_again_each_time_it_is_made(tmp_path):
    path = tmp_path / "app.db"
    clock = VirtualClock(auto_jump=False)
    server = SqliteServer(path, clock=clock)
    store = server.connect(group="g", pid="p")
    await store.start()
    await store.send_all([targeted(f"t{n}", "late") for n in range(3)])
    kept = sql(path, "SELECT n, id FROM outbox ORDER BY n")
    offered = sql(path, "SELECT id, retry_at FROM tasks ORDER BY id")
    assert len(kept) == 3
    await clock.advance(6_000)
    await until(lambda: sql(path, "SELECT id, retry_at FROM tasks ORDER BY id") != offered)
    assert sql(path, "SELECT n, id FROM outbox ORDER BY n") == kept
    await store.send(TaskAcquire(id="t0", version=0, pid="p", ttl=1_000))
    await clock.advance(20_000)  # its lease lapses, and it is offered anew
    await until(lambda: ["t0", 1] in sql(path, "SELECT id, version FROM outbox"))
    late = server.connect(group="late", pid="q")
    await late.start()
    heard = [await anext(aiter(late.messages())) for _ in range(3)]
    assert sorted((message.id, message.version) for message in heard) == [("t0", 1), ("t1", 0), ("t2", 0)]
    await late.stop()
    await store.stop()


async def test_what_is_asked_for_before_a_stop_is_answered(tmp_path):
    path = tmp_path / "app.db"
    opened = await Opened(path).__aenter__()
    asked = [asyncio.ensure_future(opened.store.send(create(f"p{number}"))) for number in range(2_000)]
    await asyncio.sleep(0)
    await opened.store.stop()
    replies = await asyncio.gather(*asked, return_exceptions=True)
    done = {reply.promise.id for reply in replies if isinstance(reply, PromiseReply)}
    assert all(isinstance(reply, PromiseReply | StoreError) for reply in replies)
    assert done <= {row[0] for row in sql(path, "SELECT id FROM promises")}
    with pytest.raises(StoreError, match="has been stopped"):
        await opened.store.send(PromiseGet("p0"))


async def test_a_snapshot_is_the_same_after_the_file_was_closed(tmp_path):
    clock = VirtualClock()
    path = tmp_path / "app.db"
    async with Opened(path, clock=clock) as opened:
        await opened.store.send_all([create("a", "1", mark="x"), targeted("t", "others"), create("b")])
        await opened.store.send(PromiseSettle(id="b", state=PromiseState.REJECTED, value=Value({}, "no")))
        before = opened.server.snapshot()
    async with Opened(path, clock=clock) as opened:
        assert opened.server.snapshot() == before
    assert SqliteServer(path, clock=clock).snapshot() == before  # also while it is closed


def test_a_snapshot_of_no_file_is_an_error(tmp_path):
    with pytest.raises(StoreError, match=r"app\.db can't be opened"):
        SqliteServer(tmp_path / "app.db").snapshot()
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ the clock


async def test_time_does_not_run_backwards_between_two_runs_by_a_little(tmp_path):
    path = tmp_path / "app.db"
    async with Opened(path, clock=VirtualClock(START)) as opened:
        await opened.store.send(create("a"))
    async with Opened(path, clock=VirtualClock(START - 10_000)) as opened:
        reply = await opened.store.send(create("b"))
        assert reply.promise.created_at == START


async def test_a_clock_that_was_an_hour_ahead_is_believed_when_it_is_right_again(tmp_path, caplog):
    path = tmp_path / "app.db"
    async with Opened(path, clock=VirtualClock(START)) as opened:
        await opened.store.send(create("a"))
    async with Opened(path, clock=VirtualClock(START - 3_600_000)) as opened:
        reply = await opened.store.send(create("b"))
        assert reply.promise.created_at == START - 3_600_000
    assert "The clock is 3600 s behind what the file" in caplog.text


@pytest.mark.parametrize("behind_ms", [10_000, 3_600_000])
async def test_work_goes_on_after_the_clock_was_set_back(tmp_path, behind_ms):
    path = tmp_path / "app.db"
    clock = VirtualClock(START, auto_jump=False)
    async with register_all(Resonate(SqliteServer(path, clock=clock))) as client:
        await client.begin_run("r", "approval")
        nap = await client.begin_run("n", "napper", 5.0)
        await until(lambda: sql(path, "SELECT count(*) FROM tasks WHERE state = 'suspended'") == [[2]])
        assert nap.id == "n"
        await client._kill()
    clock = VirtualClock(START - behind_ms)
    async with register_all(Resonate(SqliteServer(path, clock=clock))) as client:
        assert await client.run("new", "napper", 1.0) > 0
        await client.promises.resolve("r:1", "yes")
        assert await client.get("r").result() == "yes"
        assert await client.get("n").result() > 0
