"""A file that is only read: for whoever wants to look at it and take no part.

Law 1: nothing is made, written or migrated; no member joins, no lock is held that a writer could wait for.
Law 2: it answers as a store that takes part would: the same machine reads the same rows.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from resonate.adapters.embedded.connection import Connection
from resonate.adapters.sqlite import forks
from resonate.adapters.sqlite.schema import check_library, check_ours
from resonate.adapters.sqlite.searcher import SEARCHES, Searcher
from resonate.adapters.sqlite.store import DIALECT
from resonate.core.insight.picture import Facts
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import PromiseGet, Rejection, Request, ScheduleGet, TaskGet
from resonate.core.protocol.settings import Settings
from resonate.errors import StoreError, UsageError
from resonate.ports.clock import Clock
from resonate.ports.store import Notice

R = TypeVar("R")

READS: Final = (PromiseGet, TaskGet, ScheduleGet, *SEARCHES)


class SqliteReader(Connection):
    """See the module's text. Implements `resonate.ports.store.Store`; see `resonate.ports.store.Readable`."""

    dialect: Dialect = DIALECT

    def __init__(self, path: Path, clock: Clock, settings: Settings) -> None:
        super().__init__("SQLite", "nobody", "reader")
        self._path = path
        self._clock = clock
        self._settings = settings
        self._searcher: Searcher | None = None

    async def start(self) -> None:
        """Open the file. Raise `StoreError` if there is none, or none that this version can read."""
        if self._open:
            return
        _check(self._path)
        searcher = Searcher(self._path, self._clock, self._settings)
        try:
            await searcher.look()
        except BaseException:
            await searcher.close()
            raise
        self._searcher, self._open = searcher, True

    async def stop(self) -> None:
        """Close the file."""
        searcher, self._searcher, self._open = self._searcher, None, False
        if searcher is not None:
            await searcher.close()

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request that only reads. Raise `UsageError` for another, else as the port says."""
        return cast("R | Rejection", (await self.send_all((request,)))[0])

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many, of one instant. Raise as `send` does."""
        for request in requests:
            if not isinstance(request, READS):
                raise UsageError(f"A reader does not do {request.kind}.", hint="Connect a store that takes part.")
        return await self._opened.ask_all(requests) if requests else []

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these, see `resonate.ports.store.Knows`. Raise as `send` does."""
        return await self._opened.facts(ids)

    def messages(self) -> AsyncIterator[Message | Notice]:
        """Raise `UsageError`: nobody sends anything to a reader."""
        raise UsageError("A reader gets no messages.", hint="Connect a store that takes part.")

    @property
    def _opened(self) -> Searcher:
        if self._searcher is None:
            raise UsageError("The reader is not started.", hint="Await its start() first.")
        return self._searcher


def _check(path: Path) -> None:
    """Raise `StoreError` unless there is a file that may be ours."""
    check_library()
    forks.check(path)
    if not path.is_file():
        raise StoreError(f"There is no file {path}.", hint="Nothing was made. Give the path of the file that is used.")
    check_ours(path)
