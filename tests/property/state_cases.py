"""For each state property: a store that keeps it, and keeps all others, and one that breaks it.

The two differ in nothing but what the property is about.
"""

from __future__ import annotations

from resonate.core.protocol.records import NO_VALUE, PromiseState, Value
from resonate.core.protocol.snapshot import Snapshot
from tests.property.build import (
    ADDRESS,
    BORN,
    DEADLINE,
    EXTERNAL,
    NOW,
    OTHER_ADDRESS,
    TARGET,
    TARGETED,
    TIMER,
    VALUE,
    acquired,
    execute,
    external,
    fulfilled,
    halted,
    pending,
    promise,
    resolved,
    schedule,
    store,
    suspended,
    targeted,
    timed_out,
    unblock,
)

LATE = DEADLINE + 1
TARGETED_TIMER = TARGETED | TIMER

STATE_CASES: dict[str, tuple[Snapshot, Snapshot]] = {
    "well_formed_promise_created_at_lte_timeout_at": (
        store(promise(timeout_at=NOW, created_at=NOW, settled_at=NOW, state=PromiseState.REJECTED_TIMEDOUT)),
        store(promise(timeout_at=BORN, created_at=NOW, settled_at=NOW, state=PromiseState.REJECTED_TIMEDOUT)),
    ),
    "well_formed_promise_pending_created_before_deadline": (
        store(promise(timeout_at=NOW + 1, created_at=NOW)),
        store(promise(timeout_at=NOW, created_at=NOW)),
    ),
    "well_formed_promise_settled_at_lte_timeout_at": (
        store(resolved(promise(), settled_at=DEADLINE - 1), now=LATE),
        store(resolved(promise(), settled_at=DEADLINE + 1), now=LATE),
    ),
    "well_formed_promise_created_at_lte_settled_at": (
        store(resolved(promise(), settled_at=BORN)),
        store(resolved(promise(), settled_at=BORN - 1)),
    ),
    "well_formed_promise_settled_at_iff_not_pending": (
        store(resolved(promise()), promise("q")),
        store(resolved(promise(), settled_at=None), promise("q")),
    ),
    "well_formed_promise_pending_has_no_value": (
        store(promise(value=NO_VALUE)),
        store(promise(value=Value(headers={"a": "b"}))),
    ),
    "well_formed_promise_deadline_verdict_matches_timer_tag": (
        store(timed_out(promise()), timed_out(promise("q", tags=TIMER), state=PromiseState.RESOLVED), now=LATE),
        store(timed_out(promise()), timed_out(promise("q", tags=TIMER), state=PromiseState.REJECTED), now=LATE),
    ),
    "well_formed_promise_deadline_settlement_has_no_value": (
        store(timed_out(promise()), now=LATE),
        store(timed_out(promise(), value=VALUE), now=LATE),
    ),
    "well_formed_promise_timer_not_targeted": (
        store(promise(tags=TIMER), targeted(), pending()),
        store(promise(tags=TIMER), targeted(tags=TARGETED_TIMER), pending()),
    ),
    "well_formed_promise_timedout_is_server_owned": (
        store(timed_out(promise()), now=LATE),
        store(timed_out(promise(), settled_at=DEADLINE - 1), now=LATE),
    ),
    "well_formed_promise_callbacks_unique": (
        store(external(callbacks=("t", "u")), targeted(), targeted("u"), pending(), pending("u")),
        store(external(callbacks=("t", "t")), targeted(), targeted("u"), pending(), pending("u")),
    ),
    "well_formed_promise_listeners_unique": (
        store(external(listeners=(ADDRESS, OTHER_ADDRESS))),
        store(external(listeners=(ADDRESS, ADDRESS))),
    ),
    "well_formed_promise_obligations_require_external": (
        store(external(listeners=(ADDRESS,)), promise("q", tags=TIMER, listeners=(ADDRESS,))),
        store(external(listeners=(ADDRESS,)), promise("q", tags={}, listeners=(ADDRESS,))),
    ),
    "well_formed_promise_awaiter_is_not_self": (
        store(targeted(callbacks=("u",)), pending(), targeted("u"), pending("u")),
        store(targeted(callbacks=("t",)), pending(), targeted("u"), pending("u")),
    ),
    "well_formed_promise_created_at_lte_now": (
        store(promise(created_at=NOW)),
        store(promise(created_at=NOW + 1)),
    ),
    "well_formed_promise_settled_at_lte_now": (
        store(resolved(promise(), settled_at=NOW)),
        store(resolved(promise(), settled_at=NOW + 1)),
    ),
    "well_formed_promise_target_is_nonempty": (
        store(targeted(), pending()),
        store(targeted(tags={"resonate:target": ""}), pending()),
    ),
    "well_formed_promise_delay_before_deadline": (
        store(targeted(tags=TARGETED | {"resonate:delay": str(DEADLINE - 1)}), pending()),
        store(targeted(tags=TARGETED | {"resonate:delay": str(DEADLINE)}), pending()),
    ),
    "well_formed_task_acquired_iff_has_pid": (
        store(targeted(), acquired()),
        store(targeted(), acquired(pid=None)),
    ),
    "well_formed_task_acquired_iff_has_ttl": (
        store(targeted(), acquired()),
        store(targeted(), acquired(ttl=None)),
    ),
    "well_formed_task_acquired_iff_has_expires_at": (
        store(targeted(), pending()),
        store(targeted(), pending(expires_at=NOW)),
    ),
    "well_formed_task_pending_iff_has_retry_at": (
        store(targeted(), acquired()),
        store(targeted(), acquired(retry_at=NOW)),
    ),
    "well_formed_task_fulfilled_is_cleared": (
        store(resolved(targeted()), fulfilled()),
        store(resolved(targeted()), fulfilled(resumes=("p",))),
    ),
    "well_formed_task_suspended_is_cleared": (
        store(targeted(), suspended(), external(callbacks=("t",))),
        store(targeted(), suspended(ttl=60), external(callbacks=("t",))),
    ),
    "well_formed_task_halted_is_cleared": (
        store(targeted(), halted(resumes=("p",))),
        store(targeted(), halted(retry_at=NOW)),
    ),
    "well_formed_task_suspended_has_no_resumes": (
        store(targeted(), suspended(), external(callbacks=("t",))),
        store(targeted(), suspended(resumes=("p",)), external(callbacks=("t",))),
    ),
    "well_formed_task_resumes_unique": (
        store(targeted(), acquired(resumes=("p", "q"))),
        store(targeted(), acquired(resumes=("p", "p"))),
    ),
    "well_formed_task_acquired_version_positive": (
        store(targeted(), acquired(version=1)),
        store(targeted(), acquired(version=0)),
    ),
    "well_formed_task_ttl_positive": (
        store(targeted(), acquired(ttl=1)),
        store(targeted(), acquired(ttl=0)),
    ),
    "well_formed_schedule_promise_tags_not_timer_targeted": (
        store(schedule()),
        store(schedule(promise_tags=TARGETED_TIMER)),
    ),
    "well_formed_schedule_created_at_lte_next_run_at": (
        store(schedule(next_run_at=BORN)),
        store(schedule(next_run_at=BORN - 1)),
    ),
    "well_formed_schedule_created_at_lte_last_run_at": (
        store(schedule(last_run_at=BORN)),
        store(schedule(last_run_at=BORN - 1)),
    ),
    "well_formed_schedule_last_run_at_lt_next_run_at": (
        store(schedule(last_run_at=NOW, next_run_at=NOW + 1)),
        store(schedule(last_run_at=NOW, next_run_at=NOW)),
    ),
    "well_formed_store_promise_ids_unique": (
        store(promise("p"), promise("q")),
        store(promise("p"), promise("p")),
    ),
    "well_formed_store_task_ids_unique": (
        store(targeted("t"), targeted("u"), pending("t"), pending("u")),
        store(targeted("t"), targeted("u"), pending("t"), pending("u"), pending("t")),
    ),
    "well_formed_store_schedule_ids_unique": (
        store(schedule("s"), schedule("r")),
        store(schedule("s"), schedule("s")),
    ),
    "well_formed_store_outbox_keys_unique": (
        store(targeted(), pending(version=1), execute(version=1), unblock(resolved(promise())), resolved(promise())),
        store(targeted(), pending(version=1), execute(version=1), execute(version=0)),
    ),
    "consistent_task_iff_targeted_promise": (
        store(targeted(), pending(), promise()),
        store(targeted(), promise()),
    ),
    "consistent_settled_promise_has_fulfilled_task": (
        store(resolved(targeted()), fulfilled()),
        store(resolved(targeted()), pending()),
    ),
    "consistent_settled_task_promise_settled": (
        store(timed_out(targeted()), fulfilled(), now=LATE),
        store(targeted(), fulfilled(), now=LATE),
    ),
    "consistent_callback_awaiter_is_targeted": (
        store(external(callbacks=("t",)), targeted(), pending()),
        store(external(callbacks=("q",)), external("q")),
    ),
    "consistent_listener_addresses_deliverable": (
        store(external(listeners=(OTHER_ADDRESS,))),
        store(external(listeners=("poll://nobody",))),
    ),
    "consistent_outbox_execute_names_existing_task": (
        store(targeted(), pending(), execute()),
        store(targeted(), pending(), execute("u")),
    ),
    "consistent_outbox_never_ahead": (
        store(targeted(), acquired(version=1), execute(version=1)),
        store(targeted(), acquired(version=1), execute(version=2)),
    ),
    "consistent_outbox_execute_address_is_target_tag": (
        store(targeted(), pending(), execute(address=TARGET)),
        store(targeted(), pending(), execute(address=OTHER_ADDRESS)),
    ),
    "consistent_outbox_unblock_names_settled_promise": (
        store(resolved(external()), unblock(resolved(external()))),
        store(external(), unblock(resolved(external()))),
    ),
    "consistent_outbox_unblock_address_deliverable": (
        store(resolved(external()), unblock(resolved(external()), OTHER_ADDRESS)),
        store(resolved(external()), unblock(resolved(external()), "mailto:me")),
    ),
    "consistent_suspended_task_holds_rung": (
        store(targeted(), suspended(), external(tags=EXTERNAL, callbacks=("t",))),
        store(targeted(), suspended(), external(tags=EXTERNAL, callbacks=())),
    ),
}
