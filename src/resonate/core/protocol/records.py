"""What the protocol speaks about: values, promises, tasks, schedules, messages.

Law 1: a record is what the wire shows; what only the server knows lives in `objects`.
Law 2: all instants are epoch milliseconds (int), all durations milliseconds (int).
Law 3: every record is frozen and complete at birth.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import field

from resonate.core.frozen import frozen

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


def no_tags() -> dict[str, str]:
    """Return the tags of what has none."""
    return {}


class PromiseState(StrEnum):
    """The states of a durable promise; every state but `PENDING` is final."""

    PENDING = "pending"
    RESOLVED = "resolved"
    REJECTED = "rejected"
    REJECTED_CANCELED = "rejected_canceled"
    REJECTED_TIMEDOUT = "rejected_timedout"


# By names of their own where each request looks: on Python 3.11 a member is found in its class as slowly as by a call.
PENDING: Final = PromiseState.PENDING
RESOLVED: Final = PromiseState.RESOLVED


class TaskState(StrEnum):
    """The states of a task; `FULFILLED` is final."""

    PENDING = "pending"
    ACQUIRED = "acquired"
    SUSPENDED = "suspended"
    HALTED = "halted"
    FULFILLED = "fulfilled"


class Tag:
    """The tags that servers and SDKs give a meaning to."""

    TARGET: Final = "resonate:target"
    TIMER: Final = "resonate:timer"
    EXTERNAL: Final = "resonate:external"
    DELAY: Final = "resonate:delay"
    ORIGIN: Final = "resonate:origin"
    BRANCH: Final = "resonate:branch"
    HOME: Final = "resonate:home"
    PARENT: Final = "resonate:parent"
    PREFIX: Final = "resonate:prefix"
    SCOPE: Final = "resonate:scope"
    SCHEDULE: Final = "resonate:schedule"


@frozen
class Value:
    """An opaque payload: headers and a string that only codecs read."""

    headers: Mapping[str, str] = NO_HEADERS
    data: str | None = None


NO_VALUE: Final = Value()


@frozen
class PromiseRecord:
    """A durable promise as the wire shows it.

    `settled_at` is None exactly while `state` is `PENDING`. A step in memory makes two of these, by position: CPython
    3.11 hands names to a class by way of a dictionary.
    """

    id: str
    state: PromiseState
    timeout_at: int
    created_at: int
    settled_at: int | None = None
    param: Value = NO_VALUE
    value: Value = NO_VALUE
    tags: Mapping[str, str] = field(factory=no_tags)


@frozen(kw_only=True)
class TaskRecord:
    """A task as the wire shows it; `resumes` counts, `ttl` and `pid` show only while acquired."""

    id: str
    state: TaskState
    version: int
    resumes: int = 0
    ttl: int | None = None
    pid: str | None = None


@frozen(kw_only=True)
class ScheduleRecord:
    """A schedule: which promise to create, when. `promise_timeout` is a duration in ms."""

    id: str
    cron: str
    promise_id: str
    promise_timeout: int
    promise_param: Value = NO_VALUE
    promise_tags: Mapping[str, str] = field(factory=no_tags)
    created_at: int
    next_run_at: int
    last_run_at: int | None = None


@frozen
class Execute:
    """Message: the task `id` wants a worker; `version` is the number to pass to task.acquire."""

    id: str
    version: int


@frozen
class Unblock:
    """Message to a listener: this promise has settled."""

    promise: PromiseRecord


Message: TypeAlias = Execute | Unblock
