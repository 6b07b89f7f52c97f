"""For each step property: a step that keeps it, and keeps all others, and one that breaks it.

A case is the cause, the state before, the state that is right after, and one that is wrong.
"""

from __future__ import annotations

from attrs import evolve

from resonate.core.protocol.properties import Cause
from resonate.core.protocol.records import PromiseState, Value
from resonate.core.protocol.snapshot import Snapshot
from tests.property.build import (
    ADDRESS,
    DEADLINE,
    NOW,
    OTHER_ADDRESS,
    RETRY,
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

ASKED, FIRED, DELIVERED = Cause.REQUEST, Cause.INTERNAL, Cause.DELIVERY
SETTLED_EARLIER = NOW - 1
DONE = resolved(external(), settled_at=SETTLED_EARLIER)
DUE = pending(retry_at=NOW)

STEP_CASES: dict[str, tuple[Cause, Snapshot, Snapshot, Snapshot]] = {
    # ------------------------------------------------------------ promises
    "preserved_promise_birth_fields_immutable": (
        ASKED,
        store(promise()),
        store(resolved(promise())),
        store(resolved(promise(param=VALUE))),
    ),
    "preserved_settled_promise_record": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,))),
        store(DONE, unblock(DONE)),
        store(resolved(DONE, settled_at=SETTLED_EARLIER, value=Value(data="43")), unblock(DONE)),
    ),
    "preserved_promise_state_frozen_once_settled": (
        ASKED,
        store(DONE),
        store(DONE),
        store(resolved(DONE, settled_at=SETTLED_EARLIER, state=PromiseState.REJECTED)),
    ),
    "preserved_promise_settlement_is_one_way": (
        ASKED,
        store(promise("q"), promise("r"), DONE),
        store(resolved(promise("q")), promise("r"), DONE),
        store(promise("q"), promise("r"), external()),
    ),
    "consistent_promise_settled_at_moves_with_state": (
        ASKED,
        store(promise()),
        store(resolved(promise())),
        store(resolved(promise(), settled_at=None)),
    ),
    "preserved_promise_value_until_settlement": (
        ASKED,
        store(external()),
        store(external(listeners=(ADDRESS,))),
        store(external(listeners=(ADDRESS,), value=VALUE)),
    ),
    "preserved_promise_no_duplicate_ids": (
        ASKED,
        store(promise()),
        store(promise(), promise("q", created_at=NOW)),
        store(promise(), promise(created_at=NOW)),
    ),
    "monotone_promise_set_grows": (
        ASKED,
        store(promise()),
        store(promise(), promise("q", created_at=NOW)),
        store(promise("q", created_at=NOW)),
    ),
    "monotone_promise_callbacks_grow_while_pending": (
        ASKED,
        store(targeted(), pending(), targeted("u"), pending("u"), external(callbacks=("t",))),
        store(targeted(), pending(), targeted("u"), pending("u"), external(callbacks=("t", "u"))),
        store(targeted(), pending(), targeted("u"), pending("u"), external(callbacks=("u",))),
    ),
    "monotone_promise_callbacks_shrink_once_settled": (
        FIRED,
        store(targeted(), pending(), targeted("u"), pending("u"), evolve(DONE, callbacks=("t", "u"))),
        store(targeted(), pending(resumes=("p",)), targeted("u"), pending("u"), evolve(DONE, callbacks=("u",))),
        store(targeted(), pending(), targeted("u"), pending("u"), evolve(DONE, callbacks=("t", "u", "v"))),
    ),
    "monotone_promise_listeners_grow_while_pending": (
        ASKED,
        store(external(listeners=(ADDRESS,))),
        store(external(listeners=(ADDRESS, OTHER_ADDRESS))),
        store(external(listeners=(OTHER_ADDRESS,))),
    ),
    "monotone_promise_listeners_shrink_once_settled": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,))),
        store(DONE, unblock(DONE)),
        store(evolve(DONE, listeners=(ADDRESS, OTHER_ADDRESS))),
    ),
    "consistent_promise_state_edge_admissible": (
        ASKED,
        store(promise()),
        store(resolved(promise())),
        store(resolved(promise(), state="done")),
    ),
    "consistent_promise_settlement_stamp": (
        ASKED,
        store(promise()),
        store(resolved(promise(), settled_at=NOW)),
        store(resolved(promise(), settled_at=NOW - 1)),
    ),
    "preserved_timedout_is_server_owned": (
        FIRED,
        store(external(timeout_at=NOW), promise("q")),
        store(timed_out(external(timeout_at=NOW)), promise("q")),
        store(external(timeout_at=NOW), timed_out(promise("q"), settled_at=NOW)),
    ),
    "consistent_new_promise_born_clean": (
        ASKED,
        store(),
        store(promise(created_at=NOW)),
        store(promise(created_at=NOW - 1)),
    ),
    # ------------------------------------------------------------ tasks
    "monotone_task_set_grows": (
        ASKED,
        store(targeted(), pending()),
        store(targeted(), pending(), targeted("u", created_at=NOW), pending("u", retry_at=NOW)),
        store(targeted()),
    ),
    "monotone_task_version_increases_only_on_acquisition": (
        ASKED,
        store(targeted(), pending(version=3)),
        store(targeted(), acquired(version=4)),
        store(targeted(), acquired(version=5)),
    ),
    "preserved_fulfilled_task": (
        ASKED,
        store(resolved(targeted()), fulfilled()),
        store(resolved(targeted()), fulfilled()),
        store(resolved(targeted()), fulfilled(version=2)),
    ),
    "consistent_task_state_edge_admissible": (
        ASKED,
        store(targeted(), acquired(), external(callbacks=("t",))),
        store(targeted(), suspended(), external(callbacks=("t",))),
        store(targeted(), suspended(state="parked"), external(callbacks=("t",))),
    ),
    "preserved_task_acquisition_only_from_pending": (
        ASKED,
        store(targeted(), pending(version=1), targeted("u"), halted("u")),
        store(targeted(), acquired(version=2), targeted("u"), halted("u")),
        store(targeted(), pending(version=1), targeted("u"), acquired("u")),
    ),
    "preserved_task_suspension_only_from_acquired": (
        ASKED,
        store(targeted(), acquired(), external(callbacks=("t", "u")), targeted("u"), pending("u")),
        store(targeted(), suspended(), external(callbacks=("t", "u")), targeted("u"), pending("u")),
        store(targeted(), acquired(), external(callbacks=("t", "u")), targeted("u"), suspended("u")),
    ),
    "preserved_task_halted_only_reenters_via_pending": (
        ASKED,
        store(targeted(), halted()),
        store(targeted(), pending(version=1, retry_at=NOW)),
        store(targeted(), acquired()),
    ),
    "consistent_task_birth_state": (
        ASKED,
        store(),
        store(targeted(created_at=NOW), pending(retry_at=NOW)),
        store(targeted(created_at=NOW), pending(retry_at=NOW, version=1)),
    ),
    "consistent_task_birth_couples_promise_birth": (
        ASKED,
        store(promise()),
        store(promise(), targeted(created_at=NOW), acquired()),
        store(promise(), acquired("p")),
    ),
    "consistent_task_acquisition_is_atomic": (
        ASKED,
        store(targeted(), pending(resumes=("p",))),
        store(targeted(), acquired(resumes=())),
        store(targeted(), acquired(resumes=("p",))),
    ),
    "consistent_task_lease_deadline_is_now_plus_ttl": (
        ASKED,
        store(targeted(), acquired(expires_at=NOW + 1)),
        store(targeted(), acquired(expires_at=NOW + 60)),
        store(targeted(), acquired(expires_at=NOW + 61)),
    ),
    "consistent_task_lease_released_atomically": (
        ASKED,
        store(targeted(), acquired()),
        store(targeted(), pending(version=1, retry_at=NOW)),
        store(targeted(), pending(version=1, retry_at=NOW, expires_at=NOW + 60)),
    ),
    "preserved_task_lease_holder_stable": (
        ASKED,
        store(targeted(), acquired(expires_at=NOW + 1)),
        store(targeted(), acquired(expires_at=NOW + 60)),
        store(targeted(), acquired(pid="w2")),
    ),
    "consistent_task_lease_fields_move_together": (
        ASKED,
        store(targeted(), acquired(expires_at=NOW + 1)),
        store(targeted(), acquired(expires_at=NOW + 60)),
        store(targeted(), acquired(ttl=70, expires_at=NOW + 70)),
    ),
    "monotone_task_resumes_grow_or_clear": (
        FIRED,
        store(targeted(), acquired(resumes=("o",)), evolve(DONE, callbacks=("t",))),
        store(targeted(), acquired(resumes=("o", "p")), DONE),
        store(targeted(), acquired(resumes=("p",)), DONE),
    ),
    "consistent_task_resumes_cleared_only_on_dispatch_or_park": (
        ASKED,
        store(targeted(), acquired(resumes=("p",))),
        store(targeted(), acquired(resumes=())),
        store(targeted(), halted(resumes=())),
    ),
    "consistent_task_pending_entry_arms_retry": (
        ASKED,
        store(targeted(), halted()),
        store(targeted(), pending(version=1, retry_at=NOW)),
        store(targeted(), pending(version=1, retry_at=NOW + 1)),
    ),
    "consistent_task_retry_rearm_only_when_due": (
        FIRED,
        store(targeted(), DUE, targeted("u"), pending("u", retry_at=NOW + 1)),
        store(targeted(), pending(retry_at=NOW + RETRY), targeted("u"), pending("u", retry_at=NOW + 1), execute()),
        store(targeted(), DUE, targeted("u"), pending("u", retry_at=NOW + RETRY), execute("u")),
    ),
    "monotone_task_retry_rearm_advances": (
        FIRED,
        store(targeted(), pending(retry_at=NOW - 1)),
        store(targeted(), pending(retry_at=NOW + 1), execute()),
        store(targeted(), pending(retry_at=NOW), execute()),
    ),
    "consistent_task_wake_records_resume": (
        FIRED,
        store(targeted(), suspended(), evolve(DONE, callbacks=("t",))),
        store(targeted(), pending(version=1, retry_at=NOW, resumes=("p",)), DONE),
        store(targeted(), pending(version=1, retry_at=NOW), DONE),
    ),
    # ------------------------------------------------------------ between objects
    "preserved_no_dead_dispatch": (
        FIRED,
        store(targeted(timeout_at=NOW + 1), acquired(expires_at=NOW), targeted("u", timeout_at=NOW), acquired("u")),
        store(
            targeted(timeout_at=NOW + 1),
            pending(version=1, retry_at=NOW),
            targeted("u", timeout_at=NOW),
            acquired("u"),
        ),
        store(
            targeted(timeout_at=NOW + 1),
            acquired(expires_at=NOW),
            targeted("u", timeout_at=NOW),
            pending("u", version=1, retry_at=NOW),
        ),
    ),
    "preserved_execute_only_for_live_task": (
        FIRED,
        store(targeted(timeout_at=NOW + 1), DUE, targeted("u", timeout_at=NOW), pending("u", retry_at=NOW)),
        store(
            targeted(timeout_at=NOW + 1),
            pending(retry_at=NOW + RETRY),
            targeted("u", timeout_at=NOW),
            pending("u", retry_at=NOW),
            execute(),
        ),
        store(
            targeted(timeout_at=NOW + 1),
            DUE,
            targeted("u", timeout_at=NOW),
            pending("u", retry_at=NOW + RETRY),
            execute("u"),
        ),
    ),
    "consistent_settlement_fulfils_task": (
        ASKED,
        store(targeted(), acquired(resumes=("p",))),
        store(resolved(targeted()), fulfilled()),
        store(resolved(targeted()), fulfilled(resumes=("p",))),
    ),
    "consistent_task_fulfilment_needs_settlement": (
        ASKED,
        store(targeted(), acquired()),
        store(resolved(targeted()), fulfilled()),
        store(targeted(), fulfilled()),
    ),
    "consistent_obligation_discharge_requires_settled": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,)), external("q", listeners=(ADDRESS,))),
        store(DONE, external("q", listeners=(ADDRESS,)), unblock(DONE)),
        store(evolve(DONE, listeners=(ADDRESS,)), external("q")),
    ),
    "consistent_callback_consumption_resumes_awaiter": (
        FIRED,
        store(targeted(), acquired(), evolve(DONE, callbacks=("t",))),
        store(targeted(), acquired(resumes=("p",)), DONE),
        store(targeted(), acquired(), DONE),
    ),
    "consistent_wake_follows_callback_consumption": (
        FIRED,
        store(targeted(), suspended(), evolve(DONE, callbacks=("t",))),
        store(targeted(), pending(version=1, retry_at=NOW, resumes=("p",)), DONE),
        store(targeted(), pending(version=1, retry_at=NOW, resumes=("p",)), evolve(DONE, callbacks=("t",))),
    ),
    "consistent_listener_consumption_enqueues_unblock": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,))),
        store(DONE, unblock(DONE)),
        store(DONE),
    ),
    "consistent_suspension_registers_callback": (
        ASKED,
        store(targeted(), acquired(), external()),
        store(targeted(), suspended(), external(callbacks=("t",))),
        store(targeted(), suspended(), external()),
    ),
    "monotone_outbox_keys_never_disappear": (
        ASKED,
        store(targeted(), pending(), execute()),
        store(resolved(targeted()), fulfilled(version=0), execute()),
        store(resolved(targeted()), fulfilled(version=0)),
    ),
    "consistent_new_execute_matches_task_and_target": (
        FIRED,
        store(targeted(), DUE),
        store(targeted(), pending(retry_at=NOW + RETRY), execute()),
        store(targeted(), pending(retry_at=NOW + RETRY), execute(address=OTHER_ADDRESS)),
    ),
    "consistent_new_unblock_carries_stored_record": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,))),
        store(DONE, unblock(DONE)),
        store(DONE, unblock(resolved(external(), settled_at=SETTLED_EARLIER, value=Value(data="43")))),
    ),
    "consistent_new_unblock_discharges_its_listener": (
        FIRED,
        store(evolve(DONE, listeners=(ADDRESS,))),
        store(DONE, unblock(DONE)),
        store(evolve(DONE, listeners=(ADDRESS,)), unblock(DONE)),
    ),
    "preserved_schedule_birth_fields_immutable": (
        FIRED,
        store(schedule(next_run_at=NOW)),
        store(schedule(last_run_at=NOW, next_run_at=NOW + 1)),
        store(schedule(last_run_at=NOW, next_run_at=NOW + 1, promise_timeout=1)),
    ),
    # ------------------------------------------------------------ internal steps only
    "consistent_task_state_edge_internal_admissible": (
        FIRED,
        store(targeted(), acquired(expires_at=NOW)),
        store(targeted(), pending(version=1, retry_at=NOW)),
        store(targeted(), halted()),
    ),
    "consistent_promise_state_edge_internal_admissible": (
        FIRED,
        store(promise(tags=TIMER, timeout_at=NOW)),
        store(timed_out(promise(tags=TIMER, timeout_at=NOW), state=PromiseState.RESOLVED)),
        store(resolved(promise(tags=TIMER, timeout_at=DEADLINE))),
    ),
}

STEPS_THAT_ARE_RIGHT: dict[str, tuple[Cause, Snapshot, Snapshot]] = {
    "a delivery takes messages out": (DELIVERED, store(targeted(), pending(), execute()), store(targeted(), pending())),
    "a late occurrence of a schedule is created at its instant": (
        FIRED,
        store(schedule(next_run_at=NOW - 10)),
        store(
            schedule(last_run_at=NOW - 10, next_run_at=NOW + 50),
            targeted(created_at=NOW - 10),
            pending(retry_at=NOW),
        ),
    ),
    "a promise that comes too late is born dead": (
        ASKED,
        store(),
        store(timed_out(targeted(timeout_at=NOW - 10, created_at=NOW - 10)), fulfilled(version=0)),
    ),
    "a delayed task is born with its dispatch later": (
        ASKED,
        store(),
        store(
            targeted(created_at=NOW, tags=TARGETED | {"resonate:delay": str(NOW + 7)}),
            pending(retry_at=NOW + 7),
        ),
    ),
    "a callback of an awaiter past its deadline is consumed for nothing": (
        FIRED,
        store(targeted(timeout_at=NOW), suspended(), evolve(DONE, callbacks=("t",))),
        store(targeted(timeout_at=NOW), suspended(), DONE),
    ),
}

STEPS_THAT_ARE_WRONG: dict[str, tuple[str, Cause, Snapshot, Snapshot]] = {
    "an awaiter past its deadline is woken": (
        "preserved_no_dead_dispatch",
        FIRED,
        store(targeted(timeout_at=NOW), suspended(), evolve(DONE, callbacks=("t",))),
        store(targeted(timeout_at=NOW), pending(version=1, retry_at=NOW, resumes=("p",)), DONE),
    ),
    "an awaiter past its deadline is given a resume": (
        "consistent_callback_consumption_resumes_awaiter",
        FIRED,
        store(targeted(timeout_at=NOW), acquired(), evolve(DONE, callbacks=("t",))),
        store(targeted(timeout_at=NOW), acquired(resumes=("p",)), DONE),
    ),
    "the task to be resumed is gone": (
        "consistent_callback_consumption_resumes_awaiter",
        FIRED,
        store(targeted(), acquired(), evolve(DONE, callbacks=("t",))),
        store(targeted(), DONE),
    ),
    "a promise created long ago comes from a request": (
        "consistent_new_promise_born_clean",
        ASKED,
        store(),
        store(promise(created_at=NOW - 10)),
    ),
    "a late occurrence is born pending past its deadline": (
        "consistent_new_promise_born_clean",
        FIRED,
        store(),
        store(targeted(created_at=NOW - 10, timeout_at=NOW), pending(retry_at=NOW)),
    ),
    "a sweeper acquires at birth": (
        "consistent_task_state_edge_internal_admissible",
        FIRED,
        store(),
        store(targeted(created_at=NOW), acquired()),
    ),
    "a version moves with a wake": (
        "monotone_task_version_increases_only_on_acquisition",
        FIRED,
        store(targeted(), suspended(), evolve(DONE, callbacks=("t",))),
        store(targeted(), pending(version=2, retry_at=NOW, resumes=("p",)), DONE),
    ),
    "a task is parked on a promise past its deadline": (
        "consistent_suspension_registers_callback",
        ASKED,
        store(targeted(), acquired(), external(timeout_at=NOW)),
        store(targeted(), suspended(), external(timeout_at=NOW, callbacks=("t",))),
    ),
    "a client gives the deadline's verdict, early": (
        "preserved_timedout_is_server_owned",
        ASKED,
        store(promise()),
        store(timed_out(promise())),
    ),
}
