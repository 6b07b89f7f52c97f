"""What SQLite and the file system say, in our words: one door, at the adapter's border.

Law 1: every error names the file and says what to do next.
Law 2: what may pass (no space, a lock, a disk that errs) is retriable: nothing acknowledged is lost, and whoever waits
asks again. What will not pass by itself (damage, no permission, a file that is gone) is not.
"""

from __future__ import annotations

import sqlite3
from copy import copy
from json import JSONDecodeError
from pathlib import Path
from typing import Final

from resonate.errors import EngineBug, ResonateError, ServerError, StoreError

_PRIMARY: Final = 0xFF
"""The part of an extended result code that names its family."""

_KEPT: Final = "What was acknowledged is kept; this goes on by itself once that is mended."
_DAMAGED: Final = (
    "Stop what uses it, move it away with its -wal and -shm, and restore a backup, or save what is readable by "
    "`sqlite3 FILE .recover`."
)
_RESTORE: Final = (
    "To restore a backup, first move the old -wal and -shm away, which would be played into it; "
    "then open the client anew."
)


class Unstorable(StoreError):
    """One request holds what no row can: it is refused, and the others are not touched."""


class Damaged(StoreError):
    """The file is not what it was: gone, cut short, or with pages that make no sense. Nothing more is written."""


def gone(path: Path | str) -> Damaged:
    """Return the error of a file, or of a part of it, that was deleted, or replaced by another, under us."""
    return Damaged(
        f"The file {path} was deleted or replaced while it was in use.",
        hint=f"Nothing more is written. {_RESTORE}",
    )


def unseen(path: Path, error: Exception) -> ServerError:
    """Return the error of a file of which it can't be seen whether it is still there."""
    return ServerError(
        f"It can't be seen whether the file {path} is still there: {error}.",
        hint=f"See to its folder, and to how many files may be open. {_KEPT}",
    )


def cut(path: Path) -> Damaged:
    """Return the error of a file that has lost its end."""
    return Damaged(f"The file {path} was cut short while it was in use; nothing more is written.", hint=_DAMAGED)


def overwritten(path: Path) -> Damaged:
    """Return the error of a file into which another was copied."""
    return Damaged(
        f"The file {path} was overwritten while it was in use; nothing more is written.",
        hint=f"Stop what uses it. {_RESTORE}",
    )


def locked(path: Path, seconds: float) -> ServerError:
    """Return the error of a file that somebody else does not let go of."""
    return ServerError(
        f"The file {path} has been locked by another program for {seconds:g} s.",
        hint=f"Close the program that holds it (`lsof {path}`). {_KEPT}",
    )


def translated_any(error: BaseException, path: Path) -> ResonateError:
    """Return the error of ours for whatever went wrong while a file was worked on."""
    match error:
        case ResonateError():
            return error
        case sqlite3.Error():
            ours: ResonateError = translated(error, path)
        case OSError():
            ours = StoreError(
                f"The file {path} could not be worked with: {error}.", hint="See to its folder and its disk."
            )
        case MemoryError():
            ours = ServerError(f"There is no memory left to work with the file {path}.", hint=_KEPT)
        case UnicodeEncodeError():
            ours = Unstorable(f"A text can't be stored, since it is not valid Unicode: {error}.")
        case OverflowError():
            ours = Unstorable(f"A number or a text can't be stored: {error}.")
        case JSONDecodeError():
            ours = _damaged(path)
        case _:
            return EngineBug(f"Working with the file {path} failed: {error!r}.", hint="Please report this.")
    ours.__cause__ = error
    return ours


def again(error: ResonateError) -> ResonateError:
    """Return an error to be raised to one of several: one that is raised twice would keep both traces."""
    twin = copy(error)
    twin.__cause__ = error.__cause__
    return twin


def _damaged(path: Path) -> Damaged:
    return Damaged(f"The file {path} is damaged; nothing more is written.", hint=_DAMAGED)


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the error of ours that says what an error of SQLite means for a user."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and str(error).startswith("Could not decode to UTF-8"):
        return _damaged(path)
    if code is None:
        return StoreError(f"SQLite could not work with the file {path}: {error}.", hint="Please report this.")
    match code & _PRIMARY:
        case sqlite3.SQLITE_FULL:
            return ServerError(f"There is no space left for the file {path}.", hint=f"Make some. {_KEPT}")
        case sqlite3.SQLITE_IOERR if code == sqlite3.SQLITE_IOERR_SHORT_READ:
            return cut(path)
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
            return _damaged(path)
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
            return Unstorable(
                "A value is longer than a row of SQLite may be (1,000,000,000 bytes).",
                hint="Store it elsewhere, and its address here.",
            )
        case _:
            return StoreError(f"SQLite could not work with the file {path}: {error}.", hint="Please report this.")
