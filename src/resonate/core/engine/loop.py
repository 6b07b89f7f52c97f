"""The durable loop: asyncio's own futures and tasks, turned by hand, with no selector, clock or thread.

Law 1: nothing here waits; `run_until_idle` returns when no callback is ready.
Law 2: callbacks run in the order they were asked for; nothing else decides an order.
Law 3: time is logical, and each workflow's own: it stands still during a turn and is moved by the host from one
    recorded instant to the next.
Law 4: what would leave the loop raises `DeterminismError`, naming the call and the cure.
Law 5: a closed loop runs no more callbacks; what is still suspended on it is closed, never resumed.
Law 6: a set of its tasks and futures (`asyncio.wait` gives such) has the same order in every replay and process: they
    are hashed by their place in the lineage, not by their place in memory.

Theory of operation. A workflow runs as tasks of this loop. The host (an execution) turns the loop until it is
idle, looks at what the workflow has asked for meanwhile, and later completes the futures that it handed out. Each
task carries a `Branch` in its context: the place from which it counts the ids of what it starts, so that ids follow
the lineage of tasks and never the order in which things happened to finish.

This is the one module of the core that imports asyncio, for its Future, Task, Handle and AbstractEventLoop types and
for the functions that say which loop is running, and which task.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from types import FrameType
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, TypeVarTuple
from zlib import crc32

from resonate.core import ids
from resonate.errors import DeterminismError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CancelledError = asyncio.CancelledError
Future = asyncio.Future
Task = asyncio.Task
TimerHandle = asyncio.TimerHandle
FIRST_COMPLETED = asyncio.FIRST_COMPLETED
wait = asyncio.wait
swap_task: Any = getattr(asyncio.tasks, "_swap_current_task", None) if sys.version_info[:2] >= (3, 14) else None
"""Sets which task of a loop runs, and returns which did; None where nesting one loop in another does not need it.

From Python 3.14 on, asyncio keeps one running task for each thread, and no more one for each loop: a task that turns a
loop stands aside meanwhile, or no task of that loop could run."""


class Branch:
    """A place in the lineage from which ids are counted: one for each task of a workflow.

    Args:
        id: the id that this branch's own ids are children of.
        scope: what the branch belongs to (the host's business, but for its `now`, the logical time in epoch ms).
        separator: stands between origin and lineage.
    """

    __slots__ = ("_drawn", "_futures", "_stem", "id", "random", "scope", "separator")

    def __init__(self, id: str, scope: Any, separator: str) -> None:
        self.id = id
        self.scope = scope
        self.separator = separator
        self.random: Any = None
        self._stem = ids.below(id, separator)
        self._drawn = 0
        self._futures = 0

    def next_future(self) -> str:
        """Draw a name for a future that is no promise."""
        self._futures += 1
        return f"{self.id}+{self._futures}"

    def next_id(self) -> str:
        """Draw the next id of this branch."""
        self._drawn += 1
        return f"{self._stem}{self._drawn}"

    def fork(self) -> Branch:
        """Open a branch below the next id of this one."""
        return Branch(self.next_id(), self.scope, self.separator)


_branch: ContextVar[Branch] = ContextVar("resonate_branch")


def current_branch() -> Branch | None:
    """Return the branch of the task that runs now, None outside of any workflow."""
    return _branch.get(None)


class PlacedFuture(asyncio.Future[T], Generic[T]):
    """A future that knows the place in the lineage where it was made."""

    __slots__ = ("place",)

    place: str

    def __hash__(self) -> int:
        """Return a number that follows from the place; the hash of a string would differ between processes."""
        return crc32(self.place.encode())


class PlacedTask(asyncio.Task[T], Generic[T]):
    """A task that is hashed by its branch."""

    def __hash__(self) -> int:
        """Return a number that follows from the branch (already while asyncio's own `__init__` runs)."""
        body = self.get_coro()
        return body.number if isinstance(body, GuardedCoroutine) else id(self)


class Host(Protocol):
    """What the loop needs of the execution that turns it."""

    def timer_started(self, handle: asyncio.TimerHandle, delay: float) -> None:
        """Fire `handle` once `delay` seconds have passed durably."""
        ...

    def timer_canceled(self, handle: asyncio.TimerHandle) -> None:
        """Forget `handle`."""
        ...

    def task_started(self, task: GuardedCoroutine[Any]) -> None:
        """Take note of a new task."""
        ...

    def task_ended(self, task: GuardedCoroutine[Any], result: object, error: BaseException | None) -> None:
        """Take note that a task's body returned or raised; called inside the turn, before anyone who awaits it."""
        ...


class _Nobody:
    """The host of a closed loop: nothing is started any more, and nobody hears of what ends."""

    def timer_started(self, handle: asyncio.TimerHandle, delay: float) -> None:
        """Let it never fire."""

    def timer_canceled(self, handle: asyncio.TimerHandle) -> None:
        """There is nothing to forget."""

    def task_started(self, task: GuardedCoroutine[Any]) -> None:
        """It never runs."""

    def task_ended(self, task: GuardedCoroutine[Any], result: object, error: BaseException | None) -> None:
        """Nobody waits for it."""


_NOBODY: Final = _Nobody()


class _Exited(Exception):
    """A task raised SystemExit: that fails the task, it does not end the process that happens to run it."""

    def __init__(self, error: SystemExit) -> None:
        super().__init__(f"SystemExit: {error}")


class GuardedCoroutine(Coroutine[Any, Any, T], Generic[T]):
    """A task's body, watched: foreign awaits are refused where they happen, and its end is reported."""

    __slots__ = ("__weakref__", "_body", "_host", "_loop", "number", "scope")

    def __init__(self, body: Coroutine[Any, Any, T], loop: DurableLoop, host: Host, branch: Branch) -> None:
        self._body = body
        self._loop = loop
        self._host = host
        self.scope = branch.scope
        self.number = crc32(branch.id.encode())

    def send(self, value: Any) -> Any:
        """Run to the next await."""
        try:
            awaited = self._body.send(value)
            while (refusal := self._refusal(awaited)) is not None:
                awaited = self._body.throw(refusal)
        except StopIteration as end:
            self._host.task_ended(self, end.value, None)
            raise
        except SystemExit as error:
            self._host.task_ended(self, None, error)
            raise _Exited(error) from error
        except BaseException as error:
            self._host.task_ended(self, None, error)
            raise
        return awaited

    def throw(self, *error: Any) -> Any:
        """Raise at the await that the body stands at."""
        try:
            awaited = self._body.throw(*error)
            while (refusal := self._refusal(awaited)) is not None:
                awaited = self._body.throw(refusal)
        except StopIteration as end:
            self._host.task_ended(self, end.value, None)
            raise
        except SystemExit as raised:
            self._host.task_ended(self, None, raised)
            raise _Exited(raised) from raised
        except BaseException as raised:
            self._host.task_ended(self, None, raised)
            raise
        return awaited

    @property
    def name(self) -> str:
        """What the body's function is called."""
        return getattr(self._body, "__qualname__", type(self._body).__name__)

    def close(self) -> None:
        """End the body where it stands. A body that awaits while it is closed is cut off there."""
        with suppress(Exception, CancelledError, GeneratorExit):  # the execution is over: nobody is left to hear of it
            self._body.close()

    def __await__(self) -> Generator[Any, Any, T]:
        """Await the body (asyncio never does; the type asks for it)."""
        return self._body.__await__()

    def _refusal(self, awaited: Any) -> DeterminismError | None:
        if awaited is None:
            return None  # a bare yield: asyncio.sleep(0)
        loop_of = getattr(awaited, "get_loop", None)
        if loop_of is not None and loop_of() is self._loop:
            return None
        if loop_of is not None:
            text = f"A workflow awaited a {type(awaited).__name__} that belongs to another event loop."
        else:
            text = f"A workflow awaited a {type(awaited).__name__}, which is not durable."
        return DeterminismError(text, hint="Do that work in a step and await it with ctx.run.")


class DurableLoop(asyncio.AbstractEventLoop):
    """An event loop that a host turns until it is idle.

    Args:
        host: is told of timers and of tasks that end.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._first: Branch | None = None
        self._ready: deque[asyncio.Handle] = deque()
        self._tasks: dict[Any, dict[GuardedCoroutine[Any], asyncio.Task[Any]]] = {}  # by scope
        self._closed = False
        self._halted = False

    # ------------------------------------------------------------ turned by the host

    def run_until_idle(self, limit: int) -> bool:
        """Run what is ready, and what that makes ready, until nothing is or `halt` was called.

        Return False if that took more than `limit` callbacks beyond those that were ready at the start.
        """
        ready = self._ready
        if not ready:
            return True
        limit += len(ready)
        outer = asyncio._get_running_loop()  # noqa: SLF001 - the only way to nest one loop in another
        task = None if swap_task is None or outer is None else swap_task(outer, None)
        hooks = sys.get_asyncgen_hooks()
        asyncio._set_running_loop(self)  # noqa: SLF001 - as above
        sys.set_asyncgen_hooks(None, None)  # or the outer loop would finalize the workflow's async generators
        try:
            while ready and not self._halted:
                if limit == 0:
                    return False
                limit -= 1
                handle = ready.popleft()
                if not handle.cancelled():
                    handle._run()  # noqa: SLF001 - the method every loop calls on its handles
        finally:
            sys.set_asyncgen_hooks(*hooks)
            asyncio._set_running_loop(outer)  # noqa: SLF001 - as above
            if swap_task is not None and task is not None:  # pragma: no cover -- from Python 3.14 on
                swap_task(outer, task)
        return True

    @property
    def has_ready(self) -> bool:
        """Whether there is something to run."""
        return bool(self._ready)

    def halt(self) -> None:
        """Stop for good after the callback that runs now."""
        self._halted = True

    def spawn(
        self, body: Coroutine[Any, Any, T], branch: Branch, enter: Callable[[], None] | None = None
    ) -> asyncio.Task[T]:
        """Start a task that counts its ids on `branch`, in a context of its own, which `enter` may set up."""
        self._first = self._first or branch
        context = Context()
        context.run(_branch.set, branch)
        if enter is not None:
            context.run(enter)
        return self._start(body, branch, context)

    # ------------------------------------------------------------ what asyncio asks of a loop

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback behind a durable timer of `delay` seconds."""
        timer = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 - so that its cancel is reported to us
        self._host.timer_started(timer, delay)
        return timer

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback behind a durable timer at the logical instant `when` (seconds)."""
        return self.call_later(when - self.time(), callback, *args, context=context)

    def fire(self, timer: asyncio.TimerHandle) -> None:
        """Queue the callback of a timer that is due."""
        timer._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001 - past this a cancel is no news
        self._ready.append(timer)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]  # noqa: SLF001 - see call_later
            self._host.timer_canceled(handle)

    def time(self) -> float:
        """Return the logical instant of the workflow that asks, in seconds since the epoch.

        Each has a time of its own: what one hears of says nothing of when another, beside it or within it, hears of it.
        """
        branch = _branch.get(None) or self._first  # the root's, in a context that the workflow has emptied
        return 0.0 if branch is None else float(branch.scope.now / 1000)

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of this loop."""
        future: PlacedFuture[Any] = PlacedFuture(loop=self)
        branch = _branch.get(None)
        future.place = "" if branch is None else branch.next_future()
        return future

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_ignored: Any
    ) -> asyncio.Task[Any]:
        """Start a task; its ids count below the next id of the task that starts it."""
        parent = _branch.get(None)
        if parent is None:
            msg = "A task of a workflow was started from outside of it."
            raise DeterminismError(msg, hint="Start tasks inside the workflow's own code.")
        _refuse_shuffled(sys._getframe(1))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # inspect's way is slow
        body = coro if asyncio.iscoroutine(coro) else _awaiting(coro)
        branch = parent.fork()
        chosen = copy_context() if context is None else context.copy()
        chosen.run(_branch.set, branch)
        task = self._start(body, branch, chosen)
        if name is not None:
            task.set_name(name)
        return task

    def _start(self, body: Coroutine[Any, Any, T], branch: Branch, context: Context) -> asyncio.Task[T]:
        guarded = GuardedCoroutine(body, self, self._host, branch)
        task: asyncio.Task[T] = PlacedTask(guarded, loop=self, context=context)
        setattr(task, "_log_destroy_pending", False)  # noqa: B010 - asyncio knows it, its types do not: parked is no leak
        self._tasks.setdefault(branch.scope, {})[guarded] = task
        self._host.task_started(guarded)
        return task

    def forget(self, task: GuardedCoroutine[Any]) -> asyncio.Task[Any] | None:
        """Let go of a task that has ended, and return it."""
        tasks = self._tasks.get(task.scope, {})
        ended = tasks.pop(task, None)
        if not tasks:
            self._tasks.pop(task.scope, None)
        return ended

    def tasks_of(self, scope: Any) -> list[asyncio.Task[Any]]:
        """Return the live tasks of a scope, in the order in which they were started."""
        return list(self._tasks.get(scope, {}).values())

    def get_debug(self) -> bool:
        """Return False: asyncio's debug mode reads clocks."""
        return False

    def set_debug(self, enabled: bool) -> None:  # noqa: FBT001 - asyncio's signature
        """Ignore: see `get_debug`."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what asyncio would only log: failures are recorded in promises."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore: see `call_exception_handler`."""

    def is_running(self) -> bool:
        """Return whether a turn is under way."""
        return asyncio._get_running_loop() is self  # noqa: SLF001 - as above

    def is_closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Close every task where it stands; `finally` blocks run, with nothing durable left to reach."""
        self._closed = self._halted = True
        self._ready.clear()
        tasks, self._tasks = [task for of_scope in self._tasks.values() for task in of_scope], {}
        for task in tasks:
            task.close()
        self._ready.clear()
        self._host = _NOBODY  # host and loop refer to each other: parted, they go without the garbage collector


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable


_ENSURES: Final = frozenset(
    one.__code__ for name in ("ensure_future", "_ensure_future") if (one := getattr(asyncio.tasks, name, None))
)


def _refuse_shuffled(frame: FrameType | None) -> None:
    """Refuse to start the coroutines of `asyncio.as_completed`: it starts them in the order of their addresses."""
    if frame is None or frame.f_code not in _ENSURES:
        return
    while frame is not None and frame.f_globals.get("__name__") == "asyncio.tasks":
        if frame.f_code.co_qualname.startswith(("as_completed", "_AsCompletedIterator")):
            msg = "asyncio.as_completed starts coroutines in an order that is not the same twice."
            raise DeterminismError(msg, hint="Give it tasks or durable calls: asyncio.create_task(each) first.")
        frame = frame.f_back


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(self: DurableLoop, *_args: Any, **_kwargs: Any) -> NoReturn:
        del self
        msg = f"A workflow called loop.{name}, which leaves the durable loop."
        raise DeterminismError(msg, hint="Do that work in a step and await it with ctx.run.")

    refuse.__name__ = name
    return refuse


_OURS = frozenset(vars(DurableLoop)) | {"_timer_handle_cancelled"}

for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in _OURS:
        setattr(DurableLoop, _name, _refuse(_name))
