"""One connection to a memory server."""

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
"""Our own machine's; and messages cross no network."""


class Server(Protocol):
    """What a store needs of its server."""

    def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request."""
        ...

    def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many."""
        ...

    def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known beyond the records."""
        ...

    def attach(self, group: str, pid: str) -> Member:
        """Connect on the running loop."""
        ...

    async def detach(self, member: Member) -> None:
        """Disconnect."""
        ...


class MemoryStore(Connection):
    """Member `pid` of `group` at a memory server. Implements `resonate.ports.store.Store`.

    A request is done within the call that sends it: nothing is awaited, so nothing else runs in between. It may be
    started again after a stop.
    """

    dialect: Dialect = DIALECT

    def __init__(self, server: Server, group: str, pid: str) -> None:
        super().__init__("memory", group, pid)
        self._server = server

    async def start(self) -> None:
        """Connect: messages come from here on, to the running loop."""
        if not self._open:
            self._member = self._server.attach(self._group, self._pid)
            self._open = True

    async def stop(self) -> None:
        """Disconnect. What was not read goes to other members of the group."""
        if self._open and self._member is not None:
            self._open = False
            await self._server.detach(self._member)

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request. Raise `UsageError` before `start`, `StoreError` after `stop`."""
        if not self._open:
            raise self._closed()
        return self._server.ask(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests at once, in order. Raise as `send` does."""
        if not self._open:
            raise self._closed()
        return self._server.ask_all(requests)

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these, see `resonate.ports.store.Knows`. Raise as `send` does."""
        self._check_open()
        return self._server.facts(ids)
