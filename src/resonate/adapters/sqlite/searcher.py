"""Searches and questions, on a thread and a connection of their own: one that reads a million promises holds nobody up.

Law 1: a search sees all that was committed before it was asked for, and one instant of the file.
Law 2: nothing is written, and no file is made: one that nobody works on is read as it lies there.
Law 3: what is read is the file of this name, also where another has taken its place since the last search.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from resonate.adapters.sqlite.facts import read_facts
from resonate.adapters.sqlite.faults import translated_any
from resonate.adapters.sqlite.schema import check_version
from resonate.adapters.sqlite.still import look_at_still
from resonate.adapters.sqlite.tables import Tables
from resonate.core.insight.picture import Facts
from resonate.core.protocol.machine import handle
from resonate.core.protocol.requests import PromiseSearch, Request, ScheduleSearch, TaskSearch
from resonate.core.protocol.settings import Settings
from resonate.ports.clock import Clock

T = TypeVar("T")

SEARCHES = (PromiseSearch, TaskSearch, ScheduleSearch)


class Searcher:
    """See the module's text. The thread is started by the first search."""

    def __init__(self, path: Path, clock: Clock, settings: Settings) -> None:
        self._path = path
        self._clock = clock
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="resonate-search")
        self._db: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None  # which file that is
        self._used = False

    async def ask(self, request: Request[Any]) -> Any:
        """Do one search, or another request that only reads. Raise `StoreError`."""
        return (await self.ask_all((request,)))[0]

    async def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many, of one instant. Raise `StoreError`."""
        return await self._read(partial(self._answer, requests))

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what the file knows about these beyond its records. Raise `StoreError`."""
        return await self._read(lambda db: read_facts(db, self._path, ids))

    async def look(self) -> None:
        """Open the file, and see that it can be read. Raise `StoreError`."""
        await self._read(lambda db: check_version(db, self._path))

    async def _read(self, look: Callable[[sqlite3.Connection], T]) -> T:
        self._used = True
        return await asyncio.wrap_future(self._thread.submit(self._in_transaction, look))

    async def close(self) -> None:
        """End the thread, after the searches that were asked for; return when the connection is closed."""
        if self._used:
            with suppress(RuntimeError):  # the interpreter is ending
                await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)

    def _answer(self, requests: Sequence[Request[Any]], db: sqlite3.Connection) -> Sequence[Any]:
        seen: int = db.execute("SELECT value FROM facts WHERE name = 'now'").fetchone()[0]
        tables, now = Tables(db), max(seen, self._clock.now())
        return [handle(request, tables, now, self._settings)[0] for request in requests]

    def _in_transaction(self, look: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._db is not None and self._there() != self._opened:
                self._close()
            if self._db is None:
                still = look_at_still(self._path, look)
                if still is not None:
                    return still[0]
                self._opened = self._there()
                self._db = sqlite3.connect(
                    f"{self._path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
                )
            self._db.execute("BEGIN")
            try:
                return look(self._db)
            finally:
                self._db.execute("ROLLBACK")
        except Exception as error:
            raise translated_any(error, self._path) from error

    def _there(self) -> tuple[int, int] | None:
        """Return which file has the name, None if there is none."""
        with suppress(OSError):
            stat = self._path.stat()
            return stat.st_dev, stat.st_ino
        return None

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
