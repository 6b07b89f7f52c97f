"""What one step of the machine writes, as values.

Law 1: the effects of one step are applied together or not at all, in their order.
Law 2: applying an effect costs the same however long the history is.
Law 3: every effect but `Send` is idempotent; a `Send` replaces an undelivered message under the same key
(the task id of an `Execute`; promise id and address of an `Unblock`).
"""

from __future__ import annotations

from typing import TypeAlias

from resonate.core.frozen import frozen
from resonate.core.protocol.objects import Promise, Task
from resonate.core.protocol.records import Message, ScheduleRecord


@frozen
class PutPromise:
    """Insert or replace a promise. Its callbacks and listeners stay: the drains remove them, one each."""

    promise: Promise


@frozen
class PutTask:
    """Insert or replace a task. Its resumes stay."""

    task: Task


@frozen
class PutSchedule:
    """Insert or replace a schedule."""

    schedule: ScheduleRecord


@frozen
class DeleteSchedule:
    """Remove a schedule."""

    id: str


@frozen
class AddCallback:
    """Remember that the task `awaiter` is resumed when the promise `awaited` settles; once, however often added."""

    awaited: str
    awaiter: str


@frozen
class RemoveCallback:
    """Forget a callback."""

    awaited: str
    awaiter: str


@frozen
class AddListener:
    """Remember that `address` is told when `promise` settles; once, however often added."""

    promise: str
    address: str


@frozen
class RemoveListener:
    """Forget a listener."""

    promise: str
    address: str


@frozen
class AddResume:
    """Append `awaited` to what settled since the task `task` was last acquired; once, however often added."""

    task: str
    awaited: str


@frozen
class ClearResumes:
    """Empty the resumes of a task; there may be none."""

    task: str


@frozen
class Send:
    """Put a message in the outbox."""

    address: str
    message: Message


Effect: TypeAlias = (
    PutPromise
    | PutTask
    | PutSchedule
    | DeleteSchedule
    | AddCallback
    | RemoveCallback
    | AddListener
    | RemoveListener
    | AddResume
    | ClearResumes
    | Send
)
