"""What no store in a SQLite file can beat on this machine: bare loops over `sqlite3`, and the disk by itself."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.harness import Spending, Spent
from resonate.adapters.sqlite.file import Durability

ROW = "x" * 320
"""About what a row of ours holds: a promise's tags, headers and a short value."""
BATCH = 1_000
BLOCK = b"x" * 4_096


def commits_of(rows: int, durability: Durability, folder: Callable[[], Path]) -> Callable[[int], Spent]:
    """Return a loop that inserts rows by an id, so many per commit, in a file of its own with a write-ahead log."""

    def run(size: int) -> Spent:
        with closing(sqlite3.connect(folder() / "bare.db", isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA synchronous = {durability.value}")
            db.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, text TEXT NOT NULL)")
            spending = Spending()
            for first in range(0, size, rows):
                db.execute("BEGIN IMMEDIATE")
                for number in range(first, first + rows):
                    db.execute("INSERT INTO rows VALUES (?, ?)", (f"row:{number}", ROW))
                db.execute("COMMIT")
            return spending.spent()

    return run


def appends(folder: Callable[[], Path]) -> Callable[[int], Spent]:
    """Return a loop that appends 4 KB to a file and waits until the disk has it."""

    def run(size: int) -> Spent:
        descriptor = os.open(folder() / "appended", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            spending = Spending()
            for _ in range(size):
                os.write(descriptor, BLOCK)
                os.fsync(descriptor)
            return spending.spent()
        finally:
            os.close(descriptor)

    return run
