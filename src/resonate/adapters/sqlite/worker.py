"""The one thread that works on a file: it commits in groups, does what is due, and hears of other processes' work.

Law 1: requests that arrive while a commit runs share the next transaction, each with its own reply and its own failure:
what fails for a reason of its own is done again by itself, and the others are not touched.
Law 2: a step of the machine is atomic: request, effects, drains and dispatches are committed together. Where these are
more than a transaction may do, the file says with the others that they are owed, and they are done by whoever works on
it next. A reply or a message leaves only when the transaction is on the disk and the file is still where it was.
Law 3: a lock held by somebody else is waited for, up to `patience`; the processes take turns by SQLite's write lock.
Law 4: nothing is written while nothing happens. Work of other processes is noticed by asking SQLite, every `POLL`
seconds, whether the file has changed, which reads a counter in shared memory.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from attrs import frozen

from resonate.adapters.embedded.mail import Piles
from resonate.adapters.sqlite import forks
from resonate.adapters.sqlite.alive import Alive, Life
from resonate.adapters.sqlite.faults import Damaged, Unstorable, again, locked, translated_any
from resonate.adapters.sqlite.file import Durability, Watch, is_busy, open_file
from resonate.adapters.sqlite.jobs import Ask, Call, Job, Wake, answer
from resonate.adapters.sqlite.post import PostOffice
from resonate.adapters.sqlite.retention import Progress, prune_some
from resonate.adapters.sqlite.tables import Tables
from resonate.core.protocol.due import NEVER
from resonate.core.protocol.machine import fire, handle
from resonate.core.protocol.requests import (
    PromiseGet,
    PromiseSearch,
    Rejection,
    Request,
    ScheduleGet,
    ScheduleSearch,
    Status,
    TaskGet,
    TaskRelease,
    TaskSearch,
)
from resonate.core.protocol.settings import Settings
from resonate.errors import ResonateError, StoreError
from resonate.logs import Log
from resonate.ports.clock import Clock

log = Log("resonate.sqlite")

POLL: Final = 0.02
"""Seconds between two looks at whether another process has written."""
TURN: Final = 0.001
"""Seconds between two tries to get the write lock. SQLite would wait ever longer between its own, and who has waited
longest would come last: under load a process got no turn for seconds."""
FAREWELL: Final = 2.0
"""Seconds to wait for the write lock while we close."""
LOOK_AROUND: Final = 1.0
"""Seconds between two looks at whether the other processes are alive."""
MOURNING: Final = 3
"""So many looks in a row must miss the lock's file of a process before it is taken for dead: it may make it again."""
BACKUP_DELAY: Final = 30
"""Ms by which a process is later than the one before it to do what is due: enough to see that it has been done."""
MAX_BACKWARDS: Final = 60_000
"""Ms by which the clock may be behind what the file has seen and be held there; more is a clock that was set wrong."""

_MAX_BATCH: Final = 1_000
"""Requests in one transaction."""
_MAX_STEPS: Final = 10_000
"""Internal steps that follow from one request; what is left is in the file, and goes on in the next transaction."""

_READS: Final = (PromiseGet, TaskGet, ScheduleGet, PromiseSearch, TaskSearch, ScheduleSearch)


@frozen(kw_only=True)
class Options:
    """How a file is worked on."""

    path: Path
    durability: Durability
    patience: float
    clock: Clock
    settings: Settings
    lock: AbstractContextManager[bool]
    """Guards `piles`, and whatever else mailboxes share with their readers."""
    piles: Piles
    wake_at: Callable[[int], None]
    """Told, in the thread, at which instant a `Wake` is wanted."""


class Worker:
    """See the module's text. Made anew each time the file is opened."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._path = options.path
        self._clock = options.clock
        self._alive = Alive(options.path)
        self._watch = Watch(options.path)
        self._jobs: SimpleQueue[Job[Any] | None] = SimpleQueue()  # None is the last
        self._gate = threading.RLock()  # as the server's lock is
        self._last = False
        self._closing = False
        self._ended = False
        self._farewell: Job[None] | None = None
        self._failure: ResonateError | None = None  # why nothing can be done, once that is so
        self._thread = threading.Thread(target=self._run, name=f"resonate-{options.path.name}", daemon=True)
        self._now = 0
        self._stored_now = 0  # what the file has as its own, as far as is known
        self._is_behind = False  # the clock, of what the file has seen: it was said once
        self._version = -1
        self._mail = True  # another process may have left something
        self._rank = 0  # among the processes that live: the first does what is due, the others if it does not
        self._look_at = 0.0
        self._look_around_at = 0.0
        self.generation = forks.Generation.now
        self._missing: dict[str, int] = {}  # processes whose lock's file is gone, and how often that was seen
        self._is_late = False  # the last transaction has failed, and what was due may still be
        self._trouble: str | None = None  # what was last written to the log, if it has not passed

    # ------------------------------------------------------------ from any thread

    def start(self) -> None:
        """Open the file, in the thread. If that fails, every job does."""
        self._thread.start()

    def submit(self, job: Job[Any]) -> None:
        """Have a job done. It fails with `StoreError` if the file could not be opened, or has been closed."""
        with self._gate:
            if not self._closing:
                self._jobs.put(job)
                return
        job.error = closed(self._path) if self._failure is None else again(self._failure)
        answer([job])

    def close(self, farewell: Job[None]) -> None:
        """Do what has been asked for, close the file, then answer `farewell`."""
        with self._gate:
            self._closing = True
            ended = self._ended
            self._farewell = farewell
            self._jobs.put(None)
        if ended:
            answer([farewell])

    def check(self) -> None:
        """Raise the error of a file that can't be worked on any more, or that is not where it was."""
        if self._failure is not None:
            raise again(self._failure)
        if not self._closing:  # which takes SQLite's own files away
            self._watch.check_there()

    @property
    def token(self) -> str:
        """What names this process in the file."""
        return self._alive.token

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:  # noqa: BLE001 - every job is answered with it
            self._failure = translated_any(error, self._path)
        else:
            try:
                while (jobs := self._next_jobs()) is not None:
                    if jobs:
                        self._do(jobs)
                    if not jobs or time.monotonic() >= self._look_at:
                        self._look_outside()
            finally:
                self._shut()
        self._end()

    def _open(self) -> None:
        options = self._options
        self._db = open_file(self._path, options.durability, options.patience)
        self._db.execute("PRAGMA busy_timeout = 0")  # see TURN
        self._inode = forks.noted(self._path)
        try:
            self._alive.start()
            self._tables = Tables(self._db)
            self.office = PostOffice(self._db, self._tables, self._alive.token, options.lock, options.piles)
            self._begin()  # which makes SQLite's own files, if there are none yet
            self._roll_back()
            self._watch.start()
            self._transact(self._enter)
            self._bury_the_dead()
            self._alive.tidy(self._all_tokens())
        except BaseException:
            self._alive.stop()
            self._close_file()
            raise

    def _enter(self) -> None:
        self._db.execute("INSERT OR IGNORE INTO processes (token) VALUES (?)", (self._alive.token,))

    def _next_jobs(self) -> list[Job[Any]] | None:
        """Wait for jobs; return none of them if it is time to look outside, None if all is done and we close."""
        if self._last:
            return None
        jobs: list[Job[Any]] = []
        size = 0
        with suppress(Empty):
            job = self._jobs.get(timeout=POLL)
            while job is not None:
                jobs.append(job)
                size += len(job.requests) if isinstance(job, Ask) else 1
                if size >= _MAX_BATCH:
                    return jobs
                job = self._jobs.get_nowait()
            self._last = True
        return None if self._last and not jobs else jobs

    def _shut(self) -> None:
        untold = True
        try:
            if self._failure is None:
                self._transact(self._leave)
                untold = False
        except (ResonateError, sqlite3.Error) as error:
            log.info("The file %s was left without a farewell: %s", self._path, error)
        try:
            self._close_file()
        except sqlite3.Error as error:
            log.info("The file %s could not be closed: %s", self._path, error)
        self._alive.stop(untold=untold)

    def _close_file(self) -> None:
        try:
            self._db.close()
        finally:
            forks.forgotten(self._inode)

    def _leave(self) -> None:
        self.office.leave_all()
        self._db.execute("DELETE FROM processes WHERE token = ?", (self.token,))

    def _end(self) -> None:
        with self._gate:
            self._closing = self._ended = True
            farewell = self._farewell
        left: list[Job[Any]] = []
        with suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    left.append(job)
        self._fail(left, self._failure or closed(self._path))
        if farewell is not None:
            answer([farewell])

    # ------------------------------------------------------------ jobs

    def _do(self, jobs: Sequence[Job[Any]]) -> None:
        """Do jobs in one transaction; if that fails for the sake of one of them, each by itself."""
        try:
            self._do_together(jobs)
        except Exception as error:  # noqa: BLE001 - it is answered
            failure = translated_any(error, self._path)
            self._note(failure)
            if _is_everybodys(failure) or (len(jobs) == 1 and _is_one(jobs[0])):
                self._refuse(jobs, failure)
            else:
                for job in jobs:
                    self._do_apart(job)
        else:
            answer(jobs)

    def _do_apart(self, job: Job[Any]) -> None:
        """Do a job by itself, and each request of one that has many by itself."""
        if _is_one(job) or not isinstance(job, Ask):
            self._do([job])
            return
        replies: list[Any] = []
        for request in job.requests:
            one = Ask(requests=(request,), single=True)
            try:
                self._do_together([one])
                replies.append(one.answer)
            except Exception as error:  # noqa: BLE001 - it is answered
                failure = translated_any(error, self._path)
                self._note(failure)
                replies.append(_refusal(failure))
        job.answer = replies
        answer([job])

    def _refuse(self, jobs: Sequence[Job[Any]], failure: ResonateError) -> None:
        """Fail jobs, or answer that by the rules of this store it can't be done."""
        refusal = _refusal(failure)
        job = jobs[0]
        if isinstance(refusal, Rejection) and isinstance(job, Ask):
            job.answer = refusal if job.single else [refusal]
            answer(jobs)
        else:
            self._fail(jobs, failure)

    def _fail(self, jobs: Sequence[Job[Any]], failure: ResonateError) -> None:
        for job in jobs:
            job.error = again(failure)
        answer(jobs)

    def _do_together(self, jobs: Sequence[Job[Any]]) -> None:
        if self._failure is not None:
            raise again(self._failure)
        if all(_only_looks(job) for job in jobs) and self._look(jobs):
            return
        self._transact(lambda: self._write(jobs))

    def _look(self, jobs: Sequence[Job[Any]]) -> bool:
        """Answer questions without the write lock; or return False, since something is due that they should see."""
        try:
            self._db.execute("BEGIN")
            self._sync()
            due = self._tables.look()
            if due <= self._tick():
                return False
            self._answer_all(jobs)
        except sqlite3.Error as error:
            if is_busy(error):  # another process mends the file: that is waited for where writes are
                return False
            raise
        finally:
            self._roll_back()
        self._wake_at(due)
        return True

    def _write(self, jobs: Sequence[Job[Any]]) -> None:
        for job in jobs:
            if isinstance(job, Call):
                job.answer = job.function()
        self._answer_all(jobs)

    def _answer_all(self, jobs: Sequence[Job[Any]]) -> None:
        asked = [job for job in jobs if isinstance(job, Ask)]
        if len(asked) > 1:
            self._tables.prefetch({id for job in asked for request in job.requests for id in _named_by(request)})
        for job in asked:
            replies = [self._ask(request) for request in job.requests]
            job.answer = replies[0] if job.single else replies

    def _ask(self, request: Request[Any]) -> Any | Rejection:
        """Do one request, and what it makes due."""
        now = self._tick()
        reply, effects = handle(request, self._tables, now, self._options.settings)
        if effects:
            self._tables.apply(effects, now)
            self._work(now)
        return reply

    def prune(self, before: int, progress: Progress) -> Progress:
        """Delete some of what was settled before an instant. A `Call`'s function."""
        self._tables.flush()
        pruned = prune_some(self._db, before, self._tick(), progress)
        if pruned.deleted != progress.deleted:
            self._tables.read_anew()
        return pruned

    def _work(self, now: int) -> None:
        """Fire what is due, send what is to be sent."""
        for _ in range(_MAX_STEPS):
            step = self._tables.take_step(now)
            if step is None:
                break
            self._tables.apply(fire(step, self._tables, now, self._options.settings), now)
        for send in self._tables.take_sends():
            self.office.send(send.address, send.message)

    # ------------------------------------------------------------ transactions

    def _transact(self, write: Callable[[], None]) -> None:
        """Do something in a transaction, and what is due besides; deliver what it sends when it is committed."""
        self._is_late = True  # until this is done
        self._begin()
        try:
            changes = self._db.total_changes
            self._sync()
            if self._mail:
                self.office.collect()
            write()
            now = self._tick()
            self._work(now)
            self._tables.flush()
            is_changed = self._db.total_changes != changes
            if is_changed:
                self._note_now(now)
            self._check()  # the commit may write the log back, and so make a file that was cut long again
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            self._forget()
            raise
        if is_changed:
            self._stored_now = now
        self.office.seal()
        self._check()  # what was sent waits until it can be seen that the file is there
        self._mail = self._is_late = False
        self._recover()
        self.office.deliver()
        self._wake_at(self._tables.next_instant(now))

    def _wake_at(self, instant: int) -> None:
        if instant < NEVER:
            self._options.wake_at(instant + self._rank * BACKUP_DELAY)

    def _begin(self) -> None:
        """Take the write lock, however long others hold it, up to our patience."""
        began = time.monotonic()
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                patience = min(self._options.patience, FAREWELL) if self._closing else self._options.patience
                if time.monotonic() - began >= patience:
                    raise locked(self._path, self._options.patience) from error
                time.sleep(TURN)
            else:
                return

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _forget(self) -> None:
        self._tables.forget()
        self.office.forget()

    def _sync(self) -> None:
        """Forget what was read before, if another process has written since."""
        version: int = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._forget()
            self._mail = True
            self._now = self._tick_of_file()
            before = self._db.execute("SELECT count(*) FROM processes WHERE token < ?", (self.token,)).fetchone()
            self._rank = before[0]

    # ------------------------------------------------------------ trouble

    def _note(self, failure: ResonateError) -> None:
        """Take note of a failure that is not one request's: say it once for as long as it lasts."""
        if isinstance(failure, Damaged):
            if self._failure is None:
                self._failure = failure
                log.error("%s", failure)
                self.office.fail(failure)
        elif _is_everybodys(failure) and self._trouble != str(failure):
            self._trouble = str(failure)
            log.warning("%s", failure)

    def _recover(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            log.warning("The file %s can be written again; work goes on.", self._path)

    # ------------------------------------------------------------ time

    def _tick(self) -> int:
        self._now = max(self._now, self._clock.now())
        return self._now

    def _tick_of_file(self) -> int:
        """Return the instant that the file has seen, which no process goes behind, unless the clock was set wrong."""
        seen: int = self._db.execute("SELECT value FROM facts WHERE name = 'now'").fetchone()[0]
        self._stored_now = seen
        now = self._clock.now()
        if seen - now > MAX_BACKWARDS:
            if not self._is_behind:
                log.warning(
                    "The clock is %.0f s behind what the file %s has seen; it is believed. Timers that were set while "
                    "it ran ahead will be late.",
                    (seen - now) / 1_000,
                    self._path,
                )
            self._is_behind = True
            return now
        return max(seen, self._now)

    def _check(self) -> None:
        self._watch.check(self._db, self._stored_now)

    def _note_now(self, now: int) -> None:
        self._db.execute("UPDATE facts SET value = ? WHERE name = 'now' AND value <> ?", (now, now))

    # ------------------------------------------------------------ other processes

    def _look_outside(self) -> None:
        """See what other processes have written, and whether they live."""
        self._look_at = time.monotonic() + POLL
        if self._failure is not None:
            return
        try:
            self._check()
            self.office.deliver()
            self._sync()
            if self._mail:
                self._mail = self.office.has_mail()
                if self._mail:
                    self._transact(lambda: None)
                else:
                    self._wake_at(self._tables.look())
            if time.monotonic() >= self._look_around_at:
                self._bury_the_dead()
                if self._is_late:
                    self._wake_at(self._tables.look())
        except Exception as error:  # noqa: BLE001 - the next look may succeed
            self._forget()
            self._note(translated_any(error, self._path))

    def _bury_the_dead(self) -> None:
        """Take the place of processes that died: release what they had acquired, and send their messages to others."""
        self._look_around_at = time.monotonic() + LOOK_AROUND
        self._alive.keep()
        tokens = self._all_tokens()
        lives = {token: self._alive.life(token) for token in tokens - {self.token}}
        self._missing = {token: self._missing.get(token, 0) + 1 for token, life in lives.items() if life is Life.GONE}
        for token, life in lives.items():
            if life is Life.DEAD or self._missing.get(token, 0) >= MOURNING:
                self._transact(partial(self._bury, token, life))
                self._alive.remove(token)
        if self.token not in tokens or not self.office.is_in_order():  # somebody took us for dead
            self._transact(self._enter_again)

    def _all_tokens(self) -> set[str]:
        return {row[0] for row in self._db.execute("SELECT token FROM processes")}

    def _enter_again(self) -> None:
        self._enter()
        self.office.put_in_order()

    def _bury(self, token: str, life: Life) -> None:
        pids = self.office.bury(token)
        self._db.execute("DELETE FROM processes WHERE token = ?", (token,))
        if life is not Life.DEAD:
            return  # what it had acquired lapses by the clock
        self._tables.flush()
        for pid in pids:
            rows = self._db.execute(
                "SELECT id, version FROM tasks WHERE due_at IS NOT NULL AND state = 'acquired' AND pid = ?", (pid,)
            ).fetchall()
            for id, version in rows:
                self._ask(TaskRelease(id=id, version=version))
                log.info("The process that held the task %s has died; it is offered again.", id)


def closed(path: Path) -> StoreError:
    """Return the error of who asks when the file is closed."""
    return StoreError(f"The file {path} has been closed.", hint="Start the store again, or connect another.")


def _named_by(request: Request[Any]) -> Iterator[str]:
    """Yield ids of what a request will read. Those that are not plain are left to be read by themselves."""
    for named in (request, getattr(request, "action", None), *getattr(request, "tasks", ())):
        id = getattr(named, "id", None)
        if type(id) is str and id.isascii():
            yield id


def _refusal(failure: ResonateError) -> Rejection | ResonateError:
    return Rejection(Status.BAD_REQUEST, str(failure)) if isinstance(failure, Unstorable) else failure


def _is_everybodys(failure: BaseException) -> bool:
    """Tell whether the trouble is the file's, and not one request's."""
    return isinstance(failure, Damaged) or (isinstance(failure, StoreError) and failure.retriable)


def _only_looks(job: Job[Any]) -> bool:
    return isinstance(job, Wake) or (isinstance(job, Ask) and all(isinstance(one, _READS) for one in job.requests))


def _is_one(job: Job[Any]) -> bool:
    return not isinstance(job, Ask) or len(job.requests) == 1
