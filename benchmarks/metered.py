"""Commits, counted by SQLite itself, in the index of its write-ahead log: counting slows nothing."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from resonate.adapters.sqlite.server import SqliteServer
from resonate.ports.store import Store


class Metered:
    """A Backend over a database file that tells how many commits reached its write-ahead log."""

    def __init__(self, server: SqliteServer) -> None:
        self._server = server
        self.index: int | None = None  # descriptor of the file that indexes the log

    @property
    def clock(self) -> Any:
        """The server's clock."""
        return self._server.clock

    def connect(self, *, group: str, pid: str) -> Store:
        """See the port."""
        return _MeteredStore(self, self._server.path, self._server.connect(group=group, pid=pid))  # type: ignore[return-value]  # what is not there is the inner store's

    def commits(self) -> int:
        """Return SQLite's count of the transactions that it wrote: `iChange` in the header of the log's index."""
        if self.index is None:
            return 0
        count: int = struct.unpack("=I", os.pread(self.index, 4, 8))[0]
        return count


class _MeteredStore:
    def __init__(self, meter: Metered, path: Path, inner: Store) -> None:
        self._meter = meter
        self._path = path
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def start(self) -> None:
        await self._inner.start()
        if self._meter.index is None:
            self._meter.index = os.open(f"{self._path}-shm", os.O_RDONLY)

    async def stop(self) -> None:
        """Stop, and only then close the descriptor: the system takes this process's locks on a file away with it."""
        await self._inner.stop()
        if self._meter.index is not None:
            os.close(self._meter.index)
            self._meter.index = None
