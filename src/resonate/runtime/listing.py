"""Lists executions by how they stand, a page at a time.

Law 1: a page costs what it shows, not what is stored, unless a filter has to look for it.
Law 2: the cursor of a page leads to the next one, on every server: where a server's own cursors say nothing about
    what lies within its pages, it says how much of one has been shown.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from attrs import frozen

from resonate.core import ids
from resonate.core.insight.payloads import callee
from resonate.core.insight.picture import is_execution
from resonate.core.insight.tree import Status, group_of
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag, TaskRecord, TaskState
from resonate.core.protocol.requests import PromiseSearch, Rejection, TaskSearch
from resonate.errors import StoreError, UsageError
from resonate.ports.store import Store
from resonate.runtime import asking

LIVE: Final = (Status.HALTED, Status.QUEUED, Status.RUNNING, Status.WAITING)
"""What is not over, in the order in which it is listed."""
OVER: Final = (Status.RESOLVED, Status.REJECTED, Status.CANCELED, Status.TIMED_OUT)

_TASKS: Final = {
    Status.HALTED: TaskState.HALTED,
    Status.QUEUED: TaskState.PENDING,
    Status.RUNNING: TaskState.ACQUIRED,
    Status.WAITING: TaskState.SUSPENDED,
}
_PROMISES: Final = {
    Status.RESOLVED: PromiseState.RESOLVED,
    Status.REJECTED: PromiseState.REJECTED,
    Status.CANCELED: PromiseState.REJECTED_CANCELED,
    Status.TIMED_OUT: PromiseState.REJECTED_TIMEDOUT,
}
_PAGE: Final = 1_000


@frozen(kw_only=True)
class Listed:
    """An execution in a list. All instants are epoch ms; `attempts` and `pid` are told of what is not over."""

    id: str
    status: Status
    function: str | None
    version: int | None
    group: str
    created_at: int
    settled_at: int | None
    timeout_at: int
    attempts: int | None = None
    pid: str | None = None


@frozen
class Listing:
    """A page of a list; `cursor` is None on the last page."""

    executions: tuple[Listed, ...]
    cursor: str | None = None


@frozen(kw_only=True)
class Wanted:
    """What is to be listed.

    Args:
        statuses: in this order.
        roots: only executions that nobody called.
        function: only those of this function.
        created_before: only those created at or before this instant.
    """

    statuses: Sequence[Status] = LIVE
    roots: bool = True
    function: str | None = None
    created_before: int | None = None

    def takes(self, record: PromiseRecord, separator: str) -> bool:
        """Say whether an execution is wanted."""
        if not is_execution(record) or (self.roots and separator in record.id):
            return False
        if self.created_before is not None and record.created_at > self.created_before:
            return False
        return self.function is None or callee(record.param)[0] == self.function

    def may_take(self, id: str, separator: str) -> bool:
        """Say whether a task of this id may be wanted, before its promise is read."""
        return not (self.roots and ids.parent(id, separator) is not None)


@frozen
class _Place:
    """Where a page begins: a server's cursor, and how much of what follows it has been shown."""

    status: Status
    cursor: str | None = None
    skip: int = 0

    def __str__(self) -> str:
        return f"{self.status.name.lower()}~{self.skip}~{'' if self.cursor is None else self.cursor}"

    @classmethod
    def of(cls, text: str) -> _Place:
        name, first, rest = text.partition("~")
        skip, second, cursor = rest.partition("~")
        if not first or not second or name.upper() not in Status.__members__ or not skip.isdecimal():
            raise UsageError(f"{text!r} is no place in a list.", hint="Give what the page before it said.")
        return cls(Status[name.upper()], cursor or None, int(skip))


async def executions(store: Store, wanted: Wanted, *, limit: int, after: str | None = None) -> Listing:
    """Return a page of executions. Raise `UsageError` for a server without searches, or `StoreError`."""
    if not store.dialect.searches:
        raise UsageError("This server serves no searches, so it can't list what it has.", hint="Ask for an id.")
    start = None if after is None else _Place.of(after)
    statuses = list(wanted.statuses)
    if start is not None:
        if start.status not in statuses:
            raise UsageError("This place is in a list of other states.", hint="Repeat the filters of the page before.")
        statuses = statuses[statuses.index(start.status) :]
    found: list[Listed] = []
    for status in statuses:
        place = start if start is not None and start.status is status else _Place(status)
        async for one, next_place in _of_status(store, wanted, place, limit):
            if len(found) == limit:
                return Listing(tuple(found), str(place))
            found.append(one)
            place = next_place
    return Listing(tuple(found))


async def _of_status(store: Store, wanted: Wanted, place: _Place, limit: int) -> AsyncIterator[tuple[Listed, _Place]]:
    """Yield what is wanted from a place on, each with the place after it."""
    size = limit + place.skip + 1
    cursor, skip = place.cursor, place.skip
    while True:
        page, following = await _page(store, wanted, place.status, cursor, min(size, _PAGE))
        for number, one in enumerate(page, 1):
            if number > skip:
                yield one, _after(store, place.status, cursor, number, one.id)
        if following is None:
            return
        cursor, skip, size = following, max(skip - len(page), 0), 2 * size


def _after(store: Store, status: Status, cursor: str | None, number: int, id: str) -> _Place:
    # Our own servers' cursor is the last id of a page: a page may begin after any.
    return _Place(status, id) if store.dialect.whole_preload else _Place(status, cursor, number)


async def _page(
    store: Store, wanted: Wanted, status: Status, cursor: str | None, size: int
) -> tuple[list[Listed], str | None]:
    separator = store.dialect.separator
    if status in _PROMISES:
        reply = await store.send(PromiseSearch(state=_PROMISES[status], limit=size, cursor=cursor))
        if isinstance(reply, Rejection):
            raise _refused(reply)
        return [_listed(one, status) for one in reply.promises if wanted.takes(one, separator)], reply.cursor
    tasks = await store.send(TaskSearch(state=_TASKS[status], limit=size, cursor=cursor))
    if isinstance(tasks, Rejection):
        raise _refused(tasks)
    chosen = [task for task in tasks.tasks if wanted.may_take(task.id, separator)]
    records = await asking.promises(store, [task.id for task in chosen])
    pairs = [(records[task.id], task) for task in chosen if task.id in records]
    return [_listed(one, status, task) for one, task in pairs if wanted.takes(one, separator)], tasks.cursor


def _listed(record: PromiseRecord, status: Status, task: TaskRecord | None = None) -> Listed:
    function, version = callee(record.param)
    return Listed(
        id=record.id,
        status=status,
        function=function,
        version=version,
        group=group_of(record.tags[Tag.TARGET]),
        created_at=record.created_at,
        settled_at=record.settled_at,
        timeout_at=record.timeout_at,
        attempts=None if task is None else task.version,
        pid=None if task is None else task.pid,
    )


def _refused(reply: Rejection) -> StoreError:
    return StoreError(f"The store refused the search: {reply.message}.")
