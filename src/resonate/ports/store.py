"""The store port: the one narrow door to a Resonate server, whatever it is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from attrs import frozen

from resonate.core.insight.picture import Facts
from resonate.core.protocol.dialect import Dialect
from resonate.core.protocol.records import Message
from resonate.core.protocol.requests import Rejection, Request

R = TypeVar("R")


@frozen
class Reconnected:
    """Among the messages: they come again after an interruption, in which some may have been lost.

    No server sends it; a store that lost its stream and has it back says so, and whoever waits asks again.
    """


@frozen
class Dropped:
    """Among the messages: what came was no message (`reason` says why not), and was ignored."""

    reason: str


Notice: TypeAlias = Reconnected | Dropped
"""What a store has to say about its messages, among them."""


class Store(Protocol):
    """One process's connection to a store, as member `pid` of `group`.

    Every request is idempotent in the sense of the protocol, so a caller may repeat one whose reply
    was lost. `send` and `send_all` may be called from any thread and any event loop (the heartbeat does);
    the other methods belong to the loop that called `start`.
    """

    @property
    def dialect(self) -> Dialect:
        """How this store speaks; final once `start` has returned."""
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
        """Open what must be open. Calling it again is harmless. Raise `StoreError`."""
        ...

    async def stop(self) -> None:
        """Close everything; `messages` ends. Calling it again is harmless. Never raises."""
        ...

    async def send(self, request: Request[R]) -> R | Rejection:
        """Do one request. A refusal by the rules is a `Rejection` value.

        Raise `AuthError`, `ServerError` or `NetworkError` when there was no answer by the rules.
        """
        ...

    async def send_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests, each with its own reply or `Rejection`, in the order asked for.

        They may run concurrently or in one transaction, so a later one must not rely on an earlier one.
        Raise as `send` does, only if no request could be answered; a request that alone went unanswered
        is represented by its exception, returned in its place.
        """
        ...

    def messages(self) -> AsyncIterator[Message | Notice]:
        """Yield the messages to this connection until `stop`. One consumer.

        At-most-once: a message may be lost (an `Execute` comes again, an `Unblock` does not), repeated or stale.
        Raise `AuthError` if it is refused, or another `StoreError` that is not retriable if the store is broken.
        """
        ...


@runtime_checkable
class Prunes(Protocol):
    """A store whose owner decides how long it keeps what is over."""

    async def prune(self, before: int) -> int:
        """Delete whole executions that settled before `before` (epoch ms); return how many promises that were.

        An execution is a root promise with all that name it as their origin. What a live execution may still read
        stays: one is deleted only if all its promises are settled, the workflow that started it is, and no task has
        yet to hear of it. An id that is gone may be used anew, and is then run anew. Raise as `Store.send` does.
        """
        ...


@runtime_checkable
class Knows(Protocol):
    """A store that can be looked into: it knows more than its records tell."""

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these promises and tasks, and who is connected. Raise as `Store.send` does."""
        ...


@runtime_checkable
class Leaves(Protocol):
    """A store to which messages come whether or not somebody reads them."""

    async def leave(self) -> None:
        """Let no more messages come: `messages` ends, and offers go to other members as soon as the store has noticed.

        Requests are answered as before, until `stop`. Calling it again is harmless. Never raises.
        """
        ...


@runtime_checkable
class Readable(Protocol):
    """A backend that can be read without taking part: no member joins, and nothing is done or written."""

    def reader(self) -> Store:
        """Return a store that answers what only reads, and refuses the rest with `UsageError`.

        Its `start` raises `StoreError` if there is nothing to read; it makes nothing.
        """
        ...


class Backend(Protocol):
    """Where stores come from: shared memory, a database file, a server."""

    def connect(self, *, group: str, pid: str) -> Store:
        """Return a store for member `pid` of `group`; opens nothing until its `start`."""
        ...
