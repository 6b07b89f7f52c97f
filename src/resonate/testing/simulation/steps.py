"""Steps in a simulation: they take a while of virtual time, run on the event loop, and can be counted and replaced."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final, TypeVar

from attrs import field, frozen

from resonate.core.engine.commands import RunStep
from resonate.runtime.steps import Steps
from resonate.runtime.threads import Call, outcome
from resonate.testing.simulation.world import Process

T = TypeVar("T")

MOMENTS: Final = (1, 1, 3, 60, 60, 4_000)
"""A step takes up to so many ms, before and after what it does; which, is drawn."""
LONG_MS: Final = 150_000
LONG: Final = 0.02
"""The share of steps that take so long that a lease has to be renewed meanwhile."""


def moment(chance: Random) -> int:
    """Draw how long a step takes."""
    return chance.randrange(LONG_MS if chance.random() < LONG else chance.choice(MOMENTS))


@frozen(kw_only=True)
class SimulatedSteps(Steps):
    """Steps of one simulated process.

    Args:
        process: in which they run.
        ran: counts attempts by function.
        stubs: what is called in place of a function.
        tell: is told of each attempt, or None.
    """

    process: Process
    ran: Counter[Callable[..., Any]]
    stubs: Mapping[Callable[..., Any], Callable[..., Any]]
    tell: Callable[[Process, str], None] | None = field(default=None)

    async def _attempt(self, command: RunStep, execution: str, attempt: int) -> Any:
        function = command.function
        chance = self.process.world.chance
        await asyncio.sleep(moment(chance) / 1000)
        self.ran[function.fn] += 1
        if self.tell is not None:
            self.tell(self.process, f"does {function.name} for {command.id}, attempt {attempt}")
        stub = self.stubs.get(function.fn)
        if stub is None:
            value = await super()._attempt(command, execution, attempt)
        else:
            args, kwargs = self._arguments(command, execution, attempt)
            value = stub(*args, **kwargs)
            if asyncio.iscoroutine(value):
                value = await value
        await asyncio.sleep(moment(chance) / 1000)
        return value


class OnLoop:
    """Runs what it is given at once, where it is: there are no threads in a simulation."""

    def submit(self, fn: Callable[[], T]) -> Call[T]:
        """Call it, and return what came of it."""
        call = Call(fn)
        call.end(*outcome(fn))
        return call

    def close(self) -> None:
        """Nothing waits to begin."""
