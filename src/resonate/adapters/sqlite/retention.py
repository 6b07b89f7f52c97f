"""Forgetting executions that are over: whole ones, and never what a live one may still read.

Law 1: an execution is a root promise with all promises that name it as their origin; it goes as a whole or not at all.
A promise that names no origin is an execution of its own.
Law 2: an execution stays while one of its promises is pending, or settled at or after `before`; while the workflow that
started it (`ctx.detached`) may be replayed; and while a task or a listener has yet to hear of one of its promises.
Law 3: a look at some executions takes `SLICE` seconds at most, or one execution, so that others' requests get between.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

from resonate.adapters.sqlite.rows import listed

SLICE: Final = 0.01
_SIDE: Final = (("callbacks", "awaited"), ("listeners", "promise"), ("resumes", "task"), ("outbox", "id"))

# How a promise reads: past its deadline it is settled, whether somebody has noticed or not.
_PENDING: Final = "(state = 'pending' AND timeout_at > :now)"
_SETTLED_AT: Final = "coalesce(settled_at, timeout_at)"
_OWES: Final = "(state <> 'pending' AND due_at IS NOT NULL)"
# A task has yet to hear of it; or a listener, whose message has no version, and reads the promise when it is taken.
_UNHEARD: Final = (
    "(EXISTS (SELECT 1 FROM resumes WHERE resumes.awaited = promises.id)"
    " OR EXISTS (SELECT 1 FROM outbox WHERE outbox.id = promises.id AND outbox.version IS NULL))"
)


@frozen
class Progress:
    """How far a search for what can go has come; `done` when all has been seen."""

    name: int = 0
    alone: tuple[int, int] = (-1, 0)
    """When the last promise without an origin that was looked at had settled, and its row."""
    deleted: int = 0
    done: bool = False


def prune_some(db: sqlite3.Connection, before: int, now: int, progress: Progress) -> Progress:
    """Delete some of what was settled before `before`, inside the caller's transaction; return how far that came."""
    until = time.monotonic() + SLICE
    name, alone, deleted = progress.name, progress.alone, progress.deleted
    while time.monotonic() < until:
        row = db.execute("SELECT n, name FROM names WHERE n > ? ORDER BY n LIMIT 1", (name,)).fetchone()
        if row is None:
            break
        name = row[0]
        deleted += _prune_execution(db, row[0], row[1], before, now)
    else:
        return Progress(name, alone, deleted)
    while time.monotonic() < until:
        row = db.execute(
            f"SELECT n, id, settled_at, home, {_UNHEARD} FROM promises INDEXED BY promises_alone "
            "WHERE origin IS NULL AND settled_at IS NOT NULL AND settled_at < ? AND (settled_at, n) > (?, ?) "
            f"AND NOT {_OWES} "
            "ORDER BY settled_at, n LIMIT 1",  # in the order of the index: nothing is sorted, nothing read twice
            (before, *alone),
        ).fetchone()
        if row is None:
            return Progress(name, alone, deleted, done=True)
        alone = (row[2], row[0])
        if not row[4] and not _is_live(db, row[3], now):
            deleted += _delete(db, [row[1]])
    return Progress(name, alone, deleted)


def _prune_execution(db: sqlite3.Connection, origin: int, root: str, before: int, now: int) -> int:
    facts: dict[str, Any] = {"now": now, "before": before, "origin": origin, "root": root}
    stays = f"{_PENDING} OR {_SETTLED_AT} >= :before OR {_OWES} OR {_UNHEARD}"
    if db.execute(f"SELECT 1 FROM promises WHERE id = :root AND ({stays})", facts).fetchone():
        return 0
    if db.execute(f"SELECT 1 FROM promises WHERE origin = :origin AND ({stays}) LIMIT 1", facts).fetchone():
        return 0
    rows = db.execute("SELECT id, home FROM promises WHERE origin = :origin", facts).fetchall()
    ids = [row[0] for row in rows]
    if not ids:
        return 0
    homes = {row[1] for row in rows} - {None}
    if any(_is_live(db, home, now) for home in homes):
        return 0
    deleted = _delete(db, ids)
    # Its names go, and those of what started it, but for those that another execution's promises have as their home or
    # origin.
    db.execute(
        "DELETE FROM names "
        "WHERE (name IN (SELECT value FROM json_each(:ids)) OR n IN (SELECT value FROM json_each(:homes))) "
        "AND NOT EXISTS (SELECT 1 FROM promises WHERE home = names.n) "
        "AND NOT EXISTS (SELECT 1 FROM promises WHERE origin = names.n)",
        {"ids": listed([root, *ids]), "homes": listed(homes)},
    )
    return deleted


def _is_live(db: sqlite3.Connection, home: int | None, now: int) -> bool:
    """Tell whether the workflow whose history a promise belongs to may still be replayed."""
    if home is None:
        return False
    sql = f"SELECT 1 FROM promises WHERE id = (SELECT name FROM names WHERE n = :home) AND {_PENDING}"
    return db.execute(sql, {"home": home, "now": now}).fetchone() is not None


def _delete(db: sqlite3.Connection, ids: Sequence[str]) -> int:
    which = (listed(ids),)
    for table, column in _SIDE:
        db.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", which)
    db.execute("DELETE FROM tasks WHERE id IN (SELECT value FROM json_each(?))", which)
    return db.execute("DELETE FROM promises WHERE id IN (SELECT value FROM json_each(?))", which).rowcount
