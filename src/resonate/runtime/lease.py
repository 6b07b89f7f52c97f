"""Keeps the leases of the tasks that a worker holds, also while user code blocks the event loop.

Law 1: each lease is renewed at half its length, one request for each origin, and none while nothing is held. What is
    not answered is asked again sooner.
Law 2: a lease is counted from when it was asked for, so that ours ends before the server's. One that could not be
    renewed is given up while it still lasts, so that what it covered has stopped when another worker has the task.
Law 3: a request that is never answered delays nothing: neither the other leases, nor the end of this one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from resonate.core import ids
from resonate.core.protocol.requests import Rejection, TaskHeartbeat, TaskRef
from resonate.errors import AuthError, ResonateError
from resonate.ports.clock import Clock
from resonate.ports.store import Store

log = logging.getLogger("resonate.lease")

PARTS = 8
"""A lease is given up an eighth of its length before its end; from its half on, it is asked for each eighth."""
HALF = PARTS // 2


class LeaseKeeper:
    """See the module's text.

    Args:
        store: renews the leases.
        clock: see the port.
        pid: in whose name tasks are held.
        ttl_ms: how long a lease lasts.
        on_lost: is called, on the loop that called `start`, with the id, the version and the reason for each lease
            given up.
        on_refused: is called there, too, when the store refuses this process as such.
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
        on_refused: Callable[[AuthError], None],
        own_thread: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pid = pid
        self._ttl_ms = ttl_ms
        self._on_lost = on_lost
        self._on_refused = on_refused
        self._renewals: dict[str, tuple[int, asyncio.Task[None]]] = {}  # by origin: since when one is under way
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

    def hold(self, task_id: str, version: int, since: int) -> None:
        """Renew the lease of this task from now on; it was asked for at `since`."""
        loop, needed = self._loop, self._needed
        with self._lock:
            self._held[task_id] = (version, since)
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

    def drop_all(self) -> None:
        """Renew none of them any more."""
        with self._lock:
            self._held.clear()

    def is_late(self, since: int) -> bool:
        """Say whether so much has gone by since a lease was asked for that it is not worth beginning with."""
        return self._clock.now() - since >= max(1, self._ttl_ms // 2)

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
        try:
            while True:
                await self._needed.wait()
                parts = 1 if self._is_uncertain() else HALF
                await self._clock.sleep_until(self._clock.now() + max(1, self._ttl_ms * parts // PARTS))
                self._give_up_stale()
                with self._lock:
                    held = dict(self._held)
                    if not held:
                        self._needed.clear()
                        self._idle = True
                self._renew_all(held, self._clock.now())
                await asyncio.sleep(0)  # what a store answers at once is answered now
        finally:
            for _, renewal in self._renewals.values():
                renewal.cancel()
            self._renewals.clear()

    def _is_uncertain(self) -> bool:
        """Say whether a renewal is under way, or one that was due has failed."""
        now = self._clock.now()
        with self._lock:
            late = any(now - renewed >= self._ttl_ms * HALF // PARTS for _, renewed in self._held.values())
        return late or bool(self._renewals)

    def _renew_all(self, held: dict[str, tuple[int, int]], now: int) -> None:
        for origin, tasks in self._by_origin(held).items():
            since, renewal = self._renewals.get(origin, (0, None))
            if renewal is not None:
                if now - since < self._ttl_ms * 2 // PARTS:
                    continue
                renewal.cancel()
            task = asyncio.get_running_loop().create_task(self._renew(tasks, now))
            self._renewals[origin] = (now, task)
            task.add_done_callback(partial(self._answered, origin))

    def _answered(self, origin: str, renewal: asyncio.Task[None]) -> None:
        if self._renewals.get(origin, (0, None))[1] is renewal:
            del self._renewals[origin]

    def _by_origin(self, held: dict[str, tuple[int, int]]) -> dict[str, tuple[TaskRef, ...]]:
        groups: defaultdict[str, list[TaskRef]] = defaultdict(list)
        for task_id, (version, _) in held.items():
            groups[ids.origin(task_id, self._store.dialect.separator)].append(TaskRef(task_id, version))
        return {origin: tuple(group) for origin, group in groups.items()}

    async def _renew(self, tasks: tuple[TaskRef, ...], asked: int) -> None:
        try:
            reply = await self._store.send(TaskHeartbeat(pid=self._pid, tasks=tasks))
        except AuthError as error:
            self._tell(self._on_refused, error)
            return
        except ResonateError as error:
            log.info("A heartbeat failed: %s", error)
            return
        if isinstance(reply, Rejection):
            self._give_up(tasks, f"the server refused the heartbeat: {reply.message}")
            return
        with self._lock:
            for task in tasks:
                held = self._held.get(task.id)
                if held is not None and held[0] == task.version:
                    self._held[task.id] = (task.version, max(asked, held[1]))

    def _give_up_stale(self) -> None:
        limit = self._clock.now() - self._ttl_ms * (PARTS - 1) // PARTS
        with self._lock:
            stale = tuple(TaskRef(id, version) for id, (version, renewed) in self._held.items() if renewed <= limit)
        self._give_up(stale, "it could not be renewed in time")

    def _give_up(self, tasks: tuple[TaskRef, ...], reason: str) -> None:
        for task in tasks:
            with self._lock:
                if self._held.get(task.id, (None, 0))[0] != task.version:
                    continue  # given back meanwhile, or held anew
                del self._held[task.id]
            self._tell(self._on_lost, task.id, task.version, reason)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        if self._home is not None and not self._home.is_closed():
            self._home.call_soon_threadsafe(callback, *args)


def _done(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
