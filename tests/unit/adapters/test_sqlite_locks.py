"""The locks that a process has on its file hold, whatever else it does with the file."""

from __future__ import annotations

import subprocess
import sys

from resonate import Resonate
from resonate.adapters.sqlite import SqliteServer

LOG_EMPTIED = "PRAGMA wal_checkpoint(TRUNCATE)"


def visit(path, *statements):
    """Open the file in another process, and close it: the last connection of all would delete the log."""
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: connection.execute(statement).fetchall()\n"
        "connection.close()"
    )
    statements = ("SELECT count(*) FROM promises", *statements)
    subprocess.run([sys.executable, "-c", script, str(path), *statements], check=True, timeout=60)


async def test_a_second_server_in_a_process_leaves_the_locks_of_the_first_alone(tmp_path):
    path = tmp_path / "app.db"
    async with Resonate(SqliteServer(path), group="first") as first:
        await first.promises.create("p")
        async with Resonate(SqliteServer(path), group="second") as second:
            visit(path)
            for client in (first, second):
                assert (await client.promises.resolve("p")).state == "resolved"


async def test_a_look_at_a_file_that_has_shrunk_leaves_its_locks_alone(tmp_path):
    path = tmp_path / "app.db"
    async with Resonate(SqliteServer(path)) as client:
        await client.promises.create("long", value="x" * 100_000)
        visit(path, LOG_EMPTIED)
        await client.promises.create("p")
        long = path.stat().st_size
        visit(path, "DELETE FROM promises WHERE id = 'long'", "VACUUM", LOG_EMPTIED)
        assert path.stat().st_size < long
        await client.promises.create("q")  # which looks whether the file was cut
        visit(path)
        assert (await client.promises.resolve("p")).state == "resolved"
