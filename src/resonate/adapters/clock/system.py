"""Real time: the wall clock, kept from running backwards.

Law 1: within a process `now` never decreases, whatever is done to the wall clock.
Law 2: a sleep never ends early: after `sleep_until(now() + n)` at least `n` ms have passed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from time import monotonic_ns
from typing import Final

_MS: Final = 1_000_000
_STEP: Final = 1_000 * _MS
_LONGEST_SLEEP: Final = 60.0


class SystemClock:
    """Epoch milliseconds by the monotonic clock, set by the wall clock. Implements `resonate.ports.clock.Clock`.

    A wall clock that steps forward by a second or more is followed, within a millisecond (a laptop that slept, a clock
    that was set); one that steps back is not: time goes on from where it was.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._base = time.time_ns() - monotonic_ns()
        self._followed = 0  # until then the wall clock is not looked at again

    def now(self) -> int:
        """Return the current instant in epoch ms."""
        now = self._base + monotonic_ns()
        if now >= self._followed:  # each request asks several times: the wall clock is looked at once in a millisecond
            wall, base = time.time_ns(), self._base  # as in `_now_ns`, without a call
            now = base + monotonic_ns()
            if wall - now >= _STEP:
                now = self._follow()
            self._followed = now + _MS
        return now // _MS

    def _now_ns(self) -> int:
        # The monotonic clock is read last, so that a pause between the two reads is never taken for a step.
        wall = time.time_ns()
        base = self._base
        now = base + monotonic_ns()
        return now if wall - now < _STEP else self._follow()

    def _follow(self) -> int:
        """Move forward to the wall clock. Under a lock, and never back, since another thread may have moved already."""
        with self._lock:
            self._base = max(self._base, time.time_ns() - monotonic_ns())
            return self._base + monotonic_ns()

    async def sleep_until(self, instant: int) -> None:
        """Return once `now() >= instant`; at once if it already is."""
        if self.now() >= instant:
            return
        # `now` drops the part of a millisecond, so the end of the millisecond `instant` is waited for, not its start.
        end = (instant + 1) * _MS
        # In slices, since a machine that sleeps stops the monotonic clock, and so asyncio's timers.
        while (left := end - self._now_ns()) > 0:  # noqa: ASYNC110 - there is nothing to wait for but time
            await asyncio.sleep(min(left / 1e9, _LONGEST_SLEEP))

    def busy(self) -> AbstractContextManager[None]:
        """Do nothing: real time passes whoever works."""
        return nullcontext()
