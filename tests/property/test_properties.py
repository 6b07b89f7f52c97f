"""Each named property can fail, and does not fail where nothing is wrong."""

from __future__ import annotations

import pytest

from resonate.core.protocol.properties import (
    INTERNAL_STEP_PROPERTIES,
    PROPERTIES,
    STATE_PROPERTIES,
    STEP_PROPERTIES,
    Cause,
    Census,
    StateProperty,
    StepProperty,
    violated_by,
    violated_state,
    violated_step,
)
from resonate.core.protocol.properties.view import Step, View
from resonate.core.protocol.snapshot import Snapshot
from tests.property.build import NOW, acquired, promise, store, targeted
from tests.property.names import INTERNAL_STEP_NAMES, STATE_NAMES, STEP_NAMES
from tests.property.state_cases import STATE_CASES
from tests.property.step_cases import STEP_CASES, STEPS_THAT_ARE_RIGHT, STEPS_THAT_ARE_WRONG

STATE = {p.name: p for p in STATE_PROPERTIES}
STEP = {p.name: p for p in (*STEP_PROPERTIES, *INTERNAL_STEP_PROPERTIES)}


def bitten(a: Snapshot, b: Snapshot, cause: Cause) -> set[str]:
    census = Census(a)
    census.observe(b, cause)
    return set(census.bites)


def test_the_registry_names_exactly_the_properties_of_the_protocol() -> None:
    assert sorted(p.name for p in STATE_PROPERTIES) == sorted(STATE_NAMES)
    assert sorted(p.name for p in STEP_PROPERTIES) == sorted(STEP_NAMES)
    assert sorted(p.name for p in INTERNAL_STEP_PROPERTIES) == sorted(INTERNAL_STEP_NAMES)
    assert len({p.name for p in PROPERTIES}) == len(PROPERTIES)


def test_every_property_says_what_it_means() -> None:
    assert [p.name for p in PROPERTIES if not p.meaning.endswith(".")] == []


def test_every_property_has_a_case() -> None:
    assert list(STATE_CASES.keys() ^ STATE.keys()) == []
    assert list(STEP_CASES.keys() ^ STEP.keys()) == []


@pytest.mark.parametrize("name", STATE)
def test_a_state_property_accepts_the_right_and_rejects_the_wrong(name: str) -> None:
    rule: StateProperty = STATE[name]
    right, wrong = STATE_CASES[name]
    assert violated_state(right) == []
    assert rule(right)
    assert name in bitten(store(now=right.now), right, Cause.REQUEST), "the right case must exercise the guard"
    assert not rule(wrong)
    assert name in violated_state(wrong)


@pytest.mark.parametrize("name", STEP)
def test_a_step_property_accepts_the_right_and_rejects_the_wrong(name: str) -> None:
    rule: StepProperty = STEP[name]
    cause, before, right, wrong = STEP_CASES[name]
    assert [violated_state(before), violated_state(right), violated_step(before, right, cause)] == [[], [], []]
    assert rule(before, right, cause)
    assert name in bitten(before, right, cause), "the right case must exercise the guard"
    assert not rule(before, wrong, cause)
    assert name in violated_step(before, wrong, cause)


@pytest.mark.parametrize("case", STEPS_THAT_ARE_RIGHT)
def test_a_step_that_looks_odd_is_right(case: str) -> None:
    cause, before, after = STEPS_THAT_ARE_RIGHT[case]
    assert [violated_state(before), violated_state(after), violated_step(before, after, cause)] == [[], [], []]


@pytest.mark.parametrize("case", STEPS_THAT_ARE_WRONG)
def test_a_step_that_looks_right_is_wrong(case: str) -> None:
    name, cause, before, after = STEPS_THAT_ARE_WRONG[case]
    assert name in violated_step(before, after, cause)


@pytest.mark.parametrize("name", INTERNAL_STEP_NAMES)
def test_what_only_internal_steps_must_keep_a_request_may_break(name: str) -> None:
    _, before, _, wrong = STEP_CASES[name]
    assert name not in violated_step(before, wrong, Cause.REQUEST)


def test_only_a_delivery_empties_the_outbox() -> None:
    _, before, after = STEPS_THAT_ARE_RIGHT["a delivery takes messages out"]
    assert "monotone_outbox_keys_never_disappear" in violated_step(before, after, Cause.INTERNAL)


def test_a_census_finds_what_violated_state_and_violated_step_find() -> None:
    for cause, before, right, wrong in STEP_CASES.values():
        assert Census(before).observe(right, cause) == []
        assert Census(before).observe(wrong, cause) == violated_state(wrong) + violated_step(before, wrong, cause)


def test_what_is_found_without_counting_is_what_a_census_finds() -> None:
    for cause, before, right, wrong in STEP_CASES.values():
        assert violated_by(before, right, cause) == []
        assert violated_by(before, wrong, cause) == violated_state(wrong) + violated_step(before, wrong, cause)
    for right, wrong in STATE_CASES.values():
        empty = store(now=wrong.now)
        assert violated_by(empty, wrong, Cause.REQUEST) == Census(empty).observe(wrong, Cause.REQUEST)
        assert violated_state(right) == []


def test_a_census_counts_steps_at_which_a_guard_bit() -> None:
    census = Census(store())
    assert census.observe(store(promise(created_at=NOW)), Cause.REQUEST) == []
    assert census.observe(store(promise(created_at=NOW)), Cause.REQUEST) == []
    assert census.bites["consistent_new_promise_born_clean"] == 1
    assert census.bites["monotone_promise_set_grows"] == 1
    assert census.bites["consistent_task_birth_state"] == 0


def test_a_property_shows_what_violates_it() -> None:
    of_state, of_step = STATE["well_formed_task_ttl_positive"], STEP["monotone_task_set_grows"]
    right, wrong = View(store(targeted(), acquired())), View(store(targeted(), acquired(ttl=0)))
    assert of_state.violations(right) == []
    assert of_state.violations(wrong) == [0]
    assert of_step.violations(Step(right, right, Cause.REQUEST)) == []
    assert of_step.violations(Step(right, View(store(targeted())), Cause.REQUEST)) == ["t"]
