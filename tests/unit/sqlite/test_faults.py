"""What becomes of callers, of work and of what was acknowledged when something is wrong with the file."""

# ruff: noqa: ASYNC221, ASYNC240 - what is done to the file and by whom is done in between, at once
from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer
from resonate.adapters.sqlite import file as sqlite_file
from resonate.adapters.sqlite.file import Durability, Watch, open_file
from resonate.core.protocol.records import PromiseState, Unblock
from resonate.core.protocol.requests import (
    PromiseCreate,
    PromiseGet,
    PromiseRegisterListener,
    PromiseReply,
    PromiseSettle,
)
from resonate.errors import ServerError, StoreError
from resonate.testing import VirtualClock
from tests.unit.sqlite.helpers import PATIENCE, mounted, peer, sql, until
from tests.unit.sqlite.peer import register_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="faults are made by POSIX means")

BIG = 50_000


def client_of(path, **options):
    return register_all(Resonate(SqliteServer(path, **options)))


def said(caplog, text):
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


async def acknowledge(client, prefix, count):
    """Make promises until the store has acknowledged so many; return their ids."""
    ids = [f"{prefix}-{number}" for number in range(count)]
    for id in ids:
        await client.promises.create(id)
        await client.promises.resolve(id, id)
    return ids


def kept(path, ids):
    """Tell whether all are in the file, as SQLite alone reads it, settled."""
    rows = sql(path, "SELECT id FROM promises WHERE state = 'resolved'")
    return set(ids) <= {row[0] for row in rows}


@contextmanager
def files_no_longer_than(length):
    """Let writes past a length fail, as they do where a quota is used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# ------------------------------------------------------------------ trouble that passes


async def test_work_waits_while_the_disk_is_full_and_goes_on_when_there_is_space(tmp_path, caplog):
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=16m", "none") as permitted:
        if not permitted:
            pytest.skip("this user may not mount a small disk")
        path, ballast = tmp_path / "app.db", tmp_path / "ballast"
        async with client_of(path) as client:
            acknowledged = await acknowledge(client, "before", 10)
            ballast.write_bytes(bytes(15 * 1024 * 1024))
            running = asyncio.create_task(client.run("r", "steps", 40, BIG))
            await until(lambda: said(caplog, f"There is no space left for the file {path}. Make some."))
            assert not running.done()
            ballast.unlink()
            assert await running == 40 * BIG
            assert said(caplog, "can be written again")
        assert len(said(caplog, "There is no space left")) <= 2  # once for each spell, not for each attempt
        assert kept(path, [*acknowledged, "r", *(f"r:{number}" for number in range(1, 41))])


async def test_a_full_disk_is_told_to_whoever_asks_the_store_itself(tmp_path, caplog):
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=1m", "none") as permitted:
        if not permitted:
            pytest.skip("this user may not mount a small disk")
        path = tmp_path / "app.db"
        store = SqliteServer(path).connect(group="g", pid="p")
        await store.start()
        await store.send(PromiseCreate(id="p0", timeout_at=2**50))
        (tmp_path / "ballast").write_bytes(bytes(os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize))
        for _ in range(3):
            with pytest.raises(ServerError, match=r"no space left for the file .*app\.db"):
                await store.send(PromiseCreate(id="p1", timeout_at=2**50, tags={"x": "y" * 50_000}))
        assert len(said(caplog, "no space left")) == 1
        assert isinstance(await store.send(PromiseGet("p0")), PromiseReply)  # what was acknowledged can be read
        await store.stop()


async def test_a_full_disk_at_opening_is_told_to_whoever_opens(tmp_path):
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=64k", "none") as permitted:
        if not permitted:
            pytest.skip("this user may not mount a small disk")
        ballast = tmp_path / "ballast"
        ballast.write_bytes(bytes(60 * 1024))
        client = client_of(tmp_path / "app.db")
        with pytest.raises(StoreError, match=r"app\.db"):
            await client.__aenter__()
        ballast.unlink()
        # What was begun is no obstacle once there is space: 64k are enough for nothing, so the disk grows.
        subprocess.run(["mount", "-o", "remount,size=4m", str(tmp_path)], check=True)
        async with client:
            assert await client.run("r", "echo", 1) == 1


async def test_work_waits_while_the_file_may_not_grow(tmp_path, caplog):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        acknowledged = await acknowledge(client, "before", 10)
        with files_no_longer_than(Path(f"{path}-wal").stat().st_size + 8_192):
            running = asyncio.create_task(client.run("r", "steps", 5, BIG))
            await until(lambda: said(caplog, f"The file {path} could not be read or written (SQLITE_IOERR_WRITE)"))
            assert not running.done()
            assert (await client.promises.get("before-3")).state == "resolved"  # reading goes on
        assert await running == 5 * BIG
        assert said(caplog, "can be written again")
    assert kept(path, [*acknowledged, "r"])


async def test_a_lock_held_for_a_while_is_waited_for(tmp_path, caplog):
    path = tmp_path / "app.db"
    with peer() as other:
        async with client_of(path) as client:
            await client.promises.create("before")
            await other.aask("lock", str(path))
            assert (await client.get("before").done()) is False  # a reader needs no lock
            running = asyncio.create_task(client.run("r", "echo", 1))
            await other.aask("unlock")
            assert await running == 1
    assert not said(caplog, "locked")


async def test_a_lock_held_for_too_long_is_told_and_waited_for_all_the_same(tmp_path, caplog):
    path = tmp_path / "app.db"
    with peer() as other:
        server = SqliteServer(path, lock_timeout=0.3)
        async with register_all(Resonate(server)) as client:
            await other.aask("lock", str(path))
            store = server.connect(group="g", pid="p")
            with pytest.raises(ServerError, match=rf"{path} has been locked by another program for 0\.3 s\. .*lsof"):
                await store.start()
            running = asyncio.create_task(client.run("r", "echo", 1))
            await until(lambda: len(said(caplog, f"The file {path} has been locked by another program")) > 0)
            assert not running.done()
            await other.aask("unlock")
            assert await running == 1
            assert said(caplog, "can be written again")


async def test_a_timer_that_came_due_while_the_file_was_locked_fires_when_it_no_longer_is(tmp_path, caplog):
    path = tmp_path / "app.db"
    clock = VirtualClock(auto_jump=False)
    with peer() as other:
        server = SqliteServer(path, clock=clock, lock_timeout=0.1)
        store = server.connect(group="g", pid="p")
        await store.start()
        await store.send(PromiseCreate(id="t", timeout_at=clock.now() + 1_000, tags={"resonate:timer": "true"}))
        await other.aask("lock", str(path))
        await clock.advance(2_000)
        await until(lambda: said(caplog, f"The file {path} has been locked by another program"))
        await other.aask("unlock")
        async with asyncio.timeout(PATIENCE):
            while server.snapshot().promises[0].record.state != "resolved":  # and nobody asks for anything
                await clock.advance(0)
        await store.stop()


async def test_a_file_that_is_locked_at_opening_is_waited_for_no_longer_than_asked(tmp_path):
    path = tmp_path / "app.db"
    async with client_of(path):
        pass
    with peer() as other:
        await other.aask("lock", str(path))
        with pytest.raises(ServerError, match=r"has been locked by another program for 0\.3 s"):
            await client_of(path, lock_timeout=0.3).__aenter__()
        opening = asyncio.create_task(client_of(path).__aenter__())
        await other.aask("unlock")
        client = await opening
        assert await client.run("r", "echo", 1) == 1
        await client.__aexit__(None, None, None)


async def test_a_client_can_be_closed_while_the_file_is_locked(tmp_path):
    path = tmp_path / "app.db"
    with peer() as other:
        client = await client_of(path, lock_timeout=600).__aenter__()
        await other.aask("lock", str(path))
        await asyncio.wait_for(client.__aexit__(None, None, None), 60)
        await other.aask("unlock")
        async with client_of(path) as again:
            assert await again.run("r", "echo", 1) == 1
    assert sql(path, "SELECT (SELECT count(*) FROM members), (SELECT count(*) FROM processes)") == [[0, 0]]


@pytest.fixture
def hidden(monkeypatch):
    """Return a set of paths at which nobody may look."""
    paths = set()
    stat = os.stat

    def hiding(path, *args, **kwargs):
        if path in paths:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return stat(path, *args, **kwargs)

    monkeypatch.setattr(os, "stat", hiding)
    return paths


async def test_work_waits_while_the_file_can_t_be_seen_and_goes_on_when_it_can(tmp_path, caplog, hidden):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        acknowledged = await acknowledge(client, "before", 3)
        hidden.add(str(path))
        running = asyncio.create_task(client.run("r", "steps", 5, 10))
        await until(lambda: said(caplog, f"It can't be seen whether the file {path} is still there: [Errno 13]"))
        assert not running.done()
        hidden.clear()
        assert await running == 50
        assert client.healthy
    assert kept(path, [*acknowledged, "r"])


async def test_what_was_committed_before_the_file_could_not_be_seen_is_delivered(tmp_path, monkeypatch, hidden):
    path = tmp_path / "app.db"
    opened = sqlite_file._open
    hides = False

    def watched(path, durability):
        connection = opened(path, durability)
        connection.set_trace_callback(lambda sql: hidden.add(str(path)) if hides and sql == "COMMIT" else None)
        return connection

    monkeypatch.setattr(sqlite_file, "_open", watched)
    store = SqliteServer(path).connect(group="g", pid="p")
    await store.start()
    await store.send(PromiseCreate(id="p", timeout_at=2**50, tags={"resonate:external": "true"}))
    await store.send(PromiseRegisterListener(awaited="p", address="poll://uni@g/p"))
    hides = True
    with pytest.raises(ServerError, match="can't be seen"):
        await store.send(PromiseSettle(id="p", state=PromiseState.RESOLVED))
    hides = False
    hidden.clear()
    message = await asyncio.wait_for(anext(aiter(store.messages())), PATIENCE)
    assert isinstance(message, Unblock)
    assert message.promise.id == "p"
    await store.stop()


async def test_a_file_that_shrank_and_can_t_be_opened_is_looked_at_again(tmp_path, caplog, monkeypatch):
    path = tmp_path / "app.db"
    read_header = sqlite_file.read_header
    may_open = False

    def refused(path):
        if may_open:
            return read_header(path)
        error = sqlite3.OperationalError("unable to open database file")  # as when no more files may be open
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    async with client_of(path) as client:
        await client.promises.create("large")
        await client.promises.resolve("large", "x" * 1_000_000)
        written_back(path)
        monkeypatch.setattr(sqlite_file, "read_header", refused)
        sql(path, "DELETE FROM promises WHERE id = 'large'", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
        await until(lambda: said(caplog, f"It can't be seen whether the file {path} is still there"))
        may_open = True
        assert await client.run("r", "echo", 1) == 1


# ------------------------------------------------------------------ no right


def as_nobody(path, prepare):
    """Open a file in a process without special rights, after `prepare` there; return what it raises."""
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from resonate import Resonate, StoreError\n"
        "path = Path(sys.argv[1])\n"
        "async def main():\n"
        "    async with Resonate(f'sqlite:///{path.parent}/warm.db') as client: await client.promises.create('p')\n"
        "asyncio.run(main())\n"
        f"{prepare}\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "async def main():\n"
        "    try:\n"
        "        async with Resonate(f'sqlite:///{path}') as client: await client.promises.create('p')\n"
        "    except StoreError as error: print(type(error).__name__, error)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def open_folder():
    """A folder that everybody may enter, unlike pytest's own."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)  # noqa: PTH101 - a text
    yield Path(folder)
    os.chmod(folder, 0o755)  # noqa: PTH101 - a text
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param("os.chmod(path.parent, 0o555)", id="folder"),
        pytest.param("(path.parent / 'warm.db').rename(path); os.chmod(path, 0o444)", id="file"),
        pytest.param("(path.parent / 'warm.db').rename(path); os.chmod(path, 0o000)", id="unreadable"),
    ],
)
def test_what_may_not_be_written_is_said_at_once(open_folder, prepare):
    path = open_folder / "app.db"
    answer = as_nobody(path, prepare)
    assert answer.startswith("StoreError The file ")
    assert str(path) in answer
    assert "Give this user the right" in answer or "give this user the right" in answer


async def test_a_disk_that_turns_read_only_is_told_and_worked_with_again_when_it_has_passed(tmp_path, caplog):
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=4m", "none") as permitted:
        if not permitted:
            pytest.skip("this user may not mount a small disk")
        path = tmp_path / "app.db"
        async with client_of(path) as client:
            acknowledged = await acknowledge(client, "before", 3)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        client = client_of(path)
        with pytest.raises(StoreError, match=r"app\.db"):
            await client.__aenter__()
        subprocess.run(["mount", "-o", "remount,rw", str(tmp_path)], check=True)
        async with client:
            assert (await client.promises.get(acknowledged[-1])).state == "resolved"


# ------------------------------------------------------------------ damage


def delete(path):
    path.unlink()


def delete_log(path):
    Path(f"{path}-wal").unlink()


def delete_index(path):
    Path(f"{path}-shm").unlink()


def replace(path):
    copy = path.with_name("copy.db")
    subprocess.run(["cp", str(path), str(copy)], check=True)
    copy.replace(path)


def replace_by_another(path):
    open_file(path.with_name("another.db"), Durability.FULL, 1.0).close()
    path.with_name("another.db").replace(path)


def empty(path):
    os.truncate(path, 0)


def halve(path):
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = (delete, delete_log, delete_index, replace, empty, halve)


def written_back(path):
    """Have the log written back into the file, as SQLite does from time to time."""
    sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_told_to_all_who_wait_though_nothing_else_happens(tmp_path, caplog, damage):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        await acknowledge(client, "before", 30)
        waiting = asyncio.create_task(client.run("r", "approval"))
        await until(lambda: sql(path, "SELECT 1 FROM tasks WHERE id = 'r' AND state = 'suspended'"))
        listening = asyncio.create_task(client.get("r:1").result())
        await until(lambda: sql(path, "SELECT 1 FROM listeners WHERE promise = 'r:1'"))
        written_back(path)
        damage(path)
        for task in (waiting, listening):
            with pytest.raises(StoreError, match=r"app\.db.*\. Nothing more is written|nothing more is written"):
                await asyncio.wait_for(task, 60)
        assert [record for record in caplog.records if record.levelno == logging.ERROR and str(path) in record.message]
        assert not client.healthy
        with pytest.raises(StoreError, match=r"app\.db"):
            await client.promises.create("after")
        with pytest.raises(StoreError, match=r"app\.db"):
            await client.run("another", "echo", 1)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_under_load_is_told_to_every_caller(tmp_path, damage):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        await acknowledge(client, "before", 30)
        written_back(path)
        runs = [asyncio.create_task(client.run(f"r{number}", "steps", 10_000, 10)) for number in range(10)]
        await until(lambda: sql(path, "SELECT count(*) > 100 FROM promises")[0][0])
        damage(path)
        answers = await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), 60)
        assert all(isinstance(answer, StoreError) for answer in answers), answers


@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("damage", [delete, replace_by_another])
async def test_searches_do_not_answer_from_a_file_that_is_gone(tmp_path, damage, searched):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        await client.promises.create("p")
        if searched:
            assert [record.id async for record in client.promises.search()] == ["p"]
        damage(path)
        for _ in range(2):  # before the damage is noticed elsewhere, and after
            with pytest.raises(StoreError, match=r"app\.db.* was deleted or replaced"):
                [record.id async for record in client.promises.search()]
            with pytest.raises(StoreError, match=r"app\.db.* was deleted or replaced"):
                await client.tree("p")
            await until(lambda: not client.healthy)


async def test_what_was_acknowledged_survives_the_loss_of_the_log(tmp_path):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        acknowledged = await acknowledge(client, "before", 30)
        delete_log(path)
        with pytest.raises(StoreError, match=r"app\.db-wal was deleted"):
            await client.promises.create("after")
    assert kept(path, acknowledged)


async def test_a_backup_that_is_copied_over_the_file_in_use_is_no_vacuum(tmp_path):
    path, backup = tmp_path / "app.db", tmp_path / "backup.db"
    async with client_of(path) as client:
        await acknowledge(client, "before", 5)
        sql(path, f"VACUUM INTO '{backup}'")
        await client.promises.create("large")
        await client.promises.resolve("large", "x" * 1_000_000)
        written_back(path)
        await client.promises.create("seen")  # and with it how long the file is now
        subprocess.run(["cp", str(backup), str(path)], check=True)
        # Whoever looks in the middle of the copy sees a file that is cut short.
        with pytest.raises(StoreError, match=r"app\.db was (overwritten|cut short) while it was in use.*-wal and -shm"):
            await client.promises.create("after")
        assert not client.healthy


async def test_a_file_that_is_vacuumed_and_grows_at_once_is_worked_on(tmp_path):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        await acknowledge(client, "before", 5)
        for number in range(3):
            await client.promises.create(f"large-{number}")
            await client.promises.resolve(f"large-{number}", "x" * 1_000_000)
            written_back(path)
            long = path.stat().st_size
            sql(path, "DELETE FROM promises WHERE id LIKE 'large%'", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
            assert path.stat().st_size < long
            await client.promises.create(f"grown-{number}", tags={"t": "y" * 200_000})
        assert client.healthy


def first_page_in_log(path):
    """Return the newest first page that is in the log, with the file's length in it."""
    log = Path(f"{path}-wal").read_bytes()
    (size,) = struct.unpack(">I", log[8:12])
    frames = [log[at : at + 24 + size] for at in range(32, len(log), 24 + size)]
    return [frame[24:] for frame in frames if struct.unpack(">I", frame[:4]) == (1,)][-1]


def test_a_vacuumed_file_whose_log_is_being_written_back_is_looked_at_until_it_is_whole(tmp_path):
    path = tmp_path / "app.db"
    with (
        closing(open_file(path, Durability.NORMAL, 5.0)) as ours,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor() as pool,
    ):
        other.execute("CREATE TABLE filler (x)")
        other.execute("INSERT INTO filler SELECT randomblob(300000)")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        watch = Watch(path)
        watch.start()
        watch.check(ours, 0)
        other.execute("DELETE FROM filler")
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the file is shorter, and rightly so
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("INSERT INTO filler SELECT randomblob(40000)")
        with path.open("r+b") as file:
            file.write(first_page_in_log(path))  # the first write of a checkpoint; the last makes the file as long
        looks = pool.submit(watch.check, ours, 0)
        with pytest.raises(TimeoutError):
            looks.result(timeout=0.1)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        looks.result()
        assert ours.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_file_that_took_our_place_is_left_alone(tmp_path):
    path, other = tmp_path / "app.db", tmp_path / "other.db"
    with peer() as theirs:
        async with client_of(other) as client:
            await client.promises.create("restored")
        async with client_of(path) as client:
            await client.promises.create("ours")
            for suffix in ("-wal", "-shm"):
                Path(f"{path}{suffix}").unlink()
            other.replace(path)
            await theirs.aask("open", str(path), {})
            await theirs.aask("create", "theirs", 1)
            with pytest.raises(StoreError, match=r"deleted or replaced"):
                await client.promises.create("after")
        assert await theirs.aask("get", "restored") == "pending"
        await theirs.aask("create", "later", 1)
        await theirs.aask("close")
    assert {row[0] for row in sql(path, "SELECT id FROM promises")} == {"restored", "theirs", "later"}


async def test_the_same_client_opens_a_restored_file(tmp_path):
    path = tmp_path / "app.db"
    server = SqliteServer(path)
    async with register_all(Resonate(server)) as client:
        await client.promises.create("ours")
        sql(path, f"VACUUM INTO '{path}.backup'")
        path.unlink()
        with pytest.raises(StoreError, match="deleted"):
            await client.promises.create("after")
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    Path(f"{path}.backup").rename(path)
    async with register_all(Resonate(server)) as client:
        assert (await client.promises.get("ours")).state == "pending"
        assert await client.run("r", "echo", 1) == 1


def spoil(path, mark, garbage):
    """Overwrite the page with a text; in another process, since closing a file here gives SQLite's locks on it back."""
    script = (
        "import sys\n"
        "path, mark, garbage = sys.argv[1:]\n"
        "with open(path, 'r+b') as file:\n"
        "    data = file.read()\n"
        "    size = int.from_bytes(data[16:18], 'big')\n"
        "    file.seek(data.rindex(mark.encode()) // size * size)\n"
        "    file.write(bytes.fromhex(garbage) * size)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path), mark, garbage.hex()], check=True, timeout=60)


@pytest.mark.parametrize("garbage", [b"\xff", b"\x00", b"{"])
async def test_a_page_that_makes_no_sense_is_told_when_it_is_needed(tmp_path, garbage):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        for number in range(200):
            await client.promises.create(f"p{number}", tags={"mark": f"mark-of-p{number};" + "." * 300})
    async with client_of(path) as client:
        spoil(path, "mark-of-p42;", garbage)
        assert (await client.promises.get("p199")).state == "pending"
        waiting = asyncio.create_task(client.run("r", "approval"))
        await until(lambda: sql(path, "SELECT 1 FROM tasks WHERE id = 'r' AND state = 'suspended'"))
        with pytest.raises(StoreError, match=r"app\.db is damaged; nothing more is written\. .*\.recover"):
            await client.promises.get("p42")
        with pytest.raises(StoreError, match="damaged"):
            await asyncio.wait_for(waiting, 60)


@pytest.mark.parametrize(("column", "garbage"), [("tags", "x'7b2261'"), ("param_headers", "x'ff'")])
async def test_a_row_that_makes_no_sense_is_damage_too(tmp_path, column, garbage):
    path = tmp_path / "app.db"
    async with client_of(path) as client:
        await client.promises.create("p")
    sql(path, f"UPDATE promises SET {column} = CAST({garbage} AS TEXT)")
    async with client_of(path) as client:
        with pytest.raises(StoreError, match=r"app\.db is damaged"):
            await client.promises.get("p")


def test_what_the_disk_says_is_put_in_our_words():
    """An error of `fsync` can't be made by ordinary means, so this one is told from its code alone."""
    from resonate.adapters.sqlite.faults import translated

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
    ours = translated(error, Path("/data/app.db"))
    assert isinstance(ours, ServerError)
    assert str(ours) == (
        "The file /data/app.db could not be read or written (SQLITE_IOERR_FSYNC). See to its disk. "
        "What was acknowledged is kept; this goes on by itself once that is mended."
    )
