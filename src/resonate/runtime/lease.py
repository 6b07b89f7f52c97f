"""Keeps the leases of the tasks that a worker holds, also while user code blocks the event loop.

Law 1: each lease is renewed at half its length, one request for each origin, and none while nothing is held.
Law 2: a lease that could not be renewed for its whole length is given up: another worker may have the task by then.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from resonate.core import ids
from resonate.core.protocol.requests import Rejection, TaskHeartbeat, TaskRef
from resonate.errors import ResonateError
from resonate.ports.clock import Clock
from resonate.ports.store import Store

log = logging.getLogger("resonate.lease")


class LeaseKeeper:
    """See the module's text.

    Args:
        store: renews the leases.
        clock: see the port.
        pid: in whose name tasks are held.
        ttl_ms: how long a lease lasts.
        on_lost: is called, on the loop that called `start`, with the id, the version and the reason for each lease
            given up.
        own_thread: renew from a thread, so that a blocked event loop costs no lease. Virtual time can't have that.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        pid: str,
        ttl_ms: int,
        on_lost: Callable[[str, int, str], None],
        own_thread: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pid = pid
        self._ttl_ms = ttl_ms
        self._on_lost = on_lost
        self._own_thread = own_thread
        self._lock = threading.Lock()
        self._held: dict[str, tuple[int, int]] = {}  # id -> task version, instant of the last renewal
        self._home: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._needed: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None  # done when the thread is about to be
        self._ready = threading.Event()
        self._idle = True  # the beat waits to be needed

    def start(self) -> None:
        """Begin to renew; called on the worker's loop."""
        self._home = asyncio.get_running_loop()
        self._idle = True
        if not self._own_thread:
            self._loop, self._needed = self._home, asyncio.Event()
            self._task = self._home.create_task(self._beat(), name="resonate-heartbeat")
            return
        self._ready.clear()
        self._ended = self._home.create_future()
        self._thread = threading.Thread(target=self._run_thread, name="resonate-heartbeat", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def stop(self) -> None:
        """Renew no more. What is held lapses."""
        loop, task, thread = self._loop, self._task, self._thread
        self._loop = self._task = self._thread = None
        if task is None or loop is None:
            return
        if thread is None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return
        loop.call_soon_threadsafe(task.cancel)
        if self._ended is not None:
            await self._ended  # not by a thread that joins it: at the interpreter's end none can be started
        thread.join()

    def hold(self, task_id: str, version: int) -> None:
        """Renew the lease of this task from now on; it was granted just now."""
        loop, needed = self._loop, self._needed
        with self._lock:
            self._held[task_id] = (version, self._clock.now())
            if not self._idle or loop is None or needed is None:
                return  # waking a thread is dear: once for each spell without leases, not for each task
            self._idle = False
        if self._thread is None:
            needed.set()
        else:
            loop.call_soon_threadsafe(needed.set)

    def drop(self, task_id: str) -> None:
        """Renew it no more. Harmless if it is not held."""
        with self._lock:
            self._held.pop(task_id, None)

    def _run_thread(self) -> None:
        async def main() -> None:
            self._loop, self._needed = asyncio.get_running_loop(), asyncio.Event()
            self._task = asyncio.current_task()
            self._ready.set()
            await self._beat()

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass  # stopped
        finally:
            self._ready.set()
            if self._home is not None and self._ended is not None:
                with suppress(RuntimeError):  # its loop was closed: nobody waits
                    self._home.call_soon_threadsafe(_done, self._ended)

    async def _beat(self) -> None:
        assert self._needed is not None
        while True:
            await self._needed.wait()
            await self._clock.sleep_until(self._clock.now() + max(1, self._ttl_ms // 2))
            with self._lock:
                everything = tuple(TaskRef(task_id, version) for task_id, (version, _) in self._held.items())
            self._give_up_stale(everything, "its lease ran out while this process stood still")
            with self._lock:
                held = dict(self._held)
                if not held:
                    self._needed.clear()
                    self._idle = True
            if held:
                await asyncio.gather(*(self._renew(tasks) for tasks in self._by_origin(held)))

    def _by_origin(self, held: dict[str, tuple[int, int]]) -> list[tuple[TaskRef, ...]]:
        groups: defaultdict[str, list[TaskRef]] = defaultdict(list)
        for task_id, (version, _) in held.items():
            groups[ids.origin(task_id, self._store.dialect.separator)].append(TaskRef(task_id, version))
        return [tuple(group) for group in groups.values()]

    async def _renew(self, tasks: tuple[TaskRef, ...]) -> None:
        asked = self._clock.now()
        try:
            reply = await self._store.send(TaskHeartbeat(pid=self._pid, tasks=tasks))
        except ResonateError as error:
            self._give_up_stale(tasks, f"the lease could not be renewed in time ({type(error).__name__})")
            return
        if isinstance(reply, Rejection):
            self._give_up(tasks, f"the server refused the heartbeat: {reply.message}")
            return
        with self._lock:
            for task in tasks:
                held = self._held.get(task.id)
                if held is not None and held[0] == task.version:
                    self._held[task.id] = (task.version, max(asked, held[1]))

    def _give_up_stale(self, tasks: tuple[TaskRef, ...], reason: str) -> None:
        now = self._clock.now()
        with self._lock:
            stale = tuple(
                task for task in tasks if task.id in self._held and now - self._held[task.id][1] >= self._ttl_ms
            )
        self._give_up(stale, reason)

    def _give_up(self, tasks: tuple[TaskRef, ...], reason: str) -> None:
        for task in tasks:
            with self._lock:
                if self._held.get(task.id, (None, 0))[0] != task.version:
                    continue  # given back meanwhile, or held anew
                del self._held[task.id]
            if self._home is not None and not self._home.is_closed():
                self._home.call_soon_threadsafe(self._on_lost, task.id, task.version, reason)


def _done(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
