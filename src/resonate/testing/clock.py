"""Virtual time: an hour takes no longer than what is done in it.

Law 1: time moves only while everything waits, and only to the next instant that somebody waits for.
Law 2: sleepers wake in the order of their instants; what one starts runs until everything waits again before the
next instant comes.
Law 3: with nobody asleep nothing is checked and nothing spins.

How it knows that everything waits: a probe on each event loop that sleeps here runs once per turn of the loop and looks
whether anything else is ready to run. After a few turns with nothing, the loop waits. So any running asyncio loop will
do, under `asyncio.run` as under a test framework. A loop that does not show what is ready (uvloop) waits where that has
gone on for many turns and no task of it is to go on: what is left to chance there are long chains of bare callbacks.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Generator, Sized
from contextlib import contextmanager
from datetime import timedelta
from heapq import heapify, heappop, heappush
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from attrs import define

from resonate.core.durations import milliseconds
from resonate.errors import UsageError

START: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, in epoch ms."""

_CALM: Final = 3
"""Turns with nothing ready before a loop counts as waiting: one lets the selector be read, the others are for luck."""
_CALM_UNSEEN: Final = 32
"""As above for a loop that does not show what is ready (not asyncio's own): its tasks are looked at after so many."""
_RECHECK: Final = 0.01
"""Seconds after which a loop that waits for other loops looks again, since one that closes does not say so."""
_GARBAGE: Final = 64
_UNSEEN: Final[Any] = object()

_SLEEPER: Final = 0
_GOAL: Final = 1
"""Ranks at one instant: `advance` returns after all who sleep until its end have woken and worked."""


@define(order=False, eq=False)
class _Sleeper:
    loop: AbstractEventLoop
    woken: Future[None]


@define(eq=False)
class _Watch:
    """What the clock knows of one event loop; `calm` counts the turns in which nothing else was ready."""

    loop: AbstractEventLoop
    calm: int = 0
    probing: bool = False
    recheck: TimerHandle | None = None


# Probes in each loop's ready queue, of all clocks, so that two clocks on one loop do not take each other for work.
_probes: WeakKeyDictionary[AbstractEventLoop, int] = WeakKeyDictionary()


class VirtualClock:
    """A clock that stands still while there is work to do. Implements `resonate.ports.clock.Clock`; thread-safe.

    Args:
        start: the first instant, in epoch ms.
        auto_jump: jump to the next instant that somebody sleeps until whenever everything waits. Otherwise time moves
            by `advance` and `jump_to` only.

    What counts as waiting: an event loop with nothing ready to run. Real timers (`asyncio.sleep`, `asyncio.timeout`)
    and open sockets don't hold time back, nor does a thread, unless it is said with `busy`. A loop of which no task
    has ever slept here is not looked at.
    """

    def __init__(self, start: int = START, *, auto_jump: bool = True) -> None:
        self._lock = threading.RLock()
        self._now = start
        self._auto_jump = auto_jump
        self._heap: list[tuple[int, int, int, _Sleeper]] = []
        self._count = 0
        self._gone = 0
        self._goals: list[int] = []
        self._busy = 0
        self._confirmed = False
        self._watches: dict[AbstractEventLoop, _Watch] = {}

    def now(self) -> int:
        """Return the current instant in epoch ms."""
        return self._now

    async def sleep_until(self, instant: int) -> None:
        """Return once `now() >= instant`; at once if it already is."""
        if self._now < instant:
            await self._sleep(instant, _SLEEPER)

    async def advance(self, duration: int | timedelta) -> None:
        """Let time pass, instant by instant, each with the work that it brings; return when all of it is done.

        Args:
            duration: milliseconds, or a `timedelta`. Zero lets all the work be done that is there now.
        """
        if not isinstance(duration, timedelta) and duration < 0:
            raise UsageError("Time can't be advanced by less than nothing.")
        goal = self._now + (milliseconds(duration) if isinstance(duration, timedelta) else duration)
        with self._lock:
            self._goals.append(goal)
        try:
            await self._sleep(goal, _GOAL)
        finally:
            with self._lock:
                self._goals.remove(goal)

    def jump_to(self, instant: int) -> None:
        """Make it `instant` now, as after a machine was suspended: whoever should have woken before wakes late.

        Raise `UsageError` if `instant` is in the past.
        """
        with self._lock:
            if instant < self._now:
                raise UsageError(f"Time can't run backwards: it is {self._now}, {instant} is before.")
            self._now = instant
            while self._heap and self._heap[0][:2] <= (instant, _GOAL):
                self._wake(heappop(self._heap)[3])
            self._look_again()

    @contextmanager
    def busy(self) -> Generator[None]:
        """Hold time back for work that no event loop shows, in a thread or another process.

        Enter before the work is handed over and leave when its result is back: what is under way between a thread and
        a loop is not seen.
        """
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._look_again()

    # ------------------------------------------------------------ sleepers

    async def _sleep(self, instant: int, rank: int) -> None:
        loop = asyncio.get_running_loop()
        sleeper = _Sleeper(loop, loop.create_future())
        with self._lock:
            self._count += 1
            heappush(self._heap, (instant, rank, self._count, sleeper))
            if loop not in self._watches:
                self._watches[loop] = _Watch(loop)
            self._look_again()
        try:
            await sleeper.woken
        except BaseException:
            self._forget_one()
            raise

    def _forget_one(self) -> None:
        """Count a sleeper that was cancelled; the heap is cleared of them now and then."""
        with self._lock:
            self._gone += 1
            if self._gone > _GARBAGE and self._gone * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if not entry[3].woken.done()]
                heapify(self._heap)
                self._gone = 0

    def _wake(self, sleeper: _Sleeper) -> None:
        if sleeper.loop is _running_loop():
            _finish(sleeper.woken)
            return
        try:
            sleeper.loop.call_soon_threadsafe(_finish, sleeper.woken)
        except RuntimeError:  # its loop is closed, and it with it
            self._watches.pop(sleeper.loop, None)

    def _next(self) -> tuple[int, int] | None:
        """Return instant and rank of the next who wakes, if time may move there."""
        while self._heap and self._heap[0][3].woken.done():
            heappop(self._heap)
            self._gone = max(0, self._gone - 1)
        if not self._heap or self._busy:
            return None
        instant, rank = self._heap[0][:2]
        return (instant, rank) if self._auto_jump or instant <= max(self._goals, default=-1) else None

    def _jump(self, upcoming: tuple[int, int]) -> None:
        """Move to the next instant, wake all who sleep until then, and look again what they do."""
        self._now = max(self._now, upcoming[0])
        while self._heap and self._heap[0][:2] == upcoming:
            self._wake(heappop(self._heap)[3])
        self._look_again()

    # ------------------------------------------------------------ does everything wait?

    def _look_again(self) -> None:
        """Something has changed: watch every loop until it has been calm for a while."""
        self._confirmed = False
        self._probe_all()

    def _probe_all(self) -> None:
        for watch in self._watches.values():
            watch.calm = 0
        if self._next() is None:
            return
        for watch in [*self._watches.values()]:
            if not watch.probing:
                self._start_probe(watch)

    def _start_probe(self, watch: _Watch) -> None:
        watch.probing = True
        if watch.loop is _running_loop():
            self._probe_soon(watch)
            return
        try:
            watch.loop.call_soon_threadsafe(self._probe_soon, watch)
        except RuntimeError:  # closed
            self._watches.pop(watch.loop, None)

    def _probe_soon(self, watch: _Watch) -> None:
        _probes[watch.loop] = _probes.get(watch.loop, 0) + 1
        watch.loop.call_soon(self._probe, watch)

    def _probe(self, watch: _Watch) -> None:
        _probes[watch.loop] -= 1
        with self._lock:
            upcoming = self._next()
            if upcoming is None:
                watch.probing = False
                return
            watch.calm += 1
            if not _is_calm(watch.loop, watch.calm):
                watch.calm, self._confirmed = 0, False
            if watch.calm < _turns(watch.loop):
                self._probe_soon(watch)
                return
            watch.probing = False
            self._decide(watch, upcoming)

    def _decide(self, watch: _Watch, upcoming: tuple[int, int]) -> None:
        """One loop waits. Jump if all do, and did twice in a row where there are several: they may call each other."""
        others = [other for other in [*self._watches.values()] if other is not watch and self._counts(other)]
        if any(other.calm < _turns(other.loop) for other in others):
            if watch.recheck is None:
                watch.recheck = watch.loop.call_later(_RECHECK, self._recheck, watch)
        elif others and not self._confirmed:
            self._confirmed = True
            self._probe_all()
        else:
            self._jump(upcoming)

    def _counts(self, watch: _Watch) -> bool:
        """Tell whether a loop is to be waited for: one that has ended is forgotten, one that is stopped waits."""
        if watch.loop.is_closed():
            self._watches.pop(watch.loop, None)
            return False
        return watch.loop.is_running()

    def _recheck(self, watch: _Watch) -> None:
        with self._lock:
            watch.recheck = None
            if not watch.probing and self._next() is not None:
                self._start_probe(watch)


def _finish(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _running_loop() -> AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _ready(loop: AbstractEventLoop) -> Sized | None:
    """Return the loop's queue of what is ready to run.

    It is private to asyncio, but has been there in every release; without it a loop can only be waited for.
    """
    return cast("Sized | None", getattr(loop, "_ready", None))


def _is_calm(loop: AbstractEventLoop, turns: int) -> bool:
    """Tell whether nothing but probes is ready to run, as far as is known; it was so for `turns` with this one."""
    ready = _ready(loop)
    if ready is None:
        return turns < _CALM_UNSEEN or all(_waits(task) for task in asyncio.all_tasks(loop))
    return len(ready) <= _probes[loop]


def _waits(task: asyncio.Task[Any]) -> bool:
    """Tell whether a task that does not run now waits for something that has not come yet."""
    awaited: Future[Any] | None = getattr(task, "_fut_waiter", _UNSEEN)  # None: it is to go on in the next turn
    return awaited is _UNSEEN or (awaited is not None and not awaited.done())


def _turns(loop: AbstractEventLoop) -> int:
    return _CALM_UNSEEN if _ready(loop) is None else _CALM
