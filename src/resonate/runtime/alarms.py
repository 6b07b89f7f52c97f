"""Many alarms on one clock: a heap and a single sleeper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

from resonate.ports.clock import Clock

SLACK = 64
"""Canceled alarms beyond this many, and beyond as many as there are live ones, are swept."""


class Alarm:
    """A call that is due at an instant, unless it is canceled before."""

    __slots__ = ("_alarms", "at", "call")

    def __init__(self, at: int, call: Callable[[], None], alarms: Alarms) -> None:
        self.at = at
        self.call: Callable[[], None] | None = call
        self._alarms = alarms

    def cancel(self) -> None:
        """Do not call. Harmless when it is too late."""
        if self.call is not None:
            self.call = None
            self._alarms.canceled()


class Alarms:
    """Calls functions on the running loop when they are due. Setting one costs O(log n); idle, it costs nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[int, int, Alarm]] = []
        self._order = count()
        self._dead = 0
        self._sleeper: asyncio.Task[None] | None = None
        self._armed: int | None = None

    def set(self, at: int, call: Callable[[], None]) -> Alarm:
        """Call `call` at `at` (epoch ms), or as soon as possible if that has passed."""
        alarm = Alarm(at, call, self)
        heappush(self._heap, (at, next(self._order), alarm))
        if self._armed is None or at < self._armed:
            self._arm()
        return alarm

    def __len__(self) -> int:
        """Return how many are kept: those set, and at most about as many canceled ones."""
        return len(self._heap)

    def canceled(self) -> None:
        """Count a canceled alarm; sweep them when they outnumber the others."""
        self._dead += 1
        if self._dead > SLACK + len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].call is not None]
            heapify(self._heap)
            self._dead = 0

    def stop(self) -> None:
        """Forget all alarms."""
        self._heap.clear()
        self._dead = 0
        self._disarm()

    def _disarm(self) -> None:
        self._armed = None
        if self._sleeper is not None:
            self._sleeper.cancel()
            self._sleeper = None

    def _arm(self) -> None:
        self._disarm()
        while self._heap and self._heap[0][2].call is None:
            self._pop()
        if self._heap:
            self._armed = self._heap[0][0]
            self._sleeper = asyncio.get_running_loop().create_task(self._sleep(self._armed), name="resonate-alarms")

    async def _sleep(self, at: int) -> None:
        await self._clock.sleep_until(at)
        self._sleeper = None
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            alarm = self._pop()
            call, alarm.call = alarm.call, None
            if call is not None:
                call()
        self._arm()

    def _pop(self) -> Alarm:
        alarm = heappop(self._heap)[2]
        if alarm.call is None:
            self._dead -= 1
        return alarm
