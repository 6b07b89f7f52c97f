"""A snapshot, and a step between two, with the indexes that the properties share.

Law 1: every index is built once and only when asked for, so that all properties together cost little more than one.
Law 2: where an id occurs twice, the first occurrence answers for it; the uniqueness properties tell.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Generic, TypeVar

from attrs import frozen

from resonate.core.protocol.properties.reading import TARGET, is_live, is_pending, outbox_key
from resonate.core.protocol.records import Execute, ScheduleRecord, TaskState, Unblock
from resonate.core.protocol.snapshot import OutboxEntry, PromiseSnapshot, Snapshot, TaskSnapshot

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class _Once(Generic[T]):
    """An index that is built when it is first asked for. What `functools` has for this takes a lock on Python 3.11."""

    def __init__(self, build: Callable[[Any], T]) -> None:
        self._build = build
        self._name = build.__name__
        self.__doc__ = build.__doc__

    def __get__(self, view: Any, _owner: type | None = None) -> T:
        """Build it, in the place of this descriptor from now on."""
        built = view.__dict__[self._name] = self._build(view)
        return built


class Cause(StrEnum):
    """What a step was: a client's request, an internal step of the server, or messages leaving the outbox."""

    REQUEST = "request"
    INTERNAL = "internal step"
    DELIVERY = "delivery"


@frozen
class Post:
    """An `Execute` in the outbox."""

    address: str
    message: Execute


@frozen
class Notice:
    """An `Unblock` in the outbox."""

    address: str
    message: Unblock


def _first_by(key: Sequence[K], items: Sequence[T]) -> dict[K, T]:
    return dict(zip(reversed(key), reversed(items), strict=True))


def _fresh(items: Sequence[T], before: Sequence[T]) -> Sequence[T]:
    known = {id(item) for item in before}
    return [item for item in items if id(item) not in known]


class View:
    """A snapshot with its indexes.

    Args:
        snapshot: what is looked at.
        before: an earlier state of the same store that was checked already: the `fresh_*` sequences then leave
            out the objects that are still the very same values.
    """

    def __init__(self, snapshot: Snapshot, before: Snapshot | None = None) -> None:
        self.snapshot = snapshot
        self.now = snapshot.now
        self._before = before or Snapshot(now=snapshot.now)

    @_Once
    def promises(self) -> dict[str, PromiseSnapshot]:
        """Every promise by id."""
        return _first_by([p.record.id for p in self.snapshot.promises], self.snapshot.promises)

    @_Once
    def tasks(self) -> dict[str, TaskSnapshot]:
        """Every task by id."""
        return _first_by([t.id for t in self.snapshot.tasks], self.snapshot.tasks)

    @_Once
    def schedules(self) -> dict[str, ScheduleRecord]:
        """Every schedule by id."""
        return _first_by([s.id for s in self.snapshot.schedules], self.snapshot.schedules)

    @_Once
    def outbox_keys(self) -> tuple[tuple[str, ...], ...]:
        """The key of each outbox entry."""
        return tuple(outbox_key(entry) for entry in self.snapshot.outbox)

    @_Once
    def fresh_promises(self) -> Sequence[PromiseSnapshot]:
        """The promises not looked at before."""
        return _fresh(self.snapshot.promises, self._before.promises)

    @_Once
    def fresh_tasks(self) -> Sequence[TaskSnapshot]:
        """The tasks not looked at before."""
        return _fresh(self.snapshot.tasks, self._before.tasks)

    @_Once
    def fresh_schedules(self) -> Sequence[ScheduleRecord]:
        """The schedules not looked at before."""
        return _fresh(self.snapshot.schedules, self._before.schedules)

    @_Once
    def targeted(self) -> Sequence[PromiseSnapshot]:
        """The promises that have a target."""
        return [p for p in self.snapshot.promises if TARGET in p.record.tags]

    @_Once
    def settled(self) -> Sequence[PromiseSnapshot]:
        """The promises settled as stored."""
        return [p for p in self.snapshot.promises if not is_pending(p)]

    @_Once
    def callbacks(self) -> Sequence[tuple[PromiseSnapshot, str]]:
        """Every callback, as the promise awaited and the id of the awaiter."""
        return [(p, awaiter) for p in self.snapshot.promises for awaiter in p.callbacks]

    @_Once
    def listeners(self) -> Sequence[tuple[PromiseSnapshot, str]]:
        """Every listener, as the promise and the address."""
        return [(p, address) for p in self.snapshot.promises for address in p.listeners]

    @_Once
    def awaiters(self) -> frozenset[str]:
        """The ids of all tasks that hold a callback."""
        return frozenset(awaiter for _, awaiter in self.callbacks)

    @_Once
    def posts(self) -> Sequence[Post]:
        """The outbox entries that are an `Execute`."""
        return posts(self.snapshot.outbox)

    @_Once
    def notices(self) -> Sequence[Notice]:
        """The outbox entries that are an `Unblock`."""
        return notices(self.snapshot.outbox)

    def in_state(self, state: TaskState) -> Sequence[TaskSnapshot]:
        """Return the tasks in this state."""
        return [t for t in self.snapshot.tasks if t.state is state]

    def reads_live(self, id: str) -> bool:
        """Tell whether a promise is there and reads as pending."""
        promise = self.promises.get(id)
        return promise is not None and is_live(promise.record, self.now)


def posts(entries: Iterable[OutboxEntry]) -> Sequence[Post]:
    """Return the entries that are an `Execute`."""
    return [Post(e.address, e.message) for e in entries if isinstance(e.message, Execute)]


def notices(entries: Iterable[OutboxEntry]) -> Sequence[Notice]:
    """Return the entries that are an `Unblock`."""
    return [Notice(e.address, e.message) for e in entries if isinstance(e.message, Unblock)]


@frozen
class Move(Generic[T]):
    """One object before and after a step at `now`."""

    old: T
    new: T
    now: int


class Step:
    """Two consecutive states, `a` before and `b` after, at `b`'s now, with what moved between them."""

    def __init__(self, a: View, b: View, cause: Cause) -> None:
        self.a = a
        self.b = b
        self.now = b.now
        self.cause = cause

    def _moves(self, old: dict[str, T], new: dict[str, T]) -> Sequence[Move[T]]:
        return [Move(x, new[id], self.now) for id, x in old.items() if id in new]

    @_Once
    def promises(self) -> Sequence[Move[PromiseSnapshot]]:
        """The promises that are there before and after."""
        return self._moves(self.a.promises, self.b.promises)

    @_Once
    def moved_promises(self) -> Sequence[Move[PromiseSnapshot]]:
        """Those of them that differ."""
        return [m for m in self.promises if m.old is not m.new and m.old != m.new]

    @_Once
    def born_promises(self) -> Sequence[PromiseSnapshot]:
        """The promises that are there only after."""
        return [p for id, p in self.b.promises.items() if id not in self.a.promises]

    @_Once
    def settling(self) -> Sequence[Move[PromiseSnapshot]]:
        """The promises pending before and not after."""
        return [m for m in self.moved_promises if is_pending(m.old) and not is_pending(m.new)]

    @_Once
    def tasks(self) -> Sequence[Move[TaskSnapshot]]:
        """The tasks that are there before and after."""
        return self._moves(self.a.tasks, self.b.tasks)

    @_Once
    def moved_tasks(self) -> Sequence[Move[TaskSnapshot]]:
        """Those of them that differ."""
        return [m for m in self.tasks if m.old is not m.new and m.old != m.new]

    @_Once
    def born_tasks(self) -> Sequence[TaskSnapshot]:
        """The tasks that are there only after."""
        return [t for id, t in self.b.tasks.items() if id not in self.a.tasks]

    @_Once
    def transitions(self) -> Sequence[Move[TaskSnapshot]]:
        """The tasks that changed state."""
        return [m for m in self.moved_tasks if m.old.state is not m.new.state]

    @_Once
    def schedules(self) -> Sequence[Move[ScheduleRecord]]:
        """The schedules that are there before and after."""
        return self._moves(self.a.schedules, self.b.schedules)

    @_Once
    def consumed_callbacks(self) -> Sequence[tuple[str, str]]:
        """The callbacks that are gone, as (awaited, awaiter)."""
        return [
            (m.old.record.id, awaiter)
            for m in self.moved_promises
            for awaiter in m.old.callbacks
            if awaiter not in m.new.callbacks
        ]

    @_Once
    def consumed_listeners(self) -> Sequence[tuple[str, str]]:
        """The listeners that are gone, as (promise, address)."""
        return [
            (m.old.record.id, address)
            for m in self.moved_promises
            for address in m.old.listeners
            if address not in m.new.listeners
        ]

    @_Once
    def _new_entries(self) -> Sequence[OutboxEntry]:
        fresh = _fresh(self.b.snapshot.outbox, self.a.snapshot.outbox)
        return [entry for entry in fresh if entry not in self.a.snapshot.outbox]

    @_Once
    def new_posts(self) -> Sequence[Post]:
        """The `Execute`s that were not in the outbox before, or not in this form."""
        return posts(self._new_entries)

    @_Once
    def new_notices(self) -> Sequence[Notice]:
        """The `Unblock`s that were not in the outbox before, or not in this form."""
        return notices(self._new_entries)

    def entering(self, state: TaskState) -> Sequence[Move[TaskSnapshot]]:
        """Return the tasks that came into this state from another."""
        return [m for m in self.transitions if m.new.state is state]

    def leaving(self, state: TaskState) -> Sequence[Move[TaskSnapshot]]:
        """Return the tasks that went from this state to another."""
        return [m for m in self.transitions if m.old.state is state]
