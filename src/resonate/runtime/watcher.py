"""Waits for promises that others settle.

Law 1: whoever waits is told by a message, and asks again from time to time: a lost message delays, it never strands.
Law 2: many may wait for one promise; it is asked for once.
Law 3: while this process drives the promise's own execution, nothing is asked: its end is told directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from resonate.core.batches import batches
from resonate.core.protocol.records import PromiseRecord, PromiseState, Tag
from resonate.core.protocol.requests import (
    PromiseGet,
    PromiseRegisterListener,
    PromiseReply,
    Rejection,
    Status,
)
from resonate.errors import NotFound, StoreError, UsageError
from resonate.ports.clock import Clock
from resonate.ports.store import Store
from resonate.runtime.alarms import Alarm, Alarms

REFRESH_MS = 60_000
POLL_MS = 100
LONGEST_POLL_MS = 5_000
AT_ONCE = 64
"""So many are asked for at once when all have to be."""
LATE_MS = 100
"""So long after a deadline that the store does not enforce, whoever waits for the promise asks for it."""


class _Entry:
    """One promise that somebody waits for."""

    __slots__ = ("alarm", "asking", "callbacks", "futures", "polls", "told")

    def __init__(self) -> None:
        self.futures: dict[asyncio.Future[PromiseRecord], None] = {}
        self.callbacks: dict[object, Callable[[PromiseRecord], None]] = {}
        self.asking: asyncio.Task[None] | None = None
        self.alarm: Alarm | None = None
        self.polls = 0
        self.told = False  # a message is sure to come


class Watcher:
    """See the module's text. Belongs to one event loop.

    Args:
        store: is asked, and sends the messages that `told` is called with.
        clock: see the port.
        alarms: rings when it is time to ask again.
        attended: says whether this process drives an execution now, and so will tell of its end by itself.
    """

    def __init__(self, store: Store, clock: Clock, alarms: Alarms, attended: Callable[[str], bool]) -> None:
        self._store = store
        self._clock = clock
        self._alarms = alarms
        self._attended = attended
        self._entries: dict[str, _Entry] = {}
        self._listening: set[str] = set()
        """Of these a message is sure to come, whether or not somebody waits just now."""
        self._home = asyncio._get_running_loop()  # noqa: SLF001 - it is public, and None where none runs
        self._stopped: Exception | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def check_loop(self) -> None:
        """Raise `UsageError` on another event loop than the one that opened the client: there nobody would be told."""
        if self._home is not None and asyncio.get_running_loop() is not self._home:
            raise UsageError(
                "A result was awaited on another event loop than the one that opened the client.",
                hint="Await it there, open a client on this loop and get(id), or use resonate.sync from other threads.",
            )

    async def wait(self, promise_id: str) -> PromiseRecord:
        """Return the promise once it has settled. Raise `NotFound`, or what stopped its execution here."""
        if self._stopped is not None:
            raise self._stopped
        entry = self._entry(promise_id)
        future: asyncio.Future[PromiseRecord] = asyncio.get_running_loop().create_future()
        entry.futures[future] = None
        self._look_after(promise_id, entry)
        try:
            return await future
        finally:
            entry.futures.pop(future, None)
            self._forget_if_idle(promise_id, entry)

    def follow(self, promise_id: str, callback: Callable[[PromiseRecord], None]) -> Callable[[], None]:
        """Call `callback` once when the promise has settled; return a function that stops that."""
        entry = self._entry(promise_id)
        me = object()
        entry.callbacks[me] = callback
        self._look_after(promise_id, entry)

        def stop() -> None:
            entry.callbacks.pop(me, None)
            self._forget_if_idle(promise_id, entry)

        return stop

    def told(self, promise: PromiseRecord) -> None:
        """Take note of a promise as somebody reports it; a pending one is no news."""
        if promise.state is PromiseState.PENDING:
            return
        self._listening.discard(promise.id)
        entry = self._entries.pop(promise.id, None)
        if entry is None:
            return
        self._rest(entry)
        for future in entry.futures:
            if not future.done():
                future.set_result(promise)
        for callback in tuple(entry.callbacks.values()):
            callback(promise)

    def unattended(self, promise_id: str) -> None:
        """Take note that this process drives the execution no more: if somebody waits, ask the store."""
        entry = self._entries.get(promise_id)
        if entry is not None:
            self._look_after(promise_id, entry)

    def failed(self, promise_id: str, error: Exception) -> None:
        """Raise `error` to those who wait here; the promise itself is untouched, and may be waited for again."""
        entry = self._entries.get(promise_id)
        if entry is not None:
            futures, entry.futures = entry.futures, {}
            for future in futures:
                if not future.done():
                    future.set_exception(error)
            self._forget_if_idle(promise_id, entry)

    def refresh(self) -> None:
        """Ask for everything that is waited for, a few at a time: messages may have been lost."""
        self._listening.clear()
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh(tuple(self._entries.items())))

    async def _refresh(self, entries: tuple[tuple[str, _Entry], ...]) -> None:
        for batch in batches(entries, AT_ONCE):
            for promise_id, entry in batch:
                if self._entries.get(promise_id) is entry:
                    self._rest(entry)  # also what is being asked: its answer may be older than what was lost
                    entry.told = False
                    self._look_after(promise_id, entry)
            asking = [entry.asking for _, entry in batch if entry.asking is not None]
            if asking:
                await asyncio.wait(asking)

    def fail_all(self, error: Exception) -> None:
        """Raise `error` to everybody who waits now; who waits later asks for himself."""
        self._listening.clear()
        for promise_id, entry in list(self._entries.items()):
            self._rest(entry)
            self.failed(promise_id, error)

    def stop(self, error: Exception) -> None:
        """Raise `error` to everybody who waits, now or later."""
        self._stopped = error
        if self._refreshing is not None:
            self._refreshing.cancel()
        self.fail_all(error)
        self._entries.clear()

    # ------------------------------------------------------------ inside

    def _entry(self, promise_id: str) -> _Entry:
        entry = self._entries.get(promise_id)
        if entry is None:
            entry = self._entries[promise_id] = _Entry()
        return entry

    def _forget_if_idle(self, promise_id: str, entry: _Entry) -> None:
        if not entry.futures and not entry.callbacks and self._entries.get(promise_id) is entry:
            del self._entries[promise_id]
            self._rest(entry)

    def _rest(self, entry: _Entry) -> None:
        if entry.asking is not None:
            entry.asking.cancel()
            entry.asking = None
        if entry.alarm is not None:
            entry.alarm.cancel()
            entry.alarm = None

    def _look_after(self, promise_id: str, entry: _Entry) -> None:
        if self._attended(promise_id) or entry.asking is not None or entry.told:
            return
        if promise_id in self._listening:
            entry.told = True
        elif entry.alarm is None:
            entry.asking = asyncio.get_running_loop().create_task(self._ask(promise_id, entry))

    async def _ask(self, promise_id: str, entry: _Entry) -> None:
        try:
            reply = await self._store.send(PromiseRegisterListener(awaited=promise_id, address=self._store.unicast))
            delay: int | None = REFRESH_MS if self._store.dialect.loses_messages else None
            if isinstance(reply, Rejection) and reply.status == Status.UNPROCESSABLE:
                reply = await self._store.send(PromiseGet(promise_id))  # one that sends no messages: poll it
                delay = min(POLL_MS * 2**entry.polls, LONGEST_POLL_MS)
                entry.polls = min(entry.polls + 1, 16)
        except StoreError as error:
            entry.asking = None
            self.failed(promise_id, error)
            return
        entry.asking = None
        match reply:
            case PromiseReply(promise=promise) if promise.state is not PromiseState.PENDING:
                self.told(promise)
            case PromiseReply():
                delay = self._sooner(reply.promise, delay)
                if delay is None:
                    entry.told = True
                    self._listening.add(promise_id)
                    return
                entry.alarm = self._alarms.set(self._clock.now() + delay, lambda: self._ask_again(promise_id, entry))
            case Rejection(status=Status.NOT_FOUND):
                hint = "Start it with run, rpc or promises.create first."
                self.failed(promise_id, NotFound(f"There is no promise {promise_id}.", hint=hint, step=promise_id))
            case Rejection():
                self.failed(promise_id, StoreError(f"The store refused to be asked: {reply.message}.", step=promise_id))

    def _sooner(self, promise: PromiseRecord, delay: int | None) -> int | None:
        """Return when to ask again: right after the deadline, where it is asking that makes the store see to it."""
        if self._store.dialect.enforces_deadlines or Tag.TARGET in promise.tags:
            return delay
        left = max(promise.timeout_at - self._clock.now(), 0) + LATE_MS
        return left if delay is None else min(delay, left)

    def _ask_again(self, promise_id: str, entry: _Entry) -> None:
        entry.alarm = None
        if self._entries.get(promise_id) is entry:
            self._look_after(promise_id, entry)
