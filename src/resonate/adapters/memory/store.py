"""One process's connection to a memory server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, TypeVar

from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request
from resonate.errors import UsageError

R = TypeVar("R")

DIALECT = Dialect(loses_messages=False)


class Server(Protocol):
    """What a store needs of the server that it is a connection to."""

    def ask(self, request: Request[R], /) -> R | Rejection:
        """Do one request."""
        ...

    def ask_all(self, requests: Sequence[Request[Any]], /) -> Sequence[Any]:
        """Do many requests."""
        ...

    def attach(self, store: MemoryStore, loop: asyncio.AbstractEventLoop, /) -> None:
        """Deliver to `store` from now on."""
        ...

    def detach(self, store: MemoryStore, loop: asyncio.AbstractEventLoop, /) -> None:
        """Deliver to `store` no more."""
        ...


class MemoryStore:
    """See `resonate.ports.store.Store`. Requests are done when they are sent; nothing is awaited."""

    def __init__(self, server: Server, group: str, pid: str) -> None:
        self._server = server
        self.group = group
        self.pid = pid
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: deque[Message] = deque()
        self._waiting: asyncio.Future[None] | None = None

    @property
    def dialect(self) -> Dialect:
        """Our own machine's; messages cross no network."""
        return DIALECT

    @property
    def unicast(self) -> str:
        """See the port."""
        return f"poll://uni@{self.group}/{self.pid}"

    def anycast(self, group: str | None = None) -> str:
        """See the port."""
        return f"poll://any@{group or self.group}"

    def prefer(self) -> str:
        """See the port."""
        return f"poll://any@{self.group}/{self.pid}"

    async def start(self) -> None:
        """See the port."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._server.attach(self, self._loop)

    async def stop(self) -> None:
        """See the port."""
        loop, self._loop = self._loop, None
        if loop is not None:
            self._server.detach(self, loop)
            self._wake()

    async def send(self, request: Request[R]) -> R | Rejection:
        """See the port."""
        self._check_started()
        return self._server.ask(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """See the port."""
        self._check_started()
        return self._server.ask_all(requests)

    async def messages(self) -> AsyncIterator[Message]:
        """See the port."""
        while self._loop is not None:
            while self._queue:
                yield self._queue.popleft()
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                if not self._queue:
                    await self._waiting
            finally:
                self._waiting = None

    def receive(self, message: Message) -> None:
        """Take a message from the server, in any thread."""
        self._queue.append(message)
        loop = self._loop
        if loop is None:
            return
        if _running() is loop:
            self._wake()
        else:
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _check_started(self) -> None:
        if self._loop is None:
            msg = "The memory store is not started, or was stopped."
            raise UsageError(msg, hint="Start it, or use it through `async with resonate:`.")


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
