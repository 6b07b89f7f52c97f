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
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Call: TypeAlias = tuple[Future[Any], Callable[[], Any]]


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
        self.call: _Call | None = None
        self.over = False
        self.gate = _gate()


class Threads(Executor):
    """See the module's text.

    Args:
        count: so many calls run at once, at most.
        name: what the threads' names begin with.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()  # for which there is no thread yet
        self._idle: list[_Thread] = []
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor`."""
        future: Future[T] = Future()
        call = (future, partial(fn, *args, **kwargs))
        with self._lock:
            if self._closed:
                msg = "The pool is closed."
                raise RuntimeError(msg)
            thread = self._idle.pop() if self._idle else None
            if thread is None and len(self._threads) < self._count:
                self._start(call)
            elif thread is None:
                self._calls.append(call)
        if thread is not None:
            thread.call = call
            thread.gate.open()  # outside of the lock: the thread is to find it free
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as `Executor` has it
        """See `concurrent.futures.Executor`."""
        with self._lock:
            self._closed = True
            calls = list(self._calls) if cancel_futures else []
            if cancel_futures:
                self._calls.clear()
            idle, self._idle = self._idle, []
        for future, _ in calls:
            _ = future.cancel()
        for thread in idle:
            thread.over = True
            thread.gate.open()
        if wait:
            for running in self._threads:
                running.join()

    def _start(self, call: _Call) -> None:
        own = _Thread()
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, args=(own, call), name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, own: _Thread, first: _Call) -> None:
        try:
            self._run(own, first)
        finally:
            own.gate.close()

    def _run(self, own: _Thread, first: _Call) -> None:
        call: _Call | None = first
        del first
        while call is not None:
            tell = _run(*call)
            with self._lock:  # before anybody is told, who may have the next call at once
                call = self._calls.popleft() if self._calls else None
                waits = call is None and not self._closed
                if waits:
                    self._idle.append(own)
            tell()
            del tell  # else what it tells would be kept alive until the next call
            if waits:
                call = self._wait(own)

    @staticmethod
    def _wait(own: _Thread) -> _Call | None:
        """Return the next call, None if there will be none."""
        own.gate.wait()
        while own.call is None and not own.over:  # a child made by `os.fork` has opened it, which it shares
            own.gate.wait()
        call, own.call = own.call, None
        return call


def _run(future: Future[Any], call: Callable[[], Any]) -> Callable[[], None]:
    """Call, unless that was canceled; return what tells the future of it."""
    if not future.set_running_or_notify_cancel():
        return _tell_nobody
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its outcome
        return partial(future.set_exception, error)
    return partial(future.set_result, value)


def _tell_nobody() -> None:
    """There is nobody to tell."""
