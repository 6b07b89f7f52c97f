"""The network port: carries envelopes of the protocol to a remote server, and brings its messages.

An envelope is bytes here. What is in it is the business of who makes a store of a network (`adapters/remote`), so that
a network for another transport is little code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from resonate.core.frozen import frozen
from resonate.ports.store import Notice

Token: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""What a server is shown: text, or a function that returns it and is called again when it was refused."""


@frozen(kw_only=True)
class Answer:
    """What came back for an envelope.

    Args:
        body: the envelope of the reply, if it was a Resonate server that answered.
        status: how the transport itself says that it went, in HTTP's numbers.
        retry_after_ms: how long the server asks to be left alone.
    """

    body: bytes
    status: int = 200
    retry_after_ms: int | None = None


class Network(Protocol):
    """One process's way to a remote server, as member `pid` of `group`.

    `exchange` may be called from any thread and any event loop; the rest belongs to the loop that called `start`.
    """

    @property
    def name(self) -> str:
        """Where it leads, for people. Never a credential."""
        ...

    @property
    def unicast(self) -> str:
        """The address that reaches exactly this connection."""
        ...

    def anycast(self, group: str | None = None) -> str:
        """Return the address of any member of `group` (this connection's own when None)."""
        ...

    def prefer(self) -> str:
        """Return the address of any member of this group, this connection preferred while it is connected."""
        ...

    async def start(self) -> None:
        """Connect for messages, trying once. Calling it again is harmless. Raise `StoreError`."""
        ...

    async def leave(self) -> None:
        """Close what messages come by; `messages` ends, `exchange` goes on. Again is harmless. Never raises."""
        ...

    async def stop(self) -> None:
        """Close everything; `messages` ends. Calling it again is harmless. Never raises."""
        ...

    def exchange(self, envelope: bytes, token: str | None) -> Awaitable[Answer]:
        """Carry one envelope there and the answer back, in bounded time, trying once.

        The envelope has the token in its head already; a transport with a place of its own for it puts it there too.
        Raise `NetworkError` if there was no answer, `ReplyTooLong` if there was more than is read of one.
        """
        ...

    def messages(self) -> AsyncIterator[bytes | Notice]:
        """Yield the messages until `stop`, and what is to be said of them. One consumer. Raise `AuthError`.

        It comes back by itself when the connection breaks, and says so by `Reconnected`.
        """
        ...
