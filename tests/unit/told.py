"""Time that passes when it is told to, for threads and event loops of the real kind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from resonate.adapters.clock import SystemClock

HANGS = 60.0
"""Real seconds after which what should have happened is said not to."""


class Told(SystemClock):
    """Of the system's kind, so that leases are renewed from a thread; nothing lapses while nobody moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.at = 1_735_689_600_000

    def now(self) -> int:
        return self.at

    async def sleep_until(self, instant: int) -> None:
        while self.at < instant:  # noqa: ASYNC110 - whoever moves it may be in any thread
            await asyncio.sleep(0.001)

    def pass_by(self, ms: int, happens: Callable[[], bool]) -> None:
        """Move on, and block this thread until what that brings has happened."""
        self.at += ms
        limit = time.monotonic() + HANGS
        while not happens():
            assert time.monotonic() < limit, "it did not happen"
            time.sleep(0.001)
