"""What SQLite and the file system say, in our words: one door, at the adapter's border.

Law 1: every error names the file and says what to do next.
Law 2: what may pass (no space, a lock, a disk that errs) is retriable: nothing acknowledged is lost, and whoever waits
asks again. What will not pass by itself (damage, no permission, a file that is gone) is not.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from resonate.errors import ServerError, StoreError

_PRIMARY: Final = 0xFF
"""The part of an extended result code that names its family."""

_KEPT: Final = "What was acknowledged is kept; this goes on by itself once that is mended."
_DAMAGED: Final = (
    "Stop what uses it, keep a copy with its -wal file, and restore a backup, or save what is readable by "
    "`sqlite3 FILE .recover`."
)


class Damaged(StoreError):
    """The file is not what it was: gone, cut short, or with pages that make no sense. Nothing more is written."""


def gone(path: Path) -> Damaged:
    """Return the error of a file that was deleted, or replaced by another, under us."""
    return Damaged(
        f"The file {path} was deleted or replaced while it was in use.",
        hint="Nothing more is written. Restore it from a backup if it is needed, and open the client anew.",
    )


def cut(path: Path) -> Damaged:
    """Return the error of a file that has lost its end."""
    return Damaged(f"The file {path} was cut short while it was in use; nothing more is written.", hint=_DAMAGED)


def locked(path: Path, seconds: float) -> ServerError:
    """Return the error of a file that somebody else does not let go of."""
    return ServerError(
        f"The file {path} has been locked by another program for {seconds:.0f} s.",
        hint=f"Close the program that holds it (`lsof {path}`). {_KEPT}",
    )


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the error of ours that says what an error of SQLite means for a user."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(f"SQLite could not work with the file {path}: {error}.", hint="Please report this.")
    match code & _PRIMARY:
        case sqlite3.SQLITE_FULL:
            return ServerError(f"There is no space left for the file {path}.", hint=f"Make some. {_KEPT}")
        case sqlite3.SQLITE_IOERR:
            name = error.sqlite_errorname
            return ServerError(
                f"The file {path} could not be read or written ({name}).", hint=f"See to its disk. {_KEPT}"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return ServerError(f"The file {path} is locked by another program.", hint=f"Close it. {_KEPT}")
        case sqlite3.SQLITE_NOMEM:
            return ServerError(f"There is no memory left to work with the file {path}.", hint=_KEPT)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(f"The file {path} is damaged; nothing more is written.", hint=_DAMAGED)
        case sqlite3.SQLITE_READONLY if code == sqlite3.SQLITE_READONLY_DBMOVED:
            return gone(path)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreError(
                f"The file {path} can't be written.", hint="Give this user the right to write it and its folder."
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"The file {path} can't be opened.",
                hint="Make its folder, and give this user the right to write in it.",
            )
        case sqlite3.SQLITE_TOOBIG:
            return StoreError(
                "A value is longer than a row of SQLite may be (1,000,000,000 bytes).",
                hint="Store it elsewhere, and its address here.",
            )
        case _:
            return StoreError(f"SQLite could not work with the file {path}: {error}.", hint="Please report this.")
