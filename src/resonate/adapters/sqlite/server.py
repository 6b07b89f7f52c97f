"""A Resonate server in a database file: the protocol's machine over SQLite, for all processes of one machine.

Law 1: an acknowledged request survives the death of every process, and with `Durability.FULL` a power cut.
Law 2: processes meet in the file and nowhere else: no process is needed for another's work to go on.
Law 3: what a process does unasked is done while at least one of its stores is started.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from resonate.adapters.clock import SystemClock
from resonate.adapters.embedded.alarm import IDLE, Alarm
from resonate.adapters.embedded.connection import event_loop
from resonate.adapters.embedded.mail import Mailbox, Member, Piles
from resonate.adapters.sqlite import forks
from resonate.adapters.sqlite.file import Durability
from resonate.adapters.sqlite.jobs import Ask, Call, Job, Wake
from resonate.adapters.sqlite.reader import SqliteReader
from resonate.adapters.sqlite.retention import Progress
from resonate.adapters.sqlite.searcher import SEARCHES, Searcher
from resonate.adapters.sqlite.snapshots import read_snapshot
from resonate.adapters.sqlite.store import SqliteStore
from resonate.adapters.sqlite.worker import Options, Worker, closed
from resonate.core.insight.picture import Facts
from resonate.core.protocol.requests import Rejection, Request
from resonate.core.protocol.settings import DEFAULT_SETTINGS, Settings
from resonate.core.protocol.snapshot import Snapshot
from resonate.errors import EngineBug, ResonateError, StoreError
from resonate.ports.clock import Clock

R = TypeVar("R")
T = TypeVar("T")


class SqliteServer:
    """A database file, and the Backend that connects to it. Thread-safe.

    The file is made when the first store starts, and closed when the last one stops. It lies on a local disk; beside it
    lie SQLite's own `-wal` and `-shm`, and while processes work on it one `-alive-...` for each.

    Args:
        path: where the file is, or is to be.
        durability: what an acknowledged request survives: `full` a power cut, `normal` the death of every process
            (a power cut may then cost the last moments, in order).
        clock: where time comes from; the system's by default. All processes must have the same.
        settings: those of the machine.
        lock_timeout: seconds to wait for another program that holds the file's lock before callers hear of it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability | str = Durability.FULL,
        clock: Clock | None = None,
        settings: Settings = DEFAULT_SETTINGS,
        lock_timeout: float = 30.0,
    ) -> None:
        self._path = Path(path).resolve()
        self._durability = Durability(durability)
        self._clock: Clock = clock or SystemClock()
        self._settings = settings
        self._patience = lock_timeout
        self._lock = threading.RLock()  # the garbage collector may close an abandoned store in who has it
        self._piles = Piles()
        self._worker: Worker | None = None
        self._searcher: Searcher | None = None
        self._stores = 0
        self._alarms: dict[asyncio.AbstractEventLoop, Alarm] = {}

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        return self._clock

    def connect(self, *, group: str, pid: str) -> SqliteStore:
        """Return a store for member `pid` of `group`; it opens nothing until its `start`."""
        return SqliteStore(self, group, pid)

    def reader(self) -> SqliteReader:
        """Return a store that reads the file and takes no part; it opens nothing until its `start`."""
        return SqliteReader(self._path, self._clock, self._settings)

    def snapshot(self) -> Snapshot:
        """Return all that is stored, as stored, with what is on its way to this process. Raise `StoreError`."""
        with self._lock:
            here = self._piles.entries()
        return read_snapshot(self._path, here, self._clock.now())

    # ------------------------------------------------------------ for stores

    async def attach(self, group: str, pid: str) -> Member:
        """Connect on the running loop; open the file if this is the first to. Raise `StoreError`."""
        self._check_forked()
        loop = event_loop()
        member = Member(group, pid, Mailbox(loop, self._lock, self._piles))
        with self._clock.busy():
            with self._lock:
                worker = self._worker or self._new_worker()
                self._stores += 1
                if loop not in self._alarms:
                    self._alarms[loop] = Alarm(loop, self._clock, self._ring)
                self._alarms[loop].stores += 1
            try:
                await _done(worker, Call(future=loop.create_future(), function=lambda: worker.office.join(member)))
            except BaseException:
                # It may have joined all the same, or be about to.
                worker.submit(Call(function=lambda: worker.office.leave(member)))
                await self._part(loop)
                raise
        return member

    async def detach(self, member: Member) -> None:
        """Disconnect; close the file if this was the last. Never raises."""
        if self._is_parents():
            return
        loop = asyncio.get_running_loop()
        with self._clock.busy():
            worker = self._worker
            with self._lock:
                last = self._stores == 1
            try:
                if worker is not None and not last:  # the last one leaves as the file is closed
                    leave = Call(future=loop.create_future(), function=lambda: worker.office.leave(member))
                    with suppress(ResonateError):
                        await _done(worker, leave)
            finally:
                with self._lock:
                    member.mailbox.close()
                closed = await self._part(member.mailbox.loop)
            if worker is not None and last and not closed:  # another came meanwhile
                worker.submit(Call(function=lambda: worker.office.leave(member)))

    async def ask(self, request: Request[R]) -> R | Rejection:
        """Do one request. Raise `StoreError`."""
        self._check_forked()
        if isinstance(request, SEARCHES):
            found: R | Rejection = await self._search(lambda searcher: searcher.ask(request))
            return found
        reply: R | Rejection = await self._ask((request,), single=True)
        return reply

    async def ask_all(self, requests: Sequence[Request[Any]]) -> Sequence[Any]:
        """Do many requests. Raise `StoreError`."""
        replies: Sequence[Any] = await self._ask(requests, single=False)
        return replies

    async def facts(self, ids: Sequence[str]) -> Facts:
        """Return what is known about these beyond their records. Raise `StoreError`."""
        return await self._search(lambda searcher: searcher.facts(ids))

    async def _search(self, look: Callable[[Searcher], Awaitable[T]]) -> T:
        """Look into the file; what was found counts only if the file is still the one that is worked on."""
        worker, searcher = self._open_worker(), self._searcher
        if searcher is None:
            raise closed(self._path)
        worker.check()
        with self._clock.busy():
            try:
                found = await look(searcher)
            except StoreError:
                worker.check()  # which says more, if the file is gone
                raise
        worker.check()
        return found

    async def prune(self, before: int) -> int:
        """Delete the executions that were over before an instant, in epoch ms; return how many promises that were."""
        worker = self._open_worker()
        progress = Progress()
        while not progress.done:
            waiting: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()
            step = partial(worker.prune, before, progress)
            with self._clock.busy():
                progress = await _done(worker, Call(future=waiting, function=step))
        return progress.deleted

    async def _ask(self, requests: Sequence[Request[Any]], *, single: bool) -> Any:
        worker = self._open_worker()
        waiting: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._clock.busy():
            return await _done(worker, Ask(future=waiting, requests=requests, single=single))

    # ------------------------------------------------------------ life

    def _open_worker(self) -> Worker:
        self._check_forked()
        worker = self._worker
        if worker is None:
            raise closed(self._path)
        return worker

    def _is_parents(self) -> bool:
        """Tell whether this process was forked from the one that opened the file. No lock may be taken before."""
        worker = self._worker
        return worker is not None and worker.generation != forks.Generation.now

    def _check_forked(self) -> None:
        if self._is_parents():
            raise forks.forked(self._path)

    def _new_worker(self) -> Worker:
        worker = self._worker = Worker(
            Options(
                path=self._path,
                durability=self._durability,
                patience=self._patience,
                clock=self._clock,
                settings=self._settings,
                lock=self._lock,
                piles=self._piles,
                wake_at=self._wake_at,
            )
        )
        self._searcher = Searcher(self._path, self._clock, self._settings)
        worker.start()
        return worker

    async def _part(self, loop: asyncio.AbstractEventLoop) -> bool:
        """One store less: end what served it alone. Return whether that was all."""
        with self._lock:
            self._stores -= 1
            worker = None if self._stores else self._worker
            searcher = None if worker is None else self._searcher
            if worker is not None:
                self._worker = self._searcher = None
            alarm = self._alarms.get(loop)
            if alarm is not None:
                alarm.stores -= 1
                if alarm.stores:
                    alarm = None
                else:
                    del self._alarms[loop]
        if alarm is not None:
            await alarm.close()
        if searcher is not None:
            await searcher.close()
        if worker is not None:
            farewell: Job[None] = Job(future=asyncio.get_running_loop().create_future())
            worker.close(farewell)
            if farewell.future is not None:
                await farewell.future
        return worker is not None

    # ------------------------------------------------------------ what is due

    def _wake_at(self, instant: int) -> None:
        """Have the alarms ring at an instant. Called in the worker's thread."""
        with self._lock:
            for loop, alarm in tuple(self._alarms.items()):
                if not alarm.set(instant):
                    del self._alarms[loop]

    def _ring(self, alarm: Alarm) -> None:
        """Have done what is due. Called on the alarm's loop."""
        with self._lock:
            alarm.at = IDLE
        worker = self._worker
        if worker is not None:
            busy = ExitStack()
            busy.enter_context(self._clock.busy())
            worker.submit(Wake(after=busy.close))


async def _done(worker: Worker, job: Job[R]) -> R:
    worker.submit(job)
    if job.future is None:
        raise EngineBug("a job is waited for that has nobody to be answered")
    return await job.future
