"""Messages on their way to the connections of this process, in piles that are keyed as the outbox is.

Law 1: one `Execute` per task, one `Unblock` per promise and address, in all piles together; a newer one replaces an
older one that nobody has read yet, wherever it lies.
Law 2: a pile is read in the order in which its messages came.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future
from collections import OrderedDict
from contextlib import AbstractContextManager
from typing import Self, TypeAlias

from attrs import frozen

from resonate.core.protocol.records import Execute, Message
from resonate.core.protocol.snapshot import OutboxEntry
from resonate.errors import StoreError
from resonate.ports.store import Notice, Reconnected

Key: TypeAlias = str | tuple[str, str]
Pile: TypeAlias = OrderedDict[Key, OutboxEntry]


def key_of(address: str, message: Message) -> Key:
    """Return what a message is replaced by: the task id, or promise id and address."""
    return message.id if isinstance(message, Execute) else (message.promise.id, address)


class Piles:
    """All piles of a server, and where in them each key lies. Not thread-safe: its callers hold the server's lock."""

    def __init__(self) -> None:
        self._where: dict[Key, Pile] = {}

    def put(self, pile: Pile, address: str, message: Message) -> None:
        """Add a message to a pile, in place of an older one with its key."""
        key = key_of(address, message)
        self.drop(key)
        pile[key] = OutboxEntry(address=address, message=message)
        self._where[key] = pile

    def drop(self, key: Key) -> None:
        """Remove the message of a key; there may be none."""
        older = self._where.pop(key, None)
        if older is not None:
            del older[key]

    def take(self, pile: Pile) -> Message | None:
        """Take the oldest message of a pile."""
        if not pile:
            return None
        key, entry = pile.popitem(last=False)
        del self._where[key]
        return entry.message

    def clear(self, pile: Pile) -> list[OutboxEntry]:
        """Take all that a pile holds."""
        entries = [*pile.values()]
        for key in pile:
            del self._where[key]
        pile.clear()
        return entries

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return all that nobody has read yet, in the order of keys."""
        return tuple(self._where[key][key] for key in sorted(self._where, key=sort_key))


def sort_key(key: Key) -> tuple[str, str]:
    """Return what keys are put in order by."""
    return (key, "") if isinstance(key, str) else key


class Mailbox:
    """What one connection has to read; an async iterator for its one reader.

    It ends when it is closed; when the server has failed for good, it raises why.
    """

    def __init__(self, loop: AbstractEventLoop, lock: AbstractContextManager[bool], piles: Piles) -> None:
        self.loop = loop
        self._lock = lock
        self._piles = piles
        self._waiting: Future[None] | None = None
        self._closed = False
        self._failure: StoreError | None = None
        self._gap = False
        self.pile: Pile = OrderedDict()

    def put(self, address: str, message: Message) -> None:
        """Add a message, from any thread. Called with the lock held."""
        self._piles.put(self.pile, address, message)
        self._ring()

    def tell_of_a_gap(self) -> None:
        """Say that messages may have been lost. Called with the lock held."""
        self._gap = True
        self._ring()

    def close(self) -> None:
        """End the iteration. Called with the lock held."""
        self._closed = True
        self._ring()

    def fail(self, error: StoreError) -> None:
        """End the iteration with an error, once what is there has been read. Called with the lock held."""
        self._failure = error
        self._ring()

    def _ring(self) -> None:
        if self._waiting is None:
            return
        if _running_loop() is self.loop:
            self._wake()
            return
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the reader's loop is closed: there is no reader
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message | Notice:
        while True:
            with self._lock:
                if self._gap:
                    self._gap = False
                    return Reconnected()
                message = self._piles.take(self.pile)
                if message is not None:
                    return message
                if self._closed:
                    raise StopAsyncIteration
                if self._failure is not None:
                    raise self._failure
                waiting = self._waiting = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                self._waiting = None


@frozen(eq=False)
class Member:
    """A connection of a group."""

    group: str
    pid: str
    mailbox: Mailbox


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
