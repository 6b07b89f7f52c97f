"""A world in one thread: processes with event loops of their own, on one virtual time, in an order drawn from a seed.

Law 1: whatever happens is an entry of one agenda, ordered by instant, then by a number drawn from the seed. Nothing
    else decides an order: no clock, no thread, no address of an object, no hash of a string.
Law 2: within a process callbacks run in the order in which they were asked for, as asyncio promises; between processes
    nothing is promised.
Law 3: a process that is killed runs not one more line; one that is paused runs none until it goes on, and finds then
    what has arrived meanwhile.
Law 4: time stands still while anything runs.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import Future, Handle, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import Context
from heapq import heappop, heappush
from math import ceil
from random import Random
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

from resonate.core.engine.loop import swap_task
from resonate.errors import UsageError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START: Final = 1_735_689_600_000
"""2025-01-01T00:00:00Z, in epoch ms."""

LONGEST_S: Final = 1e10
"""A timer that is set for longer than three centuries rings after three."""
HOT: Final = 20_000
"""So many callbacks in one process without time passing are a loop that would spin for ever."""


class Spinning(Exception):
    """A process does not come to rest, though time stands still."""


class World:
    """Time, chance, and the agenda.

    Args:
        seed: what everything is drawn from.
    """

    def __init__(self, seed: int) -> None:
        self.now = START
        self.chance = Random(seed)  # noqa: S311 - a seed is to be guessed
        self.processes: list[Process] = []
        self.steps = 0
        self._agenda: list[tuple[int, float, int, Process | None, Handle | Callable[[], object]]] = []
        self._count = 0
        self._numbers = 0

    def process(self, name: str) -> Process:
        """Start a process in which nothing runs yet."""
        return Process(self, name)  # type: ignore[abstract]  # its refusals are set in a loop

    def number(self) -> int:
        """Return a number that nobody has got yet."""
        self._numbers += 1
        return self._numbers

    def at(self, instant: int, call: Callable[[], object]) -> None:
        """Do something to the world, at an instant or as soon as possible; no process can delay it."""
        self._count += 1
        heappush(self._agenda, (max(instant, self.now), self.chance.random(), self._count, None, call))

    def after(self, ms: int, call: Callable[[], object]) -> None:
        """Do something to the world in `ms`."""
        self.at(self.now + ms, call)

    def enter(self, instant: int, process: Process, handle: Handle) -> None:
        """Let something happen in a process."""
        self._count += 1
        heappush(self._agenda, (max(instant, self.now), self.chance.random(), self._count, process, handle))

    def run(self, until: Callable[[], bool], *, limit: int, latest: Callable[[], int]) -> bool:
        """Let things happen until `until` holds, and return True; False if nothing is left to happen.

        Raise `Spinning` after `limit` of them, or past the instant that `latest` gives.
        """
        agenda = self._agenda
        last, bound = self.steps + limit, 0
        while not until():
            if not agenda:
                return False
            instant, _, _, process, what = heappop(agenda)
            if process is not None and isinstance(what, Handle) and (what.cancelled() or not process.alive):
                continue
            if instant > bound and instant > (bound := latest()):
                raise Spinning("it did not come to its end in time after the last fault")
            self.now = instant
            self.steps += 1
            if self.steps > last:
                raise Spinning(f"it did not come to its end in {limit:,} steps")
            if not isinstance(what, Handle):
                what()
            elif process is not None:
                process.take(what)
        return True

    def close(self) -> None:
        """End every process for good; coroutines are closed, in the order in which they were started."""
        for process in self.processes:
            process.close()
        self._agenda.clear()


class Clock:
    """What a process takes for the time. Implements `resonate.ports.clock.Clock`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def now(self) -> int:
        """Return the current instant in epoch ms, as this process has it."""
        return self._process.world.now + self._process.skew

    async def sleep_until(self, instant: int) -> None:
        """Return once `now() >= instant`; at once if it already is."""
        process = self._process
        left = instant - self.now()
        if left <= 0:
            return
        woken: Future[None] = process.create_future()
        timer = process.timer(left, _finish, woken)
        try:
            await woken
        finally:
            timer.cancel()

    def busy(self) -> AbstractContextManager[None]:
        """Do nothing: time stands still whoever works."""
        return nullcontext()


class _Future(asyncio.Future[Any]):
    """A future that is hashed by its number, so that sets of them have the same order in each run."""

    number: int

    def __hash__(self) -> int:
        return self.number


class _Task(asyncio.Task[Any]):
    """A task that is hashed by its number."""

    def __init__(self, number: int, coro: Any, **options: Any) -> None:
        self.number = number  # first: asyncio puts it into sets, and may run it, before it returns
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.number


class Process(asyncio.AbstractEventLoop):
    """One process: an event loop that the world turns.

    Args:
        world: where it lives.
        name: what people call it.
    """

    skew: int = 0
    """How far its clock is ahead, in ms."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.paused = False
        self.clock = Clock(self)
        self._ready: deque[Handle] = deque()
        self._turning = False
        self._backlog: list[Handle] = []
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._context = Context()
        world.processes.append(self)

    # ------------------------------------------------------------ what happens to it

    def spawn(self, body: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a task in it, from outside."""
        return self._context.run(lambda: self.create_task(body, name=name))

    def take(self, handle: Handle) -> None:
        """Let something happen now, with all that it brings. A paused process finds it later."""
        if self.paused:
            self._backlog.append(handle)
            return
        self._ready.append(handle)
        self._turn()

    def kill(self) -> None:
        """End it where it stands."""
        self.alive = False
        self._ready.clear()
        self._backlog.clear()

    def pause(self) -> None:
        """Stop it where it stands."""
        self.paused = True

    def go_on(self) -> None:
        """Let it go on after a pause, with what has arrived and what is due, whichever comes first."""
        self.paused = False
        backlog, self._backlog = self._backlog, []
        if self.world.chance.random() < 0.5:
            backlog.sort(key=lambda handle: isinstance(handle, TimerHandle))
        for handle in backlog:
            self.world.enter(self.world.now, self, handle)

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, oldest first."""
        return [task for task in self._tasks.values() if not task.done()]

    def _turn(self) -> None:
        ready, left = self._ready, HOT
        outer = asyncio._get_running_loop()  # noqa: SLF001 - the only way to nest one loop in another
        task = None if swap_task is None or outer is None else swap_task(outer, None)
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)  # noqa: SLF001 - as above
        sys.set_asyncgen_hooks(None, None)
        self._turning = True
        try:
            while ready and self.alive and not self.paused:
                left -= 1
                if left == 0:
                    raise Spinning(f"{self.name} is in a loop that waits for nothing")
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - the method every loop calls on its handles
        finally:
            self._turning = False
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)  # noqa: SLF001 - as above
            if swap_task is not None and task is not None:
                swap_task(outer, task)
        if ready and self.paused:  # it was stopped in the midst of its turn
            self._backlog.extend(ready)
            ready.clear()

    # ------------------------------------------------------------ what asyncio asks of a loop

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback."""
        handle = Handle(callback, args, self, context)
        if self._turning:
            self._ready.append(handle)
        elif self.alive:
            self.world.enter(self.world.now, self, handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def timer(self, ms: int, callback: Callable[[*Ts], object], *args: *Ts) -> asyncio.TimerHandle:
        """Queue a callback in `ms`."""
        return self.call_later(ms / 1000, callback, *args)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback in `delay` seconds, in whole milliseconds, rounded up."""
        ms = max(0, ceil(round(delay * 1000, 3))) if delay < LONGEST_S else int(LONGEST_S * 1000)
        timer = TimerHandle(self.time() + ms / 1000, callback, args, self, context)
        self.world.enter(self.world.now + ms, self, timer)
        return timer

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback at an instant, in seconds."""
        return self.call_later(round(when - self.time(), 6), callback, *args, context=context)

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """Do nothing: a canceled entry of the agenda is passed over."""

    def time(self) -> float:
        """Return the instant, in seconds."""
        return self.world.now / 1000

    def create_future(self) -> Future[Any]:
        """Make a future."""
        future = _Future(loop=self)
        future.number = self.world.number()
        return future

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_ignored: Any
    ) -> asyncio.Task[Any]:
        """Start a task."""
        return self._keep(_Task(self.world.number(), coro, loop=self, name=name or "", context=context))

    def get_task_factory(self) -> Any:
        """Return what makes a task that begins at once; `create_task` makes one that begins in its turn."""

        def begin(_loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
            return self._keep(_Task(self.world.number(), coro, loop=self, eager_start=True, **options))

        return begin

    def _keep(self, task: _Task) -> asyncio.Task[Any]:
        setattr(task, "_log_destroy_pending", False)  # noqa: B010 - asyncio knows it, its types do not: killed is no leak
        self._tasks[task.number] = task
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(getattr(task, "number", 0), None)

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> Future[T]:
        """Call a function a moment later, on this loop: there are no threads."""
        del executor
        outcome: Future[T] = self.create_future()

        def call() -> None:
            if outcome.done():
                return
            try:
                outcome.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - whatever it raises is its outcome
                outcome.set_exception(error)

        self.timer(self.world.chance.randrange(20), call)
        return outcome

    def get_debug(self) -> bool:
        """Return False: asyncio's debug mode reads clocks."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what asyncio would only log."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what asyncio would only log."""

    def is_running(self) -> bool:
        """Return whether it lives."""
        return self.alive

    def is_closed(self) -> bool:
        """Return whether it is dead."""
        return not self.alive

    def close(self) -> None:
        """End it for good, and close what it was about; what that asks for is not done."""
        self.kill()
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            body = task.get_coro()
            if isinstance(body, Coroutine):
                with suppress(BaseException):  # the run is over: nobody is left to hear of it
                    body.close()
        self._ready.clear()


def _finish(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(self: Process, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise UsageError(
            f"A simulation has no sockets, threads or files: loop.{name} was called in {self.name}.",
            hint="Replace the step that does so by a stub: simulate(..., stubs={step: fake}).",
        )

    refuse.__name__ = name
    return refuse


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(Process):
        setattr(Process, _name, _refuse(_name))
