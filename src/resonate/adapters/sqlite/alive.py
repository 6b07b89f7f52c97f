"""Which of the processes that work on a file are alive: each holds a lock on a file of its own while it lives.

The operating system gives a lock back when its holder dies, however it dies: so the death of a process is known for
certain and at once, where a lease would have to lapse. The files lie beside the database: `app.db-alive-TOKEN`.

A child made by `os.fork` without `exec` shares its parent's lock: while such a child lives its dead parent counts as
alive, and its leases lapse by the clock.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Collection
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Life(Enum):
    """What is known of a process."""

    ALIVE = auto()
    DEAD = auto()
    GONE = auto()
    """Its lock's file is not there: it is dead, or somebody has removed the file, which it makes again soon."""
    UNKNOWN = auto()
    """Its lock can't be tried: this user may not, or the file system has no locks."""


class Alive:
    """This process's own lock, and a look at those of the others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.token = secrets.token_hex(6)
        self._file: int | None = None

    def start(self) -> None:
        """Take the lock. Raise `OSError` if the file can't be made."""
        path = self._lock_path(self.token)
        while True:
            # Others only read it: whoever may read the database may try the lock, by whatever user it is held.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if _lock(file, exclusive=True) is not False and _is_at(path, file):
                break
            os.close(file)  # another process tidies up just now
        older, self._file = self._file, file
        if older is not None:
            os.close(older)

    def keep(self) -> None:
        """Make the file again if somebody has removed it. Never raises."""
        if self._file is not None:
            with suppress(OSError):
                if not _is_at(self._lock_path(self.token), self._file):
                    self.start()

    def stop(self, *, untold: bool = False) -> None:
        """Give the lock back, and remove its file; it stays, to show a death, if others have not been told."""
        file, self._file = self._file, None
        if file is not None:
            if not untold:
                self.remove(self.token)
            os.close(file)

    def life(self, token: str) -> Life:
        """Tell whether another process is alive."""
        try:
            file = os.open(self._lock_path(token), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Life.GONE
        except OSError:
            return Life.UNKNOWN
        try:
            free = _lock(file, exclusive=False)  # shared, so that two who try at once do not take each other for it
        finally:
            os.close(file)
        if free is None:
            return Life.UNKNOWN
        return Life.DEAD if free else Life.ALIVE

    def remove(self, token: str) -> None:
        """Remove the file of a process that is dead."""
        with suppress(OSError):
            os.unlink(self._lock_path(token))  # noqa: PTH108 - as all that is done with these files

    def tidy(self, known: Collection[str]) -> None:
        """Remove the files of processes that died before they were `known`, or after they were forgotten."""
        start = f"{self._path.name}-alive-"
        with suppress(OSError):
            names = [name for name in os.listdir(self._path.parent) if name.startswith(start)]  # noqa: PTH208 - as all
            for token in (name.removeprefix(start) for name in names):
                if token not in known and token != self.token:
                    self._remove_if_dead(token)

    def _remove_if_dead(self, token: str) -> None:
        file = os.open(self._lock_path(token), os.O_RDWR | os.O_CLOEXEC)
        try:
            if _lock(file, exclusive=True):  # and as long as it is ours, nobody can begin to live by it
                self.remove(token)
        finally:
            os.close(file)

    def _lock_path(self, token: str) -> str:
        return f"{self._path}-alive-{token}"


def _is_at(path: str, file: int) -> bool:
    """Tell whether an open file is still what its path leads to."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))  # noqa: PTH116 - as all that is done with these files
    except FileNotFoundError:
        return False


def _lock(file: int, *, exclusive: bool) -> bool | None:
    """Try to lock a file; return whether it was free, None if it can't be told."""
    if sys.platform == "win32":  # has no flock: nobody is known to be dead, and leases lapse by the clock
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
