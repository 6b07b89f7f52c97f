"""A handle: an execution or a promise, from outside of any workflow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar, cast

from resonate.core.engine.outcome import outcome_of
from resonate.core.protocol.records import PromiseRecord, PromiseState
from resonate.core.protocol.requests import PromiseGet, PromiseReply, PromiseSettle, Rejection
from resonate.core.values import Codec
from resonate.errors import NotFound, ResonateError, StoreError
from resonate.ports.store import Store
from resonate.runtime.watcher import Watcher

T = TypeVar("T")


def promise_of(reply: PromiseReply | Rejection, promise_id: str) -> PromiseRecord:
    """Return the promise of a reply; raise `NotFound` or `StoreError` for a refusal."""
    if isinstance(reply, PromiseReply):
        return reply.promise
    if reply.status == 404:
        raise NotFound(f"There is no promise {promise_id}.", step=promise_id)
    raise StoreError(f"The store refused: {reply.message}.", step=promise_id)


class Handle(Generic[T]):
    """The result of an execution, to be awaited now, later, or in another process (`resonate.get(id)`).

    It belongs to the event loop of its client. `await handle` is `await handle.result()`.
    """

    def __init__(
        self,
        promise_id: str,
        returns: Any,
        *,
        store: Store,
        watcher: Watcher,
        codec: Codec,
        settle: Callable[[PromiseSettle], Awaitable[PromiseRecord]],
        ended: PromiseRecord | ResonateError | None = None,
        heard: Callable[[PromiseRecord], None] | None = None,
    ) -> None:
        self.id = promise_id
        self._returns = returns
        self._store = store
        self._watcher = watcher
        self._codec = codec
        self._settle = settle
        self._heard = heard
        self._settled: PromiseRecord | None = None
        self._stopped: ResonateError | None = None
        if isinstance(ended, ResonateError):
            self._stopped = ended  # before anybody could wait for it: told to the first who does
        else:
            self._settled = ended

    async def result(self) -> T:
        """Return the result once there is one, or raise what the function raised.

        Raise `PromiseTimedOut` or `PromiseCanceled` if that is how it ended, `NotFound` if there is no such
        promise, `NondeterminismError` if its execution was stopped in this process (it may still go on later).
        """
        if self._settled is None:
            self._watcher.check_loop()
            if self._stopped is not None:
                stopped, self._stopped = self._stopped, None
                raise stopped
            self._settled = await self._watcher.wait(self.id)
            if self._heard is not None:
                self._heard(self._settled)
        value, error = outcome_of(self._codec, self._settled, self._returns)
        if error is not None:
            raise error
        return cast("T", value)  # it was decoded as the type that T stands for

    async def done(self) -> bool:
        """Ask the store whether the promise has settled. Raise `NotFound` if there is none."""
        if self._settled is None:
            record = promise_of(await self._store.send(PromiseGet(self.id)), self.id)
            if record.state is not PromiseState.PENDING:
                self._settled = record
        return self._settled is not None

    async def cancel(self) -> bool:
        """Settle the promise as canceled; return False if it had settled otherwise before.

        Its execution stops at its next durable step, or before a step's next try, wherever it runs.
        """
        request = PromiseSettle(id=self.id, state=PromiseState.REJECTED_CANCELED)
        self._settled = record = await self._settle(request)
        return record.state is PromiseState.REJECTED_CANCELED

    def __await__(self) -> Generator[Any, Any, T]:
        """Await the result."""
        return self.result().__await__()

    def __repr__(self) -> str:
        """Show the id."""
        return f"<Handle {self.id}>"
