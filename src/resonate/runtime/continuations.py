"""Bodies of suspended workflows, parked in memory so that a resume goes on in place.

A cache: losing one costs a replay.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import frozen

from resonate.core.engine.execution import Execution


@frozen
class Parked:
    """A suspended execution and the task version under which it was suspended."""

    execution: Execution
    version: int


class Continuations:
    """The `limit` most recently parked executions; 0 keeps none, so that every resume replays."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parked: OrderedDict[str, Parked] = OrderedDict()

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
        self._parked[execution.id] = Parked(execution, version)
        self._parked.move_to_end(execution.id)
        while len(self._parked) > self._limit:
            self._parked.popitem(last=False)[1].execution.close()

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
        parked, self._parked = self._parked, OrderedDict()
        for one in parked.values():
            one.execution.close()
