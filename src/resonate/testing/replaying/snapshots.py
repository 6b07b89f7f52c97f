"""Recordings of all that a store holds, taken from its snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from resonate.core import ids
from resonate.core.protocol.projection import project
from resonate.core.protocol.records import PromiseRecord, Tag
from resonate.core.protocol.snapshot import Snapshot
from resonate.runtime.recorder import belonging
from resonate.runtime.recording import Recording


def recordings_of(snapshot: Snapshot, separator: str = ids.SEPARATOR) -> Iterator[Recording]:
    """Yield a recording of each execution, what it detached included."""
    records = {one.record.id: project(one.record, snapshot.now) for one in snapshot.promises}
    groups: dict[str, dict[str, PromiseRecord]] = {}
    for record in records.values():
        groups.setdefault(ids.origin(record.id, separator), {})[record.id] = record
    roots = {one.id: one for one in records.values() if ids.origin(one.id, separator) == one.id}
    for task in snapshot.tasks:
        promise = records.get(task.id)
        if promise is not None and Tag.TIMER not in promise.tags:
            near = groups[ids.origin(promise.id, separator)]
            yield Recording(
                promise=promise,
                history=belonging(promise, {**roots, **near}),
                recorded_at=snapshot.now,
                separator=separator,
            )
