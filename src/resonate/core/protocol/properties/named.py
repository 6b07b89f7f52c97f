"""What a named property is: a guard that selects items, and a rule that every selected item must keep.

Law 1: a property bites at a state (a step) if its guard selects at least one item there; else it holds vacuously.
Law 2: a property's name is its rule's name, its meaning is its rule's docstring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from attrs import field, frozen

from resonate.core.protocol.properties.view import Cause, Step, View
from resonate.core.protocol.snapshot import Snapshot

T = TypeVar("T")


class Verdict(StrEnum):
    """How a property fares at a state or a step."""

    VACUOUS = "vacuous"
    HELD = "held"
    VIOLATED = "violated"


def _judge(items: Iterable[Any], keeps: Callable[[Any], bool]) -> Verdict:
    verdict = Verdict.VACUOUS
    for item in items:
        if not keeps(item):
            return Verdict.VIOLATED
        verdict = Verdict.HELD
    return verdict


@frozen
class StateProperty:
    """A property of each state. Called with a snapshot, it tells whether it holds."""

    name: str
    meaning: str
    select: Callable[[View], Iterable[Any]] = field(repr=False)
    rule: Callable[[View, Any], bool] = field(repr=False)

    def __call__(self, s: Snapshot) -> bool:
        """Tell whether the property holds at this state."""
        return self.judge(View(s)) is not Verdict.VIOLATED

    def judge(self, view: View) -> Verdict:
        """Return how the property fares."""
        return _judge(self.select(view), lambda item: self.rule(view, item))

    def violations(self, view: View) -> list[Any]:
        """Return the selected items that break the rule."""
        return [item for item in self.select(view) if not self.rule(view, item)]


@frozen
class StepProperty:
    """A property of each step. Called with the states before and after and the cause, it tells whether it holds."""

    name: str
    meaning: str
    select: Callable[[Step], Iterable[Any]] = field(repr=False)
    rule: Callable[[Step, Any], bool] = field(repr=False)

    def __call__(self, a: Snapshot, b: Snapshot, cause: Cause) -> bool:
        """Tell whether the property holds at this step."""
        return self.judge(Step(View(a), View(b), cause)) is not Verdict.VIOLATED

    def judge(self, step: Step) -> Verdict:
        """Return how the property fares."""
        return _judge(self.select(step), lambda item: self.rule(step, item))

    def violations(self, step: Step) -> list[Any]:
        """Return the selected items that break the rule."""
        return [item for item in self.select(step) if not self.rule(step, item)]


StateRule: TypeAlias = Callable[[View, T], bool]
StepRule: TypeAlias = Callable[[Step, T], bool]


def _named(rule: Callable[..., bool]) -> tuple[str, str]:
    return rule.__name__, " ".join((rule.__doc__ or "").split())


def at_each(select: Callable[[View], Iterable[T]]) -> Callable[[Callable[[T], bool]], StateProperty]:
    """Make a state property of a rule over single items."""

    def make(rule: Callable[[T], bool]) -> StateProperty:
        return StateProperty(*_named(rule), select, lambda _, item: rule(item))

    return make


def at_each_seeing(select: Callable[[View], Iterable[T]]) -> Callable[[StateRule[T]], StateProperty]:
    """Make a state property of a rule that looks from each item at the rest of the state."""

    def make(rule: StateRule[T]) -> StateProperty:
        return StateProperty(*_named(rule), select, rule)

    return make


def over_each(select: Callable[[Step], Iterable[T]]) -> Callable[[Callable[[T], bool]], StepProperty]:
    """Make a step property of a rule over single items."""

    def make(rule: Callable[[T], bool]) -> StepProperty:
        return StepProperty(*_named(rule), select, lambda _, item: rule(item))

    return make


def over_each_seeing(select: Callable[[Step], Iterable[T]]) -> Callable[[StepRule[T]], StepProperty]:
    """Make a step property of a rule that looks from each item at the rest of the step."""

    def make(rule: StepRule[T]) -> StepProperty:
        return StepProperty(*_named(rule), select, rule)

    return make
