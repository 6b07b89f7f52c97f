"""Pauses between tries to reach a store, which end when the store is stopped."""

from __future__ import annotations

import asyncio

from resonate.errors import StoreError
from resonate.ports.clock import Clock


class Pauses:
    """The pauses of those who ask one store again and again. Mutable; of one event loop."""

    __slots__ = ("_forbidden", "_under_way")

    def __init__(self) -> None:
        self._forbidden = False
        self._under_way: set[asyncio.Task[None]] = set()

    def allow(self) -> None:
        """Let pauses begin: the store is started."""
        self._forbidden = False

    def forbid(self) -> None:
        """Let no pause begin any more, and no one ask again after one: the store is about to stop."""
        self._forbidden = True

    def end(self) -> None:
        """End those under way."""
        for pause in self._under_way:
            pause.cancel()

    async def pause(self, clock: Clock, ms: int) -> None:
        """Return after so many ms. Raise `StoreError` if the store is stopped before or meanwhile."""
        self._check()
        pause = asyncio.get_running_loop().create_task(clock.sleep_until(clock.now() + ms))
        self._under_way.add(pause)
        try:
            await asyncio.wait([pause])
        finally:
            pause.cancel()
            self._under_way.discard(pause)
        self._check()

    def _check(self) -> None:
        if self._forbidden:
            raise StoreError("The store was stopped before it answered.", hint="Open the client again, and ask again.")
