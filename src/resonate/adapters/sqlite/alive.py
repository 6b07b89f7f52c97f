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
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class Life(Enum):
    """What is known of a process."""

    ALIVE = auto()
    DEAD = auto()
    UNKNOWN = auto()
    """Its lock can't be tried: the file is gone, or the file system has no locks."""


class Alive:
    """This process's own lock, and a look at those of the others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.token = secrets.token_hex(6)
        self._file: int | None = None

    def start(self) -> None:
        """Take the lock. Raise `OSError` if the file can't be made."""
        self._file = os.open(self._lock_path(self.token), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _lock(self._file)

    def stop(self) -> None:
        """Give the lock back, and remove its file."""
        file, self._file = self._file, None
        if file is not None:
            self.remove(self.token)
            os.close(file)

    def life(self, token: str) -> Life:
        """Tell whether another process is alive."""
        try:
            file = os.open(self._lock_path(token), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return Life.UNKNOWN
        try:
            free = _lock(file)
        finally:
            os.close(file)
        if free is None:
            return Life.UNKNOWN
        return Life.DEAD if free else Life.ALIVE

    def remove(self, token: str) -> None:
        """Remove the file of a process that is dead."""
        with suppress(OSError):
            os.unlink(self._lock_path(token))  # noqa: PTH108 - as all that is done with these files

    def _lock_path(self, token: str) -> str:
        return f"{self._path}-alive-{token}"


def _lock(file: int) -> bool | None:
    """Try to lock a file; return whether it was free, None if it can't be told."""
    if sys.platform == "win32":  # has no flock: nobody is known to be dead, and leases lapse by the clock
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
