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

T = TypeVar("T")


class Call(Generic[T]):
    """A call that was handed in, for who waits for it or is told of it. Safe from any thread.

    What a future of `concurrent.futures` is, for one who listens, and without its condition: a thread that was just
    woken is slow, most of all at what it has not done for a while.

    Args:
        fn: is called.
        lock: guards what is known of the call; the pool has it, too. Reentrant: the garbage collector may close what
            waits for a call in the middle of the pool's work, and that cancels it.
    """

    __slots__ = ("_begun", "_bell", "_error", "_fn", "_listener", "_lock", "_value", "is_over")

    def __init__(self, fn: Callable[[], T], lock: threading.RLock) -> None:
        self.is_over = False
        """Whether it has returned or raised. A call that was canceled never does."""
        self._fn: Callable[[], T] | None = fn
        self._lock = lock
        self._begun = False
        self._bell = threading.Lock()  # free once it is over
        self._bell.acquire()
        self._listener: Callable[[Call[T]], object] | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    def wait(self, seconds: float) -> bool:
        """Wait so long, at most, for its end; return whether that has come."""
        if not self.is_over and self._bell.acquire(timeout=seconds):
            self._bell.release()  # for who waits, too
        return self.is_over

    def tell(self, listener: Callable[[Call[T]], object]) -> None:
        """Call `listener`, the only one, with this call once it is over, in its thread; if it is already, at once.

        It is not to raise.
        """
        with self._lock:
            if not self.is_over:
                self._listener = listener
                return
        listener(self)

    def cancel(self) -> bool:
        """Let it not begin, and return whether it never will: False if it has begun."""
        with self._lock:
            if not self._begun:
                self._fn = None
            return not self._begun

    def result(self) -> T:
        """Return what it returned, or raise what it raised. To be asked for when it is over."""
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    # ------------------------------------------------------------ for the pool

    def begin(self) -> bool:
        """Take note that a thread has it, and return whether it is to be run. Under the lock."""
        self._begun = True
        return self._fn is not None

    def run(self) -> None:
        """Call, and keep what came of it."""
        fn, self._fn = self._fn, None
        assert fn is not None, "it has begun"
        self._value, self._error = _outcome(fn)

    def end(self) -> None:
        """Let it be over. Under the lock, after `run`."""
        self.is_over = True

    def ring(self) -> None:
        """Tell who waits, and the listener. After `end`, and not under the lock: who is woken may need it next."""
        self._bell.release()
        if self._listener is not None:
            self._listener(self)
            self._listener = None


def _outcome(fn: Callable[[], T]) -> tuple[T, None] | tuple[None, BaseException]:
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

    def close(self) -> None:
        """Give back what it holds of the system: nothing."""


class _Eventfd:
    """A gate that is opened by a system call, during which Python's own lock is free for who waits.

    Opened otherwise, it wakes a thread that at once has to wait for that lock: one more switch for each call.
    """

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = os.eventfd(0)

    def open(self) -> None:
        """Let who waits pass, or who comes next."""
        os.eventfd_write(self._fd, 1)

    def wait(self) -> None:
        """Return once it was opened."""
        while True:
            with suppress(InterruptedError):  # by a signal, after which Python reads again everything but this
                os.eventfd_read(self._fd)
                return

    def close(self) -> None:
        """Give back what it holds of the system: a descriptor."""
        os.close(self._fd)


def _gate() -> _Lock | _Eventfd:
    """Return the best gate that can be had."""
    if hasattr(os, "eventfd"):
        with suppress(OSError):  # no descriptor is left
            return _Eventfd()
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
        self._lock = threading.RLock()
        self._calls: deque[Call[Any]] = deque()  # for which there is no thread yet
        self._idle: list[_Thread] = []
        self._started = 0
        self._closed = False

    def submit(self, fn: Callable[[], T]) -> Call[T]:
        """See `Pool`."""
        call = Call(fn, self._lock)
        with self._lock:
            if self._closed:
                msg = "The pool is closed."
                raise RuntimeError(msg)
            thread = self._idle.pop() if self._idle else None
            if thread is None and self._started == self._count:
                self._calls.append(call)
                return call
            call.begin()
            if thread is None:
                self._start(call)
                return call
        thread.call = call
        thread.gate.open()  # outside of the lock: the thread is to find it free
        return call

    def close(self) -> None:
        """See `Pool`. The threads end, those that run a call when that is over."""
        with self._lock:
            self._closed = True
            self._calls.clear()
            idle, self._idle = self._idle, []
        for thread in idle:
            thread.over = True
            thread.gate.open()

    def _start(self, call: Call[Any]) -> None:
        own = _Thread()
        own.call = call  # not as an argument: a thread keeps those to its end
        own.gate.open()
        name = f"{self._name}-{self._started}"
        thread = threading.Thread(target=self._work, args=(own,), name=name, daemon=True)
        try:
            thread.start()
        except BaseException:  # as many threads as the system allows
            own.gate.close()
            raise
        self._started += 1

    def _work(self, own: _Thread) -> None:
        try:
            self._run(own)
        finally:
            own.gate.close()

    def _run(self, own: _Thread) -> None:
        call = self._wait(own)
        while call is not None:
            call.run()
            with self._lock:  # before anybody is told, who may have the next call at once
                following = self._next()
                waits = following is None and not self._closed
                if waits:
                    self._idle.append(own)
                call.end()
            call.ring()
            call = following  # and what is over is not kept alive until there is another
            if waits:
                call = self._wait(own)

    def _next(self) -> Call[Any] | None:
        """Return the call that has waited longest. Under the lock."""
        while self._calls:
            call = self._calls.popleft()
            if call.begin():
                return call
        return None

    @staticmethod
    def _wait(own: _Thread) -> Call[Any] | None:
        """Return the next call, None if there will be none."""
        own.gate.wait()
        while own.call is None and not own.over:  # a child made by `os.fork` has opened it, which it shares
            own.gate.wait()
        call, own.call = own.call, None
        return call
