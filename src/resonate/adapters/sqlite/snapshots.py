"""A whole file at one instant, for tests and tools."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from resonate.adapters.embedded.mail import key_of, sort_key
from resonate.adapters.sqlite.faults import translated
from resonate.adapters.sqlite.rows import (
    PROMISE_COLUMNS,
    SCHEDULE_COLUMNS,
    TASK_COLUMNS,
    promise_record,
    schedule_of,
    task_of,
)
from resonate.adapters.sqlite.still import look_at_still
from resonate.core.protocol.records import Execute, PromiseRecord, Unblock
from resonate.core.protocol.snapshot import OutboxEntry, PromiseSnapshot, Snapshot, TaskSnapshot


def read_snapshot(path: Path, here: Iterable[OutboxEntry], now: int) -> Snapshot:
    """Return all that a file holds, with the messages that are `here`, in a process. Raise `StoreError`."""
    try:
        still = look_at_still(path, lambda db: _read(db, here, now))
        if still is not None:
            return still[0]
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            return _read(connection, here, now)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translated(error, path) from error


def _read(db: sqlite3.Connection, here: Iterable[OutboxEntry], now: int) -> Snapshot:
    callbacks = _grouped(db, "SELECT awaited, awaiter FROM callbacks ORDER BY n")
    listeners = _grouped(db, "SELECT promise, address FROM listeners ORDER BY n")
    resumes = _grouped(db, "SELECT task, awaited FROM resumes ORDER BY n")
    records = [promise_record(row) for row in db.execute(f"SELECT {PROMISE_COLUMNS} FROM promises ORDER BY id")]
    tasks = [task_of(row) for row in db.execute(f"SELECT {TASK_COLUMNS} FROM tasks ORDER BY id")]
    schedules = db.execute(f"SELECT {SCHEDULE_COLUMNS} FROM schedules ORDER BY id")
    return Snapshot(
        now=now,
        promises=tuple(
            PromiseSnapshot(
                record=record, callbacks=callbacks.get(record.id, ()), listeners=listeners.get(record.id, ())
            )
            for record in records
        ),
        tasks=tuple(
            TaskSnapshot(
                id=task.id,
                state=task.state,
                version=task.version,
                pid=task.pid,
                ttl=task.ttl,
                expires_at=task.expires_at,
                retry_at=task.retry_at,
                resumes=resumes.get(task.id, ()),
            )
            for task in tasks
        ),
        schedules=tuple(map(schedule_of, schedules)),
        outbox=_outbox(db, here, {record.id: record for record in records}),
    )


def _grouped(db: sqlite3.Connection, sql: str) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for of, one in db.execute(sql):
        groups[of] = (*groups.get(of, ()), one)
    return groups


def _outbox(
    db: sqlite3.Connection, here: Iterable[OutboxEntry], records: dict[str, PromiseRecord]
) -> tuple[OutboxEntry, ...]:
    entries = [*here]
    for id, address, version in db.execute("SELECT id, address, version FROM outbox"):
        if version is None and id not in records:
            continue  # pruned while its listener had not read it yet
        message = Execute(id, version) if version is not None else Unblock(records[id])
        entries.append(OutboxEntry(address=address, message=message))
    return tuple(sorted(entries, key=lambda entry: sort_key(key_of(entry.address, entry.message))))
