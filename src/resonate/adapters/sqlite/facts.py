"""What a file knows beyond its records, and which of the processes that work on it live."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from resonate.adapters.sqlite.alive import Alive, Life
from resonate.adapters.sqlite.rows import listed
from resonate.core.insight.picture import Facts


def read_facts(db: sqlite3.Connection, path: Path, ids: Sequence[str]) -> Facts:
    """Return what is known about these promises and tasks. Called inside a transaction; writes nothing."""
    which = (listed(ids),)
    awaiting: dict[str, list[str]] = {}
    rows = db.execute(
        "SELECT awaiter, awaited FROM callbacks WHERE awaited IN (SELECT value FROM json_each(?)) ORDER BY n", which
    )
    for awaiter, awaited in rows:
        awaiting.setdefault(awaiter, []).append(awaited)
    held = db.execute(
        "SELECT id, expires_at, pid FROM tasks WHERE id IN (SELECT value FROM json_each(?)) AND expires_at IS NOT NULL",
        which,
    ).fetchall()
    groups, alive = _members(db, path)
    return Facts(
        expires={id: expires_at for id, expires_at, _ in held},
        awaiting={task: tuple(awaited) for task, awaited in awaiting.items()},
        groups={name: tuple(pids) for name, pids in groups.items()},
        alive={pid: alive[pid] for _, _, pid in held if pid in alive},
    )


def _members(db: sqlite3.Connection, path: Path) -> tuple[dict[str, list[str]], dict[str, bool]]:
    """Return the pids that are connected, by group, and which of all that are known live."""
    locks = Alive(path)
    lives: dict[str, bool] = {}
    groups: dict[str, list[str]] = {}
    alive: dict[str, bool] = {}
    for process, name, pid in db.execute("SELECT process, name, pid FROM members ORDER BY n"):
        if process not in lives:
            lives[process] = locks.life(process) is not Life.DEAD
        alive[pid] = alive.get(pid, False) or lives[process]
        if lives[process]:
            groups.setdefault(name, []).append(pid)
    return groups, alive
