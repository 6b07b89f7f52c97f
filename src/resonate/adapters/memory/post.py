"""The outbox, and its delivery to the connections of this process.

Law 1: the outbox is keyed: one `Execute` per task, one `Unblock` per promise and address; a newer one replaces an older
one that nobody has read yet, wherever it lies.
Law 2: an `Execute` for which nobody is connected is kept until somebody is, so that a worker which starts has the work
at once and not at the next dispatch; the keys bound what is kept by the number of tasks. An `Unblock` for nobody is
dropped, as it is on a network: whoever waits must also ask.
Law 3: what a connection that stops has not read goes to the others.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future
from collections import OrderedDict
from typing import Self, TypeAlias

from attrs import define, field, frozen

from resonate.core.protocol.addresses import parse
from resonate.core.protocol.records import Execute, Message
from resonate.core.protocol.snapshot import OutboxEntry

Key: TypeAlias = str | tuple[str, str]
Pile: TypeAlias = OrderedDict[Key, OutboxEntry]


class Mailbox:
    """What one connection has to read; an async iterator for its one reader. Ends when it is closed."""

    def __init__(self, loop: AbstractEventLoop, lock: threading.Lock, office: PostOffice) -> None:
        self.loop = loop
        self._lock = lock
        self._office = office
        self._waiting: Future[None] | None = None
        self._closed = False
        self.pile: Pile = OrderedDict()

    def ring(self) -> None:
        """Tell the reader, from any thread, that there is something. Called with the lock held."""
        if self._waiting is None:
            return
        if _running_loop() is self.loop:
            self._wake()
            return
        try:
            self.loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the reader's loop is closed: there is no reader
            self._waiting = None

    def close(self) -> None:
        """End the iteration. Called with the lock held."""
        self._closed = True
        self.ring()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while True:
            with self._lock:
                message = self._office.take(self.pile)
                if message is not None:
                    return message
                if self._closed:
                    raise StopAsyncIteration
                waiting = self._waiting = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                self._waiting = None


@frozen
class Member:
    """A connection of a group."""

    pid: str
    mailbox: Mailbox


@define
class _Group:
    members: list[Member] = field(factory=list[Member])
    kept: Pile = field(factory=OrderedDict[Key, OutboxEntry])
    turn: int = 0

    def reader(self, pid: str | None, *, anyone: bool) -> Member | None:
        """Return who gets a message: the newest connection of `pid`, or else the next in turn if `anyone` will do."""
        if pid is not None:
            for member in reversed(self.members):
                if member.pid == pid:
                    return member
        if not anyone or not self.members:
            return None
        self.turn = (self.turn + 1) % len(self.members)
        return self.members[self.turn]


class PostOffice:
    """All messages on their way, by key. Not thread-safe: its callers hold the server's lock."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._where: dict[Key, Pile] = {}

    def post(self, address: str, message: Message) -> None:
        """Deliver a message, keep it, or drop it."""
        key = message.id if isinstance(message, Execute) else (message.promise.id, address)
        older = self._where.pop(key, None)
        if older is not None:
            del older[key]
        to = parse(address)
        if to is None:  # of another scheme: nobody who connects here is meant
            return
        group = self._groups.setdefault(to.group, _Group())
        reader = group.reader(to.pid, anyone=to.anyone)
        if reader is None and not isinstance(message, Execute):
            return
        pile = group.kept if reader is None else reader.mailbox.pile
        pile[key] = OutboxEntry(address=address, message=message)
        self._where[key] = pile
        if reader is not None:
            reader.mailbox.ring()

    def take(self, pile: Pile) -> Message | None:
        """Take the oldest message of a pile."""
        if not pile:
            return None
        key, entry = pile.popitem(last=False)
        del self._where[key]
        return entry.message

    def join(self, group: str, member: Member) -> list[OutboxEntry]:
        """Add a connection; return what was kept for its group, for the server to post what is still wanted."""
        joined = self._groups.setdefault(group, _Group())
        joined.members.append(member)
        return self._clear(joined.kept)

    def leave(self, group: str, member: Member) -> None:
        """Remove a connection; what it has not read goes to the others."""
        left = self._groups[group]
        left.members.remove(member)
        member.mailbox.close()
        for entry in self._clear(member.mailbox.pile):
            if isinstance(entry.message, Execute):
                self.post(entry.address, entry.message)

    def _clear(self, pile: Pile) -> list[OutboxEntry]:
        entries = [*pile.values()]
        for key in pile:
            del self._where[key]
        pile.clear()
        return entries

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return all that nobody has read yet, in the order of keys."""
        return tuple(self._where[key][key] for key in sorted(self._where, key=_order))


def _order(key: Key) -> tuple[str, str]:
    return (key, "") if isinstance(key, str) else key


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
