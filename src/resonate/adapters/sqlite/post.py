"""Who gets which message, among the connections of all processes that work on a file.

Law 1: a message for a connection of this process never touches the file: it is put in its mailbox once the transaction
that sent it is committed. One for another process's is a row that names the process, until that process takes it.
Law 2: an `Execute` for which nobody is connected is kept until somebody is; an `Unblock` for nobody is dropped.
Law 3: used by one thread, inside a transaction that its caller begins and ends; after a rollback, `forget` it all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

from attrs import frozen

from resonate.adapters.embedded.mail import Member, Piles, key_of, sort_key
from resonate.adapters.sqlite.tables import Tables
from resonate.core.protocol.addresses import parse
from resonate.core.protocol.records import Execute, Message, TaskState, Unblock
from resonate.core.protocol.snapshot import OutboxEntry
from resonate.errors import StoreError


@frozen
class _Known:
    """A connection, of whatever process."""

    n: int
    process: str
    group: str
    pid: str


class PostOffice:
    """See the module's text. `lock` guards `piles`, which the mailboxes of this process share with their readers."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        tables: Tables,
        token: str,
        lock: AbstractContextManager[bool],
        piles: Piles,
    ) -> None:
        self._db = connection
        self._tables = tables
        self._token = token
        self._lock = lock
        self._piles = piles
        self._here: dict[int, Member] = {}  # by _Known.n
        self._known: dict[str, list[_Known]] | None = None  # by group
        self._turns: dict[str, int] = {}
        self._has_rows = True
        self._out: list[Callable[[], None]] = []
        self._sealed: list[Callable[[], None]] = []  # of what was sent, that which is committed

    def forget(self) -> None:
        """Forget what was read of the file, and what was to be delivered."""
        self._known = None
        self._has_rows = True
        self._out.clear()

    # ------------------------------------------------------------ connections

    def join(self, member: Member) -> None:
        """Add a connection of this process; it gets what was kept for its group and is still wanted."""
        row = self._db.execute(
            "INSERT INTO members (process, name, pid) VALUES (?, ?, ?) RETURNING n",
            (self._token, member.group, member.pid),
        ).fetchone()
        self._here[row[0]] = member
        self._known = None
        kept = self._db.execute(
            "SELECT n, id, address, version FROM outbox WHERE process IS NULL ORDER BY n"
        ).fetchall()
        for n, id, address, version in kept:
            to = parse(address)
            if to is not None and to.group == member.group:
                self._db.execute("DELETE FROM outbox WHERE n = ?", (n,))
                if self._is_wanted(id):
                    self.send(address, Execute(id, version))

    def leave(self, member: Member) -> None:
        """Remove a connection of this process; what it has not read goes to the others."""
        for n in [n for n, one in self._here.items() if one is member]:
            del self._here[n]
            self._db.execute("DELETE FROM members WHERE n = ?", (n,))
        self._known = None
        with self._lock:
            left = self._piles.clear(member.mailbox.pile)
            member.mailbox.close()
        self._send_again(left)

    def is_in_order(self) -> bool:
        """Tell whether the file knows the connections of this process, and no others as this process's."""
        rows = self._db.execute("SELECT n FROM members WHERE process = ?", (self._token,))
        return {row[0] for row in rows} == self._here.keys()

    def put_in_order(self) -> None:
        """Have the file know the connections of this process: somebody has removed them, or a farewell failed."""
        here, self._here = self._here, {}
        self._db.execute("DELETE FROM members WHERE process = ?", (self._token,))
        for member in dict.fromkeys(here.values()):
            self.join(member)
            self._out.append(member.mailbox.tell_of_a_gap)

    def fail(self, error: StoreError) -> None:
        """Tell the connections of this process that no more messages come."""
        with self._lock:
            for member in self._here.values():
                member.mailbox.fail(error)

    def leave_all(self) -> None:
        """Remove all connections of this process."""
        for member in dict.fromkeys(self._here.values()):
            self.leave(member)
        self.bury(self._token)

    def bury(self, process: str) -> list[str]:
        """Remove the connections of a dead process; return those of their pids that no other connection has."""
        pids = {row[0] for row in self._db.execute("SELECT pid FROM members WHERE process = ?", (process,))}
        self._db.execute("DELETE FROM members WHERE process = ?", (process,))
        self._known = None
        rows = self._db.execute(
            "SELECT id, address, version FROM outbox WHERE process = ? ORDER BY n", (process,)
        ).fetchall()
        self._db.execute("DELETE FROM outbox WHERE process = ?", (process,))
        for id, address, version in rows:
            if version is not None:
                self.send(address, Execute(id, version))
        alive = {row[0] for row in self._db.execute("SELECT DISTINCT pid FROM members")}
        return sorted(pids - alive)

    def _is_wanted(self, id: str) -> bool:
        task = self._tables.task(id)
        return task is not None and task.state is TaskState.PENDING

    def _send_again(self, entries: Iterable[OutboxEntry]) -> None:
        for entry in entries:
            if isinstance(entry.message, Execute):
                self.send(entry.address, entry.message)

    # ------------------------------------------------------------ sending

    def send(self, address: str, message: Message) -> None:
        """Deliver a message, leave it for another process, keep it, or drop it."""
        key = key_of(address, message)
        id, listener = sort_key(key)
        if self._has_rows:
            self._has_rows = self._db.execute("SELECT 1 FROM outbox LIMIT 1").fetchone() is not None
        older: tuple[Any, ...] | None = None
        if self._has_rows:
            older = self._db.execute(
                "SELECT process, address, version FROM outbox WHERE id = ? AND listener = ?", (id, listener)
            ).fetchone()
        reader = self._reader(address, None if older is None else older[0])
        member = self._member(reader)
        process = None if reader is None else reader.process
        version = message.version if isinstance(message, Execute) else None
        if older is not None:
            if member is None and older == (process, address, version):  # it is there already, and keeps its place
                return
            self._db.execute("DELETE FROM outbox WHERE id = ? AND listener = ?", (id, listener))
        if member is not None:
            self._out.append(lambda: member.mailbox.put(address, message))
            return
        self._out.append(lambda: self._piles.drop(key))
        to = parse(address)
        if to is None or (reader is None and isinstance(message, Unblock)):
            return
        self._db.execute(
            "INSERT INTO outbox (id, listener, address, version, process) VALUES (?, ?, ?, ?, ?)",
            (id, listener, address, version, process),
        )
        self._has_rows = True

    def _reader(self, address: str, hung: str | None = None) -> _Known | None:
        """Return who gets it: the newest connection of a pid, else the next of the group in turn if anyone will do.

        A process that has not read what was sent before may have `hung`; it gets no more if there is anyone else.
        """
        to = parse(address)
        if to is None:
            return None
        members = self._members().get(to.group, [])
        if hung is not None and to.anyone:
            members = [member for member in members if member.process != hung] or members
        if to.pid is not None:
            for member in reversed(members):
                if member.pid == to.pid:
                    return member
        if not to.anyone or not members:
            return None
        turn = self._turns[to.group] = (self._turns.get(to.group, 0) + 1) % len(members)
        return members[turn]

    def _member(self, reader: _Known | None) -> Member | None:
        return None if reader is None or reader.process != self._token else self._here.get(reader.n)

    def _members(self) -> dict[str, list[_Known]]:
        if self._known is None:
            self._known = {}
            for row in self._db.execute("SELECT n, process, name, pid FROM members ORDER BY n"):
                self._known.setdefault(row[2], []).append(_Known(*row))
        return self._known

    # ------------------------------------------------------------ receiving

    def has_mail(self) -> bool:
        """Tell whether another process left something for this one."""
        return self._db.execute("SELECT 1 FROM outbox WHERE process = ? LIMIT 1", (self._token,)).fetchone() is not None

    def collect(self) -> None:
        """Take what other processes left for this one."""
        rows = self._db.execute(
            "SELECT id, address, version FROM outbox WHERE process = ? ORDER BY n", (self._token,)
        ).fetchall()
        if not rows:
            return
        self._db.execute("DELETE FROM outbox WHERE process = ?", (self._token,))
        for id, address, version in rows:
            message = self._message(id, version)
            if message is not None:
                self._receive(address, message)

    def _receive(self, address: str, message: Message) -> None:
        """Deliver here what was meant for here; if whom it was meant for has gone meanwhile, send it on."""
        reader = self._reader(address)
        member = self._member(reader)
        to = parse(address)
        if member is None and to is not None and to.anyone:  # it is somebody else's turn by now; but it is here
            member = next((one for one in self._here.values() if one.group == to.group), None)
        if member is None:
            self.send(address, message)
        else:
            self._out.append(lambda: member.mailbox.put(address, message))

    def _message(self, id: str, version: int | None) -> Message | None:
        if version is not None:
            return Execute(id, version)
        promise = self._tables.promise(id)
        return None if promise is None else Unblock(promise.record)

    def seal(self) -> None:
        """Note that the transaction is committed: what it has sent will be delivered, whatever fails."""
        self._sealed += self._out
        self._out.clear()

    def deliver(self) -> None:
        """Put into mailboxes what was sent by transactions that are committed."""
        if self._sealed:
            out, self._sealed = self._sealed, []
            with self._lock:
                for put in out:
                    put()
