"""The blocking twin of the client, for code that has no event loop: scripts, Flask and Django views, threads.

    from resonate.sync import Resonate

    with Resonate() as resonate:
        receipt = resonate.run("order-42", checkout, "42", 1999)

Law 1: all of it runs on one background thread with an event loop of its own; any other thread may call.
Law 2: a call blocks its thread and no other; where an event loop runs it is refused, since it would block that.
Law 3: what is open when the interpreter exits is closed as at the end of `with`, before its threads are taken away.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from resonate import client
from resonate.core.durations import Duration, seconds
from resonate.core.engine.context import (
    AsyncInfoStep,
    AsyncStep,
    AsyncWorkflow,
    GeneratorWorkflow,
    InfoStep,
    Step,
)
from resonate.core.engine.loop import DurableLoop
from resonate.core.insight.causes import Why
from resonate.core.insight.tree import Tree
from resonate.core.protocol.records import PromiseRecord, PromiseState, ScheduleRecord
from resonate.core.retry import RetryPolicy
from resonate.core.values import Codec
from resonate.errors import UsageError
from resonate.ports.clock import Clock
from resonate.ports.network import Token
from resonate.ports.store import Backend
from resonate.ports.telemetry import Telemetry
from resonate.ports.tracer import Tracer
from resonate.runtime import handle
from resonate.runtime.health import Health
from resonate.runtime.recording import Recording

T = TypeVar("T")
P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
E = TypeVar("E", bound=type[Exception])

_OPEN = "Use it inside `with resonate:`, or call open() first."


class Resonate:
    """Durable execution for this process, for blocking code. Takes the arguments of `resonate.Resonate`.

    Use it as a context manager, or call `open` and `close`; making one starts nothing. Any thread may use it,
    also a `def` step of its own; in an `async def` or in a workflow its calls are refused.
    """

    def __init__(
        self,
        backend: str | Backend | None = None,
        *,
        token: Token | None = None,
        group: str | None = None,
        pid: str | None = None,
        codec: Codec | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
        tracers: Iterable[Tracer] = (),
        concurrency: int = 1_000,
        continuations: int = 1_000,
        continuation_age: Duration | None = None,
        threads: int | None = None,
        ttl: Duration = 60.0,
        grace: Duration = 10.0,
        timeout: Duration = timedelta(days=30),
        step_timeout: Duration = timedelta(days=1),
        retry: RetryPolicy | None = None,
    ) -> None:
        self._client = client.Resonate(
            backend,
            token=token,
            group=group,
            pid=pid,
            codec=codec,
            clock=clock,
            telemetry=telemetry,
            tracers=tracers,
            concurrency=concurrency,
            continuations=continuations,
            continuation_age=continuation_age,
            threads=threads,
            ttl=ttl,
            grace=grace,
            timeout=timeout,
            step_timeout=step_timeout,
            retry=retry,
        )
        self._door = _Door(self._client)
        self.promises = Promises(self._door, self._client.promises)
        self.schedules = Schedules(self._door, self._client.schedules)
        self.store = Retention(self._door, self._client.store)

    # ------------------------------------------------------------ life

    def open(self) -> None:
        """Connect, and take tasks from now on."""
        self._door.open()

    def close(self) -> None:
        """Take no more tasks, wait for what runs (up to `grace`), give back the rest. Harmless if it is not open."""
        self._door.close()

    def __enter__(self) -> Self:
        """Open it."""
        self.open()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def pid(self) -> str:
        """This process's name in its group."""
        return self._client.pid

    @property
    def healthy(self) -> bool:
        """Whether the worker is open and takes tasks; False after the server refused its credentials."""
        return self._client.healthy

    def health(self) -> Health:
        """Ask the store for a sign of life, once, and say how this process is doing. Raise `UsageError` if not open."""
        return self._door.call(self._client.health)

    # ------------------------------------------------------------ functions

    @overload
    def register(self, fn: F, /) -> F: ...
    @overload
    def register(
        self,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[F], F]: ...

    def register(
        self,
        fn: Any = None,
        /,
        *,
        name: str | None = None,
        version: int = 1,
        retry: RetryPolicy | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Make a function callable by name; see `resonate.Resonate.register`. Workflows are `async def` here too."""
        add = self._client.register(name=name, version=version, retry=retry, timeout=timeout)
        return add if fn is None else add(fn)

    def register_error(self, cls: E, /) -> E:
        """Let failures of this class come back as themselves; see `resonate.Resonate.register_error`."""
        return self._client.register_error(cls)

    def set_dependency(self, key: str | type, value: object) -> None:
        """Let functions get `value` by `key`: `ctx.get_dependency(key)`, `info.get_dependency(key)`."""
        self._client.set_dependency(key, value)

    def options(
        self,
        *,
        timeout: Duration | None = None,
        target: str | None = None,
        version: int | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Self:
        """Return this client with settings for the next calls; see `resonate.Resonate.options`."""
        twin = copy(self)
        twin._client = self._client.options(  # noqa: SLF001 - of the same class
            timeout=timeout, target=target, version=version, tags=tags
        )
        return twin

    # ------------------------------------------------------------ executions

    @overload
    def run(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def run(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Any: ...

    def run(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a registered function durably as `id`, and return its result or raise its error."""
        return self._door.call(lambda: self._client.run(id, fn, *args, **kwargs))

    @overload
    def begin_run(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_run(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...

    def begin_run(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start like `run`, and return a handle once the execution is durable."""
        return Handle(self._door, self._door.call(lambda: self._client.begin_run(id, fn, *args, **kwargs)))

    @overload
    def rpc(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    def rpc(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Any: ...

    def rpc(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a function durably on any worker of the target group; otherwise like `run`."""
        return self._door.call(lambda: self._client.rpc(id, fn, *args, **kwargs))

    @overload
    def begin_rpc(self, id: str, fn: AsyncWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: GeneratorWorkflow[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: AsyncInfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: InfoStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: AsyncStep[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: Step[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Handle[T]: ...
    @overload
    def begin_rpc(self, id: str, fn: str, /, *args: Any, **kwargs: Any) -> Handle[Any]: ...

    def begin_rpc(self, id: str, fn: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Start like `rpc`, and return a handle once the execution is durable."""
        return Handle(self._door, self._door.call(lambda: self._client.begin_rpc(id, fn, *args, **kwargs)))

    @overload
    def get(self, id: str, *, returns: type[T]) -> Handle[T]: ...
    @overload
    def get(self, id: str, *, returns: Any = Any) -> Handle[Any]: ...

    def get(self, id: str, *, returns: Any = Any) -> Handle[Any]:
        """Return a handle on whatever has this id; `returns` is the type that its result is read as."""

        async def get() -> handle.Handle[Any]:
            return self._client.get(id, returns=returns)

        return Handle(self._door, self._door.call(get))

    def cancel(self, id: str) -> bool:
        """Cancel an execution or a promise; return False if it had settled otherwise before. Raise `NotFound`."""
        return self._door.call(lambda: self._client.cancel(id))

    def tree(self, id: str) -> Tree:
        """Return what an execution asked for, and how each of it stands. Raise `NotFound`."""
        return self._door.call(lambda: self._client.tree(id))

    def why(self, id: str) -> Why:
        """Return why an execution or a promise is not settled yet; see `resonate.Resonate.why`."""
        return self._door.call(lambda: self._client.why(id))

    def record(self, id: str) -> Recording:
        """Return an execution with its history, to be saved and replayed; see `resonate.Resonate.record`."""
        return self._door.call(lambda: self._client.record(id))

    def schedule(
        self, id: str, cron: str, fn: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> ScheduleRecord:
        """Run a function at every instant of a cron expression (UTC); see `resonate.Resonate.schedule`."""
        return self._door.call(lambda: self._client.schedule(id, cron, fn, *args, **kwargs))


class Handle(Generic[T]):
    """The result of an execution, to be waited for now, later, from any thread, or in another process."""

    def __init__(self, door: _Door, inner: handle.Handle[T]) -> None:
        self._door = door
        self._inner = inner

    @property
    def id(self) -> str:
        """The id of the execution or promise."""
        return self._inner.id

    def result(self, timeout: Duration | None = None) -> T:
        """Wait for the result and return it, or raise what the function raised.

        Raise `TimeoutError` if there is none after `timeout`; the execution goes on, and can be waited for again.
        """
        return self._door.call(self._inner.result, timeout=timeout, what=self.id)

    def done(self) -> bool:
        """Ask the store whether the promise has settled. Raise `NotFound` if there is none."""
        return self._door.call(self._inner.done)

    def cancel(self) -> bool:
        """Settle the promise as canceled; return False if it had settled otherwise before."""
        return self._door.call(self._inner.cancel)

    def __repr__(self) -> str:
        """Show the id."""
        return f"<Handle {self.id}>"


class Promises:
    """Promises as such: made, read, settled and searched from outside. Reached as `resonate.promises`."""

    def __init__(self, door: _Door, inner: client.Promises) -> None:
        self._door = door
        self._inner = inner

    def create(
        self, id: str, *, timeout: Duration | None = None, value: object = None, tags: Mapping[str, str] | None = None
    ) -> PromiseRecord:
        """Make a promise that anyone may settle and await; one that exists is returned as it is stored."""
        return self._door.call(lambda: self._inner.create(id, timeout=timeout, value=value, tags=tags))

    def get(self, id: str) -> PromiseRecord:
        """Return the promise as it is now. Raise `NotFound`."""
        return self._door.call(lambda: self._inner.get(id))

    def resolve(self, id: str, value: object = None, *, type: Any = Any) -> PromiseRecord:
        """Settle a promise with a value, written as `type`. If it had settled before, that outcome is returned."""
        return self._door.call(lambda: self._inner.resolve(id, value, type=type))

    def reject(self, id: str, error: BaseException | str) -> PromiseRecord:
        """Settle a promise with a failure. If it had settled before, that outcome is returned."""
        return self._door.call(lambda: self._inner.reject(id, error))

    def cancel(self, id: str) -> PromiseRecord:
        """Settle a promise as canceled. If it had settled before, that outcome is returned."""
        return self._door.call(lambda: self._inner.cancel(id))

    def search(
        self, *, state: PromiseState | str | None = None, tags: Mapping[str, str] | None = None, page: int = 100
    ) -> Iterator[PromiseRecord]:
        """Yield the promises in this state with all these tags, in id order, fetched `page` at a time."""
        return self._door.each(self._inner.search(state=state, tags=tags, page=page))


class Schedules:
    """Schedules, read and deleted. Reached as `resonate.schedules`; made by `resonate.schedule`."""

    def __init__(self, door: _Door, inner: client.Schedules) -> None:
        self._door = door
        self._inner = inner

    def get(self, id: str) -> ScheduleRecord:
        """Return the schedule. Raise `NotFound`."""
        return self._door.call(lambda: self._inner.get(id))

    def delete(self, id: str) -> None:
        """Delete the schedule; executions that it started go on. Raise `NotFound`.

        Where an answer was lost it is asked again, and then `NotFound` may mean that the schedule is deleted now.
        """
        self._door.call(lambda: self._inner.delete(id))

    def search(self, *, tags: Mapping[str, str] | None = None, page: int = 100) -> Iterator[ScheduleRecord]:
        """Yield the schedules whose promises get all these tags, in id order."""
        return self._door.each(self._inner.search(tags=tags, page=page))


class Retention:
    """What the store keeps, for the store's owner. Reached as `resonate.store`."""

    def __init__(self, door: _Door, inner: client.Retention) -> None:
        self._door = door
        self._inner = inner

    def prune(self, *, before: datetime | timedelta) -> int:
        """Delete whole executions that settled before an instant; return how many promises that were.

        What a live execution may still read stays, however old. An id that is gone may be used anew, and is run anew.

        Args:
            before: an instant with its time zone, or how long ago.

        Raise `UsageError` for a store that has no say in that: a Resonate server keeps what it keeps.
        """
        return self._door.call(lambda: self._inner.prune(before=before))


# ---------------------------------------------------------------- inside


class _Door:
    """The way from any thread into the client's event loop, shared by all that belongs to one client."""

    def __init__(self, inner: client.Resonate) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None

    def open(self) -> None:
        _refuse_event_loops()
        with self._lock:
            if self._thread is not None:
                raise UsageError("This client is open already.", hint="Make another Resonate for another `with`.")
            thread = _LoopThread()
            try:
                thread.call(self._inner.__aenter__)
            except BaseException:
                thread.stop()
                raise
            self._thread = thread
        _opened.add(self)
        _watch_exit()

    def close(self) -> None:
        with self._lock:
            thread, self._thread = self._thread, None
        _opened.discard(self)
        if thread is None or thread.is_forked:  # which is its parent's to close
            return
        try:
            thread.call(lambda: self._inner.__aexit__(None, None, None))
        finally:
            thread.stop()

    def call(self, ask: Callable[[], Coroutine[Any, Any, T]], timeout: Duration | None = None, what: str = "it") -> T:
        _refuse_event_loops()
        limit = None if timeout is None else seconds(timeout, "timeout")
        thread = self._thread
        if thread is None:
            raise UsageError("The client is not open.", hint=_OPEN)
        return thread.call(ask, limit, what)

    def each(self, found: AsyncIterator[T]) -> Iterator[T]:
        nothing = object()

        async def following() -> Any:
            return await anext(found, nothing)

        while (item := self.call(following)) is not nothing:
            yield item


class _LoopThread:
    """A thread that runs an event loop until it is stopped."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._lock = threading.Lock()
        self._calls: dict[concurrent.futures.Future[Any], Coroutine[Any, Any, Any]] = {}  # which somebody waits for
        self._over = False
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run_thread, name="resonate-sync", daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a child, made by `os.fork`, of the one that has the thread."""
        return os.getpid() != self._process

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._run())
        finally:
            with self._lock:
                self._over = True
                left, self._calls = self._calls, {}
            for future, coroutine in left.items():  # asked for in the loop's last turn, and never begun
                if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                    coroutine.close()
                _ = future.cancel()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()

    def call(self, ask: Callable[[], Coroutine[Any, Any, T]], limit: float | None = None, what: str = "it") -> T:
        assert self._loop is not None
        if self.is_forked:
            raise UsageError(
                "This process was forked while its parent had the client open, and can't use it.",
                hint="Open a client after the fork, or start processes by spawn.",
            )
        closed = UsageError("The client was closed while a call was under way.", hint=_OPEN)
        coroutine = ask()
        try:
            with self._lock:
                if self._over:
                    raise closed
                future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
                self._calls[future] = coroutine
        except (RuntimeError, UsageError):  # the loop has ended
            coroutine.close()
            raise closed from None
        try:
            return future.result(limit)
        except concurrent.futures.CancelledError:
            raise closed from None
        except TimeoutError:
            if future.done():
                raise  # the function's own
            raise TimeoutError(f"{what} has no result after {limit} s; it goes on.") from None
        finally:
            future.cancel()  # when the wait was cut short, by the limit or by Ctrl-C
            with self._lock:
                _ = self._calls.pop(future, None)

    def stop(self) -> None:
        if self._loop is not None and self._end is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


_opened: set[_Door] = set()
_watching = False


def _watch_exit() -> None:
    """Close what is open when the interpreter exits: before it ends the threads that steps run on."""
    global _watching  # noqa: PLW0603 - once for the process
    if _watching:
        return
    _watching = True
    register: Callable[[Callable[[], None]], object] = getattr(threading, "_register_atexit", atexit.register)
    register(_close_all)


def _close_all() -> None:
    for door in list(_opened):
        door.close()


def _refuse_event_loops() -> None:
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    if isinstance(running, DurableLoop):
        raise UsageError(
            "resonate.sync was used inside a workflow.",
            hint="Use the workflow's Context: ctx.run, ctx.rpc, ctx.promise; or do it in a `def` step.",
        )
    raise UsageError(
        "resonate.sync was used where an event loop runs, which it would block.",
        hint="Use resonate.Resonate with await, or call it in a thread: await asyncio.to_thread(...).",
    )


__all__ = ["Handle", "Promises", "Resonate", "Schedules"]
