"""What an event loop does that has nothing else to do, and waits for what may come in no time: it stays awake.

Law 1: it stays in its turn only while nobody else on the loop waits for one, and not for long. Who is to go on when a
    task that was begun at once first waits, waits too, unless what is waited for runs in a thread.
Law 2: where that was in vain, it is tried more and more seldom.
Law 3: where a loop does not show what it has ready, or what it listens to, it does what it always does.
"""

from __future__ import annotations

import asyncio
import os
import select
import selectors
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

_TURN: Final = asyncio.Handle._run.__code__  # noqa: SLF001 - what runs a task
_SELDOM: Final = 10
"""A power of two: so many occasions pass at most before the next wait."""


def is_idle(loop: asyncio.AbstractEventLoop, *, turn_of_its_own: bool = True) -> bool:
    """Tell whether nothing else waits for its turn on the running `loop`; False where that is not known.

    A task that has begun where it was made may have a turn yet to come, in which it is passed over. That counts only if
    `turn_of_its_own` is False.
    """
    ready: Any = getattr(loop, "_ready", None)
    if ready.__class__ is not deque:
        return False
    if ready:
        own = asyncio.current_task(loop) if turn_of_its_own else None
        for handle in tuple(ready):  # threads append to it
            if not handle.cancelled() and (own is None or _task_of(handle) is not own):
                return False
    return True


def _task_of(handle: asyncio.Handle) -> object:
    return getattr(getattr(handle, "_callback", None), "__self__", None)


def is_alone(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop `is_idle`, and nobody waits for the running task to first wait: who has begun it at once."""
    return is_idle(loop, turn_of_its_own=False) and _has_its_turn(asyncio.current_task(loop))


def _has_its_turn(task: asyncio.Task[Any] | None) -> bool:
    """Tell whether the loop itself runs the task, and not who has begun it at once: as far as that can be seen."""
    frame = None if task is None else getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and frame.f_back is not None and frame.f_back.f_code is _TURN


class ShortWaits:
    """Whether to wait in the event loop's own thread for what may come in no time.

    A loop that goes to sleep is woken, reads by what, and takes a turn or two: for something short, much of the way. So
    a loop that has nothing else to do waits by itself, but not for long; and where that takes longer, it tries that
    more and more seldom.

    Args:
        seconds: how long each wait is, at most.
    """

    __slots__ = ("_missed", "_passing", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._missed = 0
        self._passing = 0

    def wait(self, wait: Callable[[float], bool]) -> bool:
        """Return whether it has come, after a short wait, or none where earlier ones were in vain.

        `wait` waits so many seconds at most, and returns whether it has come.
        """
        if self._passing:
            self._passing -= 1
            return False
        if wait(self._seconds):
            self._missed = 0
            return True
        self._missed = min(self._missed + 1, _SELDOM)
        self._passing = 2**self._missed
        return False


class Awake:
    """Waits without sleep for something that an event loop listens to.

    A processor that sleeps takes tens of microseconds to wake, on a virtual machine more, and begins cold.

    Args:
        listening: the descriptor of the loop's own poll.
    """

    __slots__ = ("_listening", "_poll")

    def __init__(self, listening: int) -> None:
        self._listening = listening
        self._poll = select.poll()
        self._poll.register(listening, select.POLLIN)  # it is to be read once anything is that the loop listens to

    def wait(self, descriptor: int, seconds: float) -> bool:
        """Wait until the loop hears of this or of anything else, so long at most; return whether it is this.

        Python's own lock is free for other threads at each look, for so short a time that many miss it.
        """
        poll, clock = self._poll, time.perf_counter
        poll.register(descriptor, select.POLLIN)
        try:
            until = clock() + seconds
            while True:
                found = dict(poll.poll(0))
                if self._listening in found:  # which may come to know it a moment after it could be read
                    return descriptor in found
                if clock() >= until:
                    return False
        finally:
            poll.unregister(descriptor)


def awake_on(loop: asyncio.AbstractEventLoop) -> Awake | None:
    """Return what waits on the running `loop` without sleep; None where that can't be had, or would be in the way.

    Who stays awake on the only processor keeps it from what is waited for. And where the loop runs in a thread beside
    the main one, other threads do the program's work, for which they need Python's lock.
    """
    listens: object = getattr(loop, "_selector", None)
    if sys.platform != "linux" or not isinstance(listens, selectors.EpollSelector):
        return None
    if _processors() == 1 or threading.current_thread() is not threading.main_thread():
        return None
    return Awake(listens.fileno())


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
