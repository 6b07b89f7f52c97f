"""Waking the server at the next instant at which something is due.

Law 1: nothing polls: an alarm sleeps until an instant, and is set anew only when an earlier one comes up.
Law 2: there is one alarm per event loop that has a started store, all set to the same instants. Steps re-check that
they are due, so two that ring are as good as one, and no loop's end can leave the others without.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from resonate.ports.clock import Clock

IDLE: Final = 2**62
"""The instant of an alarm that is not set."""


class Alarm:
    """One event loop's sleeper.

    Args:
        loop: where it sleeps.
        clock: by what it sleeps.
        ring: called on `loop` when the instant has come; it sets `at` to the next one, or to `IDLE`.
        lost: called on `loop` when a stranger has cancelled the sleeper; the next `set` starts another.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        clock: Clock,
        ring: Callable[[Alarm], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.loop = loop
        self.at = IDLE
        self.stores = 0
        self._clock = clock
        self._ring = ring
        self._lost = lost
        self._task: Task[None] | None = None
        self._restarting = False

    def set(self, instant: int) -> bool:
        """Ring at `instant`, if that is earlier than set; tell whether the loop is still there.

        Called from any thread, with the server's lock held.
        """
        if instant < self.at:
            self.at = instant
        elif self._task is None or not self._task.done():
            return True
        # Earlier than set, or the sleeper has ended while it was set: a stranger has cancelled it.
        if self._restarting:
            return True
        self._restarting = True  # before it is asked for: the loop may be quicker than this thread
        try:
            self.loop.call_soon_threadsafe(self._restart)
        except RuntimeError:  # closed
            return False
        return True

    async def close(self) -> None:
        """Stop sleeping, and return once it has."""
        task = self.end()
        if task is not None and asyncio.get_running_loop() is self.loop:
            with suppress(asyncio.CancelledError):
                await task

    def end(self) -> Task[None] | None:
        """Stop sleeping; return what is about to end, if anything is."""
        task, self._task = self._task, None
        self.stores = 0
        return task if task is not None and task.cancel() else None

    def _restart(self) -> None:
        self._restarting = False
        if not self.stores:
            return
        if self._task is not None:
            self._task.cancel()
        # Not by the loop's task factory: an eager one would ring within whatever set the alarm. And begun by hand, as
        # this may be the loop's last turn: a coroutine that never begins is warned of when it is collected.
        sleeping = self._run()
        sleeping.send(None)
        self._task = Task(sleeping, loop=self.loop, name="resonate-alarm")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: Task[None]) -> None:
        if task is self._task and self.at != IDLE:
            self._lost()

    async def _run(self) -> None:
        await asyncio.sleep(0)  # here it has begun, and waits for its task
        while self.at != IDLE:
            await self._clock.sleep_until(self.at)
            self._ring(self)
            await asyncio.sleep(0)
