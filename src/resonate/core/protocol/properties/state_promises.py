"""What holds of every promise in every state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from resonate.core.protocol.properties.named import StateProperty, at_each, at_each_seeing
from resonate.core.protocol.properties.reading import (
    DELAY,
    TARGET,
    deadline_verdict,
    delay_of,
    has_no_value,
    is_external,
    is_pending,
    is_timer,
    is_timer_and_targeted,
    is_unique,
)
from resonate.core.protocol.properties.view import View
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.protocol.snapshot import PromiseSnapshot


def _records(v: View) -> Iterable[PromiseRecord]:
    return (p.record for p in v.fresh_promises)


def _pending(v: View) -> Iterable[PromiseRecord]:
    return (p.record for p in v.fresh_promises if is_pending(p))


def _stamped(v: View) -> Iterable[tuple[PromiseRecord, int]]:
    return ((p.record, p.record.settled_at) for p in v.fresh_promises if p.record.settled_at is not None)


def _settled_at_deadline(v: View) -> Iterable[PromiseRecord]:
    return (r for r, settled_at in _stamped(v) if settled_at == r.timeout_at)


def _timed_out(v: View) -> Iterable[PromiseRecord]:
    return (r for r in _records(v) if r.state is PromiseState.REJECTED_TIMEDOUT)


def _timers_and_targeted(v: View) -> Iterable[PromiseRecord]:
    return (r for r in _records(v) if is_timer(r.tags) or TARGET in r.tags)


def _targeted(v: View) -> Iterable[PromiseRecord]:
    return (r for r in _records(v) if TARGET in r.tags)


def _delayed(v: View) -> Iterable[PromiseRecord]:
    return (r for r in _records(v) if DELAY in r.tags)


def _several_callbacks(v: View) -> Iterable[PromiseSnapshot]:
    return (p for p in v.fresh_promises if len(p.callbacks) > 1)


def _several_listeners(v: View) -> Iterable[PromiseSnapshot]:
    return (p for p in v.fresh_promises if len(p.listeners) > 1)


def _obliged(v: View) -> Iterable[PromiseSnapshot]:
    return (p for p in v.fresh_promises if p.callbacks or p.listeners)


def _awaited(v: View) -> Iterable[PromiseSnapshot]:
    return (p for p in v.fresh_promises if p.callbacks)


@at_each(_records)
def well_formed_promise_created_at_lte_timeout_at(r: PromiseRecord) -> bool:
    """No promise is created after its deadline: one that comes too late is born at its deadline."""
    return r.created_at <= r.timeout_at


@at_each(_pending)
def well_formed_promise_pending_created_before_deadline(r: PromiseRecord) -> bool:
    """A pending promise was created strictly before its deadline."""
    return r.created_at < r.timeout_at


@at_each(_stamped)
def well_formed_promise_settled_at_lte_timeout_at(item: tuple[PromiseRecord, int]) -> bool:
    """No promise is settled after its deadline."""
    record, settled_at = item
    return settled_at <= record.timeout_at


@at_each(_stamped)
def well_formed_promise_created_at_lte_settled_at(item: tuple[PromiseRecord, int]) -> bool:
    """No promise is settled before it is created."""
    record, settled_at = item
    return record.created_at <= settled_at


@at_each(_records)
def well_formed_promise_settled_at_iff_not_pending(r: PromiseRecord) -> bool:
    """A promise has an instant of settlement exactly if it is not pending."""
    return (r.settled_at is not None) == (r.state is not PromiseState.PENDING)


@at_each(_pending)
def well_formed_promise_pending_has_no_value(r: PromiseRecord) -> bool:
    """A pending promise has no value: neither data nor headers."""
    return has_no_value(r.value)


@at_each(_settled_at_deadline)
def well_formed_promise_deadline_verdict_matches_timer_tag(r: PromiseRecord) -> bool:
    """A promise settled exactly at its deadline is resolved if it is a timer, else rejected_timedout."""
    return r.state is deadline_verdict(r)


@at_each(_settled_at_deadline)
def well_formed_promise_deadline_settlement_has_no_value(r: PromiseRecord) -> bool:
    """A promise settled exactly at its deadline has no value."""
    return has_no_value(r.value)


@at_each(_timers_and_targeted)
def well_formed_promise_timer_not_targeted(r: PromiseRecord) -> bool:
    """No promise is both a timer and targeted, unless the server is set to accept such promises."""
    return not is_timer_and_targeted(r.tags)


@at_each(_timed_out)
def well_formed_promise_timedout_is_server_owned(r: PromiseRecord) -> bool:
    """What is rejected_timedout was settled at its deadline, so by the server."""
    return r.settled_at == r.timeout_at


@at_each(_several_callbacks)
def well_formed_promise_callbacks_unique(p: PromiseSnapshot) -> bool:
    """A promise remembers no awaiter twice."""
    return is_unique(p.callbacks)


@at_each(_several_listeners)
def well_formed_promise_listeners_unique(p: PromiseSnapshot) -> bool:
    """A promise remembers no listener's address twice."""
    return is_unique(p.listeners)


@at_each(_obliged)
def well_formed_promise_obligations_require_external(p: PromiseSnapshot) -> bool:
    """Only an external promise (timer, targeted or tagged external) has callbacks or listeners."""
    return is_external(p.record.tags)


@at_each(_awaited)
def well_formed_promise_awaiter_is_not_self(p: PromiseSnapshot) -> bool:
    """No promise is awaited by its own task."""
    return p.record.id not in p.callbacks


@at_each_seeing(_records)
def well_formed_promise_created_at_lte_now(v: View, r: PromiseRecord) -> bool:
    """No promise was created in the future."""
    return r.created_at <= v.now


@at_each_seeing(_stamped)
def well_formed_promise_settled_at_lte_now(v: View, item: tuple[PromiseRecord, int]) -> bool:
    """No promise was settled in the future."""
    return item[1] <= v.now


@at_each(_targeted)
def well_formed_promise_target_is_nonempty(r: PromiseRecord) -> bool:
    """No promise is targeted at nobody: a target that is there is not empty."""
    return r.tags[TARGET] != ""


@at_each(_delayed)
def well_formed_promise_delay_before_deadline(r: PromiseRecord) -> bool:
    """A delay that is there is an instant before the deadline, so that the task is dispatched at all."""
    delay = delay_of(r.tags)
    return delay is not None and delay < r.timeout_at


PROPERTIES: Final[tuple[StateProperty, ...]] = (
    well_formed_promise_created_at_lte_timeout_at,
    well_formed_promise_pending_created_before_deadline,
    well_formed_promise_settled_at_lte_timeout_at,
    well_formed_promise_created_at_lte_settled_at,
    well_formed_promise_settled_at_iff_not_pending,
    well_formed_promise_pending_has_no_value,
    well_formed_promise_deadline_verdict_matches_timer_tag,
    well_formed_promise_deadline_settlement_has_no_value,
    well_formed_promise_timer_not_targeted,
    well_formed_promise_timedout_is_server_owned,
    well_formed_promise_callbacks_unique,
    well_formed_promise_listeners_unique,
    well_formed_promise_obligations_require_external,
    well_formed_promise_awaiter_is_not_self,
    well_formed_promise_created_at_lte_now,
    well_formed_promise_settled_at_lte_now,
    well_formed_promise_target_is_nonempty,
    well_formed_promise_delay_before_deadline,
)
