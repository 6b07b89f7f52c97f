"""A database file: opening it as we want it, and noticing what is done to it behind our back.

Law 1: a connection is in WAL mode and autocommit: its user begins and ends every transaction.
Law 2: with `Durability.FULL` a commit is on the disk when it returns; with `NORMAL` it survives the death of every
process, and the last ones before a power cut may be lost, whole and in order.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from attrs import define

from resonate.adapters.sqlite import forks
from resonate.adapters.sqlite.faults import cut, gone, locked, overwritten, translated, unseen
from resonate.adapters.sqlite.schema import (
    check_library,
    check_ours,
    claim,
    length_of,
    migrate,
    read_header,
    read_now,
)
from resonate.errors import StoreError

_BUSY_SECONDS: Final = 0.25
"""How long SQLite itself waits for a lock before we look around and try again."""
_PAUSE_SECONDS: Final = 0.01
_SURE_SECONDS: Final = 1.0
_UNSURE_SECONDS: Final = 15.0
"""How long a file that looks damaged is looked at again while it changes, until its users are told to come back."""
_WAL_LIMIT: Final = 64 * 1024 * 1024
"""Bytes to which the write-ahead log shrinks again after it had to grow."""


class Durability(StrEnum):
    """What a commit survives; the values of `PRAGMA synchronous`."""

    FULL = "full"
    NORMAL = "normal"


def open_file(path: Path, durability: Durability, patience: float) -> sqlite3.Connection:
    """Open a file, made or migrated as needed. Raise `StoreError`.

    Args:
        path: absolute.
        durability: what commits survive.
        patience: seconds to wait for a lock that somebody else holds.
    """
    check_library()
    forks.check(path)
    until = time.monotonic() + patience
    while True:
        try:
            return _open(path, durability)
        except sqlite3.Error as error:
            if not is_busy(error):
                raise translated(error, path) from error
            if time.monotonic() >= until:
                raise locked(path, patience) from error
            time.sleep(_PAUSE_SECONDS)  # some locks are refused at once
        except OSError as error:
            raise StoreError(
                f"The file {path} can't be opened: {error}.", hint="Mend that, or give another path."
            ) from error


def _open(path: Path, durability: Durability) -> sqlite3.Connection:
    check_ours(path)
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        claim(connection, path)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"The file {path} can't have a write-ahead log.", hint="Put it on a local disk, not a network's."
            )
        connection.execute(f"PRAGMA synchronous = {durability.value}")
        if durability is Durability.FULL:  # where a plain fsync leaves data in the drive's cache (macOS)
            connection.execute("PRAGMA fullfsync = 1")
            connection.execute("PRAGMA checkpoint_fullfsync = 1")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether somebody else holds a lock, so that it is worth trying again."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


@define
class Watch:
    """Notices that a file, its log or its index has been deleted, replaced, overwritten or cut short.

    SQLite goes on with the file that it has open, whatever becomes of the name: what is acknowledged then is lost.
    """

    path: Path
    _parts: tuple[str, ...] = ()
    _seen: tuple[tuple[int, int], ...] = ()
    _size: int = 0
    _now: int = 0  # an instant that the file had seen when it was that long

    def start(self) -> None:
        """Note what there is, once the file is open."""
        self._parts = tuple(f"{self.path}{suffix}" for suffix in ("", "-wal", "-shm"))
        stats = [os.stat(part) for part in self._parts]  # noqa: PTH116 - called after every commit: three times as fast
        self._seen = tuple((stat.st_dev, stat.st_ino) for stat in stats)
        self._size = stats[0].st_size

    def check(self, connection: sqlite3.Connection, now: int) -> None:
        """Raise `Damaged` if the file is not what it was, a retriable `StoreError` if that can't be seen.

        Args:
            connection: one that has it open.
            now: the last instant that is known to be committed in it.
        """
        size = self.check_there()[0].st_size
        if size < self._size:
            size = self._size_once_vacuumed(connection)
        self._size, self._now = size, now

    def check_there(self) -> Sequence[os.stat_result]:
        """Raise as `check` does, but for a file that was cut short. From any thread."""
        try:
            stats = [os.stat(part) for part in self._parts]  # noqa: PTH116 - as above
        except (FileNotFoundError, NotADirectoryError) as error:
            raise gone(error.filename) from None
        except OSError as error:
            raise unseen(self.path, error) from error
        for part, seen, stat in zip(self._parts, self._seen, stats, strict=True):
            if (stat.st_dev, stat.st_ino) != seen:
                raise gone(part)
        return stats

    def _size_once_vacuumed(self, connection: sqlite3.Connection) -> int:
        """Return the length of a file that is shorter than it was. Raise `Damaged` unless it has been vacuumed.

        While another process writes its log back, the file says that it is longer than it is: the first page is written
        first, the new ones last. So what looks damaged counts only once nobody has written to it for a while.
        """
        give_up = time.monotonic() + _UNSURE_SECONDS
        sure = time.monotonic() + _SURE_SECONDS
        before: tuple[int, int] | None = None
        while True:
            stat = self.check_there()[0]
            problem = self._problem(connection, stat.st_size)
            if problem is None:
                return stat.st_size
            if (stat.st_size, stat.st_mtime_ns) != before:
                before = stat.st_size, stat.st_mtime_ns
                sure = time.monotonic() + _SURE_SECONDS
            elif time.monotonic() >= sure:
                raise problem
            if time.monotonic() >= give_up:
                raise unseen(self.path, problem)
            time.sleep(_PAUSE_SECONDS)

    def _problem(self, connection: sqlite3.Connection, size: int) -> StoreError | None:
        """Return what is wrong with a file that is shorter than it was, if it is not that it was vacuumed.

        It says then that it is that short, and so does the connection, unless the log has new pages already; and a file
        becomes shorter only when all that was committed is in it.
        """
        try:
            if not size or size < read_header(self.path)[2]:
                return cut(self.path)
            if size < length_of(connection) and read_now(self.path) < self._now:
                return overwritten(self.path)
        except sqlite3.Error as error:
            if is_busy(error) or error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN:  # the next look tells more
                return unseen(self.path, error)
            return cut(self.path)
        return None
