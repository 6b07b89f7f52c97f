"""Who gets which message, among the connections of this process.

Law 1: an `Execute` for which nobody is connected is kept until somebody is, so that a worker which starts has the work
at once and not at the next dispatch; the keys bound what is kept by the number of tasks. An `Unblock` for nobody is
dropped, as it is on a network: whoever waits must also ask.
Law 2: what a connection that stops has not read goes to the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import AbstractContextManager

from attrs import define, field

from resonate.adapters.embedded.mail import Key, Mailbox, Member, Pile, Piles, key_of
from resonate.core.protocol.addresses import parse
from resonate.core.protocol.records import Execute, Message
from resonate.core.protocol.snapshot import OutboxEntry


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
    """All messages on their way. Not thread-safe: its callers hold the server's lock."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._piles = Piles()

    def post(self, address: str, message: Message) -> None:
        """Deliver a message, keep it, or drop it."""
        self._piles.drop(key_of(address, message))
        to = parse(address)
        if to is None:  # of another scheme: nobody who connects here is meant
            return
        group = self._groups.setdefault(to.group, _Group())
        reader = group.reader(to.pid, anyone=to.anyone)
        if reader is not None:
            reader.mailbox.put(address, message)
        elif isinstance(message, Execute):
            self._piles.put(group.kept, address, message)

    def join(self, group: str, pid: str, lock: AbstractContextManager[bool]) -> tuple[Member, list[OutboxEntry]]:
        """Add a connection on the running loop; return it with what was kept for its group, to be posted if wanted."""
        joined = self._groups.setdefault(group, _Group())
        member = Member(group, pid, Mailbox(asyncio.get_running_loop(), lock, self._piles))
        joined.members.append(member)
        return member, self._piles.clear(joined.kept)

    def leave(self, member: Member) -> None:
        """Remove a connection; what it has not read goes to the others."""
        self._groups[member.group].members.remove(member)
        member.mailbox.close()
        for entry in self._piles.clear(member.mailbox.pile):
            if isinstance(entry.message, Execute):
                self.post(entry.address, entry.message)

    def members(self) -> dict[str, tuple[str, ...]]:
        """Return the pids that are connected, by group."""
        return {name: tuple(one.pid for one in group.members) for name, group in self._groups.items() if group.members}

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return all that nobody has read yet, in the order of keys."""
        return self._piles.entries()
