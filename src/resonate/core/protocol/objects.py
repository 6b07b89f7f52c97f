"""What a server stores: promises and tasks with what the wire does not show. Schedules are stored as their records.

Law 1: an object is stored as it was last written, never as it reads now; `projection` tells how it reads.
Law 2: what grows with history (callbacks, listeners, resumes) is no field here, but rows of their own.
"""

from __future__ import annotations

from resonate.core.frozen import frozen
from resonate.core.protocol.records import PromiseRecord, TaskState


@frozen
class Promise:
    """A stored promise.

    Args:
        record: what the wire shows, as stored.
        home: the branch whose history the promise belongs to; None if it belongs to no branch's.
    """

    record: PromiseRecord
    home: str | None = None


@frozen
class Task:
    """A stored task; its id is its promise's id.

    `pid`, `ttl` and `expires_at` are set exactly while acquired, `retry_at` exactly while pending.
    """

    id: str
    state: TaskState
    version: int = 0
    pid: str | None = None
    ttl: int | None = None
    expires_at: int | None = None
    retry_at: int | None = None
