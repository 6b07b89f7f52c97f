"""What holds of every schedule, and of the store's collections, in every state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from resonate.core.protocol.properties.named import StateProperty, at_each
from resonate.core.protocol.properties.reading import is_timer_and_targeted, is_unique
from resonate.core.protocol.properties.view import View
from resonate.core.protocol.records import ScheduleRecord


def _schedules(v: View) -> Iterable[ScheduleRecord]:
    return v.fresh_schedules


def _run(v: View) -> Iterable[tuple[ScheduleRecord, int]]:
    return ((s, s.last_run_at) for s in v.fresh_schedules if s.last_run_at is not None)


def _several(ids: tuple[object, ...]) -> Iterable[tuple[object, ...]]:
    return (ids,) if len(ids) > 1 else ()


def _promise_ids(v: View) -> Iterable[tuple[object, ...]]:
    return _several(tuple(p.record.id for p in v.snapshot.promises))


def _task_ids(v: View) -> Iterable[tuple[object, ...]]:
    return _several(tuple(t.id for t in v.snapshot.tasks))


def _schedule_ids(v: View) -> Iterable[tuple[object, ...]]:
    return _several(tuple(s.id for s in v.snapshot.schedules))


def _outbox_keys(v: View) -> Iterable[tuple[object, ...]]:
    return _several(v.outbox_keys)


@at_each(_schedules)
def well_formed_schedule_promise_tags_not_timer_targeted(s: ScheduleRecord) -> bool:
    """No schedule makes promises that are both timer and targeted."""
    return not is_timer_and_targeted(s.promise_tags)


@at_each(_schedules)
def well_formed_schedule_created_at_lte_next_run_at(s: ScheduleRecord) -> bool:
    """No schedule is to run before it was created."""
    return s.created_at <= s.next_run_at


@at_each(_run)
def well_formed_schedule_created_at_lte_last_run_at(item: tuple[ScheduleRecord, int]) -> bool:
    """No schedule has run before it was created."""
    schedule, last_run_at = item
    return schedule.created_at <= last_run_at


@at_each(_run)
def well_formed_schedule_last_run_at_lt_next_run_at(item: tuple[ScheduleRecord, int]) -> bool:
    """A schedule's next run is strictly after its last."""
    schedule, last_run_at = item
    return last_run_at < schedule.next_run_at


@at_each(_promise_ids)
def well_formed_store_promise_ids_unique(ids: tuple[object, ...]) -> bool:
    """No two promises have the same id."""
    return is_unique(ids)


@at_each(_task_ids)
def well_formed_store_task_ids_unique(ids: tuple[object, ...]) -> bool:
    """No two tasks have the same id."""
    return is_unique(ids)


@at_each(_schedule_ids)
def well_formed_store_schedule_ids_unique(ids: tuple[object, ...]) -> bool:
    """No two schedules have the same id."""
    return is_unique(ids)


@at_each(_outbox_keys)
def well_formed_store_outbox_keys_unique(keys: tuple[object, ...]) -> bool:
    """The outbox holds at most one execute per task, and one unblock per promise and address."""
    return is_unique(keys)


PROPERTIES: Final[tuple[StateProperty, ...]] = (
    well_formed_schedule_promise_tags_not_timer_targeted,
    well_formed_schedule_created_at_lte_next_run_at,
    well_formed_schedule_created_at_lte_last_run_at,
    well_formed_schedule_last_run_at_lt_next_run_at,
    well_formed_store_promise_ids_unique,
    well_formed_store_task_ids_unique,
    well_formed_store_schedule_ids_unique,
    well_formed_store_outbox_keys_unique,
)
