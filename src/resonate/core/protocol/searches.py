"""The searches: pages of promises, tasks and schedules in id order.

Law 1: a page filters on what things read as now, not on what is stored.
Law 2: the cursor is the last id of a page, so a page is stable under concurrent inserts; the last page has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, TypeVar

from resonate.core.protocol.effects import Effect
from resonate.core.protocol.projection import project
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord, TaskRecord, TaskState
from resonate.core.protocol.requests import (
    PromisePage,
    PromiseSearch,
    Rejection,
    SchedulePage,
    ScheduleSearch,
    TaskPage,
    TaskSearch,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.tasks import promise_of, read_task
from resonate.core.protocol.validation import page_wrong, promise_state_wrong, task_state_wrong

# In any stored state, since what is past its deadline reads as settled.
_ALL_PROMISES: Final = frozenset(PromiseState)
_ALL_TASKS: Final = frozenset(TaskState)

RecordT = TypeVar("RecordT", PromiseRecord, TaskRecord, ScheduleRecord)


def promises(
    request: PromiseSearch, reads: Reads, now: int, _settings: Settings
) -> tuple[PromisePage | Rejection, tuple[Effect, ...]]:
    """Answer with a page of promises."""
    wrong = page_wrong(request.tags, request.limit, request.cursor) or promise_state_wrong(request.state)
    if wrong is not None:
        return Rejection(400, wrong), ()
    states = _ALL_PROMISES if request.state is None else {request.state, PromiseState.PENDING}
    seen = (project(promise.record, now) for promise in reads.promises_after(request.cursor, states, request.tags))
    found = (
        record
        for record in seen
        if (request.state is None or record.state is request.state) and _match(request.tags, record.tags)
    )
    records, cursor = _page(found, request.limit)
    return PromisePage(records, cursor), ()


def tasks(
    request: TaskSearch, reads: Reads, now: int, _settings: Settings
) -> tuple[TaskPage | Rejection, tuple[Effect, ...]]:
    """Answer with a page of tasks; tags are their promises'."""
    wrong = page_wrong(request.tags, request.limit, request.cursor) or task_state_wrong(request.state)
    if wrong is not None:
        return Rejection(400, wrong), ()
    states = _ALL_TASKS if request.state is None or request.state is TaskState.FULFILLED else {request.state}
    pairs = ((task, promise_of(task, reads).record) for task in reads.tasks_after(request.cursor, states, request.tags))
    seen = (read_task(task, record, reads, now) for task, record in pairs if _match(request.tags, record.tags))
    found = (task for task in seen if request.state is None or task.state is request.state)
    records, cursor = _page(found, request.limit)
    return TaskPage(records, cursor), ()


def schedules(
    request: ScheduleSearch, reads: Reads, _now: int, _settings: Settings
) -> tuple[SchedulePage | Rejection, tuple[Effect, ...]]:
    """Answer with a page of schedules; tags are their promises'."""
    wrong = page_wrong(request.tags, request.limit, request.cursor)
    if wrong is not None:
        return Rejection(400, wrong), ()
    found = (one for one in reads.schedules_after(request.cursor) if _match(request.tags, one.promise_tags))
    records, cursor = _page(found, request.limit)
    return SchedulePage(records, cursor), ()


def _match(wanted: Mapping[str, str], tags: Mapping[str, str]) -> bool:
    return all(tags.get(key) == text for key, text in wanted.items())


def _page(found: Iterable[RecordT], limit: int) -> tuple[tuple[RecordT, ...], str | None]:
    records = tuple(islice(found, limit + 1))
    if len(records) <= limit:
        return records, None
    return records[:limit], records[limit - 1].id
