"""What a step, and a workflow, may know of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar, overload

from attrs import field, frozen

from resonate.core.engine.environment import Dependencies

T = TypeVar("T")


@frozen(kw_only=True)
class Info:
    """Facts about the durable promise that a function is run for. Ask for it as a step's first parameter.

    Args:
        id: the promise's id, the same in every attempt, replay and process.
        execution: id of the execution it belongs to.
        function: the function's registered name.
        version: the function's version.
        attempt: counts from 1 the attempts of a step since its execution last started here; for a workflow,
            the task version (how often a worker has taken the execution up).
        timeout_at: the promise's deadline in epoch ms.
    """

    __resonate_info__: ClassVar[bool] = True

    id: str
    execution: str
    function: str
    version: int
    attempt: int
    timeout_at: int
    _dependencies: Dependencies = field(alias="dependencies", repr=False)

    @property
    def idempotency_key(self) -> str:
        """A key that is the same whenever this step is run again: give it to the service you call."""
        return self.id

    @property
    def deadline(self) -> datetime:
        """The promise's deadline, in UTC."""
        return datetime.fromtimestamp(self.timeout_at / 1000, UTC)

    @overload
    def get_dependency(self, key: type[T]) -> T: ...
    @overload
    def get_dependency(self, key: str) -> Any: ...

    def get_dependency(self, key: Any) -> Any:
        """Return the object registered under `key`. Raise `UsageError` if there is none."""
        return self._dependencies.get(key)
