"""How a client is doing, for a health check."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from resonate.core.protocol.requests import PromiseGet
from resonate.errors import ResonateError, StoreError
from resonate.ports.clock import Clock
from resonate.ports.store import Store
from resonate.runtime.worker import Worker

_NOBODY: Final = "resonate-health"


@frozen(kw_only=True)
class Health:
    """How a client is doing.

    Args:
        trouble: what is wrong, None if nothing is. A store that does not answer may come back by itself; one that
            refuses this process's credentials (`AuthError`) does not: the worker has stopped for good.
        store_ms: how long the store took to answer, None if it was not asked or did not.
        executions: how many executions are held here now.
    """

    trouble: ResonateError | None
    store_ms: int | None
    executions: int

    @property
    def ok(self) -> bool:
        """Whether the store answers and the worker takes tasks."""
        return self.trouble is None


async def examine(worker: Worker, store: Store, clock: Clock) -> Health:
    """Ask the store for a promise that is not there; any answer will do. One that refused is not asked again."""
    trouble, taken = worker.trouble, None
    if trouble is None:
        since = clock.now()
        try:
            await store.send(PromiseGet(_NOBODY))
            taken = clock.now() - since
        except StoreError as error:
            trouble = error
    return Health(trouble=trouble, store_ms=taken, executions=worker.executions)
