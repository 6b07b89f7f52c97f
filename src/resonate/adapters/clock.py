"""The system's clock."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext


class SystemClock:
    """Epoch milliseconds of this machine, read once and then counted by the monotonic clock.

    So it never runs backwards within a process, whatever is done to the machine's time of day; a correction made
    while the process runs is not followed.
    """

    def __init__(self) -> None:
        self._offset = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return the current instant in epoch ms."""
        return (self._offset + time.monotonic_ns()) // 1_000_000

    async def sleep_until(self, instant: int) -> None:
        """Return once `now() >= instant`, never before."""
        while (left := instant - self.now()) > 0:  # noqa: ASYNC110 - again only if asyncio woke us too early
            await asyncio.sleep(left / 1000)

    def busy(self) -> AbstractContextManager[None]:
        """Do nothing: real time passes anyway."""
        return nullcontext()
