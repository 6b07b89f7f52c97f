"""Keeps the leases of the tasks that a worker holds, also while user code blocks the event loop.

Law 1: each lease is renewed at half its length, one request for each origin, and none while nothing is held. What is
    not answered is asked again sooner.
Law 2: a lease is counted from when it was asked for, so that ours ends before the server's. One that could not be
    renewed is given up while it still lasts, so that what it covered has stopped when another worker has the task.
Law 3: a request that is never answered delays nothing: neither the other leases, nor the end of this one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from resonate.core import ids
from resonate.core.protocol.requests import Rejection, TaskHeartbeat, TaskRef
from resonate.errors import AuthError, ResonateError
from resonate.logs import Log
from resonate.ports.clock import Clock
from resonate.ports.store import Store

log = Log("resonate.lease")

PARTS = 8
"""A lease is given up an eighth of its length before its end; from its half on, it is asked for each eighth."""


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
        self._renewals: dict[str, list[asyncio.Task[bool]]] = {}  # by origin: what is under way, the oldest first
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

    def end_of(self, task_id: str) -> int | None:
        """Return when the lease of this task ends unless it is renewed; None if it is not held."""
        with self._lock:
            held = self._held.get(task_id)
        return None if held is None else held[1] + self._ttl_ms

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
        part, half = max(1, self._ttl_ms // PARTS), max(1, self._ttl_ms // 2)
        beat_at = 0
        try:
            while True:
                if not self._needed.is_set():
                    await self._needed.wait()
                    beat_at = self._oldest() + half  # and not from now: this may be late to wake
                tick_at = self._clock.now() + part if self._is_uncertain(half) else beat_at
                await self._clock.sleep_until(min(beat_at, tick_at))
                if self._home is not None and self._home.is_closed():
                    return  # nobody goes on with what is held: it lapses, and others take it
                self._give_up_stale()
                now = self._clock.now()
                is_beat = now >= beat_at
                beat_at = now + half if is_beat else beat_at
                with self._lock:
                    held = dict(self._held)
                    if not held:
                        self._needed.clear()
                        self._idle = True
                self._renew_all(held, now, 0 if is_beat else half)
        finally:
            for origin in tuple(self._renewals):
                self._forget(origin)

    def _oldest(self) -> int:
        """Return when the lease that lapses first was asked for; now, if none is held any more."""
        with self._lock:
            return min((renewed for _, renewed in self._held.values()), default=self._clock.now())

    def _is_uncertain(self, half: int) -> bool:
        """Say whether a renewal is under way, or one that was due has failed."""
        now = self._clock.now()
        with self._lock:
            late = any(now - renewed >= half for _, renewed in self._held.values())
        return late or bool(self._renewals)

    def _renew_all(self, held: dict[str, tuple[int, int]], now: int, age: int) -> None:
        """Ask once more for each origin of which a lease is as old as `age`, whether or not others are under way."""
        groups = self._by_origin(held)
        for origin in [origin for origin in self._renewals if origin not in groups]:
            self._forget(origin)
        for origin, tasks in groups.items():
            if any(now - held[task.id][1] >= age for task in tasks):
                renewal = asyncio.get_running_loop().create_task(self._renew(tasks, now))
                self._renewals.setdefault(origin, []).append(renewal)
                renewal.add_done_callback(partial(self._ended_one, origin))

    def _ended_one(self, origin: str, renewal: asyncio.Task[bool]) -> None:
        """Take note of an answer, for which the older requests are wanted no more, or that there was none."""
        under_way = self._renewals.get(origin, [])
        if renewal in under_way:
            place = under_way.index(renewal)
            answered = not renewal.cancelled() and renewal.result()
            for older in under_way[:place] if answered else ():
                older.cancel()
            del under_way[0 if answered else place : place + 1]
        if not under_way:
            self._renewals.pop(origin, None)

    def _forget(self, origin: str) -> None:
        for renewal in self._renewals.pop(origin, ()):
            renewal.cancel()

    def _by_origin(self, held: dict[str, tuple[int, int]]) -> dict[str, tuple[TaskRef, ...]]:
        groups: defaultdict[str, list[TaskRef]] = defaultdict(list)
        for task_id, (version, _) in held.items():
            groups[ids.origin(task_id, self._store.dialect.separator)].append(TaskRef(task_id, version))
        return {origin: tuple(group) for origin, group in groups.items()}

    async def _renew(self, tasks: tuple[TaskRef, ...], asked: int) -> bool:
        """Ask for more time on the leases of one origin; return whether there was an answer."""
        try:
            reply = await self._store.send(TaskHeartbeat(pid=self._pid, tasks=tasks))
        except AuthError as error:
            self._tell(self._on_refused, error)
            return True
        except ResonateError as error:
            log.info("A heartbeat failed: %s", error)
            return False
        if isinstance(reply, Rejection):
            self._give_up(tasks, f"the server refused the heartbeat: {reply.message}")
            return True
        with self._lock:
            for task in tasks:
                held = self._held.get(task.id)
                if held is not None and held[0] == task.version:
                    self._held[task.id] = (task.version, max(asked, held[1]))
        return True

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
        if self._home is not None:
            with suppress(RuntimeError):  # its loop was closed: nobody is there to be told
                self._home.call_soon_threadsafe(callback, *args)


def _done(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)
