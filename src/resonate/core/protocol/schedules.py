"""The schedule requests and the firing of a schedule.

Law 1: every occurrence from `next_run_at` to now makes its promise, oldest first, created at its instant.
Law 2: one firing makes at most `MAX_OCCURRENCES` promises; a schedule that is further behind stays due.
Law 3: an occurrence whose promise exists already changes nothing but the schedule's clock.
"""

from __future__ import annotations

from typing import Final, TypeAlias, TypeVar

from resonate.core.protocol import cron
from resonate.core.protocol.due import NEVER
from resonate.core.protocol.effects import DeleteSchedule, Effect, PutPromise, PutSchedule, PutTask
from resonate.core.protocol.guards import schedule_tags_refusal
from resonate.core.protocol.objects import Promise
from resonate.core.protocol.promises import new_record, new_task
from resonate.core.protocol.reads import Reads
from resonate.core.protocol.records import ScheduleRecord, Tag
from resonate.core.protocol.requests import (
    Done,
    Rejection,
    ScheduleCreate,
    ScheduleDelete,
    ScheduleGet,
    ScheduleReply,
)
from resonate.core.protocol.settings import Settings
from resonate.core.protocol.steps import ScheduleFire
from resonate.core.protocol.validation import id_wrong, int_wrong, texts_wrong, value_wrong

R = TypeVar("R")
Answer: TypeAlias = tuple[R | Rejection, tuple[Effect, ...]]

MAX_OCCURRENCES: Final = 1_000


def get(request: ScheduleGet, reads: Reads, _now: int, _settings: Settings) -> Answer[ScheduleReply]:
    """Answer with the schedule."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    schedule = reads.schedule(request.id)
    return (_no_schedule(request.id) if schedule is None else ScheduleReply(schedule)), ()


def create(request: ScheduleCreate, reads: Reads, now: int, settings: Settings) -> Answer[ScheduleReply]:
    """Create a schedule; its first occurrence is the first instant after now."""
    wrong = _create_wrong(request) or schedule_tags_refusal(request.promise_tags, settings)
    if wrong is not None:
        return Rejection(400, wrong), ()
    next_run_at: int | None
    try:
        next_run_at = cron.parse(request.cron).next_after(now)
    except ValueError as error:
        return Rejection(400, str(error)), ()
    if next_run_at is None:
        return Rejection(400, "the cron expression has no instant to come"), ()
    stored = reads.schedule(request.id)
    if stored is not None:
        return ScheduleReply(stored), ()
    schedule = ScheduleRecord(
        id=request.id,
        cron=request.cron,
        promise_id=request.promise_id,
        promise_timeout=request.promise_timeout,
        promise_param=request.promise_param,
        promise_tags=dict(request.promise_tags),
        created_at=now,
        next_run_at=next_run_at,
    )
    return ScheduleReply(schedule), (PutSchedule(schedule),)


def _create_wrong(request: ScheduleCreate) -> str | None:
    return (
        id_wrong("id", request.id)
        or id_wrong("cron", request.cron)
        or id_wrong("promise_id", request.promise_id)
        or int_wrong("promise_timeout", request.promise_timeout)
        or value_wrong("promise_param", request.promise_param)
        or texts_wrong("promise_tags", request.promise_tags)
    )


def delete(request: ScheduleDelete, reads: Reads, _now: int, _settings: Settings) -> Answer[Done]:
    """Delete a schedule; the promises it made stay."""
    wrong = id_wrong("id", request.id)
    if wrong is not None:
        return Rejection(400, wrong), ()
    if reads.schedule(request.id) is None:
        return _no_schedule(request.id), ()
    return Done(), (DeleteSchedule(request.id),)


def _no_schedule(id: str) -> Rejection:
    return Rejection(404, f"no schedule has the id {id}")


# ---------------------------------------------------------------- firing


def fire(step: ScheduleFire, reads: Reads, now: int, _settings: Settings) -> tuple[Effect, ...]:
    """Create the promises of the occurrences up to now."""
    schedule = reads.schedule(step.id)
    if schedule is None or schedule.next_run_at > now:
        return ()
    times = cron.parse(schedule.cron)
    effects: list[Effect] = []
    made: set[str] = set()
    instant, last = schedule.next_run_at, schedule.next_run_at
    coming = times.instants_after(schedule.next_run_at)
    for _ in range(MAX_OCCURRENCES):
        if instant > now:
            break
        id = occurrence_id(schedule, instant)
        # A step does not see its own writes, so a template without a timestamp must be caught here.
        if id not in made and reads.promise(id) is None:
            made.add(id)
            effects += _occurrence(schedule, id, instant, now)
        instant, last = next(coming, NEVER), instant
    effects.append(PutSchedule(_moved(schedule, last, instant)))
    return tuple(effects)


def occurrence_id(schedule: ScheduleRecord, instant: int) -> str:
    """Return the id of the promise that a schedule makes at an instant."""
    return schedule.promise_id.replace("{{.id}}", schedule.id).replace("{{.timestamp}}", str(instant))


def _occurrence(schedule: ScheduleRecord, id: str, instant: int, now: int) -> tuple[Effect, ...]:
    tags = {
        **schedule.promise_tags,
        Tag.SCHEDULE: schedule.id,
        Tag.ORIGIN: id,
        Tag.BRANCH: id,
        Tag.PARENT: id,
        Tag.PREFIX: id,
    }
    timeout_at = min(instant + schedule.promise_timeout, NEVER)
    record = new_record(id, timeout_at, schedule.promise_param, tags, created_at=instant, now=now)
    return PutPromise(Promise(record, id)), PutTask(new_task(record, now))


def _moved(schedule: ScheduleRecord, last_run_at: int, next_run_at: int) -> ScheduleRecord:
    return ScheduleRecord(
        id=schedule.id,
        cron=schedule.cron,
        promise_id=schedule.promise_id,
        promise_timeout=schedule.promise_timeout,
        promise_param=schedule.promise_param,
        promise_tags=schedule.promise_tags,
        created_at=schedule.created_at,
        next_run_at=next_run_at,
        last_run_at=last_run_at,
    )
