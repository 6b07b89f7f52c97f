"""The clock port."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Clock(Protocol):
    """Epoch milliseconds, and waiting for one of them. Safe from any thread and event loop."""

    def now(self) -> int:
        """Return the current instant in epoch ms. Never runs backwards within a process."""
        ...

    async def sleep_until(self, instant: int) -> None:
        """Return once `now() >= instant`; at once if it already is. Cancellable."""
        ...

    def busy(self) -> AbstractContextManager[None]:
        """While inside, work goes on that the event loop can't see (a thread): virtual time stands still."""
        ...
