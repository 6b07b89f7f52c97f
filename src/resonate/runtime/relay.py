"""A store that hands everything on to another: what decorators of a store begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

from attrs import frozen

from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request
from resonate.ports.store import Notice, Store

R = TypeVar("R")


@frozen
class Relay:
    """Implements `resonate.ports.store.Store` by `inner`; derive from it and change what is to be different."""

    inner: Store

    @property
    def dialect(self) -> Dialect:
        """See the port."""
        return self.inner.dialect

    @property
    def unicast(self) -> str:
        """See the port."""
        return self.inner.unicast

    def anycast(self, group: str | None = None) -> str:
        """See the port."""
        return self.inner.anycast(group)

    def prefer(self) -> str:
        """See the port."""
        return self.inner.prefer()

    async def start(self) -> None:
        """See the port."""
        await self.inner.start()

    async def stop(self) -> None:
        """See the port."""
        await self.inner.stop()

    async def send(self, request: Request[R]) -> R | Rejection:
        """See the port."""
        return await self.inner.send(request)

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """See the port."""
        return await self.inner.send_all(requests)

    def messages(self) -> AsyncIterator[Message | Notice]:
        """See the port."""
        return self.inner.messages()
