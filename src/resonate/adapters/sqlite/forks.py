"""What a child made by `os.fork` must not do: touch a file that its parent had open.

SQLite keeps in memory which locks a process holds. A child inherits that memory but not the locks, so it would read and
write without any, through the connection that it inherits or through one of its own.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final, TypeAlias

from resonate.errors import UsageError

_Inode: TypeAlias = tuple[int, int]

_open: Final = Counter[_Inode]()
_inherited: Final = set[_Inode]()


class Generation:
    """How many forks lie between the first process and this one: what differs from it was made by an ancestor."""

    now = 0


def noted(path: Path) -> _Inode:
    """Take note that a file is open; return what to give to `forgotten` when it is closed."""
    inode = _inode(path)
    _open[inode] += 1
    return inode


def forgotten(inode: _Inode) -> None:
    """Take note that a file was closed."""
    _open[inode] -= 1
    if not _open[inode]:
        del _open[inode]


def check(path: Path) -> None:
    """Raise `UsageError` if this process was forked from one that had the file open. Raise `OSError` if it is gone."""
    if _inherited and path.exists() and _inode(path) in _inherited:
        raise forked(path)


def forked(path: Path) -> UsageError:
    """Return the error of a child that uses what its parent has open."""
    return UsageError(
        f"This process was forked while its parent had the file {path} open, and can't use it.",
        hint="Start it by spawn or forkserver, or fork before a client is opened.",
    )


def _inode(path: Path) -> _Inode:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _after_fork() -> None:
    Generation.now += 1
    _inherited.update(_open)
    _open.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)
