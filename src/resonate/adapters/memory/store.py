"""One connection to a memory server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, TypeVar

from resonate.adapters.embedded.mail import Member
from resonate.core.protocol.addresses import anycast, preferring, unicast
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request
from resonate.errors import StoreError, UsageError
from resonate.ports.store import Notice

R = TypeVar("R")

DIALECT = Dialect(loses_messages=False)
"""Our own machine's; and messages cross no network."""


class Server(Protocol):
    """What a store needs of its server."""

    def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request."""
        ...

    def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many."""
        ...

    def attach(self, group: str, pid: str) -> Member:
        """Connect on the running loop."""
        ...

    async def detach(self, member: Member) -> None:
        """Disconnect."""
        ...


class MemoryStore:
    """Member `pid` of `group` at a memory server. Implements `resonate.ports.store.Store`.

    A request is done within the call that sends it: nothing is awaited, so nothing else runs in between. It may be
    started again after a stop.
    """

    dialect: Dialect = DIALECT

    def __init__(self, server: Server, group: str, pid: str) -> None:
        self._server = server
        self._group = group
        self._pid = pid
        self._member: Member | None = None
        self._open = False

    @property
    def unicast(self) -> str:
        """The address that reaches exactly this connection."""
        return unicast(self._group, self._pid)

    def anycast(self, group: str | None = None) -> str:
        """Return the address of any member of `group`, this connection's own when None."""
        return anycast(self._group if group is None else group)

    def prefer(self) -> str:
        """Return the address of any member of this group, this connection while it is started."""
        return preferring(self._group, self._pid)

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

    def messages(self) -> AsyncIterator[Message | Notice]:
        """Return the messages to this connection, until `stop`. Raise `UsageError` before `start`."""
        if self._member is None:
            raise self._closed()
        return self._member.mailbox

    def _closed(self) -> StoreError | UsageError:
        if self._member is None:
            return UsageError("The memory store has not been started.", hint="Await its start() first.")
        return StoreError("The memory store has been stopped.", hint="Start it again, or connect another.")
