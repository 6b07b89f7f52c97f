"""A bounded pool of threads that no process waits for at its end.

Law 1: a call begins at once while fewer run than there may be threads; else in the order in which it was handed in.
Law 2: a closed pool begins nothing more, and its threads end as soon as what they run does.
Law 3: a process ends without what still runs. `concurrent.futures` would wait for it, for ever if it never returns.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeAlias, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_Call: TypeAlias = tuple[Future[Any], Callable[[], Any]]


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
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()  # None: the pool is closed
        self._idle: deque[None] = deque()  # an entry for each thread that waits for a call, until there are all
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                msg = "The pool is closed."
                raise RuntimeError(msg)
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if len(self._threads) < self._count:
                if self._idle:
                    self._idle.pop()
                else:
                    self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as `Executor` has it
        """See `concurrent.futures.Executor`."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._cancel_all()
            self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _cancel_all(self) -> None:
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                return
            if call is not None:
                _ = call[0].cancel()

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if call is None:
                self._calls.put(None)  # for the next thread
                return
            _run(*call)
            del call  # else it would be kept alive until the next one comes
            if len(self._threads) < self._count:
                self._idle.append(None)


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001 - whatever it raises is its outcome
        future.set_exception(error)
    else:
        future.set_result(value)
