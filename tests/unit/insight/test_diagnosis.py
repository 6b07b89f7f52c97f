"""Causes that are hard to stage on a real store, or that none shows."""

from __future__ import annotations

import pytest

from resonate import CauseKind, NondeterminismError, PromiseState
from resonate.core.engine.identity import Kind as Asked
from resonate.core.insight.diagnosis import why_of
from resonate.core.insight.picture import Facts, Here, Retrying
from resonate.core.protocol.records import Tag, TaskState, Value
from resonate.errors import EngineBug, FunctionNotRegistered
from tests.unit.insight.pictures import LOCAL, NOW, OUTSIDE, TIMER, on, picture, promise, task

ACQUIRED, PENDING, SUSPENDED = TaskState.ACQUIRED, TaskState.PENDING, TaskState.SUSPENDED


def here(**more) -> Here:
    return Here(**{"pid": "p", "group": "g", "registered": lambda _name, _version: True, **more})


def test_executions_that_wait_for_each_other():
    found = picture(
        promise("a", on("g"), parent="a"),
        promise("b", on("g"), parent="a"),
        tasks=(task("a", SUSPENDED), task("b", SUSPENDED)),
        facts=Facts(awaiting={"a": ("b",), "b": ("a",)}),
    )
    why = why_of(found, "a")
    assert why.cause.kind is CauseKind.CYCLE
    assert why.line == "a waits for itself: a > b > a."
    assert why.cause.hint == "Cancel one of them: resonate cancel a"


def test_a_command_in_a_hint_can_be_pasted_whatever_the_id():
    found = picture(
        promise("a b", on("g"), parent="a b"),
        tasks=(task("a b", SUSPENDED),),
        facts=Facts(awaiting={"a b": ("a b",)}),
    )
    assert why_of(found, "a b").cause.hint == "Cancel one of them: resonate cancel 'a b'"


def test_a_cycle_that_is_come_upon_from_both_sides():
    found = picture(
        *(promise(id, on("g")) for id in "abc"),
        tasks=tuple(task(id, SUSPENDED) for id in "abc"),
        facts=Facts(awaiting={"a": ("b", "c"), "b": ("c",), "c": ("b",)}),
    )
    assert why_of(found, "a").cause.kind is CauseKind.CYCLE


def test_what_two_wait_for_is_told_once():
    found = picture(
        promise("a", on("g")),
        promise("a:1", on("g"), parent="a"),
        promise("a:2", on("g"), parent="a"),
        promise("p", OUTSIDE, kind=Asked.PROMISE),
        tasks=tuple(task(id, SUSPENDED) for id in ("a", "a:1", "a:2")),
        facts=Facts(awaiting={"a": ("a:1", "a:2"), "a:1": ("p",), "a:2": ("p",)}),
    )
    assert [cause.id for cause in why_of(found, "a").causes] == ["p"]


def test_suspended_on_nothing():
    why = why_of(picture(promise("a", on("g")), tasks=(task("a", SUSPENDED),)), "a")
    assert why.cause.kind is CauseKind.NOT_RESUMED
    assert why.line.startswith("a (work) is suspended, and nothing that it is seen to wait for is pending.")


def test_what_was_waited_for_is_over_and_no_worker_is_there():
    alone = picture(promise("a", on("g")), tasks=(task("a", SUSPENDED),), facts=Facts(groups={"other": ("p",)}))
    why = why_of(alone, "a")
    assert why.cause.kind is CauseKind.NO_WORKER
    assert why.line == "What a (work) waited for is over, and no worker of group g is connected."
    assert why.cause.hint == "Start a worker of group g: it goes on."


def test_the_engines_own_timers_count_if_there_is_nothing_else():
    own = promise("a:1.0", TIMER, parent="a")
    suspended = (task("a", SUSPENDED),)
    assert why_of(picture(promise("a", on("g")), own, tasks=suspended), "a").cause.id == "a:1.0"
    both = picture(promise("a", on("g")), own, promise("a:1", OUTSIDE, parent="a", kind=Asked.PROMISE), tasks=suspended)
    assert [cause.id for cause in why_of(both, "a").causes] == ["a:1"]


def test_a_dead_holder_and_a_lease_that_ran_out():
    held = (promise("a", on("g")), promise("a:1", LOCAL, parent="a", kind=Asked.RUN))
    tasks = (task("a", ACQUIRED, pid="p"),)
    dead = why_of(picture(*held, tasks=tasks, facts=Facts(expires={"a": NOW + 41_000}, alive={"p": False})), "a")
    assert dead.cause.kind is CauseKind.HOLDER_DEAD
    assert dead.line == "a (work) is held by process p, which is dead; its lease ends in 41 s."
    lapsed = why_of(picture(*held, tasks=tasks, facts=Facts(expires={"a": NOW - 5_000}, alive={"p": True})), "a")
    assert lapsed.cause.kind is CauseKind.LEASE_LAPSED
    assert lapsed.line == "a (work) is held by process p, whose lease ran out 5.0 s ago."
    step = why_of(picture(*held, tasks=tasks, facts=Facts(alive={"p": False})), "a:1")
    assert step.cause.path == ("a:1", "a")
    assert step.line == "a:1 waits for a: a (work) is held by process p, which is dead."


def test_held_with_nothing_under_way():
    why = why_of(picture(promise("a", on("g")), tasks=(task("a", ACQUIRED, pid="p"),)), "a")
    assert why.cause.kind is CauseKind.RUNNING
    assert why.line == "a (work) is being run by process p."


def test_held_while_it_waits_for_what_others_settle():
    found = picture(
        promise("a", on("g")),
        promise("a:1", OUTSIDE, parent="a", kind=Asked.PROMISE),
        tasks=(task("a", ACQUIRED, pid="p"),),
    )
    assert why_of(found, "a").cause.id == "a:1"


def test_a_local_workflow_is_walked_to_its_steps():
    found = picture(
        promise("a", on("g")),
        promise("a:1", LOCAL, parent="a", kind=Asked.RUN, call="part"),
        promise("a:1.1", LOCAL, parent="a:1", kind=Asked.RUN, call="step"),
        promise("a:1.2", LOCAL, parent="a:1", kind=Asked.RUN, state=PromiseState.RESOLVED),
        tasks=(task("a", ACQUIRED, pid="p"),),
    )
    for id in ("a", "a:1", "a:1.1"):
        why = why_of(found, id)
        assert (why.cause.kind, why.cause.id) == (CauseKind.STEP_RUNNING, "a:1.1")
    assert why_of(found, "a").cause.path == ("a", "a:1.1")


def test_a_step_that_nobody_runs_now_waits_for_its_execution():
    found = picture(
        promise("a", on("g")), promise("a:1", LOCAL, parent="a", kind=Asked.RUN), tasks=(task("a", PENDING),)
    )
    why = why_of(found, "a:1")
    assert why.cause.kind is CauseKind.NOT_TAKEN
    assert why.cause.path == ("a:1", "a")


def test_a_call_whose_execution_is_not_known():
    for call in (promise("a:1", LOCAL, parent="a"), promise("a:1", LOCAL, parent="a:1")):
        assert why_of(picture(call), "a:1").cause.kind is CauseKind.STEP_RUNNING
    with_owner = picture(promise("a", on("g")), promise("a:1", LOCAL, parent="a"))
    assert why_of(with_owner, "a:1").cause.kind is CauseKind.STEP_RUNNING


def test_a_step_that_retries_here():
    found = picture(
        promise("a", on("g")),
        promise("a:1", LOCAL, parent="a", kind=Asked.RUN),
        tasks=(task("a", ACQUIRED, pid="p"),),
        here=here(retrying={"a:1": Retrying(1, "OSError: no route", NOW + 2_000)}),
    )
    why = why_of(found, "a")
    assert why.line == (
        "a waits for a:1: the step a:1 (work) has failed 1 time, last with OSError: no route; "
        "it is tried again in 2.0 s."
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NondeterminismError("It asks for something else.", hint="Restore it."), CauseKind.CODE_CHANGED),
        (EngineBug("Driving it failed."), CauseKind.STOPPED),
        (FunctionNotRegistered("no function is registered here as 'work'."), CauseKind.FUNCTION_MISSING),
    ],
)
def test_what_this_process_knows_of_what_it_could_not_drive(error, kind):
    for state in (ACQUIRED, PENDING):
        holder = {"pid": "p"} if state is ACQUIRED else {}
        tasks = (task("a", state, 7, **holder),)
        found = picture(promise("a", on("g"), call="work@2"), tasks=tasks, here=here(troubles={"a": error}))
        why = why_of(found, "a")
        assert why.cause.kind is kind
        assert why.cause.error is not None
        if kind is CauseKind.FUNCTION_MISSING:
            assert why.line == "The function work in version 2 of a is not registered in process p of group g."
    elsewhere = picture(
        promise("a", on("g")), tasks=(task("a", ACQUIRED, 1, pid="q"),), here=here(troubles={"a": error})
    )
    assert why_of(elsewhere, "a").cause.kind is CauseKind.RUNNING


def test_a_function_that_is_not_registered_here_though_nobody_tried():
    missing = here(registered=lambda name, version: (name, version) != ("work", None))
    found = picture(promise("a", on("g")), tasks=(task("a", PENDING, 0),), here=missing)
    why = why_of(found, "a")
    assert why.cause.kind is CauseKind.FUNCTION_MISSING
    assert "Register it there" in (why.cause.hint or "")
    other = picture(promise("a", on("h")), tasks=(task("a", PENDING, 0),), here=missing)
    assert why_of(other, "a").cause.kind is CauseKind.NOT_TAKEN


def test_taken_again_and_again():
    never = picture(promise("a", on("g")), tasks=(task("a", PENDING, 3),))
    assert why_of(never, "a").line == (
        "a (work) was taken by workers of group g 3 times and gets no further: work may not be registered there."
    )
    woken = [promise(f"a:{n}", TIMER, parent="a", state=PromiseState.RESOLVED) for n in (1, 2)]
    explained = picture(promise("a", on("g")), *woken, tasks=(task("a", ACQUIRED, 4, pid="p"),))
    assert why_of(explained, "a").cause.kind is CauseKind.RUNNING
    stuck = picture(promise("a", on("g")), *woken, tasks=(task("a", ACQUIRED, 5, pid="p"),))
    assert why_of(stuck, "a").line == (
        "a (work) was taken by workers of group g 5 times and gets no further: "
        "its code may have changed, or its process may die there."
    )


def test_offered_to_workers_that_are_connected():
    for members, text in ((("w",), "though w is connected."), (("w", "x"), "though 2 are connected.")):
        found = picture(promise("a", on("g")), tasks=(task("a", PENDING, 0),), facts=Facts(groups={"g": members}))
        why = why_of(found, "a")
        assert why.cause.kind is CauseKind.NOT_TAKEN
        assert why.line.endswith(text)


def test_since_when_it_is_offered():
    def since(*promises, **more):
        cause = why_of(picture(promise("a", on("g")), *promises, tasks=(task("a", PENDING, **more),)), "a").cause
        return cause.since, "has taken the task a (work) yet" in cause.text, "a (work) again" in cause.text

    woken = promise("a:1", TIMER, parent="a", state=PromiseState.RESOLVED, settled=NOW - 7_000)
    assert since(version=0) == (NOW - 60_000, False, False)
    assert since(woken, version=1, resumes=1) == (NOW - 7_000, False, False)
    assert since(woken, version=1) == (None, False, True)
    assert since(version=1, resumes=1) == (None, False, True)


def test_a_task_that_nobody_knows_of_is_offered():
    assert why_of(picture(promise("a", on("g"))), "a").cause.kind is CauseKind.NOT_TAKEN


def test_a_delay_that_is_no_number_is_none():
    found = picture(promise("a", on("g", **{Tag.DELAY: "soon"})), tasks=(task("a", PENDING, 0),))
    assert why_of(found, "a").cause.kind is CauseKind.NOT_TAKEN


def test_how_it_ended():
    lines = {
        state: why_of(picture(promise("a", on("g"), state=state)), "a").line
        for state in PromiseState
        if state is not PromiseState.PENDING
    }
    assert lines == {
        PromiseState.RESOLVED: "a is over: it succeeded 1.0 s ago, at 2024-12-31 23:59:59 UTC.",
        PromiseState.REJECTED: ("a is over: it failed 1.0 s ago, at 2024-12-31 23:59:59 UTC, with no reason given"),
        PromiseState.REJECTED_CANCELED: "a is over: it was canceled 1.0 s ago, at 2024-12-31 23:59:59 UTC.",
        PromiseState.REJECTED_TIMEDOUT: (
            "a is over: it passed its deadline 1.0 s ago, at 2024-12-31 23:59:59 UTC, before anybody settled it."
        ),
    }


def test_an_error_is_followed_to_where_it_was_raised():
    def failed(id, parent, text):
        value = Value(data=f'{{"name": "E", "message": "{text}"}}')
        return promise(id, LOCAL, parent=parent, state=PromiseState.REJECTED, value=value)

    found = picture(
        failed("a", None, "x"), failed("a:1", "a", "y"), failed("a:2", "a", "x"), failed("a:2.1", "a:2", "x")
    )
    assert why_of(found, "a").line.endswith("with E: x (raised by a:2.1)")


def test_the_answer_in_lines():
    waits = [promise(f"a:{n}", OUTSIDE, parent="a", kind=Asked.PROMISE) for n in range(1, 9)]
    found = picture(promise("a", on("g")), *waits, tasks=(task("a", SUSPENDED),), whole=False)
    why = why_of(found, "a")
    lines = str(why).splitlines()
    assert "(and 7 more): nobody has settled the promise" in lines[0]
    assert lines[1:3] == ["  > a work: waiting", f"    > {why.cause.id} promise: pending"]
    assert lines[3].startswith("To do: ")
    assert lines[4] == "Also:"
    assert len([line for line in lines if line.startswith("  nobody has settled")]) == 4
    assert lines[-2] == "  ... and 3 more"
    assert lines[-1].startswith("The server serves no searches")
    assert len(why.lines(100)) == len(lines) + 2
    assert why_of(picture(), "a", ["b"]).lines() == ("There is no promise a.", "To do: Ids like it: b.")
    assert "resonate ps --all" in str(why_of(picture(), "a"))
    over = why_of(picture(promise("b", LOCAL, state=PromiseState.RESOLVED)), "b")
    assert len(over.lines()) == 1
