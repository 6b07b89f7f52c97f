"""What the machine needs to read of a store.

Law 1: one step reads one snapshot; it does not see its own writes.
Law 2: everything is given as stored; the machine projects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord, TaskState


class Reads(Protocol):
    """One snapshot of a store. Every method but the scans answers in the same time however long the history is."""

    def promise(self, id: str, /) -> Promise | None:
        """Return the promise, None if there is none."""
        ...

    def task(self, id: str, /) -> Task | None:
        """Return the task, None if there is none."""
        ...

    def schedule(self, id: str, /) -> ScheduleRecord | None:
        """Return the schedule, None if there is none."""
        ...

    def resumes(self, task_id: str, /) -> Sequence[str]:
        """Return the ids of what settled since the task was last acquired, in order of arrival."""
        ...

    def has_resume(self, task_id: str, awaited: str, /) -> bool:
        """Tell whether `awaited` is among the task's resumes."""
        ...

    def has_callback(self, awaited: str, awaiter: str, /) -> bool:
        """Tell whether the callback is remembered."""
        ...

    def has_listener(self, promise: str, address: str, /) -> bool:
        """Tell whether the listener is remembered."""
        ...

    def preload(self, home: str, /) -> Iterable[PromiseRecord]:
        """Return the records of all promises whose `home` this is, in any order."""
        ...

    def promises_after(
        self, cursor: str | None, states: AbstractSet[PromiseState], tags: Mapping[str, str], /
    ) -> Iterator[Promise]:
        """Scan promises in id order (by code point), from the first id greater than `cursor`; all when None.

        Those that are stored in none of `states`, or lack some of `tags`, may be left out.
        """
        ...

    def tasks_after(
        self, cursor: str | None, states: AbstractSet[TaskState], tags: Mapping[str, str], /
    ) -> Iterator[Task]:
        """Scan tasks likewise; the tags are their promises'."""
        ...

    def schedules_after(self, cursor: str | None, /) -> Iterator[ScheduleRecord]:
        """Scan schedules in id order, from the first id greater than `cursor`; all when None."""
        ...
