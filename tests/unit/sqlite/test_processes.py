"""Several processes on one file: what one does the others see, and the death of one is no outage."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta

import pytest

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer
from tests.unit.sqlite.helpers import Peer, peer, sql, until
from tests.unit.sqlite.peer import register_all

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="processes are paused and killed by POSIX means"),
    pytest.mark.slow,
]

TTL = 2.0


def client_of(path, **options):
    return register_all(Resonate(SqliteServer(path), **options))


async def held_by(folder):
    """Wait until a process runs the step `hold`; return its pid."""
    found = await until(lambda: [*folder.glob("held-*")])
    return {int(file.name.removeprefix("held-")) for file in found}


async def test_work_goes_to_another_process_and_its_result_comes_back(tmp_path):
    path = tmp_path / "app.db"
    with peer() as there:
        pid = await there.aask("open", str(path), {"group": "there"})
        async with client_of(path, group="here") as client:
            assert await client.options(target="there").rpc("r", "who") == pid
            assert await client.options(target="there").rpc("n", "napper", 0.05) == pid
            waits = await client.options(target="there").begin_rpc("a", "approval")
            await until(lambda: sql(path, "SELECT 1 FROM tasks WHERE id = 'a' AND state = 'suspended'"))
            await client.promises.resolve("a:1", "yes")
            assert await waits.result() == "yes"


async def test_a_promise_that_is_settled_here_is_heard_of_there(tmp_path):
    path = tmp_path / "app.db"
    with peer() as there:
        await there.aask("open", str(path), {})
        async with client_of(path, group="here") as client:
            await client.promises.create("p")
            assert await there.aask("wait", "p") == "waits"
            await client.promises.resolve("p", 1)
            assert await there.ahear() > 0


async def test_a_dead_process_s_work_goes_on_elsewhere_long_before_its_lease_lapses(tmp_path):
    path = tmp_path / "app.db"
    one, other = Peer(), Peer()
    try:
        for each in (one, other):
            await each.aask("open", str(path), {"ttl": 300.0})
        await one.aask("begin_run", "r", "holder", str(tmp_path))
        assert await held_by(tmp_path) == {one.pid}
        one.kill()
        both = await until(lambda: len([*tmp_path.glob("held-*")]) == 2 and [*tmp_path.glob("held-*")])
        assert {int(file.name.removeprefix("held-")) for file in both} == {one.pid, other.pid}
        (tmp_path / "release").touch()
        assert await other.aask("result", "r") == other.pid
    finally:
        one.end()
        other.end()


async def test_a_process_that_starts_after_a_death_goes_on_at_once(tmp_path):
    path = tmp_path / "app.db"
    one = Peer()
    await one.aask("open", str(path), {"ttl": 300.0})
    await one.aask("begin_run", "r", "holder", str(tmp_path))
    await held_by(tmp_path)
    one.kill()
    one.end()
    (tmp_path / "release").touch()
    async with client_of(path) as client:
        assert await client.get("r").result() > 0
    assert [file.name for file in tmp_path.glob("app.db*")] == ["app.db"]


async def test_a_paused_process_keeps_its_work_until_its_lease_lapses(tmp_path):
    path = tmp_path / "app.db"
    one, other = Peer(), Peer()
    try:
        for each in (one, other):
            await each.aask("open", str(path), {"ttl": TTL})
        await one.aask("begin_run", "r", "holder", str(tmp_path))
        assert await held_by(tmp_path) == {one.pid}
        one.pause()
        lapses = sql(path, "SELECT expires_at FROM tasks WHERE id = 'r' AND version = 1")
        await until(lambda: len([*tmp_path.glob("held-*")]) == 2)
        assert all(time.time() * 1_000 >= instant for [instant] in lapses)  # there is none where this came too late
        (tmp_path / "release").touch()
        assert await other.aask("result", "r") == other.pid
        one.go_on()
        assert await one.aask("result", "r") == other.pid  # what it did meanwhile came too late
    finally:
        one.end()
        other.end()


async def test_timers_are_fired_once_and_by_whoever_lives(tmp_path):
    path = tmp_path / "app.db"
    one, other = Peer(), Peer()
    try:
        for each in (one, other):
            await each.aask("open", str(path), {"group": "workers"})
        async with client_of(path, group="here") as client:
            naps = [await client.options(target="workers").begin_rpc(f"n{k}", "napper", 0.3) for k in range(20)]
            assert {await nap.result() for nap in naps} <= {one.pid, other.pid}
            naps = [await client.options(target="workers").begin_rpc(f"m{k}", "napper", 0.5) for k in range(20)]
            await until(
                lambda: (
                    sql(path, "SELECT count(*) FROM tasks WHERE id LIKE 'm%' AND state IN ('suspended', 'fulfilled')")
                    == [[20]]
                )
            )
            one.kill()
            assert {await nap.result() for nap in naps} <= {one.pid, other.pid}
    finally:
        one.end()
        other.end()


async def test_a_paused_process_holds_up_nobody_s_timers(tmp_path):
    path = tmp_path / "app.db"
    with peer() as one:
        await one.aask("open", str(path), {"group": "other"})
        async with client_of(path, group="here") as client:
            one.pause()  # it may be the first in line
            assert await client.run("n", "napper", 0.2) > 0


@pytest.mark.parametrize("lost", ["DELETE FROM processes", "DELETE FROM members"])
async def test_a_process_that_was_crossed_out_by_mistake_enters_again(tmp_path, lost):
    path = tmp_path / "app.db"
    with peer() as there:
        pid = await there.aask("open", str(path), {"group": "there"})
        async with client_of(path, group="here") as client:
            sql(path, lost, "DELETE FROM members")
            await until(
                lambda: sql(path, "SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM processes)") == [[2, 2]]
            )
            assert await client.options(target="there").rpc("r", "who") == pid


async def test_a_process_whose_lock_s_file_was_removed_makes_it_again(tmp_path):
    path = tmp_path / "app.db"
    with peer() as there:
        pid = await there.aask("open", str(path), {"group": "there"})
        async with client_of(path, group="here") as client:
            before = sql(path, "SELECT token FROM processes ORDER BY 1")
            for file in tmp_path.glob("*-alive-*"):
                file.unlink()
            await until(lambda: len([*tmp_path.glob("*-alive-*")]) == 2)
            assert await client.options(target="there").rpc("r", "who") == pid
            assert sql(path, "SELECT token FROM processes ORDER BY 1") == before


async def test_who_is_said_to_work_on_a_restored_copy_is_crossed_out(tmp_path):
    path = tmp_path / "app.db"
    async with client_of(path, group="workers"):
        sql(path, f"VACUUM INTO '{tmp_path}/copy.db'")
    copy = tmp_path / "copy.db"
    assert sql(copy, "SELECT count(*) FROM members") == [[1]]
    async with client_of(copy, group="workers") as client:
        assert await client.run("r", "echo", 1) == 1
        await until(lambda: sql(copy, "SELECT count(*) FROM members") == [[1]])


async def test_two_live_processes_with_one_name_lose_nothing_when_one_dies(tmp_path):
    path = tmp_path / "app.db"
    one, other = Peer(), Peer()
    try:
        for each in (one, other):
            await each.aask("open", str(path), {"pid": "same", "ttl": TTL})
        await one.aask("begin_run", "r", "holder", str(tmp_path))
        assert await held_by(tmp_path) == {one.pid}
        one.kill()
        (tmp_path / "release").touch()
        assert await asyncio.wait_for(other.aask("result", "r"), 60) == other.pid
    finally:
        one.end()
        other.end()


async def test_mail_is_collected_and_deaths_are_seen_under_load(tmp_path):
    path = tmp_path / "app.db"
    with peer() as there:
        await there.aask("open", str(path), {"group": "there"})
        async with client_of(path, group="here") as client:
            await client.promises.create("p")
            asking = True

            async def ask_without_end():
                while asking:
                    await client.promises.get("p")

            load = [asyncio.create_task(ask_without_end()) for _ in range(4)]
            assert await there.aask("rpc", "r", "here", "echo", 7) == 7
            there.kill()
            await until(lambda: len([*tmp_path.glob("*-alive-*")]) == 1)
            asking = False
            await asyncio.gather(*load)


async def test_what_a_waiter_in_another_process_is_yet_to_be_told_is_not_pruned(tmp_path):
    path = tmp_path / "app.db"
    waiter = "'poll://uni@g/waiter'"
    async with client_of(path) as client:
        await client.promises.create("answer")
        await client.promises.resolve("answer", 42)
        sql(
            path,
            "INSERT INTO outbox (id, listener, address, version, process) "
            f"VALUES ('answer', {waiter}, {waiter}, NULL, 'another')",
        )
        assert await client.store.prune(before=timedelta(0)) == 0
        sql(path, "DELETE FROM outbox")  # as that process does when it has read the promise
        assert await client.store.prune(before=timedelta(0)) == 1


async def test_much_that_tasks_have_yet_to_hear_of_does_not_keep_the_rest_from_being_pruned(tmp_path):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        for number in range(20):
            await client.promises.create(f"p{number}")
            await client.promises.resolve(f"p{number}", number)
        numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)"
        sql(path, f"INSERT INTO resumes (task, awaited) {numbers} SELECT 'task', 'other-' || n FROM numbers")
        assert await asyncio.wait_for(client.store.prune(before=timedelta(0)), 30) == 20


@pytest.mark.parametrize(
    "found",
    [
        "SELECT p.id FROM promises p WHERE p.id > 'a' AND p.state IN ('pending') AND p.origin = 1 ORDER BY p.id",
        (
            "SELECT t.id FROM tasks t JOIN promises p ON p.id = t.id "
            "WHERE p.id > 'a' AND t.state IN ('pending') AND p.origin = 1 ORDER BY p.id"
        ),
    ],
)
async def test_a_page_of_an_execution_is_found_without_sorting_all_of_it(tmp_path, found):
    path = tmp_path / "app.db"
    async with client_of(path):
        pass
    plan = " ".join(row[-1] for row in sql(path, f"EXPLAIN QUERY PLAN {found} LIMIT 256"))
    assert "promises_by_origin (origin=? AND id>?)" in plan
    assert "TEMP B-TREE" not in plan
