"""A bounded pool of threads that no process waits for at its end.

Law 1: a call begins at once while fewer run than there may be threads; else in the order in which it was handed in.
Law 2: a closed pool begins nothing more, and its threads end as soon as what they run does.
Law 3: a process ends without what still runs. `concurrent.futures` would wait for it, for ever if it never returns.
Law 4: of threads that wait, the one that worked last is taken, and it waits before who asked for its call is told:
    where calls follow one another, one thread runs them all.
Law 5: a thread that is woken finds free what it needs next, Python's own lock and the pool's.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from resonate.logs import Log

log = Log("resonate.threads")

T = TypeVar("T")


class Call(Generic[T]):
    """A call that was handed in, for who waits for it or is told of it. Safe from any thread; only `wait` ever waits.

    What a future of `concurrent.futures` is, for one who listens, and without its condition: a thread that was just
    woken is slow, most of all at what it has not done for a while.
    """

    __slots__ = ("_bell", "_canceled", "_error", "_fn", "_free", "_listeners", "_value", "is_over")

    def __init__(self, fn: Callable[[], T]) -> None:
        self.is_over = False
        """Whether it has returned or raised. A call that was canceled never does."""
        self._fn: Callable[[], T] | None = fn
        self._free = [True]  # taken once: by the thread that begins it, or by who cancels it
        self._canceled = False
        self._bell = threading.Lock()  # free once it is over
        self._bell.acquire()
        self._listeners: list[Callable[[Call[T]], object]] = []
        self._value: Any = None
        self._error: BaseException | None = None

    def wait(self, seconds: float) -> bool:
        """Wait so long, at most, for its end; return whether that has come."""
        if not self.is_over and self._bell.acquire(timeout=seconds):
            self._bell.release()  # for who waits, too
        return self.is_over

    def tell(self, listener: Callable[[Call[T]], object]) -> None:
        """Call `listener` with this call once it is over, in its thread; if it is already, at once."""
        self._listeners.append(listener)
        if self.is_over:
            self._tell()

    def cancel(self) -> bool:
        """Let it not begin, and return whether it never will: False if it has begun."""
        if self._take():
            self._canceled = True
            self._fn = None
        return self._canceled

    def result(self) -> T:
        """Return what it returned, or raise what it raised. To be asked for when it is over."""
        error = self._error
        if error is None:
            value: T = self._value
            return value
        try:
            raise error
        finally:
            del self, error  # else it would lead back to itself

    def _take(self) -> bool:
        try:
            return self._free.pop()
        except IndexError:
            return False

    def _tell(self) -> None:
        """Tell each listener, once: also where two threads come to do so."""
        while self._listeners:
            try:
                listener = self._listeners.pop(0)
            except IndexError:
                return
            try:
                listener(self)
            except Exception:
                log.exception("Who was to be told that a call is over has failed. This is a bug: please report it.")

    # ------------------------------------------------------------ for the pool

    def begin(self) -> Callable[[], T] | None:
        """Take note that a thread has it, and return what to call; None if it was canceled."""
        if not self._take():
            return None
        fn, self._fn = self._fn, None
        return fn

    def end(self, value: T | None, error: BaseException | None) -> None:
        """Take note of what came of it, and tell who waits and who listens."""
        self._value, self._error = value, error
        self.is_over = True
        self._bell.release()
        self._tell()


def outcome(fn: Callable[[], T]) -> tuple[T, None] | tuple[None, BaseException]:
    """Call, and return what comes of it. Nothing that is kept leads from what was raised to the call."""
    try:
        return fn(), None
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its outcome
        return None, error


class Pool(Protocol):
    """What makes calls elsewhere."""

    def submit(self, fn: Callable[[], T]) -> Call[T]:
        """Hand in a call. Raise `RuntimeError` if the pool is closed."""
        ...

    def close(self) -> None:
        """Begin no call any more, also of those that were handed in. What has begun goes on."""
        ...


class _Lock:
    """A gate for one, that opens once for each `open`: of what every system has."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let who waits pass, or who comes next."""
        self._lock.release()

    def wait(self) -> None:
        """Return once it was opened."""
        self._lock.acquire()


class _Eventfd:
    """A gate that is opened by a system call, during which Python's own lock is free for who waits.

    Opened otherwise, it wakes a thread that at once has to wait for that lock: one more switch for each call.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def open(self) -> None:
        """Let who waits pass, or who comes next."""
        os.eventfd_write(self._fd, 1)

    def wait(self) -> None:
        """Return once it was opened."""
        while True:
            with suppress(InterruptedError):  # by a signal, after which Python reads again everything but this
                os.eventfd_read(self._fd)
                return

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        with suppress(AttributeError):  # it was interrupted as it was made
            close(self._fd)  # no sooner: its number may be given to another file at once


def _gate() -> _Lock | _Eventfd:
    """Return the best gate that can be had."""
    if hasattr(os, "eventfd"):
        with suppress(OSError):  # no descriptor is left
            return _Eventfd(os.eventfd(0))
    return _Lock()


class _Thread:
    """One thread: what it is to run next, or that it is over, and the gate that it waits at for that."""

    __slots__ = ("call", "gate", "over")

    def __init__(self) -> None:
        self.call: Call[Any] | None = None
        self.over = False
        self.gate = _gate()


class Threads:
    """See the module's text. Implements `Pool`.

    Args:
        count: so many calls run at once, at most.
        name: what the threads' names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = threading.RLock()  # the garbage collector may end anything in the middle of what it guards
        self._calls: deque[Call[Any]] = deque()  # for which there is no thread yet
        self._idle: list[_Thread] = []
        self._started = 0
        self._closed = False

    def submit(self, fn: Callable[[], T]) -> Call[T]:
        """See `Pool`."""
        call = Call(fn)
        with self._lock:
            if self._closed:
                msg = "The pool is closed."
                raise RuntimeError(msg)
            thread = self._idle.pop() if self._idle else None
            if thread is None:
                if self._started < self._count:
                    self._start(call)
                else:
                    self._calls.append(call)
                return call
        thread.call = call
        thread.gate.open()  # outside of the lock: the thread is to find it free
        return call

    def close(self) -> None:
        """See `Pool`. The threads end, those that run a call when that is over."""
        with self._lock:
            self._closed = True
            calls, self._calls = self._calls, deque()
            idle, self._idle = self._idle, []
        del calls  # not under the lock: it may be the end of anything
        for thread in idle:
            thread.over = True
            thread.gate.open()

    def _start(self, call: Call[Any]) -> None:
        own = _Thread()
        own.call = call  # not as an argument: a thread keeps those to its end
        own.gate.open()
        name = f"{self._name}-{self._started}"
        threading.Thread(target=self._run, args=(own,), name=name, daemon=True).start()
        self._started += 1

    def _run(self, own: _Thread) -> None:
        call = self._wait(own)
        while call is not None:
            fn = call.begin()
            came = None if fn is None else outcome(fn)
            with self._lock:  # before anybody is told, who may have the next call at once
                following = self._calls.popleft() if self._calls else None
                waits = following is None and not self._closed
                if waits:
                    self._idle.append(own)
            if came is not None:
                call.end(*came)
            call, fn, came = following, None, None  # what is over is not kept alive until there is another
            if waits:
                call = self._wait(own)

    @staticmethod
    def _wait(own: _Thread) -> Call[Any] | None:
        """Return the next call, None if there will be none."""
        own.gate.wait()
        while own.call is None and not own.over:  # a child made by `os.fork` has opened it, which it shares
            own.gate.wait()
        call, own.call = own.call, None
        return call
