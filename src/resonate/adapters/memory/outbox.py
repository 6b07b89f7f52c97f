"""Messages on their way to stores.

Law 1: at most one `Execute` waits for a task, at most one `Unblock` for a promise and address; a newer one replaces it.
Law 2: an `Execute` that nobody is there to take waits for somebody; an `Unblock` is lost, as on the wire.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from resonate.core.protocol.effects import Send
from resonate.core.protocol.records import Execute, Message
from resonate.core.protocol.snapshot import OutboxEntry


class Receiver(Protocol):
    """A started store."""

    @property
    def group(self) -> str:
        """The group it is a member of."""
        ...

    @property
    def pid(self) -> str:
        """Its name in the group."""
        ...

    def receive(self, message: Message) -> None:
        """Take a message; called from any thread."""
        ...


class Outbox:
    """See the module's text. Not thread-safe by itself."""

    def __init__(self) -> None:
        self._groups: dict[str, OrderedDict[str, list[Receiver]]] = {}
        self._waiting: dict[str, dict[str, OutboxEntry]] = {}  # group -> task id -> entry

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return what waits."""
        return tuple(entry for group in self._waiting.values() for _, entry in sorted(group.items()))

    def attach(self, receiver: Receiver) -> None:
        """Deliver to `receiver` from now on, and at once what waits for one like it."""
        self._groups.setdefault(receiver.group, OrderedDict()).setdefault(receiver.pid, []).append(receiver)
        waiting = self._waiting.pop(receiver.group, {})
        self.send(Send(entry.address, entry.message) for entry in waiting.values())

    def detach(self, receiver: Receiver) -> None:
        """Deliver to `receiver` no more."""
        members = self._groups.get(receiver.group)
        if members is None or receiver.pid not in members:
            return
        members[receiver.pid].remove(receiver)
        if not members[receiver.pid]:
            del members[receiver.pid]

    def send(self, sends: Iterable[Send]) -> None:
        """Deliver each message, or let it wait."""
        for send in sends:
            kind, group, pid = parse(send.address)
            receiver = self._receiver(kind, group, pid)
            message = send.message
            if receiver is not None:
                self._waiting.get(group, {}).pop(message.id if isinstance(message, Execute) else "", None)
                receiver.receive(message)
            elif isinstance(message, Execute) and group:
                self._waiting.setdefault(group, {})[message.id] = OutboxEntry(address=send.address, message=message)

    def _receiver(self, kind: str, group: str, pid: str) -> Receiver | None:
        members = self._groups.get(group)
        if not members:
            return None
        if pid in members:
            return members[pid][0]
        if kind == "uni":
            return None
        chosen = next(iter(members))
        members.move_to_end(chosen)  # round robin
        return members[chosen][0]


def parse(address: str) -> tuple[str, str, str]:
    """Split `poll://any@group/pid` in kind, group and pid (may be empty); all empty for other addresses."""
    if not address.startswith("poll://"):
        return "", "", ""
    kind, _, rest = address.removeprefix("poll://").partition("@")
    group, _, pid = rest.partition("/")
    return kind, group, pid
