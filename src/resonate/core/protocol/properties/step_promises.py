"""What every step does, and does not do, to promises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from resonate.core.protocol.properties.named import StepProperty, over_each, over_each_seeing
from resonate.core.protocol.properties.reading import (
    has_no_value,
    is_live,
    is_pending,
    is_settled_by_deadline,
    is_unique,
)
from resonate.core.protocol.properties.view import Cause, Move, Step
from resonate.core.protocol.records import PromiseState
from resonate.core.protocol.snapshot import PromiseSnapshot

MovedPromise: TypeAlias = Move[PromiseSnapshot]

_EDGES: Final = frozenset(
    {
        (PromiseState.PENDING, PromiseState.RESOLVED),
        (PromiseState.PENDING, PromiseState.REJECTED),
        (PromiseState.PENDING, PromiseState.REJECTED_CANCELED),
        (PromiseState.PENDING, PromiseState.REJECTED_TIMEDOUT),
    }
)


def _kept(s: Step) -> Iterable[MovedPromise]:
    return s.promises


def _settled_before(s: Step) -> Iterable[MovedPromise]:
    return (m for m in s.promises if not is_pending(m.old))


def _pending_after(s: Step) -> Iterable[MovedPromise]:
    return (m for m in s.promises if is_pending(m.new))


def _restamped(s: Step) -> Iterable[MovedPromise]:
    return (
        m
        for m in s.moved_promises
        if m.old.record.state is not m.new.record.state or m.old.record.settled_at != m.new.record.settled_at
    )


def _changed_state(s: Step) -> Iterable[MovedPromise]:
    return (m for m in s.moved_promises if m.old.record.state is not m.new.record.state)


def _several_ids(s: Step) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    before = tuple(p.record.id for p in s.a.snapshot.promises)
    after = tuple(p.record.id for p in s.b.snapshot.promises)
    return ((before, after),) if len(after) > 1 else ()


def _ids_before(s: Step) -> Iterable[str]:
    return s.a.promises


def _before_and_after(s: Step) -> Iterable[tuple[PromiseSnapshot | None, PromiseSnapshot]]:
    yield from ((m.old, m.new) for m in s.promises)
    yield from ((None, p) for p in s.born_promises)


def _with_callbacks(s: Step, *, pending: bool) -> Iterable[tuple[frozenset[str], frozenset[str]]]:
    for old, new in _before_and_after(s):
        before = old.callbacks if old else ()
        if is_pending(new) is pending and (before or new.callbacks):
            yield frozenset(before), frozenset(new.callbacks)


def _with_listeners(s: Step, *, pending: bool) -> Iterable[tuple[frozenset[str], frozenset[str]]]:
    for old, new in _before_and_after(s):
        before = old.listeners if old else ()
        if is_pending(new) is pending and (before or new.listeners):
            yield frozenset(before), frozenset(new.listeners)


def _settling(s: Step) -> Iterable[MovedPromise]:
    return s.settling


def _timing_out(s: Step) -> Iterable[MovedPromise]:
    return (m for m in s.settling if m.new.record.state is PromiseState.REJECTED_TIMEDOUT)


def _born(s: Step) -> Iterable[PromiseSnapshot]:
    return s.born_promises


@over_each(_kept)
def preserved_promise_birth_fields_immutable(m: MovedPromise) -> bool:
    """No step changes a promise's param, tags, deadline or instant of creation."""
    old, new = m.old.record, m.new.record
    return old is new or (
        (old.param, old.tags, old.timeout_at, old.created_at) == (new.param, new.tags, new.timeout_at, new.created_at)
    )


@over_each(_settled_before)
def preserved_settled_promise_record(m: MovedPromise) -> bool:
    """No step changes anything in the record of a settled promise; only its callbacks and listeners drain."""
    return m.old.record is m.new.record or m.old.record == m.new.record


@over_each(_settled_before)
def preserved_promise_state_frozen_once_settled(m: MovedPromise) -> bool:
    """No step changes the state of a settled promise."""
    return m.old.record.state is m.new.record.state


@over_each(_pending_after)
def preserved_promise_settlement_is_one_way(m: MovedPromise) -> bool:
    """What is pending after a step was pending before."""
    return is_pending(m.old)


@over_each(_restamped)
def consistent_promise_settled_at_moves_with_state(m: MovedPromise) -> bool:
    """A promise's instant of settlement and its state change in the same step or not at all."""
    old, new = m.old.record, m.new.record
    return (old.settled_at != new.settled_at) == (old.state is not new.state)


@over_each(_pending_after)
def preserved_promise_value_until_settlement(m: MovedPromise) -> bool:
    """No step changes the value of a promise that stays pending."""
    return m.old.record.value == m.new.record.value


@over_each(_several_ids)
def preserved_promise_no_duplicate_ids(item: tuple[tuple[str, ...], tuple[str, ...]]) -> bool:
    """No step makes two promises of one id where there were no two before."""
    before, after = item
    return is_unique(after) or not is_unique(before)


@over_each_seeing(_ids_before)
def monotone_promise_set_grows(s: Step, id: str) -> bool:
    """No step removes a promise."""
    return id in s.b.promises


@over_each(lambda s: _with_callbacks(s, pending=True))
def monotone_promise_callbacks_grow_while_pending(item: tuple[frozenset[str], frozenset[str]]) -> bool:
    """No step takes a callback from a promise that is pending after it."""
    before, after = item
    return before <= after


@over_each(lambda s: _with_callbacks(s, pending=False))
def monotone_promise_callbacks_shrink_once_settled(item: tuple[frozenset[str], frozenset[str]]) -> bool:
    """No step gives a callback to a promise that is settled after it."""
    before, after = item
    return before >= after


@over_each(lambda s: _with_listeners(s, pending=True))
def monotone_promise_listeners_grow_while_pending(item: tuple[frozenset[str], frozenset[str]]) -> bool:
    """No step takes a listener from a promise that is pending after it."""
    before, after = item
    return before <= after


@over_each(lambda s: _with_listeners(s, pending=False))
def monotone_promise_listeners_shrink_once_settled(item: tuple[frozenset[str], frozenset[str]]) -> bool:
    """No step gives a listener to a promise that is settled after it."""
    before, after = item
    return before >= after


@over_each(_changed_state)
def consistent_promise_state_edge_admissible(m: MovedPromise) -> bool:
    """A promise changes state only from pending to one of the settled states."""
    return (m.old.record.state, m.new.record.state) in _EDGES


@over_each(_settling)
def consistent_promise_settlement_stamp(m: MovedPromise) -> bool:
    """A promise settles in one of two ways: by a client, or by its deadline.

    By a client: stamped now, before its deadline, and not as rejected_timedout. By its deadline: once that has come,
    stamped at it, with the verdict of its timer tag and its value untouched.
    """
    new = m.new.record
    by_client = new.settled_at == m.now < new.timeout_at and new.state is not PromiseState.REJECTED_TIMEDOUT
    by_deadline = is_settled_by_deadline(new) and new.timeout_at <= m.now and new.value == m.old.record.value
    return by_client or by_deadline


@over_each(_timing_out)
def preserved_timedout_is_server_owned(m: MovedPromise) -> bool:
    """What becomes rejected_timedout is past its deadline and stamped at it."""
    return m.old.record.timeout_at <= m.now and m.new.record.settled_at == m.old.record.timeout_at


@over_each_seeing(_born)
def consistent_new_promise_born_clean(s: Step, p: PromiseSnapshot) -> bool:
    """A promise is born with no callbacks, no listeners and no value, in one of two shapes.

    Pending and before its deadline, created now (by a schedule: at an occurrence not after now); or past its deadline,
    created and settled at it with the verdict of its timer tag.
    """
    record = p.record
    created_in_time = record.created_at == s.now or (s.cause is Cause.INTERNAL and record.created_at < s.now)
    alive = is_live(record, s.now) and record.settled_at is None and created_in_time
    late = is_settled_by_deadline(record) and record.created_at == record.timeout_at <= s.now
    return not p.callbacks and not p.listeners and has_no_value(record.value) and (alive or late)


PROPERTIES: Final[tuple[StepProperty, ...]] = (
    preserved_promise_birth_fields_immutable,
    preserved_settled_promise_record,
    preserved_promise_state_frozen_once_settled,
    preserved_promise_settlement_is_one_way,
    consistent_promise_settled_at_moves_with_state,
    preserved_promise_value_until_settlement,
    preserved_promise_no_duplicate_ids,
    monotone_promise_set_grows,
    monotone_promise_callbacks_grow_while_pending,
    monotone_promise_callbacks_shrink_once_settled,
    monotone_promise_listeners_grow_while_pending,
    monotone_promise_listeners_shrink_once_settled,
    consistent_promise_state_edge_admissible,
    consistent_promise_settlement_stamp,
    preserved_timedout_is_server_owned,
    consistent_new_promise_born_clean,
)
