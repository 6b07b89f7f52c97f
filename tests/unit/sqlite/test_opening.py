"""Which files are opened, made and migrated, and which are left as they are."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240 - what is done to the file and by whom is done in between, at once
from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer, schema
from resonate.adapters.sqlite.file import Durability, open_file
from resonate.errors import ServerError, StoreError
from tests.unit.sqlite.helpers import Peer, peer, sql, until
from tests.unit.sqlite.peer import register_all


def state_of(folder):
    """Return all that is in a folder, byte for byte."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


async def refused(path):
    with pytest.raises(StoreError) as caught:
        async with Resonate(SqliteServer(path)):
            pass
    assert str(path) in str(caught.value)
    assert not isinstance(caught.value, ServerError)  # asking again would change nothing
    return str(caught.value)


def foreign(path, *statements):
    connection = sqlite3.connect(path)
    for statement in (*statements, "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)"):
        connection.execute(statement)
    connection.commit()
    return connection


@pytest.mark.parametrize("statements", [(), ("PRAGMA application_id = 7",), ("PRAGMA journal_mode = WAL",)])
async def test_the_database_of_another_program_is_left_untouched(tmp_path, statements):
    path = tmp_path / "app.db"
    foreign(path, *statements).close()
    before = state_of(tmp_path)
    assert "is the database of another program. It is left untouched." in await refused(path)
    assert state_of(tmp_path) == before


async def test_the_database_of_another_program_that_runs_is_left_untouched(tmp_path):
    path = tmp_path / "app.db"
    theirs = foreign(path, "PRAGMA journal_mode = WAL")  # what it wrote is still in its log
    before = state_of(tmp_path)
    await refused(path)
    assert state_of(tmp_path) == before
    assert theirs.execute("SELECT a FROM theirs").fetchall() == [(1,)]
    theirs.close()


async def test_the_hot_journal_of_another_program_is_left_to_it(tmp_path):
    path = tmp_path / "app.db"
    # It dies in the middle of a transaction that has been written to the file in part.
    script = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('CREATE TABLE theirs (a)')\n"
        "connection.execute('PRAGMA cache_size = 1')\n"
        "connection.execute('BEGIN')\n"
        "for _ in range(100): connection.execute('INSERT INTO theirs VALUES (randomblob(1000))')\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    assert Path(f"{path}-journal").stat().st_size
    before = state_of(tmp_path)
    await refused(path)
    assert state_of(tmp_path) == before


@pytest.mark.parametrize("content", [b"x", b"A text.\n" * 100, b"SQLite format 3\x00", bytes(4096)])
async def test_what_is_no_database_is_left_untouched(tmp_path, content):
    path = tmp_path / "app.db"
    path.write_bytes(content)
    assert "is no SQLite database. It is left untouched." in await refused(path)
    assert state_of(tmp_path) == {"app.db": content}


async def test_a_folder_is_no_file(tmp_path):
    path = tmp_path / "app.db"
    path.mkdir()
    await refused(path)
    assert list(path.iterdir()) == []


async def test_a_missing_folder_is_not_made(tmp_path):
    path = tmp_path / "missing" / "app.db"
    assert "Make its folder" in await refused(path)
    assert not path.parent.exists()


async def test_an_empty_file_is_as_good_as_none(tmp_path):
    path = tmp_path / "app.db"
    path.touch()
    async with register_all(Resonate(SqliteServer(path))) as client:
        assert await client.run("r", "echo", 1) == 1


@pytest.mark.parametrize("statements", [0, 1, 2, 5])
async def test_a_file_whose_creator_died_halfway_is_finished(tmp_path, statements):
    path = tmp_path / "app.db"
    # The creator dies after so many statements that changed something, the last of them not committed.
    script = (
        "import os, sqlite3, sys\n"
        "from pathlib import Path\n"
        "from resonate.adapters.sqlite import file, schema\n"
        "left = int(sys.argv[2])\n"
        "def counted(statement):\n"
        "    global left\n"
        "    if statement.startswith(('BEGIN', 'COMMIT', 'CREATE')):\n"
        "        if not left: os._exit(0)\n"
        "        left -= 1\n"
        "connect = sqlite3.connect\n"
        "def traced(*args, **kwargs):\n"
        "    connection = connect(*args, **kwargs)\n"
        "    connection.set_trace_callback(counted)\n"
        "    return connection\n"
        "sqlite3.connect = traced\n"
        "file.open_file(Path(sys.argv[1]), file.Durability.FULL, 1.0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), str(statements)], check=True, timeout=60)
    async with register_all(Resonate(SqliteServer(path))) as client:
        assert await client.run("r", "echo", 1) == 1


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "app.db"
    async with Resonate(SqliteServer(path)) as client:
        await client.promises.create("p")
    known = len(schema.MIGRATIONS)
    sql(path, f"PRAGMA user_version = {known + 1}", "PRAGMA wal_checkpoint(TRUNCATE)")
    before = state_of(tmp_path)
    text = await refused(path)
    assert f"has schema version {known + 1}; this version of the library knows {known}. Upgrade the library" in text
    assert state_of(tmp_path) == before


ADDED = "CREATE TABLE added (a INTEGER) STRICT;\nINSERT INTO added SELECT count(*) FROM promises;\n"


async def test_a_file_of_an_older_version_is_migrated(tmp_path):
    path = tmp_path / "app.db"
    async with Resonate(SqliteServer(path)) as client:
        await client.promises.create("p")
    migrations = (*schema.MIGRATIONS, ADDED)
    connection = open_file(path, Durability.FULL, 1.0)
    schema.migrate(connection, path, migrations)
    assert connection.execute("SELECT a FROM added").fetchall() == [(1,)]
    schema.migrate(connection, path, migrations)  # and that once
    assert connection.execute("SELECT a FROM added").fetchall() == [(1,)]
    connection.close()


async def test_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "app.db"
    connection = open_file(path, Durability.FULL, 1.0)
    with pytest.raises(sqlite3.Error):
        schema.migrate(connection, path, (*schema.MIGRATIONS, "CREATE TABLE added (a);\nCREATE TABLE added (a);\n"))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'added'").fetchall() == []
    connection.close()


async def test_two_who_migrate_at_once_do_it_once(tmp_path):
    path = tmp_path / "app.db"
    open_file(path, Durability.FULL, 1.0).close()
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from resonate.adapters.sqlite import file, schema\n"
        "path = Path(sys.argv[1])\n"
        "connection = file.open_file(path, file.Durability.FULL, 30.0)\n"
        "connection.execute('PRAGMA busy_timeout = 30000')\n"
        "print('open', flush=True)\n"
        "sys.stdin.readline()\n"
        "schema.migrate(connection, path, (*schema.MIGRATIONS, sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", script, str(path), ADDED]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == b"open\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in both:
        one.communicate(timeout=60)
        assert one.returncode == 0
    assert sql(path, "SELECT a FROM added") == [[0]]


def test_many_processes_make_the_same_file_at_once(tmp_path):
    path = tmp_path / "app.db"
    peers = [Peer() for _ in range(6)]
    try:
        for one in peers:
            one.tell("open", str(path), {})
        pids = {one.hear() for one in peers}
        assert len(pids) == len(peers)
        for number, one in enumerate(peers):
            assert one.ask("run", f"r{number}", "echo", number) == number
            one.tell("close")
        for one in peers:
            one.hear()
    finally:
        for one in peers:
            one.end()
    assert len(sql(path, "SELECT id FROM promises")) == len(peers)
    assert [file.name for file in tmp_path.iterdir()] == ["app.db"]


async def test_two_event_loops_in_two_threads_open_one_server(tmp_path):
    server = SqliteServer(tmp_path / "app.db")
    answers = []

    def live(name):
        async def main():
            async with register_all(Resonate(server, group=name)) as client:
                answers.extend([await client.run(f"{name}-{number}", "echo", number) for number in range(20)])

        asyncio.run(main())

    threads = [threading.Thread(target=live, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(answers) == sorted([*range(20), *range(20)])
    assert [file.name for file in tmp_path.iterdir()] == ["app.db"]


async def test_starting_and_stopping_leaves_nothing_behind(tmp_path):
    path = tmp_path / "app.db"
    server = SqliteServer(path)
    for number in range(10):
        async with register_all(Resonate(server)) as client:
            assert await client.run(f"r{number}", "echo", number) == number
            assert [promise.id async for promise in client.promises.search()] != []
        assert [file.name for file in tmp_path.iterdir()] == ["app.db"]
    await until(lambda: not [one for one in threading.enumerate() if "app.db" in one.name or "search" in one.name])


async def test_an_opening_that_is_given_up_leaves_nothing_behind(tmp_path):
    path = tmp_path / "app.db"
    server = SqliteServer(path)
    async with register_all(Resonate(server)) as client:
        with peer() as other:
            await other.aask("lock", str(path))
            opening = asyncio.create_task(server.connect(group="g", pid="p").start())
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await other.aask("unlock")
        assert await client.run("r", "echo", 1) == 1
        assert sql(path, "SELECT name FROM members") == [["default"]]


def test_a_sqlite_that_is_too_old_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.37.2")
    with pytest.raises(StoreError, match=r"This Python has SQLite 3\.37\.2; 3\.40\.0 or later is needed\."):
        open_file(tmp_path / "app.db", Durability.FULL, 1.0)
    assert not list(tmp_path.iterdir())


FORKED = """
import asyncio, os, sys
from resonate import Resonate, UsageError
from resonate.adapters.sqlite import SqliteServer
from resonate.core.protocol.requests import PromiseGet

path = sys.argv[1]

def in_child(use):
    child = os.fork()
    if not child:
        try:
            asyncio.run(use())
        except UsageError as error:
            os._exit(42 if "forked" in str(error) and path in str(error) else 1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

async def main():
    server = SqliteServer(path)
    store = server.connect(group="g", pid="p")
    await store.start()

    async def use_inherited(): await store.send(PromiseGet("p"))
    async def use_inherited_server(): await server.connect(group="g", pid="q").start()
    async def use_own(): await SqliteServer(path).connect(group="g", pid="q").start()
    async def use_another():
        async with Resonate(SqliteServer(path + "2")) as client: await client.promises.create("p")
    async def stop_inherited(): await store.stop()
    uses = (use_inherited, use_inherited_server, use_own, use_another, stop_inherited)
    answers = []
    for use in uses:
        # In a thread of its own, since the child of one that runs an event loop has it, too.
        answers.append(await asyncio.to_thread(in_child, use))
    assert answers == [42, 42, 42, 0, 0], answers
    assert (await store.send(PromiseGet("p"))).status == 404
    await store.stop()
    assert await asyncio.to_thread(in_child, use_own) == 0
    assert await asyncio.to_thread(in_child, use_inherited_server) == 0

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_does_not_touch_what_its_parent_has_open(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path / "app.db")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
