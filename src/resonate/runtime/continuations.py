"""Bodies of suspended workflows, parked in memory so that a resume goes on in place.

Law 1: a cache, bounded by count and by age: losing a body costs a replay and nothing else.
Law 2: a body goes on only if nobody has had its task since: it then knows all that the history holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from resonate.core.engine.execution import Execution
from resonate.ports.clock import Clock


class Bell(Protocol):
    """Whoever calls a function at an instant."""

    def set(self, at: int, call: Callable[[], None], /) -> object:
        """Call `call` at `at` (epoch ms)."""
        ...


@frozen
class Parked:
    """A suspended execution, the task version under which it was suspended, and when (epoch ms)."""

    execution: Execution
    version: int
    since: int


class Continuations:
    """The most recently parked executions.

    Args:
        limit: how many are kept; 0 keeps none, so that every resume replays.
        age_ms: how long one is kept that nothing resumes; None for as long as there is room.
        clock: tells how long.
        bell: rings when one is too old.
    """

    def __init__(self, limit: int, age_ms: int | None, clock: Clock, bell: Bell) -> None:
        self._limit = limit
        self._age_ms = age_ms
        self._clock = clock
        self._bell = bell
        self._rings = False
        self._parked: OrderedDict[str, Parked] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        """Return how many are parked."""
        return len(self._parked)

    @property
    def parked(self) -> tuple[str, ...]:
        """The ids of those that are parked."""
        return tuple(self._parked)

    def park(self, execution: Execution, version: int) -> None:
        """Keep `execution`; the one parked longest ago is closed if there is no room."""
        if self._limit == 0:
            execution.close()
            return
        self._parked[execution.id] = Parked(execution, version, self._clock.now())
        self._parked.move_to_end(execution.id)
        while len(self._parked) > self._limit:
            self._close_oldest()
        self._set_bell()

    def take(self, execution_id: str, version: int) -> Parked | None:
        """Remove and return the execution, if it is here and nobody has had its task since."""
        parked = self._parked.get(execution_id)
        return self._parked.pop(execution_id) if parked is not None and parked.version == version else None

    def drop(self, execution_id: str) -> None:
        """Close the execution, if it is here."""
        parked = self._parked.pop(execution_id, None)
        if parked is not None:
            parked.execution.close()

    def clear(self) -> None:
        """Close all."""
        while self._parked:
            self._close_oldest()

    def _close_oldest(self) -> None:
        self._parked.popitem(last=False)[1].execution.close()

    def _set_bell(self) -> None:
        """Have the bell ring when the oldest is too old; it rings once for all that are by then."""
        if self._age_ms is None or self._rings or not self._parked:
            return
        self._rings = True
        self._bell.set(next(iter(self._parked.values())).since + self._age_ms, self._evict)

    def _evict(self) -> None:
        self._rings = False
        assert self._age_ms is not None
        latest = self._clock.now() - self._age_ms
        while self._parked and next(iter(self._parked.values())).since <= latest:
            self._close_oldest()
        self._set_bell()
