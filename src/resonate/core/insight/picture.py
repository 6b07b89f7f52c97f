"""What is known about some executions at one instant: the material that trees and causes are made from.

Law 1: what is absent is not known; nothing here is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import field, frozen

from resonate.core import ids
from resonate.core.protocol.guards import is_external
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskRecord
from resonate.errors import ResonateError


@frozen(kw_only=True)
class Facts:
    """What a store knows beyond its records, if it can be looked into.

    Args:
        expires: by task, when its lease lapses.
        awaiting: by suspended task, the promises that will resume it.
        groups: by group, the pids that are connected; a group that is not in it has nobody.
        alive: by pid that holds a lease, whether its process lives; a pid that is not in it is not known.
    """

    expires: Mapping[str, int] = field(factory=dict[str, int])
    awaiting: Mapping[str, tuple[str, ...]] = field(factory=dict[str, "tuple[str, ...]"])
    groups: Mapping[str, tuple[str, ...]] = field(factory=dict[str, "tuple[str, ...]"])
    alive: Mapping[str, bool] = field(factory=dict[str, bool])


@frozen
class Retrying:
    """A step of this process has failed so many times and is tried again.

    `error` is the last one, in one line; `next_at` is when the next try is due, in epoch ms: once that has passed, it
    is under way.
    """

    failures: int
    error: str
    next_at: int


def _no_retries() -> Mapping[str, Retrying]:
    return {}


def _no_troubles() -> Mapping[str, ResonateError]:
    return {}


@frozen(kw_only=True)
class Here:
    """What this process's own worker knows, and no store.

    Args:
        pid: its name.
        group: the group that it works for.
        troubles: by execution, why it could not go on here.
        retrying: by step, what it failed with and when it is tried again.
        registered: says whether a function of this name and version is registered here.
    """

    pid: str
    group: str
    troubles: Mapping[str, ResonateError] = field(factory=_no_troubles)
    retrying: Mapping[str, Retrying] = field(factory=_no_retries)
    registered: Callable[[str, int | None], bool]


@frozen(kw_only=True)
class Picture:
    """Some executions at one instant.

    Args:
        now: the instant, in epoch ms.
        records: promises by id.
        tasks: tasks by id, of pending promises at least.
        facts: what the store knows beyond that; None if it can't be looked into.
        here: what this process knows beyond that; None if it runs no worker.
        whole: whether these are all promises of the executions; some stores can't be asked for all.
        separator: the dialect's, between origin and lineage.
    """

    now: int
    records: Mapping[str, PromiseRecord]
    tasks: Mapping[str, TaskRecord] = field(factory=dict[str, TaskRecord])
    facts: Facts | None = None
    here: Here | None = None
    whole: bool = True
    separator: str = ids.SEPARATOR

    def parent(self, id: str) -> str | None:
        """Return the id of the promise that a promise was asked for by, None for a root or if that is not known."""
        record = self.records[id]
        tagged = record.tags.get(Tag.PARENT)
        if tagged is not None and tagged != id and tagged in self.records:
            named: str | None = tagged
        else:
            named = None
        above = ids.parent(id, self.separator)
        while above is not None and above not in self.records:
            above = ids.parent(above, self.separator)
        if named is None:
            return above
        # Where servers check it, the tag of an id that somebody chose says the root; a longer lineage says more.
        return above if above is not None and ids.is_below(above, named, self.separator) else named

    def is_own(self, record: PromiseRecord) -> bool:
        """Say whether a promise is the engine's own: no workflow asked for it."""
        stem, _, lineage = record.id.partition(self.separator)
        return bool(stem) and "0" in lineage.split(ids.JOINT)


def is_pending(record: PromiseRecord) -> bool:
    """Say whether nobody has settled it."""
    return record.state is PromiseState.PENDING


def is_execution(record: PromiseRecord) -> bool:
    """Say whether a worker is to run it: it has a target."""
    return Tag.TARGET in record.tags and record.tags.get(Tag.TIMER) != "true"


def may_be_awaited(record: PromiseRecord) -> bool:
    """Say whether others settle it, so that a task may be suspended on it."""
    return is_external(record.tags)


def looked_into(picture: Picture) -> tuple[str, ...]:
    """Return the ids that a store is asked more about: all that is pending."""
    return tuple(id for id, record in picture.records.items() if is_pending(record))
