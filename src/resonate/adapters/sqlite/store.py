"""One connection to a database file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from resonate.adapters.embedded.connection import Connection
from resonate.adapters.embedded.mail import Member
from resonate.core.insight.picture import Facts
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.requests import Rejection, Request

R = TypeVar("R")

DIALECT = Dialect(loses_answers=False, loses_messages=False)
"""Our own machine's. A message to a process that lives is in its memory or in the file; if it may have missed some all
the same, since others took it for dead, its readers are told."""


class Server(Protocol):
    """What a store needs of its server."""

    async def attach(self, group: str, pid: str) -> Member:
        """Connect on the running loop."""
        ...

    async def detach(self, member: Member) -> None:
        """Disconnect. Never raises."""
        ...

    async def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request."""
        ...

    async def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many."""
        ...

    async def prune(self, before: int) -> int:
        """Delete what was over before an instant."""
        ...

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known beyond the records."""
        ...


class SqliteStore(Connection):
    """Member `pid` of `group` on a database file. Implements `resonate.ports.store.Store`.

    A request that is answered is on the disk. It may be started again after a stop.
    """

    dialect: Dialect = DIALECT

    def __init__(self, server: Server, group: str, pid: str) -> None:
        super().__init__("SQLite", group, pid)
        self._server = server

    async def start(self) -> None:
        """Connect: messages come from here on, to the running loop. Raise `StoreError` if the file can't be used."""
        if not self._open:
            self._member = await self._server.attach(self._group, self._pid)
            self._open = True

    async def stop(self) -> None:
        """Disconnect; what was not read goes to other members. The last one to stop closes the file."""
        if self._open and self._member is not None:
            self._open = False
            await self._server.detach(self._member)

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request. Raise `UsageError` before `start`, `StoreError` after `stop` or when the file fails."""
        self._check_open()
        return await self._server.ask(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests in one transaction, in order. Raise as `send` does."""
        self._check_open()
        return await self._server.ask_all(requests) if requests else []

    async def prune(self, before: int) -> int:
        """Delete what was over before an instant, see `resonate.ports.store.Prunes`. Raise as `send` does."""
        self._check_open()
        return await self._server.prune(before)

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these, see `resonate.ports.store.Knows`. Raise as `send` does."""
        self._check_open()
        return await self._server.facts(ids)
