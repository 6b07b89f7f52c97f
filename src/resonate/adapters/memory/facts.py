"""What a memory server knows beyond its records."""

from __future__ import annotations

from collections.abc import Sequence

from resonate.adapters.memory.post import PostOffice
from resonate.adapters.memory.tables import Tables
from resonate.core.insight.picture import Facts


def facts_of(tables: Tables, post: PostOffice, ids: Sequence[str]) -> Facts:
    """Return what is known about these promises and tasks. Called with the server's lock held."""
    expires: dict[str, int] = {}
    awaiting: dict[str, list[str]] = {}
    for id in ids:
        task = tables.task(id)
        if task is not None and task.expires_at is not None:
            expires[id] = task.expires_at
        for awaiter in tables.awaiters(id):
            awaiting.setdefault(awaiter, []).append(id)
    return Facts(
        expires=expires, awaiting={task: tuple(awaited) for task, awaited in awaiting.items()}, groups=post.members()
    )
