"""Every named property of the protocol.

Law 1: a property belongs to exactly one of the three tuples, under the name of its rule.
Law 2: `INTERNAL_STEP_PROPERTIES` speak of internal steps only, and hold vacuously at every other.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from resonate.core.protocol.properties import (
    state_between,
    state_promises,
    state_store,
    state_tasks,
    step_between,
    step_internal,
    step_promises,
    step_tasks,
)
from resonate.core.protocol.properties.named import StateProperty, StepProperty, Verdict
from resonate.core.protocol.properties.view import Cause, Step, View
from resonate.core.protocol.snapshot import Snapshot

STATE_PROPERTIES: Final[tuple[StateProperty, ...]] = (
    *state_promises.PROPERTIES,
    *state_tasks.PROPERTIES,
    *state_store.PROPERTIES,
    *state_between.PROPERTIES,
)

STEP_PROPERTIES: Final[tuple[StepProperty, ...]] = (
    *step_promises.PROPERTIES,
    *step_tasks.PROPERTIES,
    *step_between.PROPERTIES,
)

INTERNAL_STEP_PROPERTIES: Final[tuple[StepProperty, ...]] = step_internal.PROPERTIES

PROPERTIES: Final[tuple[StateProperty | StepProperty, ...]] = (
    *STATE_PROPERTIES,
    *STEP_PROPERTIES,
    *INTERNAL_STEP_PROPERTIES,
)


def violated_state(s: Snapshot) -> list[str]:
    """Return the names of the state properties that a state violates."""
    return _violated_state(View(s), Counter())


def violated_step(a: Snapshot, b: Snapshot, cause: Cause) -> list[str]:
    """Return the names of the step properties that the step from `a` to `b` violates."""
    return _violated_step(Step(View(a), View(b), cause), Counter())


def violated_by(a: Snapshot, b: Snapshot, cause: Cause) -> list[str]:
    """Return the names of the properties that `b`, or the step from `a` to it, violates, if `a` violates none.

    What a census does, in a fraction of its time, since nothing is counted.
    """
    before = View(a)
    after = View(b, a)
    step = Step(before, after, cause)
    violated: list[str] = []
    for state_property in STATE_PROPERTIES:
        rule = state_property.rule
        for item in state_property.select(after):
            if not rule(after, item):
                violated.append(state_property.name)
                break
    for step_property in (*STEP_PROPERTIES, *INTERNAL_STEP_PROPERTIES):
        keeps = step_property.rule
        for item in step_property.select(step):
            if not keeps(step, item):
                violated.append(step_property.name)
                break
    return violated


class Census:
    """Checks a run step by step, and counts in `bites` how often each property's guard selected anything.

    It looks only at what a step changed where a property speaks of single objects, so that a step's cost does not
    grow with what is stored for the sake of these.

    Args:
        first: the state the run starts from; it is taken to be right.
    """

    def __init__(self, first: Snapshot) -> None:
        self.bites: Counter[str] = Counter()
        self._last = View(first)

    def observe(self, b: Snapshot, cause: Cause) -> list[str]:
        """Return the names of the properties violated by the step from the last state to `b`, or by `b` itself."""
        before, self._last = self._last, View(b, self._last.snapshot)
        step = Step(before, self._last, cause)
        return _violated_state(self._last, self.bites) + _violated_step(step, self.bites)


def _violated_state(view: View, bites: Counter[str]) -> list[str]:
    return _violated([(p.name, p.judge(view)) for p in STATE_PROPERTIES], bites)


def _violated_step(step: Step, bites: Counter[str]) -> list[str]:
    properties = (*STEP_PROPERTIES, *INTERNAL_STEP_PROPERTIES)
    return _violated([(p.name, p.judge(step)) for p in properties], bites)


def _violated(verdicts: list[tuple[str, Verdict]], bites: Counter[str]) -> list[str]:
    bites.update(name for name, verdict in verdicts if verdict is not Verdict.VACUOUS)
    return [name for name, verdict in verdicts if verdict is Verdict.VIOLATED]
