"""Searches, on a thread and a connection of their own: one that reads a million promises holds nobody up.

Law 1: a search sees all that was committed before it was asked for, and one instant of the file.
Law 2: nothing is written.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from resonate.adapters.sqlite.faults import translated_any
from resonate.adapters.sqlite.tables import Tables
from resonate.core.protocol.machine import handle
from resonate.core.protocol.requests import PromiseSearch, Request, ScheduleSearch, TaskSearch
from resonate.core.protocol.settings import Settings
from resonate.ports.clock import Clock

SEARCHES = (PromiseSearch, TaskSearch, ScheduleSearch)


class Searcher:
    """See the module's text. The thread is started by the first search."""

    def __init__(self, path: Path, clock: Clock, settings: Settings) -> None:
        self._path = path
        self._clock = clock
        self._settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="resonate-search")
        self._db: sqlite3.Connection | None = None
        self._used = False

    async def ask(self, request: Request[Any]) -> Any:
        """Do one search. Raise `StoreError`."""
        self._used = True
        return await asyncio.wrap_future(self._thread.submit(self._search, request))

    async def close(self) -> None:
        """End the thread, after the searches that were asked for; return when the connection is closed."""
        if self._used:
            with suppress(RuntimeError):  # the interpreter is ending
                await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown(wait=False)

    def _search(self, request: Request[Any]) -> Any:
        try:
            if self._db is None:
                self._db = sqlite3.connect(
                    f"{self._path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
                )
            self._db.execute("BEGIN")
            try:
                seen: int = self._db.execute("SELECT value FROM facts WHERE name = 'now'").fetchone()[0]
                reply, _ = handle(request, Tables(self._db), max(seen, self._clock.now()), self._settings)
            finally:
                self._db.execute("ROLLBACK")
        except Exception as error:
            raise translated_any(error, self._path) from error
        return reply

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
