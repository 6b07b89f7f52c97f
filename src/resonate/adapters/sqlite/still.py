"""Looking into a file that nobody works on, without a trace.

Where there is no log, SQLite makes one to read a file, and a reader that may not write leaves it: made by another user
it keeps a worker from starting. A file that is said to be immutable is read without a log, and without a lock.

Law 1: nothing is made and nothing is locked.
Law 2: what was found counts only if nobody can have written meanwhile: whoever writes first makes a log, and takes it
away only when all of it is in the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from resonate.adapters.sqlite.schema import open_as_it_lies

T = TypeVar("T")

_Stamp: TypeAlias = tuple[int, ...]

_LOGS: Final = ("-wal", "-journal")


def look_at_still(path: Path, look: Callable[[sqlite3.Connection], T]) -> tuple[T] | None:
    """Return what `look` finds, in one transaction that only reads; None if somebody works on the file, or left a log.

    Raise what `look` raises, and `sqlite3.Error`. It is called again if the file has changed under it.
    """
    while (before := _stamp(path)) is not None:
        try:
            found = _look(path, look)
        except Exception:
            if _stamp(path) == before:
                raise
        else:
            if _stamp(path) == before:
                return (found,)
    return None


def _look(path: Path, look: Callable[[sqlite3.Connection], T]) -> T:
    with closing(open_as_it_lies(path)) as connection:
        connection.execute("BEGIN")
        return look(connection)


def _stamp(path: Path) -> _Stamp | None:
    """Return what changes whenever the file does; None if it has a log, or is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if any(os.path.lexists(f"{path}{log}") for log in _LOGS):  # looked for last: a log that has gone has changed it
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
